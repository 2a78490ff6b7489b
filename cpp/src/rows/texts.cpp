#include "tombola/rows/texts.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/rows/segments.hpp"

namespace tombola {
namespace {

constexpr u64 header_bytes = 16;           // of a collection, and of an object in it
constexpr u64 usual_bytes = 1U << 12U;     // of a collection: HDF5 makes none that is smaller
constexpr u64 at_once = 1U << 14U;         // references, where only their lengths count
constexpr std::size_t group_texts = 1024;  // of a task

template <typename T>
T load(const char* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

struct Reference {
    explicit Reference(const std::byte* from)
        : length(load<u32>(reinterpret_cast<const char*>(from))),
          address(load<u64>(reinterpret_cast<const char*>(from) + 4)),
          number(load<u32>(reinterpret_cast<const char*>(from) + 12)) {}

    u32 length;
    u64 address;
    u32 number;
};

bool read_part(int descriptor, u64 address, std::size_t bytes, char* out) {
    const Segment all{address, bytes, reinterpret_cast<std::byte*>(out)};
    try {
        read_segments(descriptor, {&all, 1}, [] {});
    } catch (const FileFailure&) {  // HDF5 says what is wrong there
        return false;
    }
    return true;
}

// Where an object lies in a collection; nowhere if its size is 0
struct Object {
    std::size_t at = 0;
    u64 size = 0;
};

// The objects of a collection of so many bytes by their numbers; false where they are not as expected
bool find_objects(const char* collection, u64 bytes, std::vector<Object>& objects) {
    objects.clear();
    for (u64 at = header_bytes; bytes - at >= header_bytes;) {
        const std::size_t number = load<std::uint16_t>(collection + at);
        if (number == 0) {  // what is free, at the end
            break;
        }
        const u64 size = load<u64>(collection + at + 8);
        const u64 room = bytes - at - header_bytes;
        if (size > room || number > bytes / header_bytes) {
            return false;
        }
        if (number >= objects.size()) {
            objects.resize(std::max(number + 1, 2 * objects.size()));
        }
        objects[number] = {at + header_bytes, size};
        at += header_bytes + std::min((size + 7) / 8 * 8, room);
    }
    return true;
}

// Texts of one task, read out of the collections that hold them
class Group {
  public:
    Group(int descriptor, u64 size, std::span<const std::byte> references, const index_t* bounds, char* texts)
        : descriptor_(descriptor), size_(size), bounds_(bounds), texts_(texts) {
        references_.reserve(references.size() / reference_bytes);
        for (std::size_t at = 0; at < references.size(); at += reference_bytes) {
            references_.emplace_back(references.data() + at);
        }
    }

    // Whether all is as expected
    bool read() {
        sort();
        if (!read_heads()) {
            return false;
        }
        u64 left = size_;  // collections do not overlap
        std::size_t next = 0;
        for (std::size_t i = 0; i < heads_.size(); ++i) {
            const char* const collection = load_collection(i, left);
            if (collection == nullptr || !find_objects(collection, bytes_, objects_)) {
                return false;
            }
            for (; next < order_.size() && references_[order_[next]].address == heads_[i].address; ++next) {
                if (!copy(collection, order_[next])) {
                    return false;
                }
            }
        }
        return true;
    }

  private:
    // Orders those that are not empty by address. A text that does not fit into a collection any more goes to the
    // next one, a shorter one after it to that before.
    void sort() {
        for (std::size_t i = 0; i < references_.size(); ++i) {
            if (references_[i].length > 0) {
                order_.push_back(i);
            }
        }
        const auto before = [this](std::size_t a, std::size_t b) {
            return references_[a].address < references_[b].address;
        };
        if (!std::ranges::is_sorted(order_, before)) {
            std::ranges::stable_sort(order_, before);
        }
    }

    // The first bytes of each collection, most often all of it, by few calls of the system
    bool read_heads() {
        std::vector<u64> addresses;
        for (const std::size_t i : order_) {
            if (addresses.empty() || addresses.back() != references_[i].address) {
                addresses.push_back(references_[i].address);
            }
        }
        head_bytes_ = std::make_unique_for_overwrite<char[]>(addresses.size() * usual_bytes);
        for (std::size_t i = 0; i < addresses.size(); ++i) {
            const u64 end = i + 1 < addresses.size() ? addresses[i + 1] : size_;
            if (addresses[i] > size_ || end > size_ || end - addresses[i] < header_bytes) {
                return false;
            }
            heads_.push_back({addresses[i], std::min(usual_bytes, end - addresses[i]),
                              reinterpret_cast<std::byte*>(head_bytes_.get() + i * usual_bytes)});
        }
        try {
            read_segments(descriptor_, heads_, [this] {
                for (const Segment& head : heads_) {
                    advise(descriptor_, head.address, head.bytes);
                }
            });
        } catch (const FileFailure&) {
            return false;
        }
        return true;
    }

    // The bytes of a collection, `bytes_` of them; nullptr where there is none. `left`: how many may still be read.
    const char* load_collection(std::size_t number, u64& left) {
        const Segment& head = heads_[number];
        const char* const start = reinterpret_cast<const char*>(head.out);
        if (std::memcmp(start, "GCOL\x01", 5) != 0) {
            return nullptr;
        }
        bytes_ = load<u64>(start + 8);
        const u64 end = number + 1 < heads_.size() ? heads_[number + 1].address : size_;
        if (bytes_ < header_bytes || bytes_ > left || bytes_ > end - head.address) {
            return nullptr;
        }
        left -= bytes_;
        if (bytes_ <= head.bytes) {
            return start;
        }
        large_ = std::make_unique_for_overwrite<char[]>(bytes_);
        return read_part(descriptor_, head.address, bytes_, large_.get()) ? large_.get() : nullptr;
    }

    bool copy(const char* collection, std::size_t i) {
        const Reference& reference = references_[i];
        if (reference.number >= objects_.size() || objects_[reference.number].size < reference.length) {
            return false;
        }
        std::memcpy(texts_ + bounds_[i], collection + objects_[reference.number].at, reference.length);
        return true;
    }

    int descriptor_;
    u64 size_;
    const index_t* bounds_;
    char* texts_;
    std::vector<Reference> references_;
    std::vector<std::size_t> order_;
    std::vector<Segment> heads_;
    std::unique_ptr<char[]> head_bytes_;
    std::unique_ptr<char[]> large_;
    u64 bytes_ = 0;
    std::vector<Object> objects_;
};

// The length of a file that begins as HDF5 without a user block, with addresses and lengths of 8 bytes that count from
// its start; 0 of any other
u64 plain_size(int descriptor) {
    struct stat about{};
    constexpr std::size_t bytes = 40;
    std::array<char, bytes> block{};
    if (::fstat(descriptor, &about) != 0 || about.st_size < static_cast<off_t>(bytes) ||
        !read_part(descriptor, 0, bytes, block.data()) || std::memcmp(block.data(), "\x89HDF\r\n\x1a\n", 8) != 0) {
        return 0;
    }
    const int version = block[8];
    const std::size_t sizes = version < 2 ? 13 : 9;
    const std::size_t base = version == 0 ? 24 : version == 1 ? 28 : 12;
    const bool is_plain = version >= 0 && version <= 3 && block[sizes] == 8 && block[sizes + 1] == 8 &&
                          load<u64>(block.data() + base) == 0;
    return is_plain ? static_cast<u64>(about.st_size) : 0;
}

// Where each text ends; false if they are longer than a file of this size
bool find_bounds(std::span<const std::byte> references, u64 size, std::span<index_t> bounds) {
    u64 total = 0;
    bounds[0] = 0;
    for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
        total += load<u32>(reinterpret_cast<const char*>(references.data() + i * reference_bytes));
        bounds[i + 1] = static_cast<index_t>(total);
    }
    return total <= size;
}

bool read_all(int descriptor, u64 size, std::span<const std::byte> references, std::span<const index_t> bounds,
              char* texts) {
    const std::size_t count = references.size() / reference_bytes;
    std::atomic<bool> is_well{true};
    parallel_for(static_cast<index_t>((count + group_texts - 1) / group_texts), [&](index_t task) {
        const std::size_t first = static_cast<std::size_t>(task) * group_texts;
        const std::size_t n = std::min(group_texts, count - first);
        const auto part = references.subspan(first * reference_bytes, n * reference_bytes);
        if (is_well.load(std::memory_order_relaxed) &&
            !Group(descriptor, size, part, bounds.data() + first, texts).read()) {
            is_well.store(false, std::memory_order_relaxed);
        }
    });
    return is_well.load();
}

}  // namespace

std::optional<std::string> heap_texts(int descriptor, u64 offset, u64 count) {
    const u64 size = plain_size(descriptor);
    if (size == 0 || offset > size || count > (size - offset) / reference_bytes) {
        return std::nullopt;
    }
    std::vector<std::byte> references(static_cast<std::size_t>(count) * reference_bytes);
    std::vector<index_t> bounds(static_cast<std::size_t>(count) + 1);
    if (!read_part(descriptor, offset, references.size(), reinterpret_cast<char*>(references.data())) ||
        !find_bounds(references, size, bounds)) {
        return std::nullopt;
    }
    const std::size_t lengths = sizeof(u32) * static_cast<std::size_t>(count);
    std::string texts(lengths + static_cast<std::size_t>(bounds.back()), '\0');
    for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
        std::memcpy(texts.data() + i * sizeof(u32), references.data() + i * reference_bytes, sizeof(u32));
    }
    if (!read_all(descriptor, size, references, bounds, texts.data() + lengths)) {
        return std::nullopt;
    }
    return texts;
}

std::optional<TextClaim> overlong_text(int descriptor, u64 offset, u64 count) {
    const u64 size = plain_size(descriptor);
    if (size == 0 || offset > size || count > (size - offset) / reference_bytes) {
        return std::nullopt;
    }
    std::vector<std::byte> piece(static_cast<std::size_t>(std::min(count, at_once)) * reference_bytes);
    u64 total = 0;
    for (u64 first = 0; first < count; first += at_once) {
        const u64 n = std::min(at_once, count - first);
        if (!read_part(descriptor, offset + first * reference_bytes, static_cast<std::size_t>(n) * reference_bytes,
                       reinterpret_cast<char*>(piece.data()))) {
            return std::nullopt;
        }
        for (u64 i = 0; i < n; ++i) {
            const u32 length = Reference(piece.data() + i * reference_bytes).length;
            total += length;
            if (total > size) {
                return TextClaim{first + i, length};
            }
        }
    }
    return std::nullopt;
}

std::optional<std::string> texts_at(int descriptor, std::span<const std::byte> references, std::span<index_t> bounds) {
    const u64 size = plain_size(descriptor);
    if (size == 0 || !find_bounds(references, size, bounds)) {
        return std::nullopt;
    }
    std::string texts(static_cast<std::size_t>(bounds.back()), '\0');
    if (!read_all(descriptor, size, references, bounds, texts.data())) {
        return std::nullopt;
    }
    return texts;
}

std::optional<std::vector<index_t>> heap_objects(int descriptor, u64 address) {
    struct stat about{};
    std::array<char, header_bytes> head{};
    if (::fstat(descriptor, &about) != 0 || address > static_cast<u64>(about.st_size) ||
        !read_part(descriptor, address, head.size(), head.data()) || std::memcmp(head.data(), "GCOL\x01", 5) != 0) {
        return std::nullopt;
    }
    const u64 bytes = load<u64>(head.data() + 8);
    if (bytes < header_bytes || bytes > static_cast<u64>(about.st_size) - address) {
        return std::nullopt;
    }
    const auto collection = std::make_unique_for_overwrite<char[]>(bytes);
    std::vector<Object> objects;
    if (!read_part(descriptor, address, bytes, collection.get()) || !find_objects(collection.get(), bytes, objects)) {
        return std::nullopt;
    }
    std::vector<index_t> places;
    places.reserve(2 * objects.size());
    for (const Object& object : objects) {
        places.push_back(object.at == 0 ? 0 : static_cast<index_t>(address + object.at));
        places.push_back(static_cast<index_t>(object.size));
    }
    return places;
}

}  // namespace tombola
