// Texts by 128 bits each, and how many of them come again.
#pragma once

#include <array>
#include <span>

#include "tombola/base/types.hpp"

namespace tombola {

// What stands for a text where equal ones are counted
using TextKey = std::array<u64, 2>;

// 128 bits of each text, so that two of 10^9 different ones share theirs with a chance below 10^-20.
void text_keys(std::span<const char> texts, std::span<const index_t> bounds, std::span<TextKey> keys);

// How many keys came before; sorts them. O(n log n).
u64 count_repeats(std::span<TextKey> keys);

}  // namespace tombola
