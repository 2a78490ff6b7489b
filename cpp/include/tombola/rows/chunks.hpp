// What HDF5 makes of a data set's rows in a file: chunks, each an address and bytes that went through filters.
//
// A chunk is `chunk_rows` rows of `chunk_row_bytes` bytes; several may lie side by side in a row of the data set, and
// those at its edges are stored whole. A data set without chunks is one that holds all rows. Filters are those of
// HDF5's specification (III.G and IV.A.2.l): deflate (RFC 1950, whose checksum is compared), shuffle (bytes of equal
// weight together), fletcher32 (compared); lzf, which h5py brings; and of the registered ones lz4 (32004), zstd (32015)
// and blosc (32001).
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tombola/base/buffer.hpp"
#include "tombola/base/types.hpp"
#include "tombola/rows/blosc.hpp"
#include "tombola/rows/codecs.hpp"
#include "tombola/rows/convert.hpp"

namespace tombola {

enum class ChunkFilter { deflate, shuffle, fletcher32, lzf, lz4, zstd, blosc };

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
    // Bytes of a row that the chunks of a column hold, and where they begin in it
    std::size_t left(std::size_t column) const noexcept { return column * chunk_row_bytes; }
    std::size_t width(std::size_t column) const noexcept { return std::min(chunk_row_bytes, row_bytes - left(column)); }
    // Whether rows lie in the file as they do in the output
    bool has_whole_rows() const noexcept { return chunk_row_bytes == row_bytes; }
};

struct StoredChunk {
    static constexpr u64 nowhere = ~u64{0};

    u64 address = nowhere;
    u64 bytes = 0;
    std::uint32_t skipped = 0;  // bit i: filter i was not applied
};

// Whether any filter was applied
bool is_encoded(const ChunkLayout& layout, const StoredChunk& chunk) noexcept;

// Why an encoded chunk cannot be of as many bytes as the table says, before any memory is taken for them; empty if it
// can. Codecs make values longer by little: deflate by 5 bytes in 65,535 (RFC 1951), lzf by one in 32, lz4 by one in
// 255; HDF5 stores a chunk without them that they do not shorten. And they make them shorter by so much only: deflate
// 258 bytes to 2 bits, lzf 264 bytes to 3, lz4 255 to 1, zstd, in blosc or not, 128 kB to 4 bytes (RFC 8878).
std::string size_fault(const ChunkLayout& layout, const StoredChunk& chunk);

// Numbers of the chunks that share bytes of the file with another, ascending: none in a sound file. O(chunks) where
// they lie in order, else a sort.
std::vector<std::size_t> overlapping(std::span<const StoredChunk> chunks);

// Rows as they are given out: in the data set's own items, or in others
struct OutputItems {
    std::size_t bytes;
    Convert convert = nullptr;  // nullptr: as they are stored
};

// Rows of one band of chunks: `count` from `row` of the band on, to row `to` of the output; the first of them is one of
// run `run` of those that were asked for
struct Piece {
    std::size_t row;
    std::size_t count;
    std::size_t to;
    std::size_t run = 0;
};

// What one thread decodes in
class ChunkDecoder {
  public:
    ChunkDecoder() = default;
    ChunkDecoder(const ChunkDecoder&) = delete;
    ChunkDecoder& operator=(const ChunkDecoder&) = delete;

    // Room for bytes as they are stored
    std::byte* stored(std::size_t bytes);
    // Decodes what lies there and copies the pieces to their rows of `out`, the first of which is at its beginning;
    // false if a value does not fit. ChunkDamage; `out` may be half filled then.
    bool decode(const ChunkLayout& layout, const CodecLibraries& libraries, const StoredChunk& chunk,
                std::size_t column, std::span<const Piece> pieces, OutputItems items, std::byte* out);

  private:
    std::byte* scratch(std::size_t bytes, const std::byte* other);
    void expand(ChunkFilter filter, const Encoded& stream, std::span<const ByteRange> ranges);

    Codecs codecs_;
    BloscDecoder blosc_{codecs_};
    std::unique_ptr<Buffer<std::byte>> stored_;
    std::unique_ptr<Buffer<std::byte>> scratch_[2];
};

// What chunks that were never written hold; false if that does not fit
bool fill_rows(const ChunkLayout& layout, std::size_t column, std::span<const Piece> pieces, OutputItems items,
               std::byte* out);

}  // namespace tombola
