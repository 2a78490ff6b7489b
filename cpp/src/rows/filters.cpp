#include "tombola/rows/filters.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace tombola {
namespace {

template <typename T>
void unshuffle_words(const std::byte* in, std::size_t items, std::size_t first, std::size_t count, std::byte* out) {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(in) + first;
    for (std::size_t i = 0; i < count; ++i) {
        T word = 0;
        for (std::size_t b = 0; b < sizeof(T); ++b) {
            word = static_cast<T>(word | static_cast<T>(static_cast<T>(bytes[b * items + i]) << (8 * b)));
        }
        std::memcpy(out + i * sizeof(T), &word, sizeof(T));  // the core is built for little-endian machines
    }
}

// The matrix of 8 x 8 bits whose rows are the bytes of `rows`, with rows and columns exchanged: bits, pairs and
// halves of bytes swap across the diagonal (Warren, Hacker's Delight, 7-3).
u64 transposed_bits(u64 rows) noexcept {
    const auto swap = [&rows](unsigned distance, u64 mask) {
        const u64 differ = (rows ^ rows >> distance) & mask;
        rows ^= differ ^ differ << distance;
    };
    swap(7, 0x00aa00aa00aa00aaU);
    swap(14, 0x0000cccc0000ccccU);
    swap(28, 0x00000000f0f0f0f0U);
    return rows;
}

}  // namespace

void unshuffle(const std::byte* in, std::size_t items, std::size_t item_bytes, std::size_t first, std::size_t count,
               std::byte* out) {
    switch (item_bytes) {
        case 1:
            std::memcpy(out, in + first, count);
            return;
        case 2:
            return unshuffle_words<std::uint16_t>(in, items, first, count, out);
        case 4:
            return unshuffle_words<std::uint32_t>(in, items, first, count, out);
        case 8:
            return unshuffle_words<u64>(in, items, first, count, out);
        default:
            for (std::size_t b = 0; b < item_bytes; ++b) {
                for (std::size_t i = 0; i < count; ++i) {
                    out[i * item_bytes + b] = in[b * items + first + i];
                }
            }
    }
}

void unshuffle_bits(const std::byte* in, std::size_t items, std::size_t item_bytes, std::byte* out) {
    constexpr std::size_t bits = 8;
    alignas(64) std::array<std::byte, 4'096> tile;  // of items with bytes of equal weight together; stays in cache
    const auto* const from = reinterpret_cast<const unsigned char*>(in);
    const std::size_t all = items / bits;
    const std::size_t at_once = tile.size() / (bits * item_bytes);
    for (std::size_t done = 0; done < all;) {
        const std::size_t groups = std::min(at_once, all - done);
        for (std::size_t b = 0; b < item_bytes; ++b) {
            const unsigned char* const rows = from + b * bits * all + done;
            std::byte* const to = tile.data() + b * bits * groups;
            for (std::size_t g = 0; g < groups; ++g) {
                u64 word = 0;
                for (std::size_t bit = 0; bit < bits; ++bit) {
                    word |= u64{rows[bit * all + g]} << (bits * bit);
                }
                word = transposed_bits(word);
                std::memcpy(to + g * sizeof(word), &word, sizeof(word));
            }
        }
        unshuffle(tile.data(), bits * groups, item_bytes, 0, bits * groups, out + done * bits * item_bytes);
        done += groups;
    }
}

std::uint32_t fletcher32(const std::byte* data, std::size_t bytes) {
    const auto* const in = reinterpret_cast<const unsigned char*>(data);
    const auto fold = [](std::uint32_t sum) { return (sum & 0xffffU) + (sum >> 16U); };
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    constexpr std::size_t words_at_once = 360;  // so many leave the sums below 2^32
    const std::size_t words = bytes / 2;
    for (std::size_t at = 0; at < words;) {
        const std::size_t stop = std::min(words, at + words_at_once);
        for (; at < stop; ++at) {
            low += static_cast<std::uint32_t>(in[2 * at] << 8U | in[2 * at + 1]);
            high += low;
        }
        low = fold(low);
        high = fold(high);
    }
    if (bytes % 2 != 0) {
        low = fold(low + static_cast<std::uint32_t>(in[bytes - 1] << 8U));
        high = fold(high + low);
    }
    return fold(high) << 16U | fold(low);
}

}  // namespace tombola
