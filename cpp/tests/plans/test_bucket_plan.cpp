// Bucket plans: batches of one bucket, every row once or all but the short batches; batch sizes by bucket; any run of
// batches equals the same part of the whole, whatever the threads and the width of members.
// ctest-label: threads
#include "check.hpp"
#include "plans/whole.hpp"
#include "reference.hpp"
#include "tombola/plans/bucket_plan.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

std::vector<std::int64_t> keys_of(std::size_t n, u64 buckets, u64 key) {
    std::vector<std::int64_t> keys(n);
    for (std::size_t i = 0; i < n; ++i) {
        keys[i] = static_cast<std::int64_t>(std::min(noise(key, i) % buckets, noise(key + 1, i) % buckets)) - 3;
    }
    return keys;
}

std::shared_ptr<const Groups> group(const std::vector<std::int64_t>& keys, bool wide = false) {
    return std::make_shared<const Groups>(Groups::from_keys<std::int64_t>(keys, {}, wide));
}

std::vector<u64> counts_of(const Groups& groups) {
    return groups.visit([](const auto& a) {
        std::vector<u64> counts;
        for (u64 g = 0; g < a.groups(); ++g) {
            counts.push_back(u64{a.offsets[g + 1]} - a.offsets[g]);
        }
        return counts;
    });
}

void check_buckets(const std::vector<std::int64_t>& keys, index_t batch_size, bool drop_last, bool shuffle,
                   const std::vector<index_t>& sizes = {}) {
    const PlanOptions options{batch_size, 3, drop_last, 7, 2};
    const auto groups = group(keys);
    const auto plan = make_bucket_plan(groups, sizes, shuffle, options);
    const Whole whole = read(*plan, 0, plan->n_batches());
    CHECK_EQ(whole.offsets.back(), plan->n_rows());
    const std::vector<u64> counts = counts_of(*groups);
    const std::int64_t lowest = *std::min_element(keys.begin(), keys.end());
    const auto bucket_of = [&](index_t row) { return keys[static_cast<std::size_t>(row)] - lowest; };
    std::vector<std::int64_t> distinct(keys);
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    u64 expected_batches = 0;
    u64 expected_rows = 0;
    for (std::size_t g = 0; g < counts.size(); ++g) {
        const u64 size = static_cast<u64>(sizes.empty() ? batch_size : sizes[g]);
        expected_batches += drop_last ? counts[g] / size : (counts[g] + size - 1) / size;
        expected_rows += drop_last ? counts[g] - counts[g] % size : counts[g];
    }
    CHECK_EQ(static_cast<u64>(plan->n_batches()), expected_batches);
    CHECK_EQ(static_cast<u64>(plan->n_rows()), expected_rows);
    std::vector<u64> uses(keys.size());
    std::vector<u64> seen(distinct.size());
    for (std::size_t k = 0; k + 1 < whole.offsets.size(); ++k) {
        const auto first = whole.rows.begin() + whole.offsets[k];
        const auto last = whole.rows.begin() + whole.offsets[k + 1];
        CHECK(first != last);
        CHECK(std::all_of(first, last, [&](index_t row) { return bucket_of(row) == bucket_of(*first); }));
        const std::size_t g = static_cast<std::size_t>(
            std::lower_bound(distinct.begin(), distinct.end(), keys[static_cast<std::size_t>(*first)]) -
            distinct.begin());
        const index_t size = sizes.empty() ? batch_size : sizes[g];
        CHECK(last - first == size || (!drop_last && last - first < size));
        seen[g] += static_cast<u64>(last - first);
        for (auto row = first; row != last; ++row) {
            ++uses[static_cast<std::size_t>(*row)];
        }
    }
    CHECK(*std::max_element(uses.begin(), uses.end()) <= 1);
    CHECK(drop_last || seen == counts);
    for (u64 i = 0; i < 12; ++i) {
        const u64 n = static_cast<u64>(plan->n_batches());
        const index_t start = static_cast<index_t>(noise(21, i) % (n + 1));
        const index_t stop = std::min(static_cast<index_t>(n), start + static_cast<index_t>(noise(22, i) % 3000));
        const Whole part = read(*plan, start, stop);
        CHECK_EQ(plan->offset(start), whole.offsets[static_cast<std::size_t>(start)]);
        CHECK(std::equal(part.rows.begin(), part.rows.end(), whole.rows.begin() + plan->offset(start)));
    }
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        CHECK(read(*make_bucket_plan(group(keys, threads == 4), sizes, shuffle, options), 0, plan->n_batches()) ==
              whole);
    }
    if (!shuffle) {
        const auto key_of = [&](std::size_t k) {
            return bucket_of(whole.rows[static_cast<std::size_t>(whole.offsets[k])]);
        };
        for (std::size_t k = 1; k + 1 < whole.offsets.size(); ++k) {
            CHECK(key_of(k - 1) <= key_of(k));
        }
    }
}

}  // namespace

TEST(batches_of_one_bucket) {
    for (const bool drop_last : {false, true}) {
        for (const bool shuffle : {true, false}) {
            for (const index_t batch_size : {1, 3, 64, 700, 100'000}) {
                check_buckets(keys_of(3001, 4, 1), batch_size, drop_last, shuffle);
                check_buckets(keys_of(3001, 500, 3), batch_size, drop_last, shuffle);
                check_buckets({5}, batch_size, drop_last, shuffle);
                check_buckets(std::vector<std::int64_t>(130, 2), batch_size, drop_last, shuffle);
            }
        }
    }
}

TEST(more_batches_than_a_table_holds) { check_buckets(keys_of(150'001, 9, 5), 2, false, true); }

TEST(batch_sizes_by_bucket) {
    const std::vector<std::int64_t> keys = keys_of(5000, 40, 7);
    std::vector<index_t> sizes;
    for (std::size_t g = 0; g < group(keys)->groups(); ++g) {
        sizes.push_back(1 + static_cast<index_t>(noise(9, g) % 50));
    }
    for (const bool drop_last : {false, true}) {
        check_buckets(keys, 64, drop_last, true, sizes);
        check_buckets(keys, 64, drop_last, false, sizes);
    }
}

TEST(wrong_sizes) {
    const auto groups = group({1, 1, 2});
    const std::vector<index_t> three{1, 1, 1};
    const std::vector<index_t> zero{1, 0};
    CHECK_THROWS_WITH(std::invalid_argument, "one entry for each of the 2 buckets, but have 3",
                      make_bucket_plan(groups, three, true, {2, 1, false, 0, 0}));
    CHECK_THROWS_WITH(std::invalid_argument, "batch_sizes must be >= 1, but batch_sizes[1] = 0",
                      make_bucket_plan(groups, zero, true, {2, 1, false, 0, 0}));
}
