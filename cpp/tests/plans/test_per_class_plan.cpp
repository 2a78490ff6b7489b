// Plans of tuples: P different classes a batch with K rows each, all different where a class has as many; the most
// batches that can be full; any run of batches equals the same part of the whole, whatever the threads and the width of
// members. ctest-label: threads
#include <map>
#include <set>

#include "check.hpp"
#include "plans/whole.hpp"
#include "reference.hpp"
#include "tombola/plans/per_class_plan.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

std::vector<std::int64_t> labels_of(const std::vector<u64>& counts) {
    std::vector<std::int64_t> labels;
    for (std::size_t c = 0; c < counts.size(); ++c) {
        labels.insert(labels.end(), counts[c], static_cast<std::int64_t>(c));
    }
    for (std::size_t i = labels.size(); i > 1; --i) {
        std::swap(labels[i - 1], labels[noise(5, i) % i]);
    }
    return labels;
}

std::vector<u64> random_counts(u64 classes, u64 most, u64 key) {
    std::vector<u64> counts;
    for (u64 c = 0; c < classes; ++c) {
        counts.push_back(1 + noise(key, c) % most);
    }
    return counts;
}

std::shared_ptr<const Tuples> tuples_of(const std::vector<std::int64_t>& labels, u64 each, bool repeat, bool wide) {
    const auto classes = std::make_shared<const Groups>(Groups::from_keys<std::int64_t>(labels, {}, wide));
    return std::make_shared<const Tuples>(classes, each, repeat);
}

u64 most_batches(const std::vector<u64>& tuples, u64 in_batch) {
    u64 batches = 0;
    for (u64 t = 1;; ++t) {
        u64 sum = 0;
        for (const u64 n : tuples) {
            sum += std::min(n, t);
        }
        if (sum < in_batch * t) {
            return batches;
        }
        batches = t;
    }
}

void check_batch(const std::vector<std::int64_t>& labels, const std::vector<u64>& counts, const index_t* rows, u64 each,
                 u64 in_batch) {
    std::set<std::int64_t> classes;
    for (u64 p = 0; p < in_batch; ++p) {
        const index_t* const tuple = rows + p * each;
        const std::int64_t label = labels[static_cast<std::size_t>(*tuple)];
        std::map<index_t, u64> times;
        for (u64 i = 0; i < each; ++i) {
            CHECK_EQ(labels[static_cast<std::size_t>(tuple[i])], label);
            ++times[tuple[i]];
        }
        const u64 count = counts[static_cast<std::size_t>(label)];
        CHECK_EQ(times.size(), std::min(each, count));
        for (const auto& [row, n] : times) {
            CHECK(n == each / count || n == (each + count - 1) / count || n == 1);
        }
        classes.insert(label);
    }
    CHECK_EQ(classes.size(), in_batch);
}

void check_tuples(const std::vector<u64>& counts, u64 each, u64 in_batch, bool repeat) {
    const std::vector<std::int64_t> labels = labels_of(counts);
    const PlanOptions options{static_cast<index_t>(each * in_batch), 3, false, 7, 2};
    const auto plan = make_per_class_plan(tuples_of(labels, each, repeat, false), options);
    std::vector<u64> tuples;
    for (const u64 count : counts) {
        if (count >= each || repeat) {
            tuples.push_back(std::max<u64>(1, count / each));
        }
    }
    CHECK_EQ(static_cast<u64>(plan->n_batches()), most_batches(tuples, in_batch));
    const Whole whole = read(*plan, 0, plan->n_batches());
    CHECK_EQ(static_cast<u64>(plan->n_rows()), whole.rows.size());
    std::vector<u64> uses(labels.size());
    for (index_t k = 0; k < plan->n_batches(); ++k) {
        CHECK_EQ(plan->offset(k), k * options.batch_size);
        check_batch(labels, counts, whole.rows.data() + plan->offset(k), each, in_batch);
    }
    for (const index_t row : whole.rows) {
        ++uses[static_cast<std::size_t>(row)];
    }
    for (std::size_t row = 0; row < uses.size(); ++row) {
        CHECK(uses[row] <= 1 || counts[static_cast<std::size_t>(labels[row])] < each);
    }
    for (u64 i = 0; i < 8; ++i) {
        const u64 n = static_cast<u64>(plan->n_batches());
        const index_t start = static_cast<index_t>(noise(21, i) % (n + 1));
        const index_t stop = std::min(static_cast<index_t>(n), start + static_cast<index_t>(noise(22, i) % 300));
        const Whole part = read(*plan, start, stop);
        CHECK(std::equal(part.rows.begin(), part.rows.end(), whole.rows.begin() + plan->offset(start)));
    }
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        const auto again = make_per_class_plan(tuples_of(labels, each, repeat, threads == 4), options);
        CHECK(read(*again, 0, plan->n_batches()) == whole);
    }
}

}  // namespace

TEST(tuples_of_any_length) {
    for (const bool repeat : {false, true}) {
        for (const u64 each : {1U, 2U, 3U, 64U, 255U, 256U, 257U, 600U}) {
            check_tuples(random_counts(40, 1300, each), each, 3, repeat);
            check_tuples({70, 600, 64, 601, 1300, 5}, each, 2, repeat);
            check_tuples({1300}, each, 1, repeat);
        }
    }
}

TEST(many_classes) {
    check_tuples(random_counts(3000, 70, 3), 4, 32, false);
    check_tuples(random_counts(3000, 70, 3), 4, 32, true);
    check_tuples(random_counts(5000, 3, 4), 1, 8, false);
    std::vector<u64> dominant = random_counts(200, 30, 5);
    dominant.push_back(20'000);
    check_tuples(dominant, 2, 8, false);
}

TEST(batches_of_more_rows_than_are_scheduled_together) { check_tuples({40'000, 50'000, 60'000}, 20'000, 2, false); }

TEST(wrong_tuples) {
    const std::vector<std::int64_t> labels{0, 0, 1, 1, 1};
    CHECK_THROWS_WITH(std::invalid_argument, "rows_per_class must be an integer >= 1, but is 0",
                      tuples_of(labels, 0, false, false));
    CHECK_THROWS_WITH(std::invalid_argument, "some class must have rows_per_class = 4 rows, but the largest has 3",
                      tuples_of(labels, 4, false, false));
    CHECK_THROWS_WITH(std::invalid_argument, "batch_size must be a multiple of rows_per_class = 2, but is 3",
                      make_per_class_plan(tuples_of(labels, 2, false, false), {3, 1, false, 0, 0}));
    const auto more = make_per_class_plan(tuples_of(labels, 1, false, false), {3, 1, false, 0, 0});
    CHECK_EQ(more->n_batches(), index_t{0});  // of three classes
    CHECK_EQ(more->n_rows(), index_t{0});
    CHECK_EQ(read(*more, 0, 0).rows.size(), std::size_t{0});
}
