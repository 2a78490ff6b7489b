#include "tombola/rows/blosc.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tombola/rows/filters.hpp"

namespace tombola {
namespace {

constexpr std::size_t header_bytes = 16;
constexpr std::size_t of_number = 4;
constexpr unsigned version = 2;
constexpr unsigned stream_version = 1;
constexpr std::size_t most_streams = 16;         // of a block: wider items are not split
constexpr std::size_t least_stream_items = 128;  // of a block that is split

[[noreturn]] void fail(std::string what) { throw ChunkDamage{std::move(what)}; }

std::size_t number_at(const std::byte* from) noexcept {
    std::uint32_t value = 0;
    std::memcpy(&value, from, of_number);  // little-endian, as the machines that the core is built for
    return value;
}

}  // namespace

struct BloscDecoder::Header {
    enum class Codec : unsigned { blosclz, lz4, snappy, zlib, zstd };

    unsigned flags;
    std::size_t item;   // bytes
    std::size_t block;  // bytes
    std::size_t bytes;  // of the chunk, header included
    std::size_t blocks;

    bool has_shuffled_bytes() const noexcept { return (flags & 1U) != 0 && item > 1; }
    bool is_copy() const noexcept { return (flags & 2U) != 0; }
    bool has_shuffled_bits() const noexcept { return (flags & 4U) != 0; }
    bool is_split() const noexcept {
        return (flags & 16U) == 0 && item <= most_streams && block / item >= least_stream_items;
    }
    Codec codec() const noexcept { return static_cast<Codec>(flags >> 5U); }

    explicit Header(const Encoded& stream) {
        if (stream.in_bytes < header_bytes) {
            fail("the chunk is too short for its blosc header");
        }
        const auto at = [&](std::size_t i) { return std::to_integer<unsigned>(stream.in[i]); };
        flags = at(2);
        item = at(3);
        block = number_at(stream.in + 8);
        bytes = number_at(stream.in + 12);
        if (at(0) != version || (at(1) != stream_version && !is_copy()) || (flags & 8U) != 0) {
            fail("its blosc header is of versions " + std::to_string(at(0)) + " and " + std::to_string(at(1)) +
                 " with flags " + std::to_string(flags) + ", not of versions 2 and 1 with known flags");
        }
        if (const std::size_t given = number_at(stream.in + 4); given != stream.wanted) {
            fail("its blosc header says that it gives " + std::to_string(given) + " bytes instead of " +
                 std::to_string(stream.wanted));
        }
        if (bytes > stream.in_bytes || bytes < header_bytes) {
            fail("its blosc header says that it has " + std::to_string(bytes) + " bytes, but there are " +
                 std::to_string(stream.in_bytes));
        }
        if (item == 0 || block == 0 || block > stream.wanted) {
            fail("its blosc header has items of " + std::to_string(item) + " and blocks of " + std::to_string(block) +
                 " bytes");
        }
        blocks = stream.wanted / block + static_cast<std::size_t>(stream.wanted % block != 0);
        if (is_copy() ? bytes - header_bytes != stream.wanted : (bytes - header_bytes) / of_number < blocks) {
            fail("its blosc header says that it has " + std::to_string(bytes) + " bytes, too few for its content");
        }
    }
};

void BloscDecoder::decode(const Encoded& stream, std::span<const ByteRange> ranges) {
    const Header header(stream);
    std::size_t done = 0;  // blocks
    for (const ByteRange& range : ranges) {
        if (range.begin == range.end) {
            continue;
        }
        for (done = std::max(done, range.begin / header.block); done * header.block < range.end; ++done) {
            decode_block(stream, header, done);
        }
    }
}

void BloscDecoder::decode_block(const Encoded& stream, const Header& header, std::size_t number) {
    const std::size_t first = number * header.block;
    const std::size_t size = std::min(header.block, stream.wanted - first);
    std::byte* const out = stream.out + first;
    if (header.is_copy()) {
        std::memcpy(out, stream.in + header_bytes + first, size);
        return;
    }
    const std::size_t items = size / header.item;
    const bool by_bytes = header.has_shuffled_bytes();
    const bool by_bits = !by_bytes && header.has_shuffled_bits() && items > 0 && items % 8 == 0;
    std::byte* to = out;
    if (by_bytes || by_bits) {
        if (!block_ || block_->size() < header.block) {
            block_.reset();
            block_ = std::make_unique<Buffer<std::byte>>(header.block);
        }
        to = block_->data();
    }
    const std::size_t streams = header.is_split() && size == header.block ? header.item : 1;
    const std::size_t wanted = size / streams;
    if (wanted * streams != size) {
        fail("its blosc blocks of " + std::to_string(size) + " bytes do not hold whole items of " +
             std::to_string(header.item));
    }
    std::size_t at = number_at(stream.in + header_bytes + number * of_number);
    for (std::size_t s = 0; s < streams; ++s) {
        if (at > header.bytes || header.bytes - at < of_number ||
            header.bytes - at - of_number < number_at(stream.in + at)) {
            fail("block " + std::to_string(number) + " of its blosc chunk ends beyond it");
        }
        const std::size_t given = number_at(stream.in + at);
        at += of_number;
        const Encoded part{stream.in + at, given, to + s * wanted, wanted};
        if (given == wanted) {
            std::memcpy(part.out, part.in, wanted);
        } else {
            expand(header, part);
        }
        at += given;
    }
    const std::size_t whole = items * header.item;
    if (by_bytes) {
        unshuffle(to, items, header.item, 0, items, out);
    } else if (by_bits) {
        unshuffle_bits(to, items, header.item, out);
    }
    if (to != out) {
        std::memcpy(out + whole, to + whole, size - whole);
    }
}

void BloscDecoder::expand(const Header& header, const Encoded& part) {
    switch (header.codec()) {
        case Header::Codec::blosclz:
            return codecs_.blosclz(part);
        case Header::Codec::lz4:
            return codecs_.lz4(part);
        case Header::Codec::zlib:
            return codecs_.inflate(part);
        case Header::Codec::zstd:
            return codecs_.zstd(part);
        case Header::Codec::snappy:
            break;
    }
    fail("the codec of its blosc streams is number " + std::to_string(header.flags >> 5U) +
         ", which is none of blosclz, lz4, zlib and zstd");
}

}  // namespace tombola
