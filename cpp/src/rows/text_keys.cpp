#include "tombola/rows/text_keys.hpp"

#include <algorithm>
#include <cstring>

#include "tombola/base/parallel.hpp"

namespace tombola {
namespace {

u64 mix(u64 a, u64 b) noexcept { return (a * b) ^ multiply_high(a, b); }

TextKey key_of(const char* text, std::size_t bytes) noexcept {
    TextKey key{0x9E3779B97F4A7C15U, 0xD1B54A32D192ED03U};
    const auto add = [&key](u64 word) {
        key[0] = mix(key[0] ^ 0xA0761D6478BD642FU, word ^ 0xE7037ED1A0B428DBU);
        key[1] = mix(key[1] ^ 0x8EBC6AF09C88C6E3U, word ^ 0x589965CC75374CC3U);
    };
    std::size_t at = 0;
    for (; at + 8 <= bytes; at += 8) {
        u64 word = 0;
        std::memcpy(&word, text + at, sizeof(word));
        add(word);
    }
    u64 rest = 0;
    std::memcpy(&rest, text + at, bytes - at);
    add(rest);
    add(bytes);
    return key;
}

}  // namespace

void text_keys(std::span<const char> texts, std::span<const index_t> bounds, std::span<TextKey> keys) {
    constexpr std::size_t at_once = std::size_t{1} << 14U;
    parallel_for(static_cast<index_t>((keys.size() + at_once - 1) / at_once), [&](index_t task) {
        const std::size_t first = static_cast<std::size_t>(task) * at_once;
        for (std::size_t i = first; i < std::min(keys.size(), first + at_once); ++i) {
            keys[i] = key_of(texts.data() + bounds[i], static_cast<std::size_t>(bounds[i + 1] - bounds[i]));
        }
    });
}

u64 count_repeats(std::span<TextKey> keys) {
    std::ranges::sort(keys);
    u64 repeats = 0;
    for (std::size_t i = 1; i < keys.size(); ++i) {
        repeats += keys[i] == keys[i - 1] ? 1U : 0U;
    }
    return repeats;
}

}  // namespace tombola
