// How the batches of a balanced schedule pass from one layer of the line to the one in front of it.
//
// Batch t holds one position of each layer of T positions. A series may cross the border: its last a positions lie in
// layer l, its first b in layer l + 1, and a + b <= T. The map sigma from positions of layer l + 1 to those of layer l
// is a keyed bijection of [0, T), uniform but for one thing: none of [0, b) falls into [T - a, T), so that the series
// never meets itself.
//
// [0, T - a) is permuted by tau; then the a positions of the crossing series are inserted, one by one, at random places
// of [b, T), in the way of the inside-out shuffle of Fisher and Yates (Knuth, TAOCP 3.4.2). With many of them a second
// permutation of [b, T) does the same. O(1) a position.
#pragma once

#include <array>
#include <optional>

#include "tombola/random/bijection.hpp"

namespace tombola {

class LayerShuffle {
  public:
    // a + b <= size; b > 0 where a > 0
    LayerShuffle(u64 layers_key, u64 layer, u64 size, u64 a, u64 b);

    // positions[i] = sigma(positions[i])
    void apply(u64* positions, std::size_t count) const;

  private:
    static constexpr u64 few = 8;

    u64 size_;
    u64 a_;
    u64 b_;
    Bijection tau_;
    std::array<u64, few> swaps_{};  // a_ <= few: where element size - a + i was inserted
    std::optional<Bijection> rho_;  // a_ > few

    void before_tau(u64* positions, std::size_t count) const;
};

}  // namespace tombola
