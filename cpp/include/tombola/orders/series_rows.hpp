// The rows on an epoch's line of series (series_order.hpp), each series in its own shuffled order (group_shuffle.hpp).
// O(1) a position.
#pragma once

#include "tombola/orders/group_shuffle.hpp"
#include "tombola/orders/series_order.hpp"

namespace tombola {

template <typename Index>
class SeriesRows {
  public:
    // Each series gives min(its rows, most); positions from `positions` on are not asked for. `groups` is borrowed.
    // numbered: groups hold 0, 1, 2, ... one after the other, and the rows of a series keep that order.
    SeriesRows(const GroupArrays<Index>& groups, u64 most, u64 positions, u64 seed, u64 epoch, bool shuffle,
               bool numbered);

    // The rows at any positions.
    void at(const u64* positions, std::size_t count, u64* out) const;
    struct Part {
        u64 start;
        u64 stop;
    };
    // Where the series that covers a position starts and stops.
    Part series_at(u64 position) const noexcept {
        const auto [j, start] = line_.at(position);
        return {start, start + positions_of(series_[j])};
    }

  private:
    const Index* members_;
    u64 most_;
    bool numbered_;
    GroupShuffle order_;
    Buffer<Series<Index>> series_;
    SeriesLine<Index> line_;

    struct Runs;
    template <typename Act>
    void walk(const u64* positions, const Runs& runs, std::size_t more, Act act) const;
    u64 positions_of(const Series<Index>& series) const noexcept { return std::min<u64>(series.count, most_); }
};

}  // namespace tombola
