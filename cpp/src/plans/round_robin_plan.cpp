#include <algorithm>
#include <mutex>
#include <optional>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/base/per_process.hpp"
#include "tombola/base/prefetch.hpp"
#include "tombola/orders/group_shuffle.hpp"
#include "tombola/orders/series_order.hpp"
#include "tombola/plans/series_plan.hpp"

namespace tombola {
namespace {

constexpr u64 rows_a_task = u64{1} << 16U;
constexpr std::size_t at_once = 256;

// Consecutive rounds between which no series ends.
struct Level {
    u64 first_round;
    u64 start;   // position of the sequence
    u64 series;  // that still have rows
};

std::vector<Level> make_levels(const Groups& groups) {
    std::vector<Level> levels;
    u64 round = 0;
    u64 start = 0;
    u64 series = groups.groups();
    for (const CountClass& c : groups.counts()) {
        levels.push_back({round, start, series});
        start += (c.count - round) * series;
        round = c.count;
        series -= c.groups;
    }
    return levels;
}

// The series of a level, in the epoch's order. Level 0 has all of them, and no list.
template <typename Index>
struct LevelSeries {
    std::size_t level;
    Buffer<Index> series;
};

template <typename Index>
class RoundRobinPlan final : public Plan {
  public:
    RoundRobinPlan(std::shared_ptr<const Groups> owner, const GroupArrays<Index>& groups, bool shuffle,
                   const PlanOptions& options)
        : owner_(std::move(owner)),
          members_(groups.members.data()),
          batch_size_(options.batch_size),
          n_rows_(static_cast<index_t>(owner_->size())),
          rows_(GroupShuffle::of_rows(options.seed, options.epoch, shuffle)),
          series_(order_series(groups, options.seed, options.epoch, shuffle)),
          levels_(make_levels(*owner_)) {
        if (options.drop_last) {
            n_rows_ -= n_rows_ % batch_size_;
        }
    }

    index_t n_batches() const noexcept override { return n_rows_ / batch_size_ + (n_rows_ % batch_size_ != 0 ? 1 : 0); }
    index_t n_rows() const noexcept override { return n_rows_; }
    index_t offset(index_t batch) const override { return batch >= n_batches() ? n_rows_ : batch * batch_size_; }
    void fill(index_t start, index_t stop, std::span<index_t> rows) const override;

  private:
    using List = std::shared_ptr<const LevelSeries<Index>>;
    struct Recent {
        std::mutex mutex;  // held to look the list up or put it down, no longer
        List list;
    };

    std::shared_ptr<const Groups> owner_;
    const Index* members_;
    index_t batch_size_;
    index_t n_rows_;
    GroupShuffle rows_;
    Buffer<Series<Index>> series_;
    std::vector<Level> levels_;
    PerProcess<Recent> recent_;

    List list_of(std::size_t level) const;
    void fill_level(const Level& level, const Index* list, u64 first, u64 last, index_t* out) const;
};

// Filtered from the list of an earlier level, if that is the one at hand, else from all series.
template <typename Index>
typename RoundRobinPlan<Index>::List RoundRobinPlan<Index>::list_of(std::size_t level) const {
    Recent& recent = recent_.get();
    List known;
    {
        const std::lock_guard lock(recent.mutex);
        known = recent.list;
    }
    if (known && known->level == level) {
        return known;
    }
    const bool earlier = known && known->level < level;
    const u64 candidates = earlier ? known->series.size() : series_.size();
    auto list = std::make_shared<LevelSeries<Index>>(level, Buffer<Index>(levels_[level].series));
    const u64 round = levels_[level].first_round;
    u64 found = 0;
    for (u64 i = 0; i < candidates; ++i) {
        const Index j = earlier ? known->series[i] : static_cast<Index>(i);
        if (series_[j].count > round) {
            list->series[found++] = j;
        }
    }
    const std::lock_guard lock(recent.mutex);
    recent.list = list;
    return list;
}

// Positions [first, last) of the sequence, all in one level.
template <typename Index>
void RoundRobinPlan<Index>::fill_level(const Level& level, const Index* list, u64 first, u64 last, index_t* out) const {
    u64 ids[at_once];
    u64 counts[at_once];
    u64 ranks[at_once];
    u64 round = level.first_round + (first - level.start) / level.series;
    u64 i = (first - level.start) % level.series;
    for (u64 at = first; at < last; at += at_once) {
        const std::size_t n = static_cast<std::size_t>(std::min<u64>(at_once, last - at));
        for (std::size_t t = 0; t < n; ++t) {
            const Series<Index>& series = series_[list == nullptr ? i : u64{list[i]}];
            ids[t] = series.offset;
            counts[t] = series.count;
            ranks[t] = round;
            if (++i == level.series) {
                i = 0;
                ++round;
            }
        }
        rows_.at(ids, counts, ranks, n, ranks);
        for (std::size_t t = 0; t < n; ++t) {
            prefetch_far(members_ + ids[t] + ranks[t]);
        }
        for (std::size_t t = 0; t < n; ++t) {
            out[at - first + t] = static_cast<index_t>(members_[ids[t] + ranks[t]]);
        }
    }
}

template <typename Index>
void RoundRobinPlan<Index>::fill(index_t start, index_t stop, std::span<index_t> rows) const {
    u64 at = static_cast<u64>(offset(start));
    const u64 stop_at = static_cast<u64>(offset(stop));
    std::size_t level = static_cast<std::size_t>(
        std::upper_bound(levels_.begin(), levels_.end(), at, [](u64 x, const Level& l) { return x < l.start; }) -
        levels_.begin() - 1);
    index_t* out = rows.data();
    for (; at < stop_at; ++level) {
        const u64 end = level + 1 < levels_.size() ? std::min(stop_at, levels_[level + 1].start) : stop_at;
        const List list = level == 0 ? nullptr : list_of(level);
        const Index* const series = list ? list->series.data() : nullptr;
        const index_t tasks = static_cast<index_t>((end - at + rows_a_task - 1) / rows_a_task);
        parallel_for(tasks, [&](index_t task) {
            const u64 first = at + static_cast<u64>(task) * rows_a_task;
            fill_level(levels_[level], series, first, std::min(end, first + rows_a_task), out + (first - at));
        });
        out += end - at;
        at = end;
    }
}

}  // namespace

std::unique_ptr<const Plan> make_round_robin_plan(std::shared_ptr<const Groups> groups, bool shuffle,
                                                  const PlanOptions& options) {
    check_options(options);
    const Groups& all = *groups;
    return all.visit([&]<typename Index>(const GroupArrays<Index>& arrays) -> std::unique_ptr<const Plan> {
        return std::make_unique<const RoundRobinPlan<Index>>(std::move(groups), arrays, shuffle, options);
    });
}

}  // namespace tombola
