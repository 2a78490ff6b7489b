#include "tombola/bucket_plan.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "tombola/bijection.hpp"
#include "tombola/group_shuffle.hpp"
#include "tombola/parallel.hpp"

namespace tombola {
namespace {

constexpr u64 exact_below = u64{1} << 16U;
constexpr u64 rows_a_task = u64{1} << 16U;
constexpr std::size_t at_once = 512;  // rows that are looked up together: memory is asked for ahead of need
constexpr std::size_t batches_at_once = 64;

template <typename Index>
class BucketPlan final : public Plan {
  public:
    BucketPlan(std::shared_ptr<const Groups> owner, const GroupArrays<Index>& groups, std::span<const index_t> sizes,
               bool shuffle, const PlanOptions& options)
        : owner_(std::move(owner)),
          groups_(groups),
          batches_(*owner_, sizes, options.batch_size, options.drop_last),
          shuffle_(shuffle),
          order_(shuffle ? batches_.batches() : 0, derive_key(options.seed, options.epoch, Purpose::bucket_batches),
                 exact_below),
          rows_(GroupShuffle::of_rows(options.seed, options.epoch, shuffle)),
          batch_size_(static_cast<u64>(options.batch_size)) {}

    index_t n_batches() const noexcept override { return static_cast<index_t>(batches_.batches()); }
    index_t n_rows() const noexcept override { return static_cast<index_t>(batches_.rows()); }
    index_t offset(index_t batch) const override;
    void offsets(index_t start, index_t stop, std::span<index_t> out) const override;
    void fill(index_t start, index_t stop, std::span<index_t> rows) const override;

  private:
    using Batch = BucketBatches::Batch;

    std::shared_ptr<const Groups> owner_;
    const GroupArrays<Index>& groups_;
    BucketBatches batches_;
    bool shuffle_;
    Bijection order_;
    GroupShuffle rows_;
    u64 batch_size_;

    template <typename Visit>
    void visit_batches(u64 first, u64 last, Visit visit) const;
    void fill_batches(u64 first, u64 last, index_t* out) const;
};

// visit(batch) for the epoch's batches [first, last).
template <typename Index>
template <typename Visit>
void BucketPlan<Index>::visit_batches(u64 first, u64 last, Visit visit) const {
    u64 numbers[batches_at_once];
    for (u64 t = first; t < last; t += batches_at_once) {
        const std::size_t n = static_cast<std::size_t>(std::min<u64>(batches_at_once, last - t));
        if (shuffle_) {
            order_.fill(t, n, numbers);
        }
        for (std::size_t i = 0; i < n; ++i) {
            visit(batches_.at(groups_, shuffle_ ? numbers[i] : t + i));
        }
    }
}

template <typename Index>
index_t BucketPlan<Index>::offset(index_t batch) const {
    u64 rows = 0;
    visit_batches(0, static_cast<u64>(batch), [&](const Batch& b) { rows += b.rows; });
    return static_cast<index_t>(rows);
}

template <typename Index>
void BucketPlan<Index>::offsets(index_t start, index_t stop, std::span<index_t> out) const {
    index_t rows = 0;
    std::size_t i = 0;
    out[0] = 0;
    visit_batches(static_cast<u64>(start), static_cast<u64>(stop), [&](const Batch& b) {
        rows += static_cast<index_t>(b.rows);
        out[++i] = rows;
    });
}

template <typename Index>
void BucketPlan<Index>::fill_batches(u64 first, u64 last, index_t* out) const {
    u64 members[at_once];
    std::size_t pending = 0;
    const auto flush = [&] {
        for (std::size_t i = 0; i < pending; ++i) {
            out[i] = static_cast<index_t>(groups_.members[members[i]]);
        }
        out += pending;
        pending = 0;
    };
    visit_batches(first, last, [&](Batch batch) {
        const u64 id = groups_.offsets[batch.group];
        const u64 count = u64{groups_.offsets[batch.group + 1]} - id;
        while (batch.rows > 0) {
            const std::size_t n = static_cast<std::size_t>(std::min<u64>(batch.rows, at_once - pending));
            u64* const mine = members + pending;
            rows_.fill(id, count, batch.first, n, mine);
            for (std::size_t i = 0; i < n; ++i) {
                mine[i] += id;
                __builtin_prefetch(&groups_.members[mine[i]]);
            }
            pending += n;
            batch.first += n;
            batch.rows -= n;
            if (pending == at_once) {
                flush();
            }
        }
    });
    flush();
}

template <typename Index>
void BucketPlan<Index>::fill(index_t start, index_t stop, std::span<index_t> rows) const {
    if (start >= stop) {
        return;
    }
    const u64 first = static_cast<u64>(start);
    const u64 last = static_cast<u64>(stop);
    const u64 step = std::max<u64>(1, rows_a_task / batch_size_);
    const u64 tasks = (last - first + step - 1) / step;
    std::vector<u64> rows_before(tasks + 1);
    parallel_for(static_cast<index_t>(tasks), [&](index_t task) {
        const u64 from = first + static_cast<u64>(task) * step;
        visit_batches(from, std::min(last, from + step),
                      [&](const Batch& b) { rows_before[static_cast<std::size_t>(task) + 1] += b.rows; });
    });
    for (std::size_t task = 0; task < tasks; ++task) {
        rows_before[task + 1] += rows_before[task];
    }
    parallel_for(static_cast<index_t>(tasks), [&](index_t task) {
        const u64 from = first + static_cast<u64>(task) * step;
        fill_batches(from, std::min(last, from + step), rows.data() + rows_before[static_cast<std::size_t>(task)]);
    });
}

}  // namespace

BucketBatches::BucketBatches(const Groups& groups, std::span<const index_t> sizes, index_t batch_size, bool drop_last)
    : firsts_(groups.groups() + 1), sizes_(sizes.begin(), sizes.end()), batch_size_(static_cast<u64>(batch_size)) {
    if (!sizes.empty() && sizes.size() != groups.groups()) {
        throw std::invalid_argument("batch_sizes must have one entry for each of the " +
                                    std::to_string(groups.groups()) + " buckets, but have " +
                                    std::to_string(sizes.size()));
    }
    u64 batches = 0;
    groups.visit([&](const auto& arrays) {
        for (u64 g = 0; g < arrays.groups(); ++g) {
            const index_t wanted = sizes_.empty() ? batch_size : sizes_[g];
            if (wanted < 1) {
                throw std::invalid_argument("batch_sizes must be >= 1, but batch_sizes[" + std::to_string(g) +
                                            "] = " + std::to_string(wanted));
            }
            const u64 size = static_cast<u64>(wanted);
            const u64 count = u64{arrays.offsets[g + 1]} - arrays.offsets[g];
            firsts_[g] = batches;
            batches += count / size + (count % size != 0 && !drop_last ? 1 : 0);
            rows_ += drop_last ? count - count % size : count;
        }
    });
    firsts_[groups.groups()] = batches;
}

template <typename Index>
BucketBatches::Batch BucketBatches::at(const GroupArrays<Index>& groups, u64 number) const noexcept {
    const u64* const begin = firsts_.data();
    const u64 group = static_cast<u64>(std::upper_bound(begin, begin + firsts_.size(), number) - begin) - 1;
    const u64 size = sizes_.empty() ? batch_size_ : static_cast<u64>(sizes_[group]);
    const u64 first = (number - firsts_[group]) * size;
    const u64 count = u64{groups.offsets[group + 1]} - groups.offsets[group];
    return {group, first, std::min(size, count - first)};
}

std::unique_ptr<const Plan> make_bucket_plan(std::shared_ptr<const Groups> groups, std::span<const index_t> sizes,
                                             bool shuffle, const PlanOptions& options) {
    check_options(options);
    const Groups& all = *groups;
    return all.visit([&]<typename Index>(const GroupArrays<Index>& arrays) -> std::unique_ptr<const Plan> {
        return std::make_unique<const BucketPlan<Index>>(std::move(groups), arrays, sizes, shuffle, options);
    });
}

}  // namespace tombola
