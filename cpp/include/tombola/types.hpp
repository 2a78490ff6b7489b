// The core's number types, named once.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tombola {

using index_t = std::int64_t;  // a row, a position, a batch: 64-bit outside the core
using mass_t = std::uint64_t;  // a quantised weight, or a sum of them; sums stay below 2^62

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u64 low_half(u64 x) noexcept { return x & 0xFFFFFFFFU; }

// High half of the 128-bit product.
inline u64 multiply_high(u64 a, u64 b) noexcept {
    __extension__ using u128 = unsigned __int128;
    return static_cast<u64>((static_cast<u128>(a) * b) >> 64U);
}

}  // namespace tombola
