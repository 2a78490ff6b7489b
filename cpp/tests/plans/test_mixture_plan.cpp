// Mixtures: so many rows of each stratum a batch, each stratum in passes over its rows; contexts, and groups that they
// share; passes that are plans, mixtures among them, and what happens when one fails; any run of batches equals the
// same part of the whole, whatever the threads and the width of members. ctest-label: threads
#include <map>

#include "check.hpp"
#include "plans/whole.hpp"
#include "reference.hpp"
#include "tombola/plans/mixture_plan.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

using Rows = std::vector<index_t>;

// Group g has counts[g] rows, which are numbered one after the other.
std::shared_ptr<const Groups> groups_of(const std::vector<u64>& counts, bool wide = false) {
    return std::make_shared<const Groups>(Groups::from_counts(counts, wide));
}

u64 group_of(const std::vector<u64>& counts, index_t row) {
    u64 group = 0;
    for (u64 end = counts[0]; end <= static_cast<u64>(row); end += counts[group]) {
        ++group;
    }
    return group;
}

Mixture counted(std::shared_ptr<const Groups> groups, const std::vector<u64>& takes, u64 batches) {
    std::vector<u64> used(takes.size());
    for (u64 s = 0; s < used.size(); ++s) {
        used[s] = s;
    }
    return {std::move(groups), takes.size(), {takes, {}, {}}, batches, {0}, used, {}, {}};
}

PlanOptions options_of(index_t batch_size, u64 epoch = 0) { return {batch_size, 1, false, 7, epoch}; }

void check_runs(const Plan& plan, const Whole& whole) {
    const index_t n = plan.n_batches();
    CHECK_EQ(whole.offsets.back(), plan.n_rows());
    for (u64 i = 0; i < 12; ++i) {
        const index_t start = static_cast<index_t>(noise(21, i) % static_cast<u64>(n + 1));
        const index_t stop = std::min(n, start + static_cast<index_t>(noise(22, i) % 900));
        const Whole part = read(plan, start, stop);
        CHECK(std::equal(part.rows.begin(), part.rows.end(), whole.rows.begin() + plan.offset(start)));
    }
}

// Rows of a group over epochs come pass after pass.
void check_passes(const std::vector<u64>& counts, const Rows& rows) {
    std::map<u64, Rows> by_group;
    for (const index_t row : rows) {
        by_group[group_of(counts, row)].push_back(row);
    }
    for (const auto& [group, came] : by_group) {
        std::map<index_t, u64> times;
        for (std::size_t i = 0; i < came.size(); ++i) {
            CHECK_EQ(times[came[i]]++, i / counts[group]);
        }
    }
}

// A plan whose rows are those of a group in order, from a shift on; its batches have 3 rows.
class Shifted final : public Plan {
  public:
    Shifted(index_t first, index_t count, index_t shift) : first_(first), count_(count), shift_(shift) {}
    index_t n_batches() const noexcept override { return (count_ + 2) / 3; }
    index_t n_rows() const noexcept override { return count_; }
    index_t offset(index_t batch) const override { return std::min(count_, 3 * batch); }
    void fill(index_t start, index_t stop, std::span<index_t> rows) const override {
        for (index_t i = offset(start); i < offset(stop); ++i) {
            rows[static_cast<std::size_t>(i - offset(start))] = first_ + (i + shift_) % count_;
        }
    }

  private:
    index_t first_;
    index_t count_;
    index_t shift_;
};

}  // namespace

TEST(rows_a_batch) {
    for (const std::vector<u64>& counts : {std::vector<u64>{5, 700}, {1, 64}, {65, 64}, {130, 40'000}}) {
        for (const std::vector<u64>& takes : {std::vector<u64>{1, 3}, {40, 1}, {100, 3000}}) {
            const index_t size = static_cast<index_t>(takes[0] + takes[1]);
            Rows rows;
            for (u64 epoch = 0; epoch < 3; ++epoch) {
                const auto plan = make_mixture_plan(counted(groups_of(counts), takes, 101), options_of(size, epoch));
                CHECK_EQ(plan->n_batches(), index_t{101});
                CHECK_EQ(plan->n_rows(), 101 * size);
                const Whole whole = read(*plan, 0, 101);
                check_runs(*plan, whole);
                for (std::size_t i = 0; i < whole.rows.size(); ++i) {
                    const u64 stratum = i % static_cast<std::size_t>(size) < takes[0] ? 0 : 1;
                    CHECK_EQ(group_of(counts, whole.rows[i]), stratum);
                }
                for (const int threads : thread_counts()) {
                    set_num_threads(threads);
                    const auto groups = groups_of(counts, threads == 4);
                    CHECK(read(*make_mixture_plan(counted(groups, takes, 101), options_of(size, epoch)), 0, 101) ==
                          whole);
                }
                rows.insert(rows.end(), whole.rows.begin(), whole.rows.end());
            }
            check_passes(counts, rows);
        }
    }
}

TEST(shares_never_take_less_than_nothing) {
    // shares of 0.505, 0.005 and 0.49: the last two are joined, then the first
    const auto units = [](double share) { return static_cast<u64>(share * 9007199254740992.0); };
    const std::vector<Split> splits{{1, 2, units(0.005 / 0.495)}, {3, 0, units(0.495)}};
    for (const u64 size : {u64{1}, u64{64}, u64{1000}}) {
        const PortionRule rule({{}, splits, {}}, 3, 400, size);
        for (const u64 epoch : {u64{0}, u64{1}, u64{1} << 40U, ~u64{0} / 2}) {
            const double expected[] = {0.505, 0.005, 0.49};
            std::vector<endless_t> before{rule.before(0, epoch, 400, 0), rule.before(1, epoch, 400, 0),
                                          rule.before(2, epoch, 400, 0)};
            for (u64 batch = 1; batch <= 400; ++batch) {
                endless_t sum = 0;
                for (u64 s = 0; s < 3; ++s) {
                    const endless_t after = rule.before(s, epoch, 400, batch);
                    CHECK(after >= before[s]);
                    before[s] = after;
                    sum += after;
                    if (epoch == 0) {
                        const double error =
                            static_cast<double>(after) - expected[s] * static_cast<double>(batch * size);
                        CHECK(error < 1 && error > -1);
                    }
                }
                CHECK(sum == (static_cast<endless_t>(epoch) * 400 + batch) * size);
            }
        }
    }
}

TEST(contexts_and_a_group_that_they_share) {
    // group 0 is of all three contexts, 1 to 3 are of one each
    const std::vector<u64> counts{7, 40, 65, 20};
    Rows rows;
    for (u64 epoch = 0; epoch < 4; ++epoch) {
        for (const int threads : thread_counts()) {
            set_num_threads(threads);
            const std::vector<Split> splits{{0, 1, u64{1} << 51U}};  // a quarter
            const Mixture mixture{
                groups_of(counts, threads == 4), 2, {{}, splits, {}}, 120, {0, 50, 110}, {0, 1, 0, 2, 0, 3}, {}, {}};
            const auto plan = make_mixture_plan(mixture, options_of(6, epoch));
            const Whole whole = read(*plan, 0, 120);
            check_runs(*plan, whole);
            std::map<u64, u64> batches;
            for (std::size_t k = 0; k < 120; ++k) {
                const u64 context = group_of(counts, whole.rows[6 * k + 5]);
                ++batches[context];
                u64 shared = 0;
                for (std::size_t i = 0; i < 6; ++i) {
                    const u64 group = group_of(counts, whole.rows[6 * k + i]);
                    CHECK(group == 0 || group == context);
                    shared += group == 0 ? 1U : 0U;
                }
                CHECK(shared == 1 || shared == 2);
            }
            CHECK((batches == std::map<u64, u64>{{1, 50}, {2, 60}, {3, 10}}));
            if (threads == 1) {
                rows.insert(rows.end(), whole.rows.begin(), whole.rows.end());
            }
        }
    }
    std::map<index_t, u64> times;
    for (const index_t row : rows) {
        ++times[row];
    }
    u64 first = 0;
    for (const u64 count : counts) {  // each row of a group as often as the others or once more
        u64 least = ~u64{0};
        u64 most = 0;
        for (u64 row = first; row < first + count; ++row) {
            least = std::min(least, times[static_cast<index_t>(row)]);
            most = std::max(most, times[static_cast<index_t>(row)]);
        }
        CHECK(most - least <= 1);
        first += count;
    }
}

TEST(portions_that_differ_from_batch_to_batch) {
    const std::vector<index_t> positions{0, 0, 3, 4, 9, 0, 5, 7, 11, 11};
    Mixture mixture = counted(groups_of({4, 9}), {}, 4);
    mixture.strata = 2;
    mixture.portions.positions = positions;
    mixture.context_groups = {0, 1};
    Rows rows;
    for (u64 epoch = 0; epoch < 3; ++epoch) {
        const auto plan = make_mixture_plan(mixture, options_of(5, epoch));
        const Whole whole = read(*plan, 0, 4);
        for (std::size_t k = 0; k < 4; ++k) {
            const auto batch = whole.rows.begin() + static_cast<std::ptrdiff_t>(5 * k);
            CHECK_EQ(std::count_if(batch, batch + 5, [](index_t row) { return row < 4; }),
                     positions[k + 1] - positions[k]);
        }
        rows.insert(rows.end(), whole.rows.begin(), whole.rows.end());
    }
    check_passes({4, 9}, rows);
}

TEST(passes_that_are_plans) {
    const std::vector<u64> counts{50, 8};
    std::atomic<int> made{0};
    Mixture mixture = counted(groups_of(counts), {4, 1}, 1000);
    mixture.pass_rows = {0, 8};
    mixture.make_pass = [&made](index_t group, index_t pass) {
        CHECK_EQ(group, index_t{1});
        ++made;
        return std::make_shared<const Shifted>(50, 8, pass);
    };
    const auto plan = make_mixture_plan(mixture, options_of(5, 3));
    const Whole whole = read(*plan, 0, 1000);
    CHECK_EQ(made, 125);
    check_runs(*plan, whole);
    for (u64 k = 0; k < 1000; ++k) {
        const u64 at = 3000 + k;
        CHECK_EQ(static_cast<u64>(whole.rows[5 * k + 4]), 50 + (at % 8 + at / 8) % 8);
    }
    // a pass that is a mixture itself fills its batches while those of this one are filled
    const auto inner = [&](index_t, index_t pass) -> std::shared_ptr<const Plan> {
        return make_mixture_plan(counted(groups_of({50, 8}), {1, 3}, 2), options_of(4, static_cast<u64>(pass)));
    };
    Mixture outer = mixture;
    outer.make_pass = inner;
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        const auto nested = make_mixture_plan(outer, options_of(5));
        check_runs(*nested, read(*nested, 0, 1000));
    }
}

TEST(passes_that_fail) {
    Mixture mixture = counted(groups_of({50, 8}), {4, 1}, 1000);
    mixture.pass_rows = {0, 8};
    mixture.make_pass = [](index_t, index_t pass) -> std::shared_ptr<const Plan> {
        if (pass == 3) {
            throw std::runtime_error("no fourth pass");
        }
        return std::make_shared<const Shifted>(50, pass == 9 ? 7 : 8, 0);
    };
    const auto plan = make_mixture_plan(mixture, options_of(5));
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        CHECK_THROWS_WITH(std::runtime_error, "no fourth pass", read(*plan, 0, 1000));
        CHECK_THROWS_WITH(std::runtime_error, "no fourth pass", read(*plan, 24, 25));
        CHECK_THROWS_WITH(std::invalid_argument, "as many rows each, 8, but one has 7", read(*plan, 72, 73));
        CHECK_EQ(read(*plan, 0, 24).rows.size(), std::size_t{120});
        CHECK_EQ(read(*plan, 32, 72).rows.size(), std::size_t{200});
    }
}

TEST(epochs_without_end) {
    for (const u64 epoch : {u64{1} << 40U, u64{1} << 62U, ~u64{0} / 2}) {
        const auto plan = make_mixture_plan(counted(groups_of({3, 40}), {2, 5}, u64{1} << 40U), options_of(7, epoch));
        for (const index_t k : {index_t{0}, index_t{12345}, (index_t{1} << 40U) - 30}) {
            const Whole some = read(*plan, k, k + 30);
            for (std::size_t i = 0; i < some.rows.size(); ++i) {
                CHECK_EQ(some.rows[i] < 3, i % 7 < 2);
            }
        }
    }
}

TEST(wrong_mixtures) {
    const auto groups = groups_of({3, 4});
    const auto make = [&](auto change) {
        Mixture mixture = counted(groups, {1, 3}, 5);
        change(mixture);
        return make_mixture_plan(mixture, options_of(4));
    };
    CHECK_EQ(make([](Mixture&) {})->n_rows(), index_t{20});
    CHECK_THROWS_WITH(std::invalid_argument, "sum to the batch size",
                      make([](Mixture& m) { m.portions.counts = {1, 2}; }));
    CHECK_THROWS_WITH(std::invalid_argument, "sum to the batch size",  // modulo 2^64 they do
                      make([](Mixture& m) { m.portions.counts = {~u64{0}, 5}; }));
    CHECK_THROWS_WITH(std::invalid_argument, "must have a batch", make([](Mixture& m) { m.batches = 0; }));
    CHECK_THROWS_WITH(std::invalid_argument, "less than 2**61 rows",
                      make([](Mixture& m) { m.batches = u64{1} << 60U; }));
    CHECK_THROWS_WITH(std::invalid_argument, "one behind the other", make([](Mixture& m) { m.context_firsts = {}; }));
    CHECK_THROWS_WITH(std::invalid_argument, "one of the 2", make([](Mixture& m) { m.context_groups = {0, 2}; }));
    CHECK_THROWS_WITH(std::invalid_argument, "one for each group", make([](Mixture& m) { m.pass_rows = {1}; }));
    CHECK_THROWS_WITH(std::invalid_argument, "each part once",
                      make([](Mixture& m) { m.portions = {{}, {{0, 0, 1}}, {}}; }));
    const std::vector<index_t> positions{0, 4};
    CHECK_THROWS_WITH(std::invalid_argument, "in front of it",
                      make([&](Mixture& m) { m.portions = {{}, {}, positions}; }));
    // Modulo 2^64: 33 strata of so many batches have 17 positions, and these fill a batch of 4.
    const std::vector<index_t> few(17);
    CHECK_THROWS_WITH(std::invalid_argument, "in front of it", make([&](Mixture& m) {
                          m.strata = 33;
                          m.context_groups.assign(33, 0);
                          m.batches = 558'992'244'657'865'200U;
                          m.portions = {{}, {}, few};
                      }));
    constexpr index_t most = std::numeric_limits<index_t>::max();
    const std::vector<index_t> huge{0, most, 0, most, 0, 6};
    CHECK_THROWS_WITH(std::invalid_argument, "fill each batch", make([&](Mixture& m) {
                          m.strata = 3;
                          m.context_groups = {0, 0, 1};
                          m.batches = 1;
                          m.portions = {{}, {}, huge};
                      }));
}
