// Chunks of Blosc 1 (README_CHUNK_FORMAT.rst of c-blosc; HDF5's registered filter 32001): a header, where each block
// begins, and blocks of equal size, the last one shorter. A block is one stream, or one for each byte of an item; what
// they give has its bytes or its bits of equal weight together. Blosc 2's chunks are others.
//
// Streams are by blosclz, LZ4, zlib or zstd; those by Snappy are refused. O(bytes of the blocks that are wanted).
#pragma once

#include <memory>
#include <span>

#include "tombola/base/buffer.hpp"
#include "tombola/rows/codecs.hpp"

namespace tombola {

// Bytes [begin, end) of a chunk
struct ByteRange {
    std::size_t begin;
    std::size_t end;
};

class BloscDecoder {
  public:
    explicit BloscDecoder(Codecs& codecs) : codecs_(codecs) {}

    // Decodes the blocks that hold a byte of `ranges`, which ascend by their beginnings, each to its place in
    // `stream.out`. Nothing is said of what other blocks hold. ChunkDamage.
    void decode(const Encoded& stream, std::span<const ByteRange> ranges);

  private:
    struct Header;

    void decode_block(const Encoded& stream, const Header& header, std::size_t number);
    void expand(const Header& header, const Encoded& part);

    Codecs& codecs_;
    std::unique_ptr<Buffer<std::byte>> block_;
};

}  // namespace tombola
