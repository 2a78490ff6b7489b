// The exact, uniform shuffle of an array that fits a cache: Durstenfeld's form of Fisher and Yates, with unbiased
// bounded integers made a thousand at a time by the vector kernels. Element i uses word i of the stream, whatever the
// instruction set. O(count).
#pragma once

#include <algorithm>
#include <span>

#include "tombola/kernels/kernels.hpp"
#include "tombola/random/philox.hpp"

namespace tombola {

inline constexpr std::size_t shuffle_chunk = 1024;  // a multiple of 64

// targets[t] = an unbiased integer of [0, first + t + 1) for t in [0, shuffle_chunk); first is a multiple of the chunk.
inline void shuffle_targets(const Stream& stream, u32 first, std::size_t count, u32* targets) {
    const Kernels& k = kernels();
    const std::size_t groups = (count + 63U) / 64U;
    k.lane_words(stream.key, stream.id, first / 64U, groups, targets);
    if (k.scale_words(targets, first + 1U, 64U * groups)) {
        k.lane_words(stream.key, stream.id, first / 64U, groups, targets);
        for (u32 t = 0; t < count; ++t) {
            targets[t] = stream.bounded(targets[t], first + t, first + t + 1U);
        }
    }
}

// Shuffles values, of which there are less than 2^32, and hands out element i of the result by take(i, value): from
// the last to the first one, each when it is settled. `values` itself is used up.
template <typename T, typename Take>
void shuffle(const Stream& stream, std::span<T> values, Take take) {
    alignas(64) u32 targets[shuffle_chunk];
    T* const v = values.data();
    std::size_t stop = values.size();
    while (stop > 1) {
        const std::size_t first = (stop - 1) / shuffle_chunk * shuffle_chunk;
        shuffle_targets(stream, static_cast<u32>(first), stop - first, targets);
        for (std::size_t i = stop - 1; i + 1 > std::max<std::size_t>(first, 1); --i) {
            const u32 j = targets[i - first];
            const T mine = v[i];
            take(i, v[j]);
            v[j] = mine;
        }
        stop = first;
    }
    if (!values.empty()) {
        take(0, v[0]);
    }
}

template <typename T>
void shuffle(const Stream& stream, std::span<T> values) {
    shuffle(stream, values, [v = values.data()](std::size_t i, T value) { v[i] = value; });
}

// The shuffle of 0, 1, 2, ...
template <typename T>
void shuffled_iota(const Stream& stream, std::span<T> values) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<T>(i);
    }
    shuffle(stream, values);
}

}  // namespace tombola
