// Plans against their definition, position by position; batches and offsets; any run of batches equals the same part of
// the whole, whatever the threads; tails, windows at the end, windows of 2^16 positions and more, subsets.
// ctest-label: threads
#include <functional>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/orders/draws.hpp"
#include "tombola/orders/rounds.hpp"
#include "tombola/plans/plan.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr u64 seed = 0xABCDEF;
constexpr u64 epoch = 17;

using MakeOrder = std::function<std::unique_ptr<const Order>()>;

struct Shape {
    index_t batch_size;
    index_t fetch_factor;
    bool drop_last;
    PlanOptions options() const { return {batch_size, fetch_factor, drop_last, seed, epoch}; }
};

std::vector<index_t> fill(const Plan& plan, index_t start, index_t stop) {
    std::vector<index_t> rows(static_cast<std::size_t>(plan.offset(stop) - plan.offset(start)), -1);
    plan.fill(start, stop, rows);
    return rows;
}

std::vector<index_t> whole(const Plan& plan) { return fill(plan, 0, plan.n_batches()); }

// The epoch by the rule: the order's positions, each window permuted, what drop_last leaves.
std::vector<index_t> plain_plan(const Order& order, const Subset& indices, bool permute, const Shape& shape) {
    std::vector<index_t> rows(order.size());
    order.fill(0, rows.size(), rows.data());
    for (index_t& row : rows) {
        row = indices ? (*indices)[static_cast<std::size_t>(row)] : row;
    }
    const u64 window = static_cast<u64>(shape.batch_size * shape.fetch_factor);
    const u64 key = derive_key(seed, epoch, Purpose::window);
    for (u64 w = 0; permute && w * window < rows.size(); ++w) {
        const u64 size = std::min<u64>(window, rows.size() - w * window);
        const std::vector<index_t> given(rows.begin() + static_cast<std::ptrdiff_t>(w * window),
                                         rows.begin() + static_cast<std::ptrdiff_t>(w * window + size));
        std::vector<u64> table(size);
        for (u64 i = 0; i < size; ++i) {
            table[i] = i;
        }
        if (size < 65536) {
            const Stream stream{key, w};
            for (u32 i = static_cast<u32>(size) - 1; i >= 1; --i) {
                std::swap(table[i], table[stream.bounded(stream.lane_word(i), i, i + 1)]);
            }
        } else {
            Bijection(size, derive_key(key, w, Purpose::window_large), 0).fill(0, size, table.data());
        }
        for (u64 i = 0; i < size; ++i) {
            rows[w * window + i] = given[table[i]];
        }
    }
    if (shape.drop_last) {
        rows.resize(rows.size() - rows.size() % static_cast<std::size_t>(shape.batch_size));
    }
    return rows;
}

void check_plan(const MakeOrder& make_order, const Subset& indices, bool permute, const Shape& shape) {
    const WindowedPlan plan(make_order(), indices, permute, shape.options());
    const std::vector<index_t> expected = plain_plan(*make_order(), indices, permute, shape);
    const index_t n_rows = static_cast<index_t>(expected.size());
    CHECK_EQ(plan.n_rows(), n_rows);
    CHECK_EQ(plan.n_batches(), (n_rows + shape.batch_size - 1) / shape.batch_size);
    CHECK_EQ(plan.offset(plan.n_batches()), n_rows);
    for (index_t k = 0; k < plan.n_batches(); ++k) {
        CHECK_EQ(plan.offset(k), k * shape.batch_size);
    }
    set_num_threads(1);
    CHECK(whole(plan) == expected);
    CHECK(fill(plan, 0, 0).empty());
    // Fewer rows than these are one task, which no thread helps with.
    const std::vector<int> threads_to_try = n_rows > 100'000 ? thread_counts() : std::vector<int>{7};
    for (const int threads : threads_to_try) {
        set_num_threads(threads);
        for (u64 t = 0; t < 8 && plan.n_batches() > 0; ++t) {
            const u64 batches = static_cast<u64>(plan.n_batches());
            const index_t start = static_cast<index_t>(t == 0 ? batches - 1 : noise(60, t) % batches);
            const index_t stop = start + 1 + static_cast<index_t>(noise(61, t) % (batches - static_cast<u64>(start)));
            const auto from = expected.begin() + plan.offset(start);
            CHECK(fill(plan, start, stop) == std::vector<index_t>(from, expected.begin() + plan.offset(stop)));
        }
    }
}

MakeOrder streaming(u64 n) {
    return [n] { return std::make_unique<const StreamingOrder>(n); };
}

MakeOrder blocks(u64 n, u64 block_size) {
    return [=] {
        return std::make_unique<const BlockOrder>(std::make_shared<const CountingSequence>(n), block_size, seed, epoch);
    };
}

std::vector<Shape> shapes() {
    std::vector<Shape> all;
    for (const bool drop_last : {false, true}) {
        for (const index_t batch_size : {1, 3, 64, 2000}) {
            for (const index_t fetch_factor : {1, 2, 7}) {
                all.push_back({batch_size, fetch_factor, drop_last});
            }
        }
    }
    return all;
}

std::vector<index_t> some_indices(std::size_t n) {
    std::vector<index_t> indices;
    index_t row = 0;
    for (std::size_t i = 0; i < n; ++i) {
        row += 1 + static_cast<index_t>(noise(62, i) % 1000);
        indices.push_back(row);
    }
    return indices;
}

}  // namespace

TEST(streaming_and_blocks_are_as_defined) {
    for (const u64 n : {0U, 1U, 15U, 16U, 1000U, 1023U}) {
        const std::vector<index_t> indices = some_indices(n);
        for (const Shape& shape : shapes()) {
            check_plan(streaming(n), {}, false, shape);
            check_plan(streaming(n), indices, true, shape);
            check_plan(blocks(n, 1), {}, false, shape);
            check_plan(blocks(n, 16), {}, true, shape);
            check_plan(blocks(n, 7), indices, true, shape);
        }
    }
}

TEST(plans_cover_every_row_once) {
    for (const u64 n : {1U, 1000U, 50'001U}) {
        for (const u64 block_size : {1U, 16U, 500U}) {
            const Shape shape{64, 3, false};
            const WindowedPlan plan(blocks(n, block_size)(), {}, block_size > 1, shape.options());
            CHECK(is_permutation_of_iota(whole(plan)));
        }
    }
}

TEST(weighted_plans_are_as_defined) {
    std::vector<float> weights(700);
    for (std::size_t i = 0; i < weights.size(); ++i) {
        weights[i] = noise(63, i) % 4 == 0 ? 0.0F : static_cast<float>(unit_noise(64, i));
    }
    weights[0] = 1.0F;
    const auto table = std::make_shared<const WeightTable>(make_value_source(std::span<const float>(weights), {}));
    const std::vector<index_t> indices = some_indices(weights.size());
    for (const Shape& shape : {Shape{16, 4, false}, Shape{16, 4, true}, Shape{64, 1, false}, Shape{7, 3, true}}) {
        for (const u64 draws : {1U, 500U, 2003U}) {
            check_plan(
                [&] {
                    return std::make_unique<const BlockOrder>(
                        std::make_shared<const StratifiedSequence>(table, draws, seed, epoch), 16, seed, epoch);
                },
                {}, true, shape);
            check_plan(
                [&] {
                    return std::make_unique<const BlockOrder>(
                        std::make_shared<const IidSequence>(table, draws, seed, epoch), 1, seed, epoch);
                },
                indices, false, shape);
            check_plan([&] { return std::make_unique<const RoundOrder>(table, draws, 90, 16, seed, epoch); }, {}, true,
                       shape);
        }
    }
}

TEST(windows_of_2_to_16_positions_and_more_are_permuted_by_the_network) {
    for (const index_t window : {65535, 65536, 65537, 150'000}) {
        for (const u64 n : {u64{65536}, u64{200'001}}) {
            check_plan(blocks(n, 16), {}, true, {window, 1, false});
            check_plan(streaming(n), {}, true, {window / 3, 3, true});
        }
    }
}

TEST(many_small_windows_a_task_and_many_tasks_agree) {
    const Shape shape{100, 3, true};
    check_plan(blocks(400'123, 16), {}, true, shape);
    check_plan(blocks(400'123, 1), {}, false, shape);
}

TEST(plans_are_the_same_for_every_instruction_set) {
    const Shape shape{64, 16, false};
    std::vector<std::vector<index_t>> all;
    with_each_instruction_set([&](const std::string&) {
        const WindowedPlan plan(blocks(20'011, 16)(), {}, true, shape.options());
        all.push_back(whole(plan));
        CHECK(all.back() == all.front());
    });
}

TEST(plans_of_10_to_12_rows_are_made_at_once_from_anywhere) {
    const u64 n = 1'000'000'000'007;
    const Shape shape{64, 16, false};
    const WindowedPlan plan(blocks(n, 16)(), {}, true, shape.options());
    CHECK_EQ(plan.n_rows(), static_cast<index_t>(n));
    for (const index_t start : {index_t{0}, plan.n_batches() / 2 / 16 * 16, plan.n_batches() - 20}) {
        const index_t stop = std::min(start + 20, plan.n_batches());
        std::vector<index_t> rows = fill(plan, start, stop);
        for (index_t k = start; k < stop; ++k) {
            const auto from = rows.begin() + (plan.offset(k) - plan.offset(start));
            CHECK(std::equal(from, from + (plan.offset(k + 1) - plan.offset(k)), fill(plan, k, k + 1).begin()));
        }
        std::sort(rows.begin(), rows.end());
        CHECK(std::adjacent_find(rows.begin(), rows.end()) == rows.end());
        CHECK(rows.front() >= 0 && rows.back() < static_cast<index_t>(n));
    }
}

TEST(epochs_and_seeds_differ) {
    const PlanOptions options{.batch_size = 64, .fetch_factor = 4, .seed = 1, .epoch = 2};
    PlanOptions swapped = options;
    std::swap(swapped.seed, swapped.epoch);
    CHECK(whole(WindowedPlan(streaming(1000)(), {}, true, options)) !=
          whole(WindowedPlan(streaming(1000)(), {}, true, swapped)));
}

TEST(an_exception_in_a_worker_thread_reaches_who_asked_for_batches) {
    struct Broken final : Order {
        u64 size() const noexcept override { return 10'000'000; }
        void fill(u64 first, std::size_t, index_t*) const override {
            throw std::out_of_range("broken at " + std::to_string(first));
        }
    };
    set_num_threads(4);
    const WindowedPlan plan(std::make_unique<const Broken>(), {}, true, {.batch_size = 64, .fetch_factor = 4});
    CHECK_THROWS_WITH(std::out_of_range, "broken at ", whole(plan));
}

TEST(a_plan_asked_from_the_interrupt_hook_of_another_does_no_harm) {
    // A signal handler may run while a round is drawn inside a window; it finds the thread's work space in use.
    const auto table = std::make_shared<const WeightTable>(WeightTable::uniform(4'000'000));
    const auto make_order = [&] { return std::make_unique<const RoundOrder>(table, 3000, 3000, 16, seed, epoch); };
    const Shape shape{100, 30, false};
    struct Asking final : Order {
        const Order& inner;
        const Plan& other;
        Asking(const Order& inner_, const Plan& other_) : inner(inner_), other(other_) {}
        u64 size() const noexcept override { return inner.size(); }
        void fill(u64 first, std::size_t count, index_t* out) const override {
            CHECK_EQ(whole(other).size(), 40'000U);
            inner.fill(first, count, out);
        }
    };
    const std::unique_ptr<const Order> inner = make_order();
    const WindowedPlan other(streaming(40'000)(), {}, true, {.batch_size = 100, .fetch_factor = 400});
    set_num_threads(1);
    const WindowedPlan plan(std::make_unique<const Asking>(*inner, other), {}, true, shape.options());
    CHECK(whole(plan) == plain_plan(*inner, {}, true, shape));
}

TEST(options_are_checked) {
    CHECK_THROWS_WITH(std::invalid_argument, "batch_size must be an integer >= 1, but is 0",
                      check_options({.batch_size = 0}));
    CHECK_THROWS_WITH(std::invalid_argument, "fetch_factor must be an integer >= 1, but is -2",
                      check_options({.fetch_factor = -2}));
    CHECK_THROWS_WITH(std::invalid_argument, "must be at most 2**40 rows, but is 1099511627776 * 2",
                      check_options({.batch_size = index_t{1} << 40U, .fetch_factor = 2}));
    check_options({.batch_size = index_t{1} << 40U, .fetch_factor = 1});
}

TEST(an_empty_subset_is_no_rows_and_not_all_rows) {
    const std::vector<index_t> none;
    const WindowedPlan plan(streaming(0)(), none, true, {.batch_size = 4});
    CHECK_EQ(plan.n_batches(), 0);
    CHECK_THROWS_WITH(std::invalid_argument, "indices must not be empty, but 3 positions are to be filled",
                      WindowedPlan(streaming(3)(), none, true, {.batch_size = 4}));
    const std::vector<float> weights{1.0F, 2.0F};
    CHECK_THROWS_WITH(std::invalid_argument, "indices must not be empty for weighted draws",
                      make_value_source(std::span<const float>(weights), none));
    const std::vector<std::int8_t> codes{0, 1, 1};
    const std::vector<double> class_weights{1.0, 1.0};
    CHECK_THROWS_WITH(
        std::invalid_argument, "indices must not be empty for weighted draws",
        make_code_source(std::span<const std::int8_t>(codes), std::span<const double>(class_weights), none));
    std::vector<index_t> counts(2);
    count_codes(std::span<const std::int8_t>(codes), none, std::span<index_t>(counts));
    CHECK(counts == std::vector<index_t>{0, 0});
}
