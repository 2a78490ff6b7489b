#include "tombola/series_rows.hpp"

#include <algorithm>

#include "tombola/prefetch.hpp"

namespace tombola {
namespace {

constexpr std::size_t at_once = 128;  // looked up together: memory is asked for ahead of need

}  // namespace

template <typename Index>
SeriesRows<Index>::SeriesRows(const GroupArrays<Index>& groups, u64 most, u64 positions, u64 seed, u64 epoch,
                              bool shuffle)
    : members_(groups.members.data()),
      most_(most),
      order_(GroupShuffle::of_rows(seed, epoch, shuffle)),
      series_(order_series(groups, seed, epoch, shuffle)),
      line_(series_, most, positions) {}

// Runs of positions are in four steps at once: of one the words of the line are asked for; of the next the series are
// found and asked for; of the third the members are placed, while those of the run in front of it are asked for; and of
// a fifth they are read.
template <typename Index>
void SeriesRows<Index>::at(const u64* positions, std::size_t count, u64* out) const {
    constexpr u32 shift = sizeof(Index) == 4 ? 2 : 3;
    constexpr std::size_t kept = 4;
    struct Run {
        u64 series[at_once];
        u64 ranks[at_once];
        u64 places[at_once];
    };
    Run runs[kept];
    u64 ids[at_once];
    u64 counts[at_once];
    const std::size_t n_runs = (count + at_once - 1) / at_once;
    const auto length = [&](std::size_t r) { return std::min(at_once, count - r * at_once); };
    for (std::size_t step = 0; step < n_runs + 4; ++step) {
        if (step < n_runs) {
            for (std::size_t i = 0; i < length(step); ++i) {
                line_.prefetch(positions[step * at_once + i]);
            }
        }
        if (const std::size_t r = step - 1; r < n_runs) {
            line_.at(positions + r * at_once, length(r), runs[r % kept].series, runs[r % kept].ranks, series_.data(),
                     shift + 1);
        }
        const std::size_t before = step - 3;
        if (const std::size_t r = step - 2; r < n_runs) {
            Run& run = runs[r % kept];
            const std::size_t n = length(r);
            for (std::size_t i = 0; i < n; ++i) {
                const Series<Index> series = series_[run.series[i]];
                ids[i] = series.offset;
                counts[i] = series.count;
            }
            const Wanted wanted{members_, shift, runs[before % kept].places, before < n_runs ? at_once : 0};
            order_.at(ids, counts, run.ranks, n, run.places, wanted);
            for (std::size_t i = 0; i < n; ++i) {
                run.places[i] += ids[i];
            }
        } else if (before < n_runs) {
            for (std::size_t i = 0; i < length(before); ++i) {
                prefetch_far(members_ + runs[before % kept].places[i]);
            }
        }
        if (const std::size_t r = step - 4; r < n_runs) {
            const u64* const places = runs[r % kept].places;
            for (std::size_t i = 0; i < length(r); ++i) {
                out[r * at_once + i] = members_[places[i]];
            }
        }
    }
}

template class SeriesRows<u32>;
template class SeriesRows<u64>;

}  // namespace tombola
