// Streams of literals and of copies from what is already there (Lempel and Ziv, 1977), in three encodings that need no
// library: lzf, which h5py brings; the block format of LZ4 (lz4_Block_format.md), and blosclz, which is FastLZ's second
// level with copies of any length from at most 73,727 bytes behind.
//
// Each expands a stream of any content into at most `room` bytes and returns how many, or 0 if it is damaged or there
// are more. Nothing outside of the two arrays is touched. O(bytes given).
#pragma once

#include "tombola/base/types.hpp"

namespace tombola {

std::size_t expand_lzf(const std::byte* stream, std::size_t bytes, std::byte* to, std::size_t room) noexcept;
std::size_t expand_lz4(const std::byte* stream, std::size_t bytes, std::byte* to, std::size_t room) noexcept;
std::size_t expand_blosclz(const std::byte* stream, std::size_t bytes, std::byte* to, std::size_t room) noexcept;

}  // namespace tombola
