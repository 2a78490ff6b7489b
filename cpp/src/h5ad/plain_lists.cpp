#include "tombola/h5ad/plain_lists.hpp"

#include <algorithm>
#include <cstring>

#include "tombola/rows/filters.hpp"
#include "tombola/rows/texts.hpp"

namespace tombola {
namespace {

constexpr u64 most_texts = u64{1} << 20U;
constexpr std::size_t most_chunks = std::size_t{1} << 12U;
constexpr u64 most_chunk_bytes = u64{1} << 26U;
constexpr u64 most_expanded = 1032;  // bytes that one of a deflate stream stands for
constexpr std::size_t key_bytes = 24;
constexpr std::size_t entry_bytes = key_bytes + sizeof(u64);
constexpr std::size_t deflate_filter = 1;
constexpr std::size_t shuffle_filter = 2;

struct Filters {
    bool shuffles = false;
    bool deflates = false;
};

struct Chunk {
    std::size_t bytes;  // as it is stored
    u64 first;
    u64 address;
};

// gzip, or shuffling and gzip
Filters filters_of(std::string_view message, std::size_t item_bytes) {
    const auto count = number_at<std::uint8_t>(message, 1);
    need(message[0] == 1 && (count == 1 || count == 2));
    Filters found;
    std::size_t at = 8;
    for (unsigned i = 0; i < count; ++i) {
        const std::size_t code = number_at<u16>(message, at);
        const std::size_t name_bytes = number_at<u16>(message, at + 2);
        const std::size_t values = number_at<u16>(message, at + 6);
        at += 8 + (name_bytes + 7) / 8 * 8;
        if (code == shuffle_filter) {
            need(i == 0 && values == 1 && number_at<u32>(message, at) == item_bytes);
            found.shuffles = true;
        } else {
            need(code == deflate_filter && !found.deflates);
            found.deflates = true;
        }
        at += 4 * (values + values % 2);
        need(at <= message.size());
    }
    need(found.deflates);
    return found;
}

class Chunks {
  public:
    Chunks(PlainFile& file, const PlainDataset& list, std::size_t item_bytes) : file_(file) {
        need(number_at<std::uint8_t>(list.layout, 2) == 2 && number_at<u32>(list.layout, 15) == item_bytes);
        length_ = number_at<u32>(list.layout, 11);
        need(length_ > 0);
        const u64 count = count_of(list);
        const u64 chunks = count / length_ + (count % length_ != 0 ? 1 : 0);
        need(chunks <= most_chunks && length_ * item_bytes <= most_chunk_bytes);
        list_node(number_at<u64>(list.layout, 3), std::nullopt);
        need(found_.size() == chunks);
        for (std::size_t i = 0; i < found_.size(); ++i) {
            need(found_[i].first == i * length_);
        }
    }

    const std::vector<Chunk>& all() const noexcept { return found_; }
    std::size_t length() const noexcept { return static_cast<std::size_t>(length_); }

  private:
    void list_node(u64 address, std::optional<unsigned> level) {
        const auto [own, used, entries] = file_.tree_node(address, 1, key_bytes, level);
        nodes_ += used;
        need(nodes_ <= 2 * most_chunks);
        for (std::size_t at = 0; at < used * entry_bytes; at += entry_bytes) {
            const u64 below = number_at<u64>(entries, at + 24);
            need(number_at<u64>(entries, at + 16) == 0);
            if (own > 0) {
                list_node(below, own - 1);
                continue;
            }
            need(number_at<u32>(entries, at + 4) == 0 && found_.size() < most_chunks);
            found_.push_back({number_at<u32>(entries, at), number_at<u64>(entries, at + 8), below});
        }
    }

    PlainFile& file_;
    u64 length_ = 0;
    std::size_t nodes_ = 0;
    std::vector<Chunk> found_;
};

// What a chunk holds, of as many bytes as `out` has
void decode(std::span<const std::byte> stored, const Filters& filters, std::size_t item_bytes, Codecs& codecs,
            std::vector<std::byte>& scratch, std::span<std::byte> out) {
    need(out.size() <= most_expanded * stored.size());
    std::byte* target = out.data();
    if (filters.shuffles) {
        scratch.resize(out.size());
        target = scratch.data();
    }
    try {
        codecs.inflate({stored.data(), stored.size(), target, out.size()});
    } catch (const ChunkDamage&) {
        throw NotPlain{};
    }
    if (filters.shuffles) {
        const std::size_t items = out.size() / item_bytes;
        unshuffle(target, items, item_bytes, 0, items, out.data());
    }
}

void read_chunks(PlainFile& file, const PlainDataset& list, std::size_t item_bytes, const CodecLibraries& libraries,
                 std::span<std::byte> out) {
    const Chunks chunks(file, list, item_bytes);
    const std::size_t bytes = chunks.length() * item_bytes;
    Filters filters;
    Codecs codecs;
    if (list.filters) {
        filters = filters_of(*list.filters, item_bytes);
        need(libraries.inflate.inflate != nullptr);
        codecs.use(libraries);
    }
    std::vector<std::byte> stored;
    std::vector<std::byte> scratch;
    std::vector<std::byte> whole;
    for (const Chunk& chunk : chunks.all()) {
        const std::size_t start = static_cast<std::size_t>(chunk.first) * item_bytes;
        const std::span<std::byte> part = out.subspan(start, std::min(bytes, out.size() - start));
        if (!filters.deflates) {
            need(chunk.bytes == bytes && bytes <= file.size() - std::min(file.size(), chunk.address));
            file.read_into(chunk.address, part);
            continue;
        }
        need(chunk.bytes <= file.size() && bytes <= most_expanded * chunk.bytes);
        stored.resize(chunk.bytes);
        file.read_into(chunk.address, stored);
        whole.resize(bytes);
        decode(stored, filters, item_bytes, codecs, scratch, whole);
        std::ranges::copy(std::span(whole).first(part.size()), part.begin());
    }
}

void read_list(PlainFile& file, const PlainDataset& list, std::size_t item_bytes, const CodecLibraries& libraries,
               std::span<std::byte> out) {
    if (list.address) {
        need(list.bytes == out.size() && !list.filters);
        file.read_into(*list.address, out);
    } else {
        read_chunks(file, list, item_bytes, libraries, out);
    }
}

}  // namespace

u64 count_of(const PlainDataset& list) {
    need(list.shape.size() == 1);
    return list.shape[0];
}

std::vector<std::byte> content_of(PlainFile& file, const PlainDataset& list, std::size_t item_bytes, u64 most,
                                  const CodecLibraries& libraries) {
    const u64 count = count_of(list);
    need(count <= most / item_bytes);
    // What takes far more than the file has is left to HDF5, before there is memory for it
    need(count * item_bytes <= most_expanded * file.size());
    std::vector<std::byte> items(static_cast<std::size_t>(count) * item_bytes);
    if (count > 0) {
        read_list(file, list, item_bytes, libraries, items);
    }
    return items;
}

u64 count_texts(const PlainDataset& list) {
    const u64 count = count_of(list);
    need(list.type.is_text() && count > 0 && count <= most_texts);
    need(!list.address || (list.bytes == count * reference_bytes && !list.filters));
    return count;
}

void read_references(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries,
                     std::span<std::byte> out) {
    read_list(file, list, reference_bytes, libraries, out);
}

std::string texts_of(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries) {
    const u64 count = count_texts(list);
    if (list.address) {
        std::optional<std::string> found = heap_texts(file.descriptor(), *list.address, count);
        need(found.has_value());
        return std::move(*found);
    }
    const std::vector<std::byte> references = content_of(file, list, reference_bytes, ~u64{0}, libraries);
    std::vector<index_t> bounds(static_cast<std::size_t>(count) + 1);
    const std::optional<std::string> texts = texts_at(file.descriptor(), references, bounds);
    need(texts.has_value());
    std::string found(static_cast<std::size_t>(count) * sizeof(u32), '\0');
    for (std::size_t i = 0; i < count; ++i) {
        std::memcpy(found.data() + i * sizeof(u32), references.data() + i * reference_bytes, sizeof(u32));
    }
    return found + *texts;
}

}  // namespace tombola
