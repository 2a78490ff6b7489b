#include "tombola/orders/series_rows.hpp"

#include <algorithm>

namespace tombola {
namespace {

constexpr std::size_t at_once = 128;  // looked up together: memory is prefetched

}  // namespace

template <typename Index>
SeriesRows<Index>::SeriesRows(const GroupArrays<Index>& groups, u64 most, u64 positions, u64 seed, u64 epoch,
                              bool shuffle, bool numbered)
    : members_(groups.members.data()),
      most_(most),
      numbered_(numbered),
      order_(GroupShuffle::of_rows(seed, epoch, shuffle)),
      series_(order_series(groups, seed, epoch, shuffle)),
      line_(series_, most, positions) {}

// Runs of positions are in five steps at once: of one the words of the line are prefetched; of the next the series are
// found and prefetched; of the third the members are placed, where the positions were, while those of the run in front
// of it are prefetched and those of the run in front of that one are loaded.
template <typename Index>
void SeriesRows<Index>::at(const u64* positions, std::size_t count, u64* out) const {
    if (numbered_) {
        at_numbers(positions, count, out);
        return;
    }
    constexpr u32 shift = sizeof(Index) == 4 ? 2 : 3;
    u64 series[2][at_once];
    u64 ranks[2][at_once];
    u64 ids[at_once];
    u64 counts[at_once];
    const std::size_t n_runs = (count + at_once - 1) / at_once;
    const auto start = [&](std::size_t r) { return std::min(count, r * at_once); };
    const auto length = [&](std::size_t r) { return start(r + 1) - start(r); };
    for (std::size_t step = 0; step < n_runs + 4; ++step) {
        if (step < n_runs) {
            for (std::size_t i = 0; i < length(step); ++i) {
                line_.prefetch(positions[start(step) + i]);
            }
        }
        if (const std::size_t r = step - 1; r < n_runs) {
            line_.at(positions + start(r), length(r), series[r % 2], ranks[r % 2], series_.data(), shift + 1);
        }
        const std::size_t prefetched = step - 3;
        const std::size_t loaded = step - 4;
        GatherAhead ahead{members_, shift, nullptr, 0};
        if (prefetched < n_runs) {
            ahead.prefetch = out + start(prefetched);
            ahead.prefetch_count = length(prefetched);
        }
        if (loaded < n_runs) {
            ahead.load = out + start(loaded);
            ahead.load_count = length(loaded);
        }
        if (const std::size_t r = step - 2; r < n_runs) {
            const std::size_t n = length(r);
            for (std::size_t i = 0; i < n; ++i) {
                const Series<Index> one = series_[series[r % 2][i]];
                ids[i] = one.offset;
                counts[i] = one.count;
            }
            u64* const places = out + start(r);
            order_.at(ids, counts, ranks[r % 2], n, places, ahead);
            for (std::size_t i = 0; i < n; ++i) {
                places[i] += ids[i];
            }
        } else {
            gather_ahead(ahead);
        }
    }
}

// As above, where a member is the number of its place: in three steps.
template <typename Index>
void SeriesRows<Index>::at_numbers(const u64* positions, std::size_t count, u64* out) const {
    constexpr u32 shift = sizeof(Index) == 4 ? 2 : 3;
    u64 series[2][at_once];
    u64 ranks[2][at_once];
    const std::size_t n_runs = (count + at_once - 1) / at_once;
    const auto start = [&](std::size_t r) { return std::min(count, r * at_once); };
    const auto length = [&](std::size_t r) { return start(r + 1) - start(r); };
    for (std::size_t step = 0; step < n_runs + 2; ++step) {
        if (step < n_runs) {
            for (std::size_t i = 0; i < length(step); ++i) {
                line_.prefetch(positions[start(step) + i]);
            }
        }
        if (const std::size_t r = step - 1; r < n_runs) {
            line_.at(positions + start(r), length(r), series[r % 2], ranks[r % 2], series_.data(), shift + 1);
        }
        if (const std::size_t r = step - 2; r < n_runs) {
            for (std::size_t i = 0; i < length(r); ++i) {
                out[start(r) + i] = series_[series[r % 2][i]].offset + ranks[r % 2][i];
            }
        }
    }
}

template class SeriesRows<u32>;
template class SeriesRows<u64>;

}  // namespace tombola
