// Rows of a data set that lies in a file as chunks of an HDF5 kind, read without the HDF5 library: from a table of the
// chunks, each chunk that holds a wanted row is read once and decoded once, on all threads, and its rows are copied
// to their places. O(bytes of the chunks that are touched).
//
// A chunk is `chunk_rows` rows of `chunk_row_bytes` bytes; several may lie side by side in a row of the data set, and
// those at its edges are stored whole. Filters are those of HDF5's specification (III.G and IV.A.2.l): deflate (RFC
// 1950, whose checksum is compared), shuffle (bytes of equal weight together), fletcher32 (compared).
#pragma once

#include <unistd.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tombola/base/types.hpp"

namespace tombola {

// libdeflate's functions, wherever they come from.
struct InflateLibrary {
    void* (*make)() = nullptr;
    void (*destroy)(void*) = nullptr;
    // 0 where the stream ended well, with what it gave
    int (*inflate)(void* made, const void* in, std::size_t in_bytes, void* out, std::size_t room, std::size_t* in_used,
                   std::size_t* given) = nullptr;
};

enum class ChunkFilter { deflate, shuffle, fletcher32 };

struct ChunkLayout {
    index_t rows;
    std::size_t row_bytes;
    index_t chunk_rows;
    std::size_t chunk_row_bytes;
    std::size_t item_bytes;
    std::vector<ChunkFilter> filters;  // in the order in which a writer applies them
    std::vector<std::byte> fill;       // an item, for chunks that were never written

    std::size_t across() const noexcept {
        return row_bytes / chunk_row_bytes + static_cast<std::size_t>(row_bytes % chunk_row_bytes != 0);
    }
    std::size_t chunk_bytes() const noexcept { return static_cast<std::size_t>(chunk_rows) * chunk_row_bytes; }
    std::size_t down() const noexcept {
        return static_cast<std::size_t>(rows / chunk_rows + static_cast<index_t>(rows % chunk_rows != 0));
    }
};

// A descriptor that is closed with the last who uses it.
class OpenFile {
  public:
    explicit OpenFile(int descriptor) noexcept : descriptor_(descriptor) {}
    ~OpenFile() { ::close(descriptor_); }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    int descriptor() const noexcept { return descriptor_; }

  private:
    int descriptor_;
};

struct StoredChunk {
    static constexpr u64 nowhere = ~u64{0};

    u64 address = nowhere;
    u64 bytes = 0;
    std::uint32_t skipped = 0;  // bit i: filter i was not applied
};

// Why rows cannot be read
struct ChunkFault {
    index_t first_row;
    index_t last_row;
    std::string what;
};

class ChunkReader {
  public:
    // The descriptor is borrowed: it must stay open. std::invalid_argument where the parts do not fit each other.
    ChunkReader(int descriptor, ChunkLayout layout, std::vector<StoredChunk> chunks, InflateLibrary library);

    // Rows [starts[i], stops[i]), ascending and disjoint, one after the other into `out`. std::invalid_argument where
    // they are not, or `out` is not as long; the first fault that is met, if there is one: `out` is half filled then.
    std::optional<ChunkFault> read(std::span<const index_t> starts, std::span<const index_t> stops,
                                   std::span<std::byte> out) const;

  private:
    struct Piece;
    struct Band;
    class Workspace;

    int descriptor_;
    ChunkLayout layout_;
    std::vector<StoredChunk> chunks_;
    InflateLibrary library_;
    u64 file_bytes_;

    void read_part(const Band& band, std::size_t column, std::span<const Piece> pieces, std::span<std::byte> out,
                   Workspace& work) const;
};

}  // namespace tombola
