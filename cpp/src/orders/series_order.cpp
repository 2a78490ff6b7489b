#include "tombola/orders/series_order.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/random/bijection.hpp"
#include "tombola/random/philox.hpp"

namespace tombola {
namespace {

constexpr u64 exact_below = u64{1} << 16U;
constexpr u64 series_a_task = u64{1} << 16U;
constexpr std::size_t at_once = 128;

template <typename Body>
void for_series(u64 series, Body body) {
    parallel_for(static_cast<index_t>((series + series_a_task - 1) / series_a_task), [&](index_t task) {
        const u64 first = static_cast<u64>(task) * series_a_task;
        body(static_cast<std::size_t>(task), first, std::min(series, first + series_a_task));
    });
}

template <typename Index>
Series<Index> series_of(const GroupArrays<Index>& groups, u64 g) {
    const Index offset = groups.offsets[g];
    return {offset, static_cast<Index>(groups.offsets[g + 1] - offset)};
}

// Groups by their first member: a bit for each row that is one, and counts of bits, where rows are not too far apart.
template <typename Index>
Buffer<Series<Index>> by_first_appearance(const GroupArrays<Index>& groups) {
    Buffer<Series<Index>> out(groups.groups());
    for (u64 g = 0; g < groups.groups(); ++g) {
        out[g] = series_of(groups, g);  // stays where first members are not distinct, as after a change of indices
    }
    const auto first_of = [&](u64 g) { return u64{groups.members[groups.offsets[g]]}; };
    u64 last = 0;
    for (u64 g = 0; g < groups.groups(); ++g) {
        last = std::max(last, first_of(g));
    }
    if (last / 64U > 2 * groups.groups()) {
        std::vector<u64> order(groups.groups());
        std::iota(order.begin(), order.end(), u64{0});
        std::sort(order.begin(), order.end(), [&](u64 a, u64 b) { return first_of(a) < first_of(b); });
        for (u64 j = 0; j < order.size(); ++j) {
            out[j] = series_of(groups, order[j]);
        }
        return out;
    }
    std::vector<u64> firsts(last / 64U + 1);
    for (u64 g = 0; g < groups.groups(); ++g) {
        firsts[first_of(g) / 64U] |= u64{1} << first_of(g) % 64U;
    }
    std::vector<u64> before(firsts.size());
    for (std::size_t w = 1; w < firsts.size(); ++w) {
        before[w] = before[w - 1] + static_cast<u64>(std::popcount(firsts[w - 1]));
    }
    for (u64 g = 0; g < groups.groups(); ++g) {
        const u64 row = first_of(g);
        const u64 earlier = firsts[row / 64U] & ((u64{1} << row % 64U) - 1U);
        out[before[row / 64U] + static_cast<u64>(std::popcount(earlier))] = series_of(groups, g);
    }
    return out;
}

}  // namespace

template <typename Index>
Buffer<Series<Index>> order_series(const GroupArrays<Index>& groups, u64 seed, u64 epoch, bool shuffle) {
    if (!shuffle) {
        return by_first_appearance(groups);
    }
    const Bijection order(groups.groups(), derive_key(seed, epoch, Purpose::series), exact_below);
    Buffer<Series<Index>> out(groups.groups());
    for_series(groups.groups(), [&](std::size_t, u64 first, u64 last) {
        // Of one run the groups are chosen, while the offsets of the run in front of it are prefetched; those of the
        // third are read.
        constexpr u32 shift = sizeof(Index) == 4 ? 2 : 3;
        u64 chosen[3][at_once];
        const std::size_t n_runs = static_cast<std::size_t>((last - first + at_once - 1) / at_once);
        const auto length = [&](std::size_t r) {
            return static_cast<std::size_t>(std::min<u64>(at_once, last - first - r * at_once));
        };
        for (std::size_t step = 0; step < n_runs + 2; ++step) {
            const std::size_t before = step - 1;
            const GatherAhead ahead{groups.offsets.data(), shift, chosen[before % 3],
                                    before < n_runs ? length(before) : 0};
            if (step < n_runs) {
                order.fill(first + step * at_once, length(step), chosen[step % 3], ahead);
            }
            if (const std::size_t r = step - 2; r < n_runs) {
                for (std::size_t i = 0; i < length(r); ++i) {
                    out[first + r * at_once + i] = series_of(groups, chosen[r % 3][i]);
                }
            }
        }
    });
    return out;
}

template <typename Index>
SeriesLine<Index>::SeriesLine(const Buffer<Series<Index>>& series, u64 most, u64 positions)
    : words_(positions / 64U + 1) {
    const u64 n = series.size();
    const auto positions_of = [&](u64 j) { return std::min<u64>(series[j].count, most); };
    std::vector<u64> starts((n + series_a_task - 1) / series_a_task + 1);
    for_series(n, [&](std::size_t task, u64 first, u64 last) {
        u64 sum = 0;
        for (u64 j = first; j < last; ++j) {
            sum += positions_of(j);
        }
        starts[task + 1] = sum;
    });
    std::partial_sum(starts.begin(), starts.end(), starts.begin());
    const u64 words = words_.size();
    parallel_for(static_cast<index_t>((words + series_a_task - 1) / series_a_task), [&](index_t task) {
        const u64 first = static_cast<u64>(task) * series_a_task;
        std::memset(&words_[first], 0, sizeof(Word) * (std::min(words, first + series_a_task) - first));
    });
    for_series(n, [&](std::size_t task, u64 first, u64 last) {
        u64 start = starts[task];
        u64 word = start / 64U;
        u64 bits = 0;
        const auto flush = [&] {  // a word may belong to several tasks
            if (bits != 0 && word < words) {
                __atomic_fetch_or(&words_[word].starts, bits, __ATOMIC_RELAXED);
            }
            bits = 0;
        };
        for (u64 j = first; j < last && start / 64U < words; ++j) {
            if (start / 64U != word) {
                flush();
                word = start / 64U;
            }
            bits |= u64{1} << start % 64U;
            const u64 stop = start + positions_of(j);
            for (u64 w = start / 64U + 1; w <= stop / 64U && w < words; ++w) {
                words_[w].series_before = static_cast<Index>(j + 1);
                words_[w].start_before = static_cast<Index>(start);
            }
            start = stop;
        }
        flush();
    });
}

template Buffer<Series<u32>> order_series(const GroupArrays<u32>&, u64, u64, bool);
template Buffer<Series<u64>> order_series(const GroupArrays<u64>&, u64, u64, bool);
template class SeriesLine<u32>;
template class SeriesLine<u64>;

}  // namespace tombola
