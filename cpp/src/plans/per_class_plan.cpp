#include "tombola/plans/per_class_plan.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/orders/group_shuffle.hpp"
#include "tombola/orders/series_order.hpp"

namespace tombola {
namespace {

constexpr u64 tuples_at_once = u64{1} << 20U;  // scheduled together
constexpr u64 rows_a_task = u64{1} << 16U;
constexpr u64 rows_a_run = 256;  // placed together, while those of the run in front of them are on their way

template <typename Index>
class PerClassPlan final : public Plan {
  public:
    PerClassPlan(std::shared_ptr<const Tuples> owner, const GroupArrays<Index>& classes, const PlanOptions& options)
        : owner_(std::move(owner)),
          each_(owner_->rows_per_class()),
          members_(classes.members.data()),
          classes_(with_tuples(classes, each_, owner_->tuples()->groups())),
          line_(in_tuples(classes_, each_), ~u64{0}, owner_->tuples()->size()),
          rows_(derive_key(options.seed, options.epoch, Purpose::tuple_rows),
                derive_key(options.seed, options.epoch, Purpose::tuple_keys), true),
          schedule_(make_balanced_plan(owner_->tuples(), {.per_series = 1, .shuffle = true, .numbered = true},
                                       in_tuples(options, each_))) {}

    index_t n_batches() const noexcept override { return schedule_->n_batches(); }
    index_t n_rows() const noexcept override { return schedule_->n_rows() * static_cast<index_t>(each_); }
    index_t offset(index_t batch) const override { return schedule_->offset(batch) * static_cast<index_t>(each_); }
    void fill(index_t start, index_t stop, std::span<index_t> rows) const override;

  private:
    std::shared_ptr<const Tuples> owner_;
    u64 each_;
    const Index* members_;
    Buffer<Series<Index>> classes_;  // those that have tuples
    SeriesLine<Index> line_;         // of tuples, class by class
    GroupShuffle rows_;
    std::unique_ptr<const Plan> schedule_;  // of tuples

    static Buffer<Series<Index>> with_tuples(const GroupArrays<Index>& classes, u64 each, u64 count);
    static Buffer<Series<Index>> in_tuples(const Buffer<Series<Index>>& classes, u64 each);
    static PlanOptions in_tuples(PlanOptions options, u64 each) {
        options.batch_size /= static_cast<index_t>(each);
        options.drop_last = true;
        return options;
    }
    void expand(const index_t* tuples, u64 count, index_t* out) const;
};

// Where all classes have tuples, `count` is their number; else those of fewer than `each` rows have none.
template <typename Index>
Buffer<Series<Index>> PerClassPlan<Index>::with_tuples(const GroupArrays<Index>& classes, u64 each, u64 count) {
    const bool is_all = count == classes.groups();
    Buffer<Series<Index>> out(count);
    u64 found = 0;
    for (u64 g = 0; g < classes.groups(); ++g) {
        const Index offset = classes.offsets[g];
        const Index rows = classes.offsets[g + 1] - offset;
        if (is_all || rows >= each) {
            out[found++] = {offset, rows};
        }
    }
    return out;
}

template <typename Index>
Buffer<Series<Index>> PerClassPlan<Index>::in_tuples(const Buffer<Series<Index>>& classes, u64 each) {
    Buffer<Series<Index>> out(classes.size());
    Index before = 0;
    for (u64 j = 0; j < classes.size(); ++j) {
        const Index tuples = static_cast<Index>(std::max<u64>(1, classes[j].count / each));
        out[j] = {before, tuples};
        before += tuples;
    }
    return out;
}

// Runs of whole tuples, or of parts of one: of one run the places among the members are found; of the run in front of
// it they are prefetched, of the one in front of that loaded.
template <typename Index>
void PerClassPlan<Index>::expand(const index_t* tuples, u64 count, index_t* out) const {
    constexpr u32 shift = sizeof(Index) == 4 ? 2 : 3;
    u64 positions[rows_a_run];
    u64 found[rows_a_run];
    u64 ordinals[rows_a_run];
    u64 ids[rows_a_run];
    u64 counts[rows_a_run];
    u64 ranks[rows_a_run];
    u64* const places = reinterpret_cast<u64*>(out);
    const u64 tuples_a_run = std::max<u64>(1, rows_a_run / each_);
    u64 placed = 0;
    u64 prefetched = 0;
    u64 loaded = 0;
    const auto ahead = [&] {
        const GatherAhead next{members_,           shift, places + prefetched, placed - prefetched, places + loaded,
                               prefetched - loaded};
        loaded = prefetched;
        prefetched = placed;
        return next;
    };
    for (u64 first = 0; first < count; first += tuples_a_run) {
        const u64 n = std::min(tuples_a_run, count - first);
        std::copy_n(tuples + first, n, positions);
        line_.at(positions, n, found, ordinals, classes_.data(), shift + 1);
        for (u64 start = 0; start < n * each_; start += rows_a_run) {  // several where a tuple is longer than a run
            const u64 rows = std::min(rows_a_run, n * each_ - start);
            u64 filled = 0;
            for (u64 tuple = start / each_, part = start % each_; filled < rows; ++tuple, part = 0) {
                const Series<Index> one = classes_[found[tuple]];
                const u64 first_rank = ordinals[tuple] * each_;
                for (const u64 stop = std::min(rows, filled + (each_ - part)); filled < stop; ++filled, ++part) {
                    const u64 rank = first_rank + part;
                    ids[filled] = one.offset;
                    counts[filled] = one.count;
                    ranks[filled] = rank < one.count ? rank : rank % one.count;
                }
            }
            const GatherAhead next = ahead();
            u64* const here = places + placed;
            rows_.at(ids, counts, ranks, rows, here, next);
            for (u64 i = 0; i < rows; ++i) {
                here[i] += ids[i];
            }
            placed += rows;
        }
    }
    gather_ahead(ahead());
    gather_ahead(ahead());
}

template <typename Index>
void PerClassPlan<Index>::fill(index_t start, index_t stop, std::span<index_t> rows) const {
    if (start >= stop) {
        return;
    }
    const u64 batch_tuples = static_cast<u64>(schedule_->offset(1));
    const index_t step = static_cast<index_t>(std::max<u64>(1, tuples_at_once / batch_tuples));
    std::vector<index_t> tuples;
    for (index_t from = start; from < stop; from += step) {
        const index_t to = std::min(stop, from + step);
        const u64 count = static_cast<u64>(to - from) * batch_tuples;
        tuples.resize(count);
        schedule_->fill(from, to, tuples);
        const u64 task_tuples = std::max<u64>(1, rows_a_task / each_);
        index_t* const out = rows.data() + static_cast<u64>(from - start) * batch_tuples * each_;
        parallel_for(static_cast<index_t>((count + task_tuples - 1) / task_tuples), [&](index_t task) {
            const u64 first = static_cast<u64>(task) * task_tuples;
            expand(tuples.data() + first, std::min(task_tuples, count - first), out + first * each_);
        });
    }
}

}  // namespace

Tuples::Tuples(std::shared_ptr<const Groups> classes, u64 rows_per_class, bool repeat)
    : classes_(std::move(classes)), rows_per_class_(rows_per_class) {
    const std::string each = std::to_string(rows_per_class);
    if (rows_per_class < 1) {
        throw std::invalid_argument("rows_per_class must be an integer >= 1, but is " + each);
    }
    std::vector<u64> counts;
    classes_->visit([&](const auto& a) {
        for (u64 g = 0; g < a.groups(); ++g) {
            const u64 rows = u64{a.offsets[g + 1]} - a.offsets[g];
            if (rows >= rows_per_class || repeat) {
                counts.push_back(std::max<u64>(1, rows / rows_per_class));
            }
        }
    });
    if (counts.empty()) {
        throw std::invalid_argument("some class must have rows_per_class = " + each + " rows, but the largest has " +
                                    std::to_string(classes_->largest()));
    }
    const bool wide = classes_->visit([]<typename Index>(const GroupArrays<Index>&) { return sizeof(Index) == 8; });
    tuples_ = std::make_shared<const Groups>(Groups::from_counts(counts, wide));
}

std::unique_ptr<const Plan> make_per_class_plan(std::shared_ptr<const Tuples> tuples, const PlanOptions& options) {
    check_options(options);
    if (static_cast<u64>(options.batch_size) % tuples->rows_per_class() != 0) {
        throw std::invalid_argument(
            "batch_size must be a multiple of rows_per_class = " + std::to_string(tuples->rows_per_class()) +
            ", but is " + std::to_string(options.batch_size));
    }
    const Groups& classes = tuples->classes();
    return classes.visit([&]<typename Index>(const GroupArrays<Index>& arrays) -> std::unique_ptr<const Plan> {
        return std::make_unique<const PerClassPlan<Index>>(std::move(tuples), arrays, options);
    });
}

}  // namespace tombola
