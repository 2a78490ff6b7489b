// Series plans: every row once, at most per_series rows of a series in a batch, as few batches as possible, all full
// with drop_last; any run of batches equals the same part of the whole, whatever the threads and the width of members;
// the borders between layers; round robin against its definition. ctest-label: threads
#include <map>

#include "check.hpp"
#include "plans/whole.hpp"
#include "reference.hpp"
#include "tombola/orders/group_shuffle.hpp"
#include "tombola/orders/layer_shuffle.hpp"
#include "tombola/orders/series_order.hpp"
#include "tombola/plans/series_plan.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

std::vector<std::int64_t> series_of(const std::vector<u64>& counts) {
    std::vector<std::int64_t> keys;
    for (std::size_t s = 0; s < counts.size(); ++s) {
        keys.insert(keys.end(), counts[s], static_cast<std::int64_t>(s));
    }
    for (std::size_t i = keys.size(); i > 1; --i) {
        std::swap(keys[i - 1], keys[noise(5, i) % i]);
    }
    return keys;
}

std::vector<u64> repeat(u64 series, u64 count) { return std::vector<u64>(series, count); }

std::vector<u64> random_counts(u64 series, u64 most, u64 key) {
    std::vector<u64> counts;
    for (u64 s = 0; s < series; ++s) {
        counts.push_back(1 + noise(key, s) % most);
    }
    return counts;
}

std::vector<u64> with_dominant(std::vector<u64> counts, u64 dominant) {
    counts.insert(counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2), dominant);
    return counts;
}

std::shared_ptr<const Groups> group(const std::vector<std::int64_t>& keys, bool wide = false) {
    return std::make_shared<const Groups>(Groups::from_keys<std::int64_t>(keys, {}, wide));
}

void check_runs(const Plan& plan, const Whole& whole) {
    const index_t n = plan.n_batches();
    CHECK_EQ(whole.offsets.back(), plan.n_rows());
    for (u64 i = 0; i < 12; ++i) {
        const index_t start = static_cast<index_t>(noise(21, i) % static_cast<u64>(n + 1));
        const index_t stop = std::min(n, start + static_cast<index_t>(noise(22, i) % 3000));
        const Whole part = read(plan, start, stop);
        const index_t first = whole.offsets[static_cast<std::size_t>(start)];
        CHECK_EQ(plan.offset(start), first);
        CHECK(std::equal(part.rows.begin(), part.rows.end(), whole.rows.begin() + first));
        for (std::size_t b = 0; b < part.offsets.size(); ++b) {
            CHECK_EQ(part.offsets[b], whole.offsets[static_cast<std::size_t>(start) + b] - first);
        }
    }
}

void check_balanced(const std::vector<u64>& counts, index_t batch_size, index_t per_series, bool drop_last,
                    bool shuffle = true) {
    const std::vector<std::int64_t> keys = series_of(counts);
    const PlanOptions options{batch_size, 3, drop_last, 7, 2};
    const SeriesOptions series{per_series, shuffle};
    const auto plan = make_balanced_plan(group(keys), series, options);
    const Whole whole = read(*plan, 0, plan->n_batches());
    std::vector<u64> uses(keys.size());
    std::size_t smallest = keys.size();
    std::size_t largest = 0;
    for (index_t k = 0; k < plan->n_batches(); ++k) {
        std::map<std::int64_t, index_t> in_batch;
        const index_t start = whole.offsets[static_cast<std::size_t>(k)];
        const index_t stop = whole.offsets[static_cast<std::size_t>(k) + 1];
        bool allowed = true;
        for (index_t i = start; i < stop; ++i) {
            const std::size_t row = static_cast<std::size_t>(whole.rows[static_cast<std::size_t>(i)]);
            ++uses.at(row);
            allowed = allowed && ++in_batch[keys[row]] <= per_series;
        }
        CHECK(allowed);
        smallest = std::min(smallest, static_cast<std::size_t>(stop - start));
        largest = std::max(largest, static_cast<std::size_t>(stop - start));
    }
    const u64 size = static_cast<u64>(batch_size);
    const u64 most = *std::max_element(counts.begin(), counts.end());
    if (drop_last) {
        CHECK(plan->n_batches() == 0 || (smallest == size && largest == size));
        CHECK(*std::max_element(uses.begin(), uses.end()) <= 1);
        const auto rows_for = [&](u64 batches) {
            u64 rows = 0;
            for (const u64 count : counts) {
                rows += std::min(count, static_cast<u64>(per_series) * batches);
            }
            return rows;
        };
        const u64 batches = static_cast<u64>(plan->n_batches());
        CHECK(rows_for(batches) >= batches * size);
        CHECK(rows_for(batches + 1) < (batches + 1) * size);
    } else {
        CHECK(std::all_of(uses.begin(), uses.end(), [](u64 n) { return n == 1; }));
        CHECK(largest <= size && largest - smallest <= 1);
        const u64 parts = (most + static_cast<u64>(per_series) - 1) / static_cast<u64>(per_series);
        CHECK_EQ(static_cast<u64>(plan->n_batches()), std::max((keys.size() + size - 1) / size, parts));
    }
    check_runs(*plan, whole);
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        CHECK(read(*make_balanced_plan(group(keys, threads == 4), series, options), 0, plan->n_batches()) == whole);
    }
}

void check_round_robin(const std::vector<u64>& counts, index_t batch_size, bool shuffle) {
    const std::vector<std::int64_t> keys = series_of(counts);
    const auto groups = group(keys);
    const PlanOptions options{batch_size, 1, false, 7, 2};
    Whole expected{{}, {0}};
    groups->visit([&](const auto& arrays) {
        const auto order = order_series(arrays, 7, 2, shuffle);
        const GroupShuffle inside = GroupShuffle::of_rows(7, 2, shuffle);
        for (u64 round = 0; round < groups->largest(); ++round) {
            for (std::size_t j = 0; j < order.size(); ++j) {
                const u64 id = order[j].offset;
                const u64 count = order[j].count;
                u64 member = round;
                if (round < count) {
                    inside.at(&id, &count, &member, 1, &member);
                    expected.rows.push_back(static_cast<index_t>(arrays.members[id + member]));
                }
            }
        }
    });
    const index_t n = static_cast<index_t>(keys.size());
    for (index_t at = 0; at < n;) {
        at = std::min(n, at + batch_size);
        expected.offsets.push_back(at);
    }
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        const auto plan = make_round_robin_plan(group(keys, threads == 4), shuffle, options);
        CHECK(read(*plan, 0, plan->n_batches()) == expected);
        check_runs(*plan, expected);
        PlanOptions dropping = options;
        dropping.drop_last = true;
        CHECK_EQ(make_round_robin_plan(groups, shuffle, dropping)->n_rows(), n - n % batch_size);
    }
}

}  // namespace

TEST(balanced) {
    for (const bool drop_last : {false, true}) {
        for (const index_t per_series : {1, 2, 3}) {
            for (const index_t batch_size : {1, 2, 7, 64, 5000}) {
                check_balanced(random_counts(90, 12, 1), batch_size, per_series, drop_last);
                check_balanced(repeat(130, 1), batch_size, per_series, drop_last);
                check_balanced({97}, batch_size, per_series, drop_last);
                check_balanced(with_dominant(random_counts(40, 5, 2), 150), batch_size, per_series, drop_last);
                check_balanced({1}, batch_size, per_series, drop_last);
            }
        }
    }
}

TEST(balanced_in_order) {
    for (const bool drop_last : {false, true}) {
        check_balanced(random_counts(300, 12, 1), 16, 1, drop_last, false);
        check_balanced(with_dominant(random_counts(40, 5, 2), 150), 8, 2, drop_last, false);
    }
}

TEST(many_batches_in_blocks) {
    constexpr u64 fewest = 4 << 14;
    for (const bool drop_last : {false, true}) {
        check_balanced(random_counts(40'000, 7, 3), 2, 1, drop_last);
        check_balanced(repeat(70'000, 3), 3, 1, drop_last);
        check_balanced(with_dominant(random_counts(66'000, 5, 4), 64), 3, 2, drop_last);
    }
    check_balanced(repeat(fewest, 1), 1, 1, false);
    check_balanced(repeat(fewest - 1, 1), 1, 1, false);
    check_balanced(repeat(2 * fewest + 1, 1), 2, 1, false);
    check_balanced(repeat(fewest + 1024, 2), 2, 1, false);
    check_balanced(repeat(fewest + 1, 4), 4, 1, false);
}

TEST(many_batches_of_long_series) {
    for (const bool drop_last : {false, true}) {
        check_balanced(with_dominant(with_dominant(random_counts(9'000, 9, 4), 8'000), 6'500), 3, 1, drop_last);
        check_balanced(with_dominant(with_dominant(random_counts(9'000, 9, 4), 19'000), 6'500), 3, 1, drop_last);
        check_balanced(with_dominant(random_counts(16'000, 3, 4), 15'000), 2, 2, drop_last);
    }
}

TEST(a_crossing_series_never_meets_itself) {
    for (const u64 size : {2U, 3U, 10U, 64U, 65U, 200U, 3000U}) {
        for (const u64 a : {1U, 2U, 7U, 8U, 9U, 60U, 1500U}) {
            for (const u64 b : {1U, 2U, 8U, 9U, 64U, 1500U}) {
                if (a + b > size) {
                    continue;
                }
                const LayerShuffle sigma(11, a + 5 * b, size, a, b);
                std::vector<u64> at(size);
                for (u64 p = 0; p < size; ++p) {
                    at[p] = p;
                }
                sigma.apply(at.data(), size);
                const std::vector<index_t> values(at.begin(), at.end());
                CHECK(is_permutation_of_iota(values));
                CHECK(std::all_of(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(b),
                                  [&](u64 q) { return q < size - a; }));
                for (u64 p = 0; p < size; p += 17) {
                    u64 one = p;
                    sigma.apply(&one, 1);
                    CHECK_EQ(one, at[p]);
                }
            }
        }
    }
}

TEST(round_robin) {
    for (const bool shuffle : {true, false}) {
        for (const index_t batch_size : {1, 7, 64, 5000}) {
            check_round_robin(random_counts(90, 12, 1), batch_size, shuffle);
            check_round_robin(with_dominant(random_counts(40, 5, 2), 150), batch_size, shuffle);
            check_round_robin({97}, batch_size, shuffle);
        }
        check_round_robin(random_counts(70'000, 3, 6), 64, shuffle);
    }
}

TEST(series_in_order_of_first_appearance) {
    const std::vector<std::int64_t> keys{9, 4, 4, 7, 9, 1};
    const std::vector<index_t> far{0, 5, 6, 7, 8, index_t{1} << 40U};
    for (const bool spread : {false, true}) {
        const Subset rows = spread ? Subset(far) : Subset();
        const auto groups = Groups::from_keys<std::int64_t>(keys, rows, true);
        groups.visit([](const auto& arrays) {
            const auto order = order_series(arrays, 1, 1, false);
            std::vector<u64> firsts;
            for (std::size_t j = 0; j < order.size(); ++j) {
                firsts.push_back(arrays.members[order[j].offset]);
            }
            CHECK(std::is_sorted(firsts.begin(), firsts.end()));
            CHECK_EQ(firsts.size(), std::size_t{4});
        });
    }
}

TEST(wrong_options) {
    const auto groups = group({1, 2, 3});
    CHECK_THROWS_WITH(std::invalid_argument, "per_series must be an integer >= 1, but is 0",
                      make_balanced_plan(groups, {0, true}, {2, 1, false, 0, 0}));
    CHECK_THROWS_WITH(std::invalid_argument, "batch_size", make_balanced_plan(groups, {1, true}, {0, 1, false, 0, 0}));
    CHECK_THROWS_WITH(std::invalid_argument, "batch_size", make_round_robin_plan(groups, true, {0, 1, false, 0, 0}));
}
