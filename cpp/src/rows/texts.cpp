#include "tombola/rows/texts.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

namespace tombola {
namespace {

constexpr u64 reference_bytes = 16;
constexpr u64 header_bytes = 16;           // of a collection, and of an object in it
constexpr u64 first_read = u64{1} << 13U;  // each read takes twice as much as that before
constexpr u64 most_read = u64{1} << 18U;

template <typename T>
T load(const char* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof(T));
    return value;
}

// Parts of a file, mostly one after the other, through one buffer; a part lasts until the next one.
class Window {
  public:
    Window(int descriptor, u64 size, u64 ahead) : descriptor_(descriptor), size_(size), ahead_(ahead) {}

    const char* part(u64 start, u64 bytes) {
        if (start > size_ || bytes > size_ - start) {
            return nullptr;
        }
        if (start < start_ || start + bytes > start_ + held_) {
            const std::size_t wanted = static_cast<std::size_t>(std::min(std::max(bytes, ahead_), size_ - start));
            ahead_ = std::min(2 * ahead_, most_read);
            held_ = 0;
            if (wanted > capacity_) {
                buffer_ = std::make_unique_for_overwrite<char[]>(wanted);
                capacity_ = wanted;
            }
            for (std::size_t done = 0; done < wanted;) {
                const ssize_t got =
                    ::pread(descriptor_, buffer_.get() + done, wanted - done, static_cast<off_t>(start + done));
                if (got < 0 && errno == EINTR) {
                    continue;
                }
                if (got <= 0) {
                    return nullptr;
                }
                done += static_cast<std::size_t>(got);
            }
            start_ = start;
            held_ = wanted;
        }
        return buffer_.get() + (start - start_);
    }

  private:
    int descriptor_;
    u64 size_;
    u64 ahead_;
    u64 start_ = 0;
    u64 held_ = 0;
    std::size_t capacity_ = 0;
    std::unique_ptr<char[]> buffer_;
};

// One collection of the heap, and where its objects are
class Collection {
  public:
    struct Object {
        const char* data = nullptr;
        u64 size = 0;
    };

    // Whether there is one at this address; `budget` is how many bytes may still be taken apart.
    bool load_at(Window& file, u64 address, u64& budget) {
        const char* const header = file.part(address, header_bytes);
        if (header == nullptr || std::memcmp(header, "GCOL\x01", 5) != 0) {
            return false;
        }
        const u64 bytes = load<u64>(header + 8);
        if (bytes < header_bytes || bytes > budget) {
            return false;
        }
        budget -= bytes;
        const char* const part = file.part(address, bytes);
        if (part == nullptr) {
            return false;
        }
        bytes_ = std::make_unique_for_overwrite<char[]>(bytes);
        std::memcpy(bytes_.get(), part, bytes);
        for (u64 at = header_bytes; bytes - at >= header_bytes;) {
            const char* const object = bytes_.get() + at;
            const std::size_t number = load<std::uint16_t>(object);
            if (number == 0) {  // what is free, at the end
                break;
            }
            const u64 size = load<u64>(object + 8);
            const u64 left = bytes - at - header_bytes;
            if (size > left || number > bytes / header_bytes) {
                return false;
            }
            if (number >= objects_.size()) {
                objects_.resize(std::max(number + 1, 2 * objects_.size()));
            }
            objects_[number] = {object + header_bytes, size};
            at += header_bytes + std::min((size + 7) / 8 * 8, left);
        }
        return true;
    }

    Object object(std::size_t number) const noexcept { return number < objects_.size() ? objects_[number] : Object{}; }

  private:
    std::unique_ptr<char[]> bytes_;
    std::vector<Object> objects_;
};

u64 size_of(int descriptor) {
    struct stat about{};
    return ::fstat(descriptor, &about) == 0 && about.st_size > 0 ? static_cast<u64>(about.st_size) : 0;
}

// Whether the file begins as HDF5 without a user block, with addresses and lengths of 8 bytes that count from its start
bool is_plain(Window& file) {
    constexpr u64 bytes = 40;
    const char* const block = file.part(0, bytes);
    if (block == nullptr || std::memcmp(block, "\x89HDF\r\n\x1a\n", 8) != 0) {
        return false;
    }
    const int version = block[8];
    const std::size_t sizes = version < 2 ? 13 : 9;
    const std::size_t base = version == 0 ? 24 : version == 1 ? 28 : 12;
    return version >= 0 && version <= 3 && block[sizes] == 8 && block[sizes + 1] == 8 && load<u64>(block + base) == 0;
}

}  // namespace

std::optional<TextClaim> overlong_text(int descriptor, u64 offset, u64 count) {
    const u64 size = size_of(descriptor);
    Window list(descriptor, size, 0);
    if (!is_plain(list)) {
        return std::nullopt;
    }
    constexpr u64 at_once = most_read / reference_bytes;
    u64 total = 0;
    for (u64 first = 0; first < count; first += at_once) {
        const u64 n = std::min(at_once, count - first);
        if (first > size / reference_bytes || offset > size) {
            return std::nullopt;
        }
        const char* const references = list.part(offset + first * reference_bytes, n * reference_bytes);
        if (references == nullptr) {
            return std::nullopt;
        }
        for (u64 i = 0; i < n; ++i) {
            const u64 length = load<u32>(references + i * reference_bytes);
            total += length;
            if (total > size) {
                return TextClaim{first + i, length};
            }
        }
    }
    return std::nullopt;
}

std::optional<std::string> heap_texts(int descriptor, u64 offset, u64 count) {
    const u64 size = size_of(descriptor);
    if (count > size / reference_bytes) {
        return std::nullopt;
    }
    Window list(descriptor, size, 0);
    if (!is_plain(list)) {
        return std::nullopt;
    }
    const char* const references = list.part(offset, count * reference_bytes);
    if (references == nullptr) {
        return std::nullopt;
    }
    u64 total = 0;
    for (u64 i = 0; i < count; ++i) {
        total += load<u32>(references + i * reference_bytes);
    }
    if (total > size) {
        return std::nullopt;
    }
    std::string texts(static_cast<std::size_t>(sizeof(u32) * count + total), '\0');
    char* lengths = texts.data();
    char* to = lengths + sizeof(u32) * count;
    // A text that does not fit any more goes to the next collection, a shorter one after it to that before.
    std::unordered_map<u64, Collection> collections;
    const Collection* collection = nullptr;
    Window heap(descriptor, size, first_read);
    u64 budget = size;
    u64 loaded = 0;
    for (u64 i = 0; i < count; ++i) {
        const char* const reference = references + i * reference_bytes;
        const u32 length = load<u32>(reference);
        std::memcpy(lengths, &length, sizeof(length));
        lengths += sizeof(length);
        if (length == 0) {
            continue;
        }
        const u64 address = load<u64>(reference + 4);
        if (collection == nullptr || address != loaded) {
            const auto [found, is_new] = collections.try_emplace(address);
            if (is_new && !found->second.load_at(heap, address, budget)) {
                return std::nullopt;
            }
            collection = &found->second;
            loaded = address;
        }
        const Collection::Object object = collection->object(load<u32>(reference + 12));
        if (object.size < length) {
            return std::nullopt;
        }
        std::memcpy(to, object.data, length);
        to += length;
    }
    return texts;
}

}  // namespace tombola
