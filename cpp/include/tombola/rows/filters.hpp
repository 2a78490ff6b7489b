// Two of HDF5's filters, undone and compared: shuffle and fletcher32 (HDF5's specification, IV.A.2.l).
#pragma once

#include "tombola/base/types.hpp"

namespace tombola {

// Items [first, first + count) out of `items` whose bytes lie apart, those of equal weight together. O(count).
void unshuffle(const std::byte* in, std::size_t items, std::size_t item_bytes, std::size_t first, std::size_t count,
               std::byte* out);

// Fletcher's checksum over big-endian words of 16 bits, modulo 2^16 - 1. O(bytes).
std::uint32_t fletcher32(const std::byte* data, std::size_t bytes);

}  // namespace tombola
