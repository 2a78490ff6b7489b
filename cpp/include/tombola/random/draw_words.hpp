// 64-bit random numbers for draws: word64 t of a stream for each t of a range, from any place, by the vector kernels.
#pragma once

#include <array>
#include <span>

#include "tombola/base/types.hpp"
#include "tombola/kernels/kernels.hpp"

namespace tombola {

inline constexpr std::size_t draws_at_once = 256;

// Stream{key, 0}.word64(t) for t in [first, first + count), count <= most
template <std::size_t most = draws_at_once>
class DrawWords {
  public:
    std::span<const u64> fill(u64 key, u64 first, std::size_t count) {
        const std::size_t odd = static_cast<std::size_t>(first % 2);  // a counter gives two
        kernels().serial_words(key, 0, first / 2, (odd + count + 1) / 2, reinterpret_cast<u32*>(words_.data()));
        return {words_.data() + odd, count};
    }

  private:
    alignas(64) std::array<u64, most + 2> words_;
};

}  // namespace tombola
