// Bytes of an HDF5 file that is read without HDF5: pages of it, and texts in its heaps.
//
// HDF5 and h5py need some milliseconds to open one h5ad file and look at 21 objects of it, which is most of opening a
// thousand small files. What most are written as, the oldest form of the format, which h5py writes if not told
// otherwise (superblock 0, object headers of version 1, groups as trees of symbols), is read in this room.
//
// Rule: what is not exactly as expected throws NotPlain. Nothing is read beyond the end of the file, no size is
// believed before, and no more memory is taken than the file has bytes. Files that another process writes to are
// locked, and not plain. Source: HDF5 file format specification, version 3.0.
#pragma once

#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tombola/base/types.hpp"
#include "tombola/rows/files.hpp"

namespace tombola {

// Something is not as expected: HDF5 reads the file, and says what is wrong if that is so.
struct NotPlain {};

inline void need(bool holds) {
    if (!holds) {
        throw NotPlain{};
    }
}

// A number that is so far into some bytes
template <typename T>
T number_at(std::string_view bytes, std::size_t at) {
    need(at <= bytes.size() && sizeof(T) <= bytes.size() - at);
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    return value;
}

// Bytes that are so far into others
inline std::string_view part_of(std::string_view bytes, std::size_t at, std::size_t size) {
    need(at <= bytes.size() && size <= bytes.size() - at);
    return bytes.substr(at, size);
}

// Whether bytes are UTF-8, as Python reads it: shortest forms, no surrogates
bool is_utf8(std::string_view bytes) noexcept;

// Bytes of a header, or of a text, that are read at most
constexpr std::size_t most_header = std::size_t{1} << 16U;

// An open file that nobody writes to, as long as this lives; a fork meanwhile keeps no lock.
class SharedDescriptor {
  public:
    explicit SharedDescriptor(const std::string& path);
    ~SharedDescriptor();
    SharedDescriptor(const SharedDescriptor&) = delete;
    SharedDescriptor& operator=(const SharedDescriptor&) = delete;
    int get() const noexcept { return descriptor_; }

  private:
    int descriptor_;
};

// A node of a tree (version 1): entries of a key and an address each, and the key behind them
struct TreeNode {
    unsigned level;
    std::size_t used;
    std::string_view entries;
};

class PlainFile {
  public:
    // The descriptor is borrowed.
    explicit PlainFile(int descriptor);
    PlainFile(const PlainFile&) = delete;
    PlainFile& operator=(const PlainFile&) = delete;

    int descriptor() const noexcept { return descriptor_; }
    // Where it ends by its own word, which HDF5 reads nothing beyond; it may have more bytes.
    u64 size() const noexcept { return size_; }
    const FileStamp& stamp() const noexcept { return stamp_; }
    // Where the header of the root group is
    u64 root_address() const noexcept { return root_address_; }
    // Bytes, all of which must be there; they stay as long as this lives.
    std::string_view read(u64 address, std::size_t bytes);
    void read_into(u64 address, std::span<std::byte> out) const;
    // A node of a tree of that kind, on `level` if that is given
    TreeNode tree_node(u64 address, char kind, std::size_t key_bytes, std::optional<unsigned> level);
    // See heap_objects.
    const std::vector<index_t>& objects(u64 address);
    // The text that a reference of `reference_bytes` leads to: UTF-8 without zeros, where HDF5 ends a text
    std::string text(std::string_view reference);

  private:
    int descriptor_;
    FileStamp stamp_;
    u64 size_;
    u64 root_address_ = 0;
    u64 kept_bytes_ = 0;
    u64 taken_bytes_ = 0;  // for texts, and places of objects
    std::unordered_map<u64, std::string> pages_;
    std::deque<std::string> kept_;
    std::unordered_map<u64, std::vector<index_t>> collections_;
};

}  // namespace tombola
