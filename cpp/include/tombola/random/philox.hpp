// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
// as 1, 2, 3" (SC 2011), with the rules by which tombola keys it.
//
// A stream is (key, id). Its words are laid out in two orders over the counters of the generator: "lane" order,
// which a vector unit fills without a transposition, and "serial" order, in which neighbouring words share a counter.
// Any word is O(1) from nothing.
#pragma once

#include <array>

#include "tombola/base/types.hpp"

namespace tombola {

using PhiloxBlock = std::array<u32, 4>;

inline constexpr u32 philox_multiplier_0 = 0xD2511F53U;
inline constexpr u32 philox_multiplier_1 = 0xCD9E8D57U;
inline constexpr u32 philox_weyl_0 = 0x9E3779B9U;
inline constexpr u32 philox_weyl_1 = 0xBB67AE85U;
inline constexpr int philox_rounds = 10;

constexpr PhiloxBlock philox(PhiloxBlock counter, u64 key) noexcept {
    u32 k0 = static_cast<u32>(key);
    u32 k1 = static_cast<u32>(key >> 32U);
    for (int round = 0; round < philox_rounds; ++round) {
        const u64 p0 = static_cast<u64>(philox_multiplier_0) * counter[0];
        const u64 p1 = static_cast<u64>(philox_multiplier_1) * counter[2];
        counter = {static_cast<u32>(p1 >> 32U) ^ counter[1] ^ k0, static_cast<u32>(p1),
                   static_cast<u32>(p0 >> 32U) ^ counter[3] ^ k1, static_cast<u32>(p0)};
        k0 += philox_weyl_0;
        k1 += philox_weyl_1;
    }
    return counter;
}

// What a key is for: two purposes never share a stream.
enum class Purpose : u64 {
    permutation = 1,
    permutation_bucket = 2,
    random_permutation = 3,
    blocks = 4,
    window = 5,
    window_large = 6,
    strata = 7,
    split = 8,
    leaf = 9,
    round = 10,
    round_keys = 11,
    round_blocks = 12,
    alias = 13,
    series = 14,
    group_rows = 15,
    group_keys = 16,
    layers = 17,
    layer_shuffle = 18,
    layer_swaps = 19,
    layer_crossing = 20,
    full_batches = 21,
    short_batches = 22,
    bucket_batches = 23,
    layer_blocks = 24,
    layer_block_keys = 25,
    grouped_alias = 26,
    sum_tree = 27,
    sum_tree_distinct = 28,
    reservoir = 29,
    uniform_draws = 30,
    thinning = 31,
    tuple_rows = 32,
    tuple_keys = 33,
    mixture_rows = 34,
    mixture_keys = 35,
    mixture_batches = 36,
};

// The key of (seed, epoch, purpose): a hash by the generator itself, so that no two epochs or seeds collide by sums.
constexpr u64 derive_key(u64 seed, u64 epoch, Purpose purpose) noexcept {
    const u64 p = static_cast<u64>(purpose);
    const PhiloxBlock out = philox(
        {static_cast<u32>(epoch), static_cast<u32>(epoch >> 32U), static_cast<u32>(p), static_cast<u32>(p >> 32U)},
        seed);
    return out[0] | static_cast<u64>(out[1]) << 32U;
}

struct Stream {
    u64 key;
    u64 id;

    constexpr PhiloxBlock block(u32 low, u32 high) const noexcept {
        return philox({low, high, static_cast<u32>(id), static_cast<u32>(id >> 32U)}, key);
    }
    constexpr u32 lane_word(u64 t) const noexcept {
        const u64 counter = 16U * (t / 64U) + t % 16U;
        return block(static_cast<u32>(counter), static_cast<u32>(counter >> 32U))[(t / 16U) % 4U];
    }
    constexpr u32 word(u64 t) const noexcept {
        return block(static_cast<u32>(t / 4U), static_cast<u32>(t / 4U >> 32U))[t % 4U];
    }
    // Word pair (2t, 2t + 1) in serial order as one 64-bit number.
    constexpr u64 word64(u64 t) const noexcept {
        const PhiloxBlock out = block(static_cast<u32>(t / 2U), static_cast<u32>(t / 2U >> 32U));
        const std::size_t at = 2U * (t % 2U);
        return out[at] | static_cast<u64>(out[at + 1U]) << 32U;
    }
    constexpr u32 retry(u32 t, u32 attempt) const noexcept { return block(t, 0x80000000U | attempt)[0]; }

    // Word t (lane order), given as `word`, turned into an unbiased integer of [0, range): Lemire, "Fast random
    // integer generation in an interval" (2019). Rejected words are replaced from a stream of their own, so that
    // every draw keeps its place.
    constexpr u32 bounded(u32 word, u32 t, u32 range) const noexcept {
        u64 product = static_cast<u64>(word) * range;
        if (static_cast<u32>(product) < range) {
            const u32 threshold = (0U - range) % range;
            for (u32 attempt = 0; static_cast<u32>(product) < threshold; ++attempt) {
                product = static_cast<u64>(retry(t, attempt)) * range;
            }
        }
        return static_cast<u32>(product >> 32U);
    }
};

}  // namespace tombola
