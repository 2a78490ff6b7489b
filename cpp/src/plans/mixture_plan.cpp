#include "tombola/plans/mixture_plan.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "tombola/base/parallel.hpp"
#include "tombola/base/prefetch.hpp"
#include "tombola/orders/group_shuffle.hpp"

namespace tombola {
namespace {

constexpr u64 exact_below = u64{1} << 16U;
constexpr u64 rows_a_task = u64{1} << 15U;
constexpr unsigned share_bits = 53;

// floor(x F / 2^53 + 1/2)
u64 rounded(u64 x, u64 share) noexcept {
    __extension__ using u128 = unsigned __int128;
    return static_cast<u64>((static_cast<u128>(x) * share + (u64{1} << (share_bits - 1U))) >> share_bits);
}

struct Span {
    u64 first;
    u64 last;
};

using Passes = std::map<std::pair<u64, u64>, std::shared_ptr<const Plan>>;

template <typename Index>
class MixturePlan final : public Plan {
  public:
    MixturePlan(Mixture mixture, const GroupArrays<Index>& groups, const PlanOptions& options)
        : mixture_(std::move(mixture)),
          groups_(groups),
          strata_(mixture_.contexts.front().uses.size()),
          batch_size_(static_cast<u64>(options.batch_size)),
          seed_(options.seed),
          epoch_(options.epoch),
          order_(mixture_.contexts.size() > 1 ? mixture_.batches : 0,
                 derive_key(options.seed, options.epoch, Purpose::mixture_batches), exact_below) {}

    index_t n_batches() const noexcept override { return static_cast<index_t>(mixture_.batches); }
    index_t n_rows() const noexcept override { return static_cast<index_t>(mixture_.batches * batch_size_); }
    index_t offset(index_t batch) const override { return batch * static_cast<index_t>(batch_size_); }
    void fill(index_t start, index_t stop, std::span<index_t> rows) const override;

  private:
    Mixture mixture_;
    const GroupArrays<Index>& groups_;
    u64 strata_;
    u64 batch_size_;
    u64 seed_;
    u64 epoch_;
    Bijection order_;  // of batches, where there are several contexts

    const Context& context_of(u64 batch) const noexcept;
    u64 before(u64 stratum, const Context::Use& use, u64 batch) const noexcept;
    Span positions(u64 stratum, const Context::Use& use, u64 first, u64 count) const noexcept {
        return {before(stratum, use, first), before(stratum, use, first + count)};
    }
    u64 rows_a_pass(u64 group) const noexcept {
        const u64 own = mixture_.pass_rows.empty() ? 0 : static_cast<u64>(mixture_.pass_rows[group]);
        return own > 0 ? own : u64{groups_.offsets[group + 1]} - groups_.offsets[group];
    }
    bool has_plans(u64 group) const noexcept { return !mixture_.pass_rows.empty() && mixture_.pass_rows[group] > 0; }
    template <typename Visit>
    void visit_runs(u64 first, u64 last, Visit visit) const;
    Passes make_passes(u64 first, u64 last) const;
    void take(u64 group, Span span, const Passes& passes, index_t* out) const;
    void fill_batches(u64 first, u64 last, const Passes& passes, index_t* out) const;
};

template <typename Index>
const Context& MixturePlan<Index>::context_of(u64 batch) const noexcept {
    const auto behind = std::upper_bound(mixture_.contexts.begin(), mixture_.contexts.end(), batch,
                                         [](u64 b, const Context& c) { return b < c.first; });
    return *(behind - 1);
}

// Rows of a stratum in front of a batch, from the beginning of its sequence on.
template <typename Index>
u64 MixturePlan<Index>::before(u64 stratum, const Context::Use& use, u64 batch) const noexcept {
    const Portions& portions = mixture_.portions;
    if (!portions.positions.empty()) {
        const index_t* const mine = portions.positions.data() + stratum * (mixture_.batches + 1);
        return static_cast<u64>(mine[batch]) + epoch_ * static_cast<u64>(mine[mixture_.batches]);
    }
    const u64 x = epoch_ * use.batches + (batch - use.first);
    if (!portions.counts.empty()) {
        return x * portions.counts[stratum];
    }
    const u64 until = rounded(x * batch_size_, portions.shares[stratum]);
    return stratum == 0 ? until : until - rounded(x * batch_size_, portions.shares[stratum - 1]);
}

// visit(context, first, count, at) for runs of batches of one context that follow each other there; `at` batches of
// [first, last) lie in front.
template <typename Index>
template <typename Visit>
void MixturePlan<Index>::visit_runs(u64 first, u64 last, Visit visit) const {
    if (mixture_.contexts.size() == 1) {
        visit(mixture_.contexts.front(), first, last - first, u64{0});
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
    if (mixture_.pass_rows.empty()) {
        return passes;
    }
    visit_runs(first, last, [&](const Context& context, u64 batch, u64 count, u64) {
        for (u64 s = 0; s < strata_; ++s) {
            const Context::Use& use = context.uses[s];
            if (!has_plans(use.group)) {
                continue;
            }
            const Span span = positions(s, use, batch, count);
            const u64 each = rows_a_pass(use.group);
            for (u64 pass = span.first / each; pass * each < span.last; ++pass) {
                std::shared_ptr<const Plan>& made = passes[{use.group, pass}];
                if (made == nullptr) {
                    made = mixture_.make_pass(static_cast<index_t>(use.group), static_cast<index_t>(pass));
                }
            }
        }
    });
    return passes;
}

// Positions of a group's sequence: its members, or what plans give.
template <typename Index>
void MixturePlan<Index>::take(u64 group, Span span, const Passes& passes, index_t* out) const {
    const u64 each = rows_a_pass(group);
    const u64 id = groups_.offsets[group];
    const Index* const members = groups_.members.data() + id;
    while (span.first < span.last) {
        const u64 pass = span.first / each;
        const u64 rank = span.first % each;
        const std::size_t n = static_cast<std::size_t>(std::min(each - rank, span.last - span.first));
        if (has_plans(group)) {
            const Plan& plan = *passes.at({group, pass});
            const index_t from = static_cast<index_t>(rank);
            const index_t size = plan.offset(1);
            const index_t start = from / size;
            const index_t stop = (from + static_cast<index_t>(n) + size - 1) / size;
            std::vector<index_t> rows(static_cast<std::size_t>(plan.offset(stop) - plan.offset(start)));
            plan.fill(start, stop, rows);
            std::copy_n(rows.data() + (from - plan.offset(start)), n, out);
        } else {
            u64* const places = reinterpret_cast<u64*>(out);
            const GroupShuffle order(derive_key(seed_, pass, Purpose::mixture_rows),
                                     derive_key(seed_, pass, Purpose::mixture_keys), true);
            order.fill(id, each, rank, n, places);
            for (std::size_t i = 0; i < std::min<std::size_t>(n, prefetch_distance); ++i) {
                prefetch_far(members + places[i]);
            }
            for (std::size_t i = 0; i < n; ++i) {
                if (i + prefetch_distance < n) {
                    prefetch_far(members + places[i + prefetch_distance]);
                }
                out[i] = static_cast<index_t>(members[places[i]]);
            }
        }
        span.first += n;
        out += n;
    }
}

// Batches [first, last). A run's rows of one stratum are taken together, then dealt out to its batches.
template <typename Index>
void MixturePlan<Index>::fill_batches(u64 first, u64 last, const Passes& passes, index_t* out) const {
    thread_local std::vector<index_t> taken;
    visit_runs(first, last, [&](const Context& context, u64 batch, u64 count, u64 at) {
        if (count == 1) {
            index_t* to = out + at * batch_size_;
            for (u64 s = 0; s < strata_; ++s) {
                const Span span = positions(s, context.uses[s], batch, 1);
                take(context.uses[s].group, span, passes, to);
                to += span.last - span.first;
            }
            return;
        }
        std::vector<u64> filled(count);
        for (u64 s = 0; s < strata_; ++s) {
            const Context::Use& use = context.uses[s];
            const Span span = positions(s, use, batch, count);
            taken.resize(span.last - span.first);
            take(use.group, span, passes, taken.data());
            u64 from = span.first;
            for (u64 t = 0; t < count; ++t) {
                const u64 until = before(s, use, batch + t + 1);
                std::copy_n(taken.data() + (from - span.first), until - from, out + (at + t) * batch_size_ + filled[t]);
                filled[t] += until - from;
                from = until;
            }
        }
    });
}

template <typename Index>
void MixturePlan<Index>::fill(index_t start, index_t stop, std::span<index_t> rows) const {
    if (start >= stop) {
        return;
    }
    const u64 first = static_cast<u64>(start);
    const u64 last = static_cast<u64>(stop);
    const Passes passes = make_passes(first, last);
    const u64 step = std::max<u64>(1, rows_a_task / batch_size_);
    const auto body = [&](index_t task) {
        const u64 from = first + static_cast<u64>(task) * step;
        fill_batches(from, std::min(last, from + step), passes, rows.data() + (from - first) * batch_size_);
    };
    const u64 tasks = (last - first + step - 1) / step;
    parallel_for(static_cast<index_t>(tasks), body);
}

void check(const Mixture& mixture) {
    const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
    if (mixture.contexts.empty() || mixture.contexts.front().first != 0 || mixture.batches == 0) {
        fail("a mixture must have a context, whose first batch is 0, and batches");
    }
    const std::size_t strata = mixture.contexts.front().uses.size();
    const Portions& portions = mixture.portions;
    if (strata == 0 || (!portions.counts.empty() && portions.counts.size() != strata) ||
        (!portions.shares.empty() && portions.shares.size() != strata) ||
        (!portions.positions.empty() &&
         (portions.positions.size() != strata * (mixture.batches + 1) || mixture.contexts.size() != 1))) {
        fail("portions must be one for each stratum of a context, and for each batch where they differ");
    }
    if (!mixture.pass_rows.empty() && mixture.pass_rows.size() != mixture.groups->groups()) {
        fail("pass_rows must be one for each group");
    }
    u64 before = 0;
    for (const Context& context : mixture.contexts) {
        if (context.first < before || context.first >= mixture.batches || context.uses.size() != strata) {
            fail("contexts must begin one behind the other, within the batches, and all have as many strata");
        }
        before = context.first + 1;
        for (const Context::Use& use : context.uses) {
            if (use.group >= mixture.groups->groups() || use.first > context.first || use.batches == 0) {
                fail("contexts must use groups that there are, from a batch on that is not behind their first");
            }
        }
    }
}

}  // namespace

std::unique_ptr<const Plan> make_mixture_plan(Mixture mixture, const PlanOptions& options) {
    check_options(options);
    check(mixture);
    const Groups& groups = *mixture.groups;
    return groups.visit([&]<typename Index>(const GroupArrays<Index>& arrays) -> std::unique_ptr<const Plan> {
        return std::make_unique<const MixturePlan<Index>>(std::move(mixture), arrays, options);
    });
}

}  // namespace tombola
