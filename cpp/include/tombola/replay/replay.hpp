// What a replay buffer decides: which slot an incoming item takes, and uniform draws of stored items.
//
// Reservoir: of a stream, item t (counted from 0) takes slot t while the buffer is not full; later ones take a slot
// uniform in [0, t], and are left out where that is none of the buffer's. So at all times each item seen so far is
// stored with the same probability (algorithm R: Vitter, "Random sampling with a reservoir", 1985). Item t reads word
// t of the stream of the seed: how the stream is cut into batches cannot matter, and any item is O(1) from nothing.
//
// Bounded integers are the high half of a 64-bit word times the bound: each is at most 2^-64 off its probability.
#pragma once

#include <span>

#include "tombola/base/types.hpp"

namespace tombola {

// The slot of each item from `first` on, -1 for those that are left out. std::invalid_argument for a slot count of 0
// or items at or above largest_size.
void reservoir_slots(u64 seed, u64 first, u64 slots, std::span<index_t> out);

// Items of [0, stored), uniform: independent, or all different (the first steps of a Fisher-Yates shuffle; the longer
// draw begins with the shorter one). O(draws). std::invalid_argument where there are not enough.
void uniform_draws(u64 seed, u64 step, u64 stored, bool replace, std::span<index_t> out);

// Numbers of [0, 1) in steps of 2^-53, for thinning draws.
void unit_draws(u64 seed, u64 step, std::span<double> out);

}  // namespace tombola
