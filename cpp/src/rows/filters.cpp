#include "tombola/rows/filters.hpp"

#include <algorithm>
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

}  // namespace

void unshuffle(const std::byte* in, std::size_t items, std::size_t item_bytes, std::size_t first, std::size_t count,
               std::byte* out) {
    switch (item_bytes) {
        case 1:
            std::copy_n(in + first, count, out);  // memcpy takes no nullptr, even for nothing
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

std::size_t expand_lzf(const std::byte* in, std::size_t in_bytes, std::byte* out, std::size_t room) noexcept {
    const auto* from = reinterpret_cast<const unsigned char*>(in);
    const auto* const end = from + in_bytes;
    std::byte* to = out;
    std::byte* const limit = out + room;
    constexpr std::size_t literals = 32;
    constexpr std::size_t longest = 7;  // lengths from here on have a byte of their own
    while (from != end) {
        const std::size_t control = *from++;
        if (control < literals) {
            const std::size_t count = control + 1;
            if (static_cast<std::size_t>(end - from) < count || static_cast<std::size_t>(limit - to) < count) {
                return 0;
            }
            std::memcpy(to, from, count);
            from += count;
            to += count;
            continue;
        }
        std::size_t count = control >> 5U;
        if (static_cast<std::size_t>(end - from) < (count == longest ? 2U : 1U)) {
            return 0;
        }
        if (count == longest) {
            count += *from++;
        }
        count += 2;
        const std::size_t back = ((control & 31U) << 8U) + *from++ + 1;
        if (static_cast<std::size_t>(to - out) < back || static_cast<std::size_t>(limit - to) < count) {
            return 0;
        }
        const std::byte* source = to - back;
        if (back >= count) {
            std::memcpy(to, source, count);
            to += count;
            continue;
        }
        for (; count > 0; --count) {  // the copy repeats what it has just written
            *to++ = *source++;
        }
    }
    return static_cast<std::size_t>(to - out);
}

}  // namespace tombola
