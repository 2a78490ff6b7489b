#include "tombola/orders/series_rows.hpp"

#include <algorithm>

namespace tombola {
namespace {

constexpr std::size_t at_once = 128;  // looked up together: memory is prefetched

}  // namespace

template <typename Index>
struct SeriesRows<Index>::Runs {
    std::size_t count;
    std::size_t number = (count + at_once - 1) / at_once;

    std::size_t start(std::size_t r) const noexcept { return std::min(count, r * at_once); }
    std::size_t length(std::size_t r) const noexcept { return start(r + 1) - start(r); }
};

template <typename Index>
SeriesRows<Index>::SeriesRows(const GroupArrays<Index>& groups, u64 most, u64 positions, u64 seed, u64 epoch,
                              bool shuffle, bool numbered)
    : members_(groups.members.data()),
      most_(most),
      numbered_(numbered),
      order_(GroupShuffle::of_rows(seed, epoch, shuffle)),
      series_(order_series(groups, seed, epoch, shuffle)),
      line_(series_, most, positions) {}

// What positions stand on the line is found in runs, several steps at once: of one run the words of the line are
// prefetched, of the run in front of it the series are found and prefetched, and of the one in front of that
// act(step, series, ranks) uses them; it is called `more` times beyond the last run, with neither.
template <typename Index>
template <typename Act>
void SeriesRows<Index>::walk(const u64* positions, const Runs& runs, std::size_t more, Act act) const {
    constexpr u32 shift = sizeof(Index) == 4 ? 2 : 3;
    u64 series[2][at_once];
    u64 ranks[2][at_once];
    for (std::size_t step = 0; step < runs.number + 2 + more; ++step) {
        if (step < runs.number) {
            for (std::size_t i = 0; i < runs.length(step); ++i) {
                line_.prefetch(positions[runs.start(step) + i]);
            }
        }
        if (const std::size_t r = step - 1; r < runs.number) {
            line_.at(positions + runs.start(r), runs.length(r), series[r % 2], ranks[r % 2], series_.data(), shift + 1);
        }
        act(step - 2, series[step % 2], ranks[step % 2]);
    }
}

// Members are placed where the positions were, while those of the run in front are prefetched and those of the run in
// front of that one are loaded. Where a member is the number of its place there is nothing to load.
template <typename Index>
void SeriesRows<Index>::at(const u64* positions, std::size_t count, u64* out) const {
    const Runs runs{count};
    if (numbered_) {
        walk(positions, runs, 0, [&](std::size_t r, const u64* series, const u64* ranks) {
            for (std::size_t i = 0; r < runs.number && i < runs.length(r); ++i) {
                out[runs.start(r) + i] = series_[series[i]].offset + ranks[i];
            }
        });
        return;
    }
    constexpr u32 shift = sizeof(Index) == 4 ? 2 : 3;
    u64 ids[at_once];
    u64 counts[at_once];
    walk(positions, runs, 2, [&](std::size_t r, const u64* series, const u64* ranks) {
        const std::size_t prefetched = r - 1;
        const std::size_t loaded = r - 2;
        GatherAhead ahead{members_, shift, nullptr, 0};
        if (prefetched < runs.number) {
            ahead.prefetch = out + runs.start(prefetched);
            ahead.prefetch_count = runs.length(prefetched);
        }
        if (loaded < runs.number) {
            ahead.load = out + runs.start(loaded);
            ahead.load_count = runs.length(loaded);
        }
        if (r < runs.number) {
            const std::size_t n = runs.length(r);
            for (std::size_t i = 0; i < n; ++i) {
                const Series<Index> one = series_[series[i]];
                ids[i] = one.offset;
                counts[i] = one.count;
            }
            u64* const places = out + runs.start(r);
            order_.at(ids, counts, ranks, n, places, ahead);
            for (std::size_t i = 0; i < n; ++i) {
                places[i] += ids[i];
            }
        } else {
            gather_ahead(ahead);
        }
    });
}

template class SeriesRows<u32>;
template class SeriesRows<u64>;

}  // namespace tombola
