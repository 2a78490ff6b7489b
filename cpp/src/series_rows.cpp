#include "tombola/series_rows.hpp"

#include <algorithm>

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

template <typename Index>
void SeriesRows<Index>::at(const u64* positions, std::size_t count, u64* out) const {
    u64 series[at_once];
    u64 ids[at_once];
    u64 counts[at_once];
    u64 ranks[at_once];
    for (std::size_t t = 0; t < count; t += at_once) {
        const std::size_t n = std::min(at_once, count - t);
        for (std::size_t i = 0; i < n; ++i) {
            line_.prefetch(positions[t + i]);
        }
        for (std::size_t i = 0; i < n; ++i) {
            const auto [j, start] = line_.at(positions[t + i]);
            series[i] = j;
            ranks[i] = positions[t + i] - start;
            __builtin_prefetch(&series_[j]);
        }
        for (std::size_t i = 0; i < n; ++i) {
            ids[i] = series_[series[i]].offset;
            counts[i] = series_[series[i]].count;
            __builtin_prefetch(members_ + ids[i]);
        }
        order_.at(ids, counts, ranks, n, ranks);
        for (std::size_t i = 0; i < n; ++i) {
            __builtin_prefetch(members_ + ids[i] + ranks[i]);
        }
        for (std::size_t i = 0; i < n; ++i) {
            out[t + i] = members_[ids[i] + ranks[i]];
        }
    }
}

template class SeriesRows<u32>;
template class SeriesRows<u64>;

}  // namespace tombola
