// The core's number types, named once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace tombola {

using index_t = std::int64_t;  // a row, a position, a batch: 64-bit outside the core
using mass_t = std::uint64_t;  // a quantised weight, or a sum of them; sums stay below 2^62

using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

// The rows to choose among, ascending, borrowed; without a value all rows. An empty span is a subset of no rows.
using Subset = std::optional<std::span<const index_t>>;

// The longest index space: sums of positions, and the halves of a Feistel network over it, stay well inside 64 bits.
inline constexpr index_t largest_size = index_t{1} << 61U;

// High half of the 128-bit product.
inline u64 multiply_high(u64 a, u64 b) noexcept {
    __extension__ using u128 = unsigned __int128;
    return static_cast<u64>((static_cast<u128>(a) * b) >> 64U);
}

}  // namespace tombola
