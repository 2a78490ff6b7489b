// The exact, uniform permutation of [0, n) as one array: Rao (1961) and Sandelius (1962), as revisited by Bacher,
// Bodini, Hollender and Lumbroso ("MergeShuffle", 2015) for caches. Every element takes an independent uniform bucket
// label, the buckets keep order, and each is shuffled exactly while it lies in a cache: uniform over all n!
// permutations. Labels are keyed by a fixed logical chunk, so that the result does not depend on threads.
// O(n); the scattered elements lie in the output's own memory, so that nothing else is touched for the first time.
#pragma once

#include <span>

#include "tombola/base/types.hpp"

namespace tombola {

void permutation(u64 seed, std::span<index_t> out);

}  // namespace tombola
