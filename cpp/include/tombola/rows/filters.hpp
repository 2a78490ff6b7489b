// Filters that only move bytes or count them: HDF5's shuffle and fletcher32 (its specification, IV.A.2.l), and the
// shuffle of bits as Blosc has it.
#pragma once

#include "tombola/base/types.hpp"

namespace tombola {

// Items [first, first + count) out of `items` whose bytes lie apart, those of equal weight together. O(count).
void unshuffle(const std::byte* in, std::size_t items, std::size_t item_bytes, std::size_t first, std::size_t count,
               std::byte* out);

// Items, a multiple of 8, of at most 255 bytes whose bits lie apart: all lowest bits of the first bytes together, then
// the next ones, first items in low bits. O(bytes).
void unshuffle_bits(const std::byte* in, std::size_t items, std::size_t item_bytes, std::byte* out);

// Fletcher's checksum over big-endian words of 16 bits, modulo 2^16 - 1. O(bytes).
std::uint32_t fletcher32(const std::byte* data, std::size_t bytes);

}  // namespace tombola
