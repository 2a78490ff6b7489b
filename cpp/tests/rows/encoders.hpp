// Filters as a writer applies them, plain, for the tests. Libraries are stand-ins: runs of one byte. Streams that the
// core expands itself have literals alone here; test_streams.cpp has those with copies.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "tombola/rows/codecs.hpp"
#include "tombola/rows/filters.hpp"

namespace tombola::test {

using Bytes = std::vector<std::byte>;

inline void* make_codec() { return new int(0); }
inline void free_codec(void* made) { delete static_cast<int*>(made); }

// Pairs of a count and a byte
inline int expand(void*, const void* in, std::size_t in_bytes, void* out, std::size_t room, std::size_t* used,
                  std::size_t* given) {
    const auto* from = static_cast<const std::byte*>(in);
    auto* to = static_cast<std::byte*>(out);
    *given = 0;
    if (in_bytes % 2 != 0) {
        return 1;
    }
    for (std::size_t i = 0; i < in_bytes; i += 2) {
        const std::size_t count = std::to_integer<std::size_t>(from[i]);
        if (count > room - *given) {
            return 3;
        }
        std::fill_n(to + *given, count, from[i + 1]);
        *given += count;
    }
    *used = in_bytes;
    return 0;
}

inline Bytes shorten(const Bytes& bytes) {
    Bytes out;
    for (std::size_t i = 0; i < bytes.size();) {
        std::size_t stop = i;
        while (stop < bytes.size() && stop - i < 255 && bytes[stop] == bytes[i]) {
            ++stop;
        }
        out.push_back(static_cast<std::byte>(stop - i));
        out.push_back(bytes[i]);
        i = stop;
    }
    return out;
}

inline Bytes shuffle(const Bytes& bytes, std::size_t item) {
    Bytes out = bytes;
    const std::size_t items = bytes.size() / item;
    for (std::size_t i = 0; i < items * item; ++i) {
        out[i % item * items + i / item] = bytes[i];
    }
    return out;
}

inline Bytes with_checksum(Bytes bytes) {
    const std::uint32_t sum = fletcher32(bytes.data(), bytes.size());
    const auto* const from = reinterpret_cast<const std::byte*>(&sum);
    bytes.insert(bytes.end(), from, from + sizeof(sum));
    return bytes;
}

// The same with the arguments of libzstd, which returns negative numbers as errors
inline std::size_t free_frames(void* made) {
    free_codec(made);
    return 0;
}
inline std::size_t expand_frames(void* made, void* out, std::size_t room, const void* in, std::size_t in_bytes) {
    std::size_t used = 0;
    std::size_t given = 0;
    return expand(made, in, in_bytes, out, room, &used, &given) == 0 ? given : ~std::size_t{0};
}
inline const CodecLibraries stand_ins{{make_codec, free_codec, expand}, {make_codec, free_frames, expand_frames}};

// A stream of lzf or blosclz without copies
inline Bytes literals(const Bytes& bytes) {
    Bytes out;
    for (std::size_t at = 0; at < bytes.size(); at += 32) {
        const std::size_t count = std::min<std::size_t>(32, bytes.size() - at);
        out.push_back(static_cast<std::byte>(count - 1));
        out.insert(out.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                   bytes.begin() + static_cast<std::ptrdiff_t>(at + count));
    }
    return out;
}

inline void put_number(Bytes& out, std::size_t number, std::size_t bytes, bool is_big_endian) {
    for (std::size_t i = 0; i < bytes; ++i) {
        out.push_back(static_cast<std::byte>(number >> 8 * (is_big_endian ? bytes - 1 - i : i)));
    }
}

// A block of LZ4 without copies
inline Bytes lz4_literals(const Bytes& bytes) {
    Bytes out{static_cast<std::byte>(std::min<std::size_t>(15, bytes.size()) << 4U)};
    if (bytes.size() >= 15) {
        for (std::size_t rest = bytes.size() - 15;; rest -= 255) {
            out.push_back(static_cast<std::byte>(std::min<std::size_t>(255, rest)));
            if (rest < 255) {
                break;
            }
        }
    }
    out.insert(out.end(), bytes.begin(), bytes.end());
    return out;
}

inline Bytes part(const Bytes& bytes, std::size_t first, std::size_t count) {
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(first);
    return Bytes(begin, begin + static_cast<std::ptrdiff_t>(std::min(count, bytes.size() - first)));
}

// Blocks as the filter lz4 writes them, every other one as it is
inline Bytes lz4_blocks(const Bytes& bytes, std::size_t block) {
    Bytes out;
    put_number(out, bytes.size(), 8, true);
    put_number(out, block, 4, true);
    for (std::size_t first = 0; first < bytes.size(); first += block) {
        const Bytes raw = part(bytes, first, block);
        const Bytes stored = first / block % 2 == 1 ? raw : lz4_literals(raw);
        put_number(out, stored.size(), 4, true);
        out.insert(out.end(), stored.begin(), stored.end());
    }
    return out;
}

// All lowest bits of the first bytes of items together, then the next ones
inline Bytes shuffle_bits(const Bytes& bytes, std::size_t item) {
    Bytes out(bytes.size());
    const std::size_t items = bytes.size() / item;
    for (std::size_t i = 0; i < items * item * 8; ++i) {
        const bool is_set = (std::to_integer<unsigned>(bytes[i / 8]) >> i % 8 & 1U) != 0;
        const std::size_t to = i % (8 * item) * items + i / (8 * item);
        out[to / 8] |= static_cast<std::byte>(unsigned{is_set} << to % 8);
    }
    std::copy(bytes.begin() + static_cast<std::ptrdiff_t>(items * item), bytes.end(),
              out.begin() + static_cast<std::ptrdiff_t>(items * item));
    return out;
}

enum class BloscCodec : unsigned { blosclz, lz4, snappy, zlib, zstd };

struct BloscOptions {
    std::size_t item;
    std::size_t block;
    BloscCodec codec = BloscCodec::blosclz;
    unsigned shuffle = 0;  // 1: of bytes, 2: of bits
    bool splits = true;
    bool is_copy = false;
};

inline Bytes blosc_stream(const Bytes& bytes, BloscCodec codec) {
    switch (codec) {
        case BloscCodec::blosclz:
            return literals(bytes);
        case BloscCodec::lz4:
            return lz4_literals(bytes);
        default:
            return shorten(bytes);
    }
}

inline Bytes blosc_block(const Bytes& bytes, const BloscOptions& options, bool is_last) {
    Bytes moved = bytes;
    if (options.shuffle == 1 && options.item > 1) {
        moved = shuffle(bytes, options.item);
    } else if (options.shuffle == 2 && bytes.size() / options.item % 8 == 0) {
        moved = shuffle_bits(bytes, options.item);
    }
    const bool is_split = options.splits && options.item <= 16 && bytes.size() / options.item >= 128 && !is_last;
    const std::size_t size = is_split ? bytes.size() / options.item : bytes.size();
    Bytes out;
    for (std::size_t first = 0; first < moved.size(); first += size) {
        const Bytes raw = part(moved, first, size);
        Bytes stored = blosc_stream(raw, options.codec);
        if (stored.size() == raw.size() || (stored.size() > raw.size() && first / size % 3 == 2)) {
            stored = raw;
        }
        put_number(out, stored.size(), 4, false);
        out.insert(out.end(), stored.begin(), stored.end());
    }
    return out;
}

// A chunk of Blosc 1; a block is at most as long as the chunk, and of whole items.
inline Bytes blosc_chunk(const Bytes& bytes, BloscOptions options) {
    options.block = std::min(options.block, bytes.size());
    if (options.block > options.item) {
        options.block = options.block / options.item * options.item;
    }
    const std::size_t blocks = (bytes.size() + options.block - 1) / options.block;
    Bytes content;
    Bytes starts;
    for (std::size_t b = 0; b < blocks && !options.is_copy; ++b) {
        const Bytes raw = part(bytes, b * options.block, options.block);
        put_number(starts, 16 + 4 * blocks + content.size(), 4, false);
        const Bytes stored = blosc_block(raw, options, raw.size() < options.block);
        content.insert(content.end(), stored.begin(), stored.end());
    }
    if (options.is_copy) {
        content = bytes;
    }
    const unsigned shuffled = options.shuffle == 0 ? 0U : options.shuffle == 1 ? 1U : 4U;
    Bytes out;
    put_number(out, 2, 1, false);
    put_number(out, 1, 1, false);
    put_number(out,
               shuffled | (options.is_copy ? 2U : 0U) | (options.splits ? 0U : 16U) |
                   static_cast<unsigned>(options.codec) << 5U,
               1, false);
    put_number(out, options.item, 1, false);
    put_number(out, bytes.size(), 4, false);
    put_number(out, options.block, 4, false);
    put_number(out, 16 + starts.size() + content.size(), 4, false);
    out.insert(out.end(), starts.begin(), starts.end());
    out.insert(out.end(), content.begin(), content.end());
    return out;
}

}  // namespace tombola::test
