#include "tombola/plans/bucket_plan.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/base/prefetch.hpp"
#include "tombola/orders/group_shuffle.hpp"
#include "tombola/random/bijection.hpp"

namespace tombola {
namespace {

constexpr u64 exact_below = u64{1} << 16U;
constexpr u64 rows_a_task = u64{1} << 16U;
constexpr std::size_t at_once = 64;  // rows that are placed together, while those in front of them are prefetched
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

// visit(batch, words of its group) for the epoch's batches [first, last).
template <typename Index>
template <typename Visit>
void BucketPlan<Index>::visit_batches(u64 first, u64 last, Visit visit) const {
    constexpr bool with_words = std::is_invocable_v<Visit, const Batch&, const u32*>;
    u64 numbers[batches_at_once];
    u64 ids[batches_at_once];
    u32 words[4 * batches_at_once];
    Batch batches[batches_at_once];
    for (u64 t = first; t < last; t += batches_at_once) {
        const std::size_t n = static_cast<std::size_t>(std::min<u64>(batches_at_once, last - t));
        if (shuffle_) {
            order_.fill(t, n, numbers);
        } else {
            std::iota(numbers, numbers + n, t);
        }
        for (std::size_t i = 0; i < n; ++i) {
            batches[i] = batches_.at(groups_, numbers[i]);
            ids[i] = batches[i].id;
        }
        if constexpr (with_words) {
            rows_.own_words(ids, n, words);
            for (std::size_t i = 0; i < n; ++i) {
                visit(batches[i], words + 4 * i);
            }
        } else {
            std::for_each_n(batches, n, visit);
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

// The places of rows come first, into `out`; they are prefetched while the next ones are computed, and rows take their
// place as soon as they are there.
template <typename Index>
void BucketPlan<Index>::fill_batches(u64 first, u64 last, index_t* out) const {
    u64* const places = reinterpret_cast<u64*>(out);
    const Index* const members = groups_.members.data();
    constexpr u32 shift = sizeof(Index) == 4 ? 2 : 3;
    std::size_t placed = 0;
    std::size_t prefetched = 0;
    std::size_t loaded = 0;
    const auto load_until = [&](std::size_t stop) {
        for (; loaded < stop; ++loaded) {
            out[loaded] = static_cast<index_t>(members[places[loaded]]);
        }
    };
    const auto prefetch_until = [&](std::size_t stop) {
        for (; prefetched < stop; ++prefetched) {
            prefetch_far(members + places[prefetched]);
        }
    };
    visit_batches(first, last, [&](const Batch& batch, const u32* own) {
        const u64 id = batch.id;
        const bool is_network = rows_.is_network(batch.count);
        const Feistel network = is_network ? rows_.network(batch.count, own) : Feistel{};
        for (u64 t = 0; t < batch.rows; t += at_once) {
            const std::size_t n = static_cast<std::size_t>(std::min<u64>(batch.rows - t, at_once));
            u64* const mine = places + placed;
            if (is_network) {
                const std::size_t ready = placed - std::min<std::size_t>(placed, prefetch_distance);
                const GatherAhead ahead{.array = members,
                                        .shift = shift,
                                        .prefetch = places + prefetched,
                                        .prefetch_count = placed - prefetched,
                                        .load = places + loaded,
                                        .load_count = ready - loaded};
                kernels().feistel_gathering(network, batch.first + t, n, id, ahead, mine);
                prefetched = placed;
                loaded = ready;
            } else {
                rows_.fill(id, batch.count, batch.first + t, n, mine);
                for (std::size_t i = 0; i < n; ++i) {
                    mine[i] += id;
                }
                prefetch_until(placed + n);
            }
            placed += n;
            load_until(prefetched - std::min<std::size_t>(prefetched, prefetch_distance));
        }
    });
    prefetch_until(placed);
    load_until(placed);
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
    std::vector<u64> rows_before(tasks);
    parallel_for(static_cast<index_t>(tasks - 1), [&](index_t task) {
        const u64 from = first + static_cast<u64>(task) * step;
        visit_batches(from, std::min(last, from + step),
                      [&](const Batch& b) { rows_before[static_cast<std::size_t>(task) + 1] += b.rows; });
    });
    for (std::size_t task = 0; task + 1 < tasks; ++task) {
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
            const index_t given = sizes_.empty() ? batch_size : sizes_[g];
            if (given < 1) {
                throw std::invalid_argument("batch_sizes must be >= 1, but batch_sizes[" + std::to_string(g) +
                                            "] = " + std::to_string(given));
            }
            const u64 size = static_cast<u64>(given);
            const u64 count = u64{arrays.offsets[g + 1]} - arrays.offsets[g];
            firsts_[g] = batches;
            batches += count / size + (count % size != 0 && !drop_last ? 1 : 0);
            rows_ += drop_last ? count - count % size : count;
        }
    });
    firsts_[groups.groups()] = batches;
    while (batches >> guide_shift_ > groups.groups()) {
        ++guide_shift_;
    }
    guide_.reserve((batches >> guide_shift_) + 2);
    for (u64 g = 0; g < groups.groups(); ++g) {
        while (guide_.size() << guide_shift_ < firsts_[g + 1]) {
            guide_.push_back(g);
        }
    }
    guide_.push_back(groups.groups() - 1);
}

template <typename Index>
BucketBatches::Batch BucketBatches::at(const GroupArrays<Index>& groups, u64 number) const noexcept {
    const u64* const begin = firsts_.data() + 1;
    const u64* const from = guide_.data() + (number >> guide_shift_);
    const u64 group = static_cast<u64>(std::upper_bound(begin + from[0], begin + from[1], number) - begin);
    const u64 size = sizes_.empty() ? batch_size_ : static_cast<u64>(sizes_[group]);
    const u64 first = (number - firsts_[group]) * size;
    const u64 id = groups.offsets[group];
    const u64 count = u64{groups.offsets[group + 1]} - id;
    return {id, count, first, std::min(size, count - first)};
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
