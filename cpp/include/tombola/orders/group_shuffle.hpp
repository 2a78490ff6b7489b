// The order of the rows inside each group of an epoch, with random access: which member stands at a rank.
//
// Groups of up to 64 rows: the exact shuffle of Fisher and Yates in Durstenfeld's form, of which only the one element
// asked for is followed. Larger ones: the Feistel network of bijection.hpp, whose round keys all groups of the epoch
// share, each XORed with words of the group's own. A group goes by its id, the number of rows in front of it.
// O(min(rows of the group, 64)) an element, no memory.
#pragma once

#include "tombola/kernels/kernels.hpp"
#include "tombola/random/philox.hpp"

namespace tombola {

class GroupShuffle {
  public:
    static constexpr u64 exact_rows = 64;

    // own_key gives each group words of its own, shared_key the round keys.
    GroupShuffle(u64 own_key, u64 shared_key, bool shuffle);
    // The order of the rows inside series and buckets.
    static GroupShuffle of_rows(u64 seed, u64 epoch, bool shuffle) {
        return {derive_key(seed, epoch, Purpose::group_rows), derive_key(seed, epoch, Purpose::group_keys), shuffle};
    }

    // out[t]: the member, counted from 0, at ranks[t] of group ids[t], which has counts[t] rows. out may be ranks.
    // Meanwhile it gathers ahead (kernels.hpp).
    void at(const u64* ids, const u64* counts, const u64* ranks, std::size_t n, u64* out,
            const GatherAhead& ahead = {}) const;
    // Ranks [first, first + n) of one group.
    void fill(u64 id, u64 count, u64 first, std::size_t n, u64* out) const;
    // The words of groups of their own, 4 each, from which `network` makes the order of one of more than exact_rows.
    void own_words(const u64* ids, std::size_t n, u32* words) const;
    Feistel network(u64 count, const u32* own) const noexcept;
    bool is_network(u64 count) const noexcept { return shuffle_ && count > exact_rows; }

  private:
    bool shuffle_;
    u64 key_;
    u32 round_keys_[2 * feistel_rounds];

    u32 word(u64 id, u64 t) const noexcept { return Stream{key_, 0}.word(exact_rows * id + t); }
    u64 swap_target(u64 id, u32 i) const noexcept;
    u64 swap_target(u64 id, u32 i, u32 first_word) const noexcept {
        const u64 product = static_cast<u64>(first_word) * (i + 1);
        return static_cast<u32>(product) <= i ? swap_target(id, i) : product >> 32U;
    }
    u64 exact_member(u64 id, u64 count, u64 rank) const noexcept;
    void exact(const u64* ids, const u64* counts, const u64* ranks, std::size_t n, u64* out,
               const GatherAhead& ahead) const;
    void keyed(const u64* ids, const u64* counts, const u64* ranks, std::size_t n, u64* out,
               const GatherAhead& ahead) const;
};

}  // namespace tombola
