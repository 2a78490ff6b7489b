// Stores that go past the caches, for large arrays that are written once: a cache reads each line before it is written,
// and gives up what it held. Elsewhere than on x86-64, plain stores.
#pragma once

#include <cstdint>
#include <cstring>

#include "tombola/base/types.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tombola {

inline constexpr std::size_t line_bytes = 64;
// Whether an array of so many bytes is better streamed: a smaller one may still lie in a cache when it is read.
constexpr bool is_streamed(std::size_t bytes) noexcept { return bytes >= std::size_t{1} << 25U; }

// Both lie at multiples of line_bytes.
inline void stream_line(void* to, const void* from) noexcept {
#if defined(__SSE2__)
    const __m128i* const source = static_cast<const __m128i*>(from);
    __m128i* const target = static_cast<__m128i*>(to);
    for (std::size_t i = 0; i < line_bytes / sizeof(__m128i); ++i) {
        _mm_stream_si128(target + i, _mm_load_si128(source + i));
    }
#else
    std::memcpy(to, from, line_bytes);
#endif
}

// to[i] = from[i] for i of [0, count)
inline void stream_widened(index_t* to, const u32* from, std::size_t count) noexcept {
    std::size_t i = 0;
#if defined(__SSE2__)
    for (; i < count && reinterpret_cast<std::uintptr_t>(to + i) % line_bytes != 0; ++i) {
        to[i] = from[i];
    }
    constexpr std::size_t step = sizeof(__m128i) / sizeof(u32);
    for (; i + step <= count; i += step) {
        const __m128i narrow = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
        __m128i* const wide = reinterpret_cast<__m128i*>(to + i);
        _mm_stream_si128(wide, _mm_unpacklo_epi32(narrow, _mm_setzero_si128()));
        _mm_stream_si128(wide + 1, _mm_unpackhi_epi32(narrow, _mm_setzero_si128()));
    }
#endif
    for (; i < count; ++i) {
        to[i] = from[i];
    }
}

// For each thread that has streamed, before another one reads what it wrote.
inline void end_stream() noexcept {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

}  // namespace tombola
