#include "tombola/h5ad/plain_object.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "tombola/rows/texts.hpp"

namespace tombola {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t header_bytes = 16;
constexpr std::size_t message_bytes = 8;
constexpr std::size_t key_bytes = 8;
constexpr std::size_t symbol_bytes = 40;
constexpr std::size_t most_blocks = 64;
constexpr std::size_t most_nodes = std::size_t{1} << 16U;
constexpr std::size_t most_names = std::size_t{1} << 16U;
constexpr std::size_t most_attributes = std::size_t{1} << 10U;
constexpr u64 most_heap = u64{1} << 24U;
constexpr std::size_t most_axes = 32;

// Messages by their numbers; those without a name here may be there, and say nothing: fill values and times
constexpr std::size_t nothing = 0x0;
constexpr std::size_t space_message = 0x1;
constexpr std::size_t type_message = 0x3;
constexpr std::size_t layout_message = 0x8;
constexpr std::size_t filters_message = 0xb;
constexpr std::size_t attribute_message = 0xc;
constexpr std::size_t more_message = 0x10;
constexpr std::size_t group_message = 0x11;

bool is_known(std::size_t kind) {
    switch (kind) {
        case nothing:
        case space_message:
        case type_message:
        case 0x4:
        case 0x5:
        case layout_message:
        case filters_message:
        case attribute_message:
        case 0xe:
        case more_message:
        case group_message:
        case 0x12:
            return true;
        default:
            return false;
    }
}

struct KnownType {
    std::string_view written;  // without the zeros at its end
    ItemType type;
};

constexpr std::array known_types{
    KnownType{"\x10\x08\0\0\x01\0\0\0\0\0\x08"sv, {'i', 1}},
    KnownType{"\x10\x08\0\0\x02\0\0\0\0\0\x10"sv, {'i', 2}},
    KnownType{"\x10\x08\0\0\x04\0\0\0\0\0\x20"sv, {'i', 4}},
    KnownType{"\x10\x08\0\0\x08\0\0\0\0\0\x40"sv, {'i', 8}},
    KnownType{"\x10\0\0\0\x01\0\0\0\0\0\x08"sv, {'u', 1}},
    KnownType{"\x10\0\0\0\x02\0\0\0\0\0\x10"sv, {'u', 2}},
    KnownType{"\x10\0\0\0\x04\0\0\0\0\0\x20"sv, {'u', 4}},
    KnownType{"\x10\0\0\0\x08\0\0\0\0\0\x40"sv, {'u', 8}},
    KnownType{"\x11\x20\x0f\0\x02\0\0\0\0\0\x10\0\x0a\x05\0\x0a\x0f"sv, {'f', 2}},
    KnownType{"\x11\x20\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f"sv, {'f', 4}},
    KnownType{"\x11\x20\x3f\0\x08\0\0\0\0\0\x40\0\x34\x0b\0\x34\xff\x03"sv, {'f', 8}},
    KnownType{"\x19\x01\x01\0\x10\0\0\0\x10\0\0\0\x01\0\0\0\0\0\x08"sv, {'T', 16}},  // UTF-8
    KnownType{"\x19\x01\0\0\x10\0\0\0\x10\0\0\0\x01\0\0\0\0\0\x08"sv, {'T', 16}},    // ASCII
};

// The type that a message means; nothing if it is none of these
std::optional<ItemType> type_of(std::string_view message) {
    const std::size_t last = message.find_last_not_of('\0');
    message = message.substr(0, last == std::string_view::npos ? 0 : last + 1);
    const auto found = std::ranges::find(known_types, message, &KnownType::written);
    return found == known_types.end() ? std::nullopt : std::optional(found->type);
}

// The shape that a dataspace has; one without values is not expected.
std::vector<u64> shape_of(std::string_view message) {
    const auto version = number_at<std::uint8_t>(message, 0);
    const auto axes = number_at<std::uint8_t>(message, 1);
    const auto flags = number_at<std::uint8_t>(message, 2);
    const auto kind = number_at<std::uint8_t>(message, 3);
    need((version == 1 || version == 2) && axes <= most_axes && flags <= 1);
    need(version == 1 || kind == (axes > 0 ? 1 : 0));
    const std::size_t start = version == 1 ? 8 : 4;
    std::vector<u64> shape(axes);
    for (std::size_t axis = 0; axis < axes; ++axis) {
        shape[axis] = number_at<u64>(message, start + axis * sizeof(u64));
    }
    return shape;
}

std::size_t padded(std::size_t bytes) { return (bytes + 7) / 8 * 8; }

// Where the parts of an attribute begin
struct AttributeParts {
    explicit AttributeParts(std::string_view message) {
        const auto version = number_at<std::uint8_t>(message, 0);
        const auto flags = number_at<std::uint8_t>(message, 1);
        const std::size_t bytes = number_at<u16>(message, 2);
        kind_bytes = number_at<u16>(message, 4);
        space_bytes = number_at<u16>(message, 6);
        need(bytes > 0 && (version == 1 || (version == 3 && flags == 0)));
        const auto room = [version](std::size_t part) { return version == 1 ? padded(part) : part; };
        const std::size_t start = version == 1 ? 8 : 9;
        kind = start + room(bytes);
        space = kind + room(kind_bytes);
        value = space + room(space_bytes);
        need(value <= message.size() && message[start + bytes - 1] == '\0');
        name = message.substr(start, bytes - 1);
    }

    std::string_view name;
    std::size_t kind;
    std::size_t kind_bytes;
    std::size_t space;
    std::size_t space_bytes;
    std::size_t value;
};

template <typename T>
index_t integer_at(std::string_view bytes, std::size_t at) {
    const T value = number_at<T>(bytes, at);
    need(std::in_range<index_t>(value));
    return static_cast<index_t>(value);
}

index_t integer_at(ItemType type, std::string_view bytes, std::size_t at) {
    const bool is_signed = type.kind == 'i';
    switch (type.bytes) {
        case 1:
            return is_signed ? integer_at<std::int8_t>(bytes, at) : integer_at<std::uint8_t>(bytes, at);
        case 2:
            return is_signed ? integer_at<std::int16_t>(bytes, at) : integer_at<u16>(bytes, at);
        case 4:
            return is_signed ? integer_at<std::int32_t>(bytes, at) : integer_at<u32>(bytes, at);
        default:
            return is_signed ? integer_at<std::int64_t>(bytes, at) : integer_at<u64>(bytes, at);
    }
}

}  // namespace

PlainObject::PlainObject(PlainFile& file, u64 address) : file_(&file) {
    const std::string_view header = file.read(address, header_bytes);
    need(header[0] == 1);  // its version
    std::size_t left = number_at<u16>(header, 2);
    std::vector<Block> blocks{{address + header_bytes, number_at<u32>(header, 8)}};
    for (std::size_t i = 0; i < blocks.size(); ++i) {  // grows on the way
        need(blocks[i].bytes <= most_header && blocks.size() <= most_blocks);
        const std::size_t found =
            read_block(file.read(blocks[i].address, static_cast<std::size_t>(blocks[i].bytes)), blocks);
        need(found <= left);
        left -= found;
    }
    need(left == 0);
}

// Takes messages, and where more of them are; returns how many there were.
std::size_t PlainObject::read_block(std::string_view block, std::vector<Block>& blocks) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < block.size(); ++count) {
        const std::size_t kind = number_at<u16>(block, at);
        const std::size_t bytes = number_at<u16>(block, at + 2);
        const auto flags = number_at<std::uint8_t>(block, at + 4);
        need(is_known(kind) && flags <= 1 && bytes % 8 == 0);
        const std::string_view message = part_of(block, at + message_bytes, bytes);
        at += message_bytes + bytes;
        if (kind == attribute_message) {
            attributes_.push_back(message);
        } else if (kind == more_message) {
            blocks.push_back({number_at<u64>(message, 0), number_at<u64>(message, 8)});
        } else if (kind != nothing) {
            need(!messages_[kind]);
            messages_[kind] = message;
        }
    }
    return count;
}

bool PlainObject::is_group() const noexcept { return messages_[group_message].has_value(); }

bool PlainObject::has(std::string_view name) { return names().contains(name); }

PlainObject PlainObject::child(std::string_view name) {
    const auto found = names().find(name);
    need(found != names().end());
    return {*file_, found->second};
}

const std::unordered_map<std::string_view, u64>& PlainObject::names() {
    if (!members_) {
        need(is_group() && !messages_[layout_message]);
        const std::string_view where = *messages_[group_message];
        const std::string_view heap = file_->read(number_at<u64>(where, 8), 32);
        const u64 bytes = number_at<u64>(heap, 8);
        need(heap.substr(0, 4) == "HEAP" && heap[4] == 0 && bytes <= most_heap);
        members_.emplace();
        std::size_t nodes = 0;
        named_bytes_ = 0;
        const std::string_view texts = file_->read(number_at<u64>(heap, 24), static_cast<std::size_t>(bytes));
        list(number_at<u64>(where, 0), texts, std::nullopt, nodes);
    }
    return *members_;
}

void PlainObject::list(u64 address, std::string_view texts, std::optional<unsigned> level, std::size_t& nodes) {
    const auto [own, used, entries] = file_->tree_node(address, 0, key_bytes, level);
    nodes += used;
    need(nodes <= most_nodes);
    for (std::size_t i = 0; i < used; ++i) {
        const u64 below = number_at<u64>(entries, i * (key_bytes + sizeof(u64)) + key_bytes);
        if (own > 0) {
            list(below, texts, own - 1, nodes);
            continue;
        }
        const std::string_view head = file_->read(below, 8);
        need(head.substr(0, 4) == "SNOD" && head[4] == 1);
        const std::size_t count = number_at<u16>(head, 6);
        const std::string_view symbols = file_->read(below + 8, count * symbol_bytes);
        for (std::size_t k = 0; k < count; ++k) {
            const u64 start = number_at<u64>(symbols, k * symbol_bytes);
            need(number_at<u32>(symbols, k * symbol_bytes + 16) <= 1 && start < texts.size());
            const std::size_t end = texts.find('\0', static_cast<std::size_t>(start));
            need(end != std::string_view::npos && end > start && members_->size() < most_names);
            const std::string_view name = texts.substr(static_cast<std::size_t>(start), end - start);
            named_bytes_ += name.size() + 1;  // names lie apart
            need(named_bytes_ <= texts.size());
            need(is_utf8(name) && members_->emplace(name, number_at<u64>(symbols, k * symbol_bytes + 8)).second);
        }
    }
}

const PlainObject::Written* PlainObject::find_attribute(std::string_view name) {
    if (!is_named_) {
        need(attributes_.size() <= most_attributes);
        for (const std::string_view message : attributes_) {
            const AttributeParts parts(message);
            need(std::ranges::find(written_, parts.name, &Written::name) == written_.end());
            written_.push_back({parts.name, message, parts.value});
        }
        is_named_ = true;
    }
    const auto found = std::ranges::find(written_, name, &Written::name);
    return found == written_.end() ? nullptr : &*found;
}

bool PlainObject::has_attribute(std::string_view name) { return find_attribute(name) != nullptr; }

Attribute PlainObject::attribute(std::string_view name) {
    const Written* const found = find_attribute(name);
    if (found == nullptr) {
        return {};
    }
    const AttributeParts parts(found->message);
    const std::vector<u64> shape = shape_of(part_of(found->message, parts.space, parts.space_bytes));
    const std::optional<ItemType> type = type_of(part_of(found->message, parts.kind, parts.kind_bytes));
    if (std::ranges::find(shape, u64{0}) != shape.end()) {
        return std::vector<std::string>{};
    }
    need(type && shape.size() <= 1);
    const u64 count = shape.empty() ? 1 : shape[0];
    need(count <= most_header);
    const std::string_view values = found->message.substr(parts.value);
    if (!type->is_text()) {
        need(type->is_integer() && !shape.empty());
        std::vector<index_t> integers(static_cast<std::size_t>(count));
        for (std::size_t i = 0; i < integers.size(); ++i) {
            integers[i] = integer_at(*type, values, i * type->bytes);
        }
        return integers;
    }
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < count; ++i) {
        texts.push_back(file_->text(part_of(values, i * reference_bytes, reference_bytes)));
    }
    if (count == 1) {  // as of R's writers
        return std::move(texts.front());
    }
    return texts;
}

std::optional<std::string> PlainObject::text(std::string_view name) {
    Attribute found = attribute(name);
    if (std::holds_alternative<std::monostate>(found)) {
        return std::nullopt;
    }
    std::string* const text = std::get_if<std::string>(&found);
    need(text != nullptr);
    return std::move(*text);
}

PlainDataset PlainObject::dataset() const {
    need(!is_group() && messages_[space_message] && messages_[type_message] && messages_[layout_message]);
    PlainDataset found;
    found.layout = *messages_[layout_message];
    found.filters = messages_[filters_message];
    const std::optional<ItemType> type = type_of(*messages_[type_message]);
    const auto kind = number_at<std::uint8_t>(found.layout, 1);
    need(type && found.layout[0] == 3 && (kind == 1 || kind == 2));
    found.type = *type;
    found.shape = shape_of(*messages_[space_message]);
    if (kind == 1) {
        found.address = number_at<u64>(found.layout, 2);
        found.bytes = number_at<u64>(found.layout, 10);
    }
    return found;
}

}  // namespace tombola
