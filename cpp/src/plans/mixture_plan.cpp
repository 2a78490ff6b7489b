#include "tombola/plans/mixture_plan.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "tombola/base/parallel.hpp"
#include "tombola/base/prefetch.hpp"
#include "tombola/orders/group_shuffle.hpp"
#include "tombola/random/bijection.hpp"

namespace tombola {
namespace {

constexpr u64 exact_below = u64{1} << 16U;
constexpr u64 rows_a_task = u64{1} << 15U;
constexpr std::size_t rows_a_run = 128;      // rows placed together, while those in front of them are on their way
constexpr u64 planned_rows = u64{1} << 20U;  // whose passes are there together, where these are plans

struct Span {
    endless_t first;
    endless_t last;

    u64 rows() const noexcept { return static_cast<u64>(last - first); }
};

using Passes = std::map<std::pair<u64, u64>, std::shared_ptr<const Plan>>;

template <typename Index>
class MixturePlan final : public Plan {
  public:
    MixturePlan(Mixture mixture, const GroupArrays<Index>& groups, const PlanOptions& options)
        : mixture_(std::move(mixture)),
          groups_(groups),
          contexts_(mixture_.context_firsts.size()),
          batch_size_(static_cast<u64>(options.batch_size)),
          seed_(options.seed),
          epoch_(options.epoch),
          rule_(std::move(mixture_.portions), mixture_.strata, mixture_.batches, batch_size_),
          order_(contexts_ > 1 ? mixture_.batches : 0,
                 derive_key(options.seed, options.epoch, Purpose::mixture_batches), exact_below) {
        share_groups();
    }

    index_t n_batches() const noexcept override { return static_cast<index_t>(mixture_.batches); }
    index_t n_rows() const noexcept override { return static_cast<index_t>(mixture_.batches * batch_size_); }
    index_t offset(index_t batch) const override { return batch * static_cast<index_t>(batch_size_); }
    void fill(index_t start, index_t stop, std::span<index_t> rows) const override;

  private:
    Mixture mixture_;
    const GroupArrays<Index>& groups_;
    u64 contexts_;
    u64 batch_size_;
    u64 seed_;
    u64 epoch_;
    PortionRule rule_;
    Bijection order_;                // of batches, where there are several contexts
    std::vector<endless_t> shifts_;  // [contexts][strata], where groups are shared: what others took of a group

    u64 batches_of(u64 context) const noexcept {
        const bool is_last = context + 1 == contexts_;
        return (is_last ? mixture_.batches : mixture_.context_firsts[context + 1]) - mixture_.context_firsts[context];
    }
    u64 group_of(u64 context, u64 stratum) const noexcept {
        return mixture_.context_groups[context * mixture_.strata + stratum];
    }
    void share_groups();
    u64 context_of(u64 batch) const noexcept;
    endless_t before(u64 stratum, u64 context, u64 batch) const noexcept {
        const endless_t own =
            rule_.before(stratum, epoch_, batches_of(context), batch - mixture_.context_firsts[context]);
        return shifts_.empty() ? own : own + shifts_[context * mixture_.strata + stratum];
    }
    Span positions(u64 stratum, u64 context, u64 first, u64 count) const noexcept {
        return {before(stratum, context, first), before(stratum, context, first + count)};
    }
    u64 rows_a_pass(u64 group) const noexcept {
        return has_plans(group) ? static_cast<u64>(mixture_.pass_rows[group])
                                : u64{groups_.offsets[group + 1]} - groups_.offsets[group];
    }
    bool has_plans(u64 group) const noexcept { return !mixture_.pass_rows.empty() && mixture_.pass_rows[group] > 0; }
    template <typename Visit>
    void visit_runs(u64 first, u64 last, Visit visit) const;
    Passes make_passes(u64 first, u64 last) const;
    void take(u64 group, Span span, const Passes& passes, index_t* out) const;
    void take_planned(const Plan& pass, u64 rank, std::size_t n, index_t* out) const;
    void take_shuffled(u64 group, u64 pass, u64 rank, std::size_t n, index_t* out) const;
    void fill_batches(u64 first, u64 last, const Passes& passes, index_t* out) const;
};

// What a context's own count of rows must be shifted by, so that contexts which share a group follow each other there,
// as epochs do. Numbers below 0 wrap around, as their sums do back.
template <typename Index>
void MixturePlan<Index>::share_groups() {
    const u64 strata = mixture_.strata;
    std::vector<u64> uses(groups_.groups());
    for (const u64 group : mixture_.context_groups) {
        ++uses[group];
    }
    if (std::none_of(uses.begin(), uses.end(), [](u64 n) { return n > 1; })) {
        return;
    }
    std::vector<endless_t> taken(groups_.groups());  // at first in the epochs before
    const auto own = [&](u64 context, u64 stratum, u64 batch) {
        return rule_.before(stratum, epoch_, batches_of(context), batch);
    };
    for (u64 i = 0; i < contexts_ * strata; ++i) {
        taken[mixture_.context_groups[i]] += own(i / strata, i % strata, 0);
    }
    shifts_.resize(contexts_ * strata);
    for (u64 i = 0; i < contexts_ * strata; ++i) {
        const endless_t first = own(i / strata, i % strata, 0);
        endless_t& here = taken[mixture_.context_groups[i]];
        shifts_[i] = here - first;
        here += own(i / strata, i % strata, batches_of(i / strata)) - first;
    }
}

template <typename Index>
u64 MixturePlan<Index>::context_of(u64 batch) const noexcept {
    const std::vector<u64>& firsts = mixture_.context_firsts;
    return static_cast<u64>(std::upper_bound(firsts.begin(), firsts.end(), batch) - firsts.begin()) - 1;
}

// visit(context, first, count, at) for runs of batches of one context that follow each other there; `at` batches of
// [first, last) lie in front.
template <typename Index>
template <typename Visit>
void MixturePlan<Index>::visit_runs(u64 first, u64 last, Visit visit) const {
    if (contexts_ == 1) {
        visit(u64{0}, first, last - first, u64{0});
        return;
    }
    constexpr std::size_t at_once = 64;
    u64 numbers[at_once];
    for (u64 t = first; t < last; t += at_once) {
        const std::size_t n = static_cast<std::size_t>(std::min<u64>(at_once, last - t));
        order_.fill(t, n, numbers);
        for (std::size_t i = 0; i < n; ++i) {
            visit(context_of(numbers[i]), numbers[i], u64{1}, t - first + i);
        }
    }
}

template <typename Index>
Passes MixturePlan<Index>::make_passes(u64 first, u64 last) const {
    Passes passes;
    visit_runs(first, last, [&](u64 context, u64 batch, u64 count, u64) {
        for (u64 s = 0; s < mixture_.strata; ++s) {
            const u64 group = group_of(context, s);
            if (!has_plans(group)) {
                continue;
            }
            const Span span = positions(s, context, batch, count);
            const u64 each = rows_a_pass(group);
            for (endless_t pass = span.first / each; pass * each < span.last; ++pass) {
                std::shared_ptr<const Plan>& made = passes[{group, static_cast<u64>(pass)}];
                if (made == nullptr) {
                    constexpr u64 largest = ~u64{0} / 2;
                    made = mixture_.make_pass(static_cast<index_t>(group), static_cast<index_t>(pass & largest));
                    if (static_cast<u64>(made->n_rows()) != each) {
                        throw std::invalid_argument("passes over a group must have as many rows each, " +
                                                    std::to_string(each) + ", but one has " +
                                                    std::to_string(made->n_rows()));
                    }
                }
            }
        }
    });
    return passes;
}

template <typename Index>
void MixturePlan<Index>::take_planned(const Plan& pass, u64 rank, std::size_t n, index_t* out) const {
    const index_t from = static_cast<index_t>(rank);
    const index_t size = pass.offset(1);
    const index_t start = from / size;
    const index_t stop = (from + static_cast<index_t>(n) + size - 1) / size;
    std::vector<index_t> rows(static_cast<std::size_t>(pass.offset(stop) - pass.offset(start)));
    pass.fill(start, stop, rows);
    std::copy_n(rows.data() + (from - pass.offset(start)), n, out);
}

template <typename Index>
void MixturePlan<Index>::take_shuffled(u64 group, u64 pass, u64 rank, std::size_t n, index_t* out) const {
    const u64 id = groups_.offsets[group];
    const Index* const members = groups_.members.data() + id;
    u64* const places = reinterpret_cast<u64*>(out);
    const GroupShuffle order(derive_key(seed_, pass, Purpose::mixture_rows),
                             derive_key(seed_, pass, Purpose::mixture_keys), true);
    std::size_t placed = 0;
    std::size_t prefetched = 0;
    std::size_t loaded = 0;
    // Of the places that are there, those behind `prefetched` are to be asked for, and those asked for long ago loaded.
    const auto ahead = [&] {
        const GatherAhead next{.array = members,
                               .shift = sizeof(Index) == 4 ? 2 : 3,
                               .prefetch = places + prefetched,
                               .prefetch_count = placed - prefetched,
                               .load = places + loaded,
                               .load_count = prefetched - loaded};
        loaded = prefetched;
        prefetched = placed;
        return next;
    };
    if (order.is_network(rows_a_pass(group))) {
        u32 own[4];
        order.own_words(&id, 1, own);
        const Feistel network = order.network(rows_a_pass(group), own);
        for (; placed < n; placed += std::min(n - placed, rows_a_run)) {
            const GatherAhead next = ahead();
            kernels().feistel_gathering(network, rank + placed, std::min(n - placed, rows_a_run), 0, next,
                                        places + placed);
        }
    } else {
        order.fill(id, rows_a_pass(group), rank, n, places);
        placed = n;
    }
    gather_ahead(ahead());
    gather_ahead(ahead());
}

// Positions of a group's sequence: its members, or what plans give.
template <typename Index>
void MixturePlan<Index>::take(u64 group, Span span, const Passes& passes, index_t* out) const {
    const u64 each = rows_a_pass(group);
    u64 pass = static_cast<u64>(span.first / each);
    u64 rank = static_cast<u64>(span.first % each);
    for (u64 left = span.rows(); left > 0; ++pass, rank = 0) {
        const std::size_t n = static_cast<std::size_t>(std::min(each - rank, left));
        if (has_plans(group)) {
            take_planned(*passes.at({group, pass}), rank, n, out);
        } else {
            take_shuffled(group, pass, rank, n, out);
        }
        left -= n;
        out += n;
    }
}

// Batches [first, last). A run's rows of one stratum are taken together, then dealt out to its batches.
template <typename Index>
void MixturePlan<Index>::fill_batches(u64 first, u64 last, const Passes& passes, index_t* out) const {
    std::vector<index_t> taken;  // not kept by the thread: a pass may be a mixture, and fill batches here
    visit_runs(first, last, [&](u64 context, u64 batch, u64 count, u64 at) {
        if (count == 1) {
            index_t* to = out + at * batch_size_;
            for (u64 s = 0; s < mixture_.strata; ++s) {
                const Span span = positions(s, context, batch, 1);
                take(group_of(context, s), span, passes, to);
                to += span.rows();
            }
            return;
        }
        std::vector<u64> filled(count);
        for (u64 s = 0; s < mixture_.strata; ++s) {
            const Span span = positions(s, context, batch, count);
            taken.resize(span.rows());
            take(group_of(context, s), span, passes, taken.data());
            endless_t from = span.first;
            for (u64 t = 0; t < count; ++t) {
                const Span part{from, before(s, context, batch + t + 1)};
                std::copy_n(taken.data() + static_cast<u64>(from - span.first), part.rows(),
                            out + (at + t) * batch_size_ + filled[t]);
                filled[t] += part.rows();
                from = part.last;
            }
        }
    });
}

template <typename Index>
void MixturePlan<Index>::fill(index_t start, index_t stop, std::span<index_t> rows) const {
    const u64 last = static_cast<u64>(std::max(start, stop));
    const u64 step = std::max<u64>(1, rows_a_task / batch_size_);
    const bool planned = !mixture_.pass_rows.empty();
    const u64 together = planned ? std::max<u64>(1, planned_rows / batch_size_) : last;
    index_t* out = rows.data();
    for (u64 first = static_cast<u64>(start); first < last; first += std::min(together, last - first)) {
        const u64 until = first + std::min(together, last - first);
        const Passes passes = planned ? make_passes(first, until) : Passes{};
        parallel_for(static_cast<index_t>((until - first + step - 1) / step), [&](index_t task) {
            const u64 from = static_cast<u64>(task) * step;
            fill_batches(first + from, std::min(until, first + from + step), passes, out + from * batch_size_);
        });
        out += (until - first) * batch_size_;
    }
}

void check(const Mixture& mixture, u64 batch_size) {
    const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
    const std::vector<u64>& firsts = mixture.context_firsts;
    const u64 groups = mixture.groups->groups();
    if (mixture.batches == 0 || mixture.batches >= static_cast<u64>(largest_size) / batch_size) {
        fail("an epoch must have a batch, and less than 2**61 rows, but has " + std::to_string(mixture.batches) +
             " batches of " + std::to_string(batch_size));
    }
    if (firsts.empty() || firsts.front() != 0 || firsts.back() >= mixture.batches ||
        std::adjacent_find(firsts.begin(), firsts.end(), [](u64 a, u64 b) { return a >= b; }) != firsts.end()) {
        fail("contexts must begin one behind the other, the first one with batch 0, and have a batch each");
    }
    if (mixture.strata == 0 || mixture.context_groups.size() != firsts.size() * mixture.strata ||
        std::any_of(mixture.context_groups.begin(), mixture.context_groups.end(),
                    [&](u64 group) { return group >= groups; })) {
        fail("contexts must have a group for each stratum, one of the " + std::to_string(groups) + " that there are");
    }
    if (!mixture.portions.positions.empty() && firsts.size() > 1) {
        fail("portions that differ from batch to batch must be of one context");
    }
    if (!mixture.pass_rows.empty() && mixture.pass_rows.size() != groups) {
        fail("pass_rows must be one for each group");
    }
}

}  // namespace

std::unique_ptr<const Plan> make_mixture_plan(Mixture mixture, const PlanOptions& options) {
    check_options(options);
    check(mixture, static_cast<u64>(options.batch_size));
    const Groups& groups = *mixture.groups;
    return groups.visit([&]<typename Index>(const GroupArrays<Index>& arrays) -> std::unique_ptr<const Plan> {
        return std::make_unique<const MixturePlan<Index>>(std::move(mixture), arrays, options);
    });
}

}  // namespace tombola
