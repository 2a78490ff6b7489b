#include "tombola/orders/group_shuffle.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <utility>

#include "tombola/base/prefetch.hpp"

namespace tombola {
namespace {

constexpr std::size_t at_once = 256;  // elements whose words fit the cache

}  // namespace

GroupShuffle::GroupShuffle(u64 own_key, u64 shared_key, bool shuffle) : shuffle_(shuffle), key_(own_key) {
    kernels().serial_words(shared_key, 0, 0, 2U * feistel_rounds / 4U, round_keys_);
}

// An unbiased integer of [0, i].
u64 GroupShuffle::swap_target(u64 id, u32 i) const noexcept {
    const u32 range = i + 1;
    const u32 threshold = (0U - range) % range;
    u64 product = static_cast<u64>(word(id, i - 1)) * range;
    for (u32 attempt = 0; static_cast<u32>(product) < threshold; ++attempt) {
        product = static_cast<u64>(Stream{key_, id + 1}.retry(i, attempt)) * range;
    }
    return product >> 32U;
}

// The swaps backwards, that is, from the smallest i on, as they move one place.
u64 GroupShuffle::exact_member(u64 id, u64 count, u64 rank) const noexcept {
    for (u32 i = 1; i < count; ++i) {
        const u64 j = swap_target(id, i);
        rank = rank == i ? j : rank == j ? i : rank;
    }
    return rank;
}

// n <= at_once
void GroupShuffle::exact(const u64* ids, const u64* counts, const u64* ranks, std::size_t n, u64* out,
                         const GatherAhead& ahead) const {
    u64 found[at_once];
    if (kernels().group_exact(key_, ids, counts, ranks, n, ahead, found)) {
        for (std::size_t i = 0; i < n; ++i) {
            found[i] = found[i] == group_undecided ? exact_member(ids[i], counts[i], ranks[i]) : found[i];
        }
    }
    std::copy_n(found, n, out);
}

// n <= at_once. Words are made once for neighbours of one group.
void GroupShuffle::keyed(const u64* ids, const u64* counts, const u64* ranks, std::size_t n, u64* out,
                         const GatherAhead& ahead) const {
    u64 groups[at_once];
    u32 of_groups[4 * at_once];
    u32 words[4 * at_once];
    std::size_t found = 0;
    for (std::size_t i = 0; i < n; ++i) {
        groups[found] = ids[i];
        found += i + 1 == n || ids[i + 1] != ids[i] ? 1U : 0U;
    }
    own_words(groups, found, of_groups);
    for (std::size_t i = 0, g = 0; i < n; ++i) {
        g += ids[i] != groups[g] ? 1U : 0U;
        std::memcpy(words + 4 * i, of_groups + 4 * g, 4 * sizeof(u32));
    }
    kernels().group_feistel(round_keys_, words, counts, ranks, n, ahead, out);
}

void GroupShuffle::at(const u64* ids, const u64* counts, const u64* ranks, std::size_t n, u64* out,
                      const GatherAhead& ahead) const {
    bool gathered = false;
    const auto gather_once = [&] {
        if (!gathered) {
            gather_ahead(ahead);
        }
        gathered = true;
    };
    if (!shuffle_) {
        gather_ahead(ahead);
        std::copy_n(ranks, n, out);
        return;
    }
    u64 id[at_once];
    u64 count[at_once];
    u64 rank[at_once];
    std::size_t from[at_once];
    for (std::size_t t = 0; t < n; t += at_once) {
        const std::size_t m = std::min(at_once, n - t);
        std::size_t large = 0;
        for (std::size_t i = 0; i < m; ++i) {
            large += counts[t + i] > exact_rows ? 1U : 0U;
        }
        if (large == 0) {
            exact(ids + t, counts + t, ranks + t, m, out + t, gathered ? GatherAhead{} : ahead);
            gathered = true;
            continue;
        }
        if (large == m) {
            keyed(ids + t, counts + t, ranks + t, m, out + t, gathered ? GatherAhead{} : ahead);
            gathered = true;
            continue;
        }
        gather_once();
        std::size_t small_at = 0;
        std::size_t large_at = m - large;
        for (std::size_t i = 0; i < m; ++i) {
            const std::size_t to = counts[t + i] > exact_rows ? large_at++ : small_at++;
            id[to] = ids[t + i];
            count[to] = counts[t + i];
            rank[to] = ranks[t + i];
            from[to] = t + i;
        }
        exact(id, count, rank, m - large, rank, {});
        keyed(id + m - large, count + m - large, rank + m - large, large, rank + m - large, {});
        for (std::size_t i = 0; i < m; ++i) {
            out[from[i]] = rank[i];
        }
    }
    gather_once();
}

void GroupShuffle::fill(u64 id, u64 count, u64 first, std::size_t n, u64* out) const {
    if (!shuffle_) {
        for (std::size_t t = 0; t < n; ++t) {
            out[t] = first + t;
        }
        return;
    }
    if (count <= exact_rows) {
        u32 words[exact_rows];
        u64 members[exact_rows];
        kernels().serial_words(key_, 0, exact_rows / 4 * id, (count + 3) / 4, words);
        std::iota(members, members + count, u64{0});
        for (u32 i = static_cast<u32>(count) - 1; i > 0; --i) {
            std::swap(members[i], members[swap_target(id, i, words[i - 1])]);
        }
        std::copy_n(members + first, n, out);
        return;
    }
    u32 own[4];
    own_words(&id, 1, own);
    kernels().feistel(network(count, own), nullptr, first, n, out);
}

void GroupShuffle::own_words(const u64* ids, std::size_t n, u32* words) const {
    u64 counters[at_once];
    for (std::size_t t = 0; t < n; t += at_once) {
        const std::size_t m = std::min(at_once, n - t);
        for (std::size_t i = 0; i < m; ++i) {
            counters[i] = exact_rows / 4 * ids[t + i];
        }
        kernels().serial_words_at(key_, 0, counters, m, words + 4 * t);
    }
}

Feistel GroupShuffle::network(u64 count, const u32* own) const noexcept {
    Feistel f{};
    f.low_bits = static_cast<u32>(std::bit_width(count - 1)) / 2U;
    f.radix = static_cast<u32>(((count - 1) >> f.low_bits) + 1);
    f.n = count;
    for (std::size_t t = 0; t < 2U * feistel_rounds; ++t) {
        f.keys[t] = round_keys_[t] ^ own[t % 4U];
    }
    return f;
}

}  // namespace tombola
