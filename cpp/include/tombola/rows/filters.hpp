// Three of HDF5's filters: shuffle and fletcher32 (HDF5's specification, IV.A.2.l), and lzf, which h5py brings. Its
// stream is that of LibLZF: literals, and copies of at most 264 bytes from at most 8 kB behind.
#pragma once

#include "tombola/base/types.hpp"

namespace tombola {

// Items [first, first + count) out of `items` whose bytes lie apart, those of equal weight together. O(count).
void unshuffle(const std::byte* in, std::size_t items, std::size_t item_bytes, std::size_t first, std::size_t count,
               std::byte* out);

// Fletcher's checksum over big-endian words of 16 bits, modulo 2^16 - 1. O(bytes).
std::uint32_t fletcher32(const std::byte* data, std::size_t bytes);

// Expands an lzf stream into at most `room` bytes; returns how many, or 0 if it is damaged or there are more. O(bytes).
std::size_t expand_lzf(const std::byte* in, std::size_t in_bytes, std::byte* out, std::size_t room) noexcept;

}  // namespace tombola
