// The caller's arrays are borrowed. What becomes of them after a table was built, or while it is, may change which rows
// come, but every row stays in range; the address sanitizer sees the reads.
// ctest-label: threads
#include <limits>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/orders/draws.hpp"
#include "tombola/orders/rounds.hpp"
#include "tombola/plans/plan.hpp"
#include "tombola/replay/alias_table.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t n_rows = 1003;

using Table = std::shared_ptr<const WeightTable>;

bool in_range(const std::vector<index_t>& rows, u64 n) {
    return std::all_of(rows.begin(), rows.end(), [n](index_t row) { return static_cast<u64>(row) < n; });
}

std::vector<index_t> all_of(const Sequence& sequence) {
    std::vector<index_t> rows(sequence.size(), -1);
    const u64 start = 0;
    sequence.runs(&start, 1, rows.size(), rows.data());
    return rows;
}

// Everything that reads weights, one kind of draw after the other.
void draw_everything(const Table& table) {
    const u64 n = table->size();
    CHECK(in_range(all_of(StratifiedSequence(table, 2500, 1, 0)), n));
    CHECK(in_range(all_of(IidSequence(table, 2500, 1, 0)), n));
    for (const u64 size : {table->positive() / 5, table->positive()}) {  // by rejection, by keys
        try {
            std::vector<index_t> rows = draw_round(*table, 1, 0, 0, size);
            CHECK(in_range(rows, n));
            CHECK_EQ(rows.size(), size);
            CHECK(std::adjacent_find(rows.begin(), rows.end()) == rows.end());
        } catch (const std::invalid_argument& error) {
            CHECK(std::string(error.what()).find("the weights have changed since the plan was made") == 0);
        }
    }
    std::vector<index_t> drawn(2000, -1);
    AliasTable(*table).draw(1, 0, 0, drawn);
    CHECK(in_range(drawn, n));
    auto sequence = std::make_shared<const StratifiedSequence>(table, 2500, 1, 0);
    const WindowedPlan plan(std::make_unique<const BlockOrder>(sequence, 16, 1, 0), {}, true,
                            {.batch_size = 64, .fetch_factor = 4});
    std::vector<index_t> rows(2500, -1);
    plan.fill(0, plan.n_batches(), rows);
    CHECK(in_range(rows, n));
}

// Fills an array by `values` in turn, from the first on.
template <typename T>
void overwrite(std::vector<T>& array, const std::vector<T>& values) {
    for (std::size_t i = 0; i < array.size(); ++i) {
        array[i] = values[i % values.size()];
    }
}

template <typename T>
void check_changed_values(const Subset& indices) {
    const std::vector<std::vector<T>> changes{{T(nan_value)},
                                              {T(infinity)},
                                              {T(-infinity)},
                                              {T(-1)},
                                              {T(0)},
                                              {std::numeric_limits<T>::max()},
                                              {std::numeric_limits<T>::denorm_min()},
                                              {T(1), T(nan_value), T(infinity), T(0), T(-5), T(1e30)}};
    for (const std::vector<T>& change : changes) {
        std::vector<T> weights(n_rows, T(1));
        weights[5] = T(100);
        const Table table =
            std::make_shared<const WeightTable>(make_value_source(std::span<const T>(weights), indices));
        overwrite(weights, change);
        draw_everything(table);
    }
}

template <typename Code>
void check_changed_codes(const Subset& indices) {
    const std::vector<double> class_weights{1.0, 0.0, 7.0};
    for (const std::vector<Code>& change : {std::vector<Code>{-1},
                                            {127},
                                            {1},
                                            {3},
                                            {std::numeric_limits<Code>::min()},
                                            {std::numeric_limits<Code>::max()},
                                            {0, -1, 127, 2}}) {
        std::vector<Code> codes(n_rows);
        overwrite(codes, {0, 2, 1});
        const Table table = std::make_shared<const WeightTable>(
            make_code_source(std::span<const Code>(codes), std::span<const double>(class_weights), indices));
        overwrite(codes, change);
        draw_everything(table);
    }
}

std::vector<index_t> every_second() {
    std::vector<index_t> indices;
    for (index_t i = 0; i < static_cast<index_t>(n_rows); i += 2) {
        indices.push_back(i);
    }
    return indices;
}

const std::vector<std::vector<index_t>>& wrong_indices() {
    static const std::vector<std::vector<index_t>> all{
        {-1}, {n_rows}, {std::numeric_limits<index_t>::min()}, {std::numeric_limits<index_t>::max()}, {0, -7, 1 << 30}};
    return all;
}

// A source that says one thing and gives another, as one does whose arrays change while they are read.
class FickleSource final : public MassSource {
  public:
    FickleSource(u64 size, mass_t mass) : size_(size), mass_(mass) {}
    u64 size() const noexcept override { return size_; }
    WeightSummary summarise() const override { return {static_cast<double>(size_), 1.0, size_}; }
    void set_scale_exponent(int) override {}
    void masses(u64, std::size_t count, mass_t* out) const override { std::fill_n(out, count, mass_); }
    MassArray array() const noexcept override { return {}; }

  private:
    u64 size_;
    mass_t mass_;
};

}  // namespace

TEST(changed_values_stay_in_range) {
    const std::vector<index_t> indices = every_second();
    with_each_instruction_set([&](const std::string&) {
        check_changed_values<float>({});
        check_changed_values<double>({});
        check_changed_values<double>(indices);
    });
}

// Sums of masses that no weights had would wrap, and a merge by them might not end.
TEST(alias_tables_of_weights_that_changed_since_are_made) {
    constexpr std::size_t n = 20'011;
    for (const double change : {infinity, nan_value, 0.0, 1e-300, 1e300}) {
        for (const std::size_t changed : {std::size_t{1}, n / 3, n}) {
            std::vector<double> weights(n, 1.0);
            weights[5] = 1e4;
            const WeightTable table(make_value_source(std::span<const double>(weights), {}));
            for (std::size_t i = 0; i < changed; ++i) {
                weights[n - 1 - i] = change;
            }
            std::vector<index_t> drawn(5000, -1);
            AliasTable(table).draw(1, 0, 0, drawn);
            CHECK(in_range(drawn, n));
        }
    }
}

TEST(changed_codes_stay_in_range) {
    const std::vector<index_t> indices = every_second();
    with_each_instruction_set([&](const std::string&) {
        check_changed_codes<std::int8_t>({});
        check_changed_codes<std::int64_t>({});
        check_changed_codes<std::int16_t>(indices);
    });
}

TEST(changed_indices_are_never_followed) {
    for (const std::vector<index_t>& change : wrong_indices()) {
        std::vector<index_t> indices = every_second();
        const std::vector<float> weights(n_rows, 1.0F);
        const std::vector<std::int8_t> codes(n_rows, 0);
        const std::vector<double> class_weights{1.0};
        const Table by_value =
            std::make_shared<const WeightTable>(make_value_source(std::span<const float>(weights), indices));
        const Table by_code = std::make_shared<const WeightTable>(
            make_code_source(std::span<const std::int8_t>(codes), std::span<const double>(class_weights), indices));
        overwrite(indices, change);
        draw_everything(by_value);
        draw_everything(by_code);
    }
}

TEST(indices_that_change_between_their_check_and_the_reading_are_refused_or_ignored) {
    for (const std::vector<index_t>& change : wrong_indices()) {
        std::vector<index_t> indices = every_second();
        const std::vector<double> weights(n_rows, 1.0);
        const std::vector<std::int8_t> codes(n_rows, 0);
        const std::vector<double> class_weights{1.0};
        auto by_value = make_value_source(std::span<const double>(weights), indices);
        auto by_code =
            make_code_source(std::span<const std::int8_t>(codes), std::span<const double>(class_weights), indices);
        overwrite(indices, change);
        if (change.front() == 0) {
            draw_everything(std::make_shared<const WeightTable>(std::move(by_value)));
        } else {
            CHECK_THROWS_WITH(std::invalid_argument, "at least one weight must be > 0",
                              WeightTable(std::move(by_value)));
        }
        CHECK_THROWS_WITH(std::invalid_argument, "indices must lie in [0, 1003), but indices[",
                          WeightTable(std::move(by_code)));
    }
}

TEST(sums_that_contradict_the_summary_are_refused) {
    const std::string text = "the weights changed while they were read";
    CHECK_THROWS_WITH(std::invalid_argument, text, WeightTable(std::make_unique<FickleSource>(100000, 0)));
    CHECK_THROWS_WITH(std::invalid_argument, text,
                      WeightTable(std::make_unique<FickleSource>(100000, (mass_t{1} << 52U) - 1)));
    CHECK_EQ(WeightTable(std::make_unique<FickleSource>(100, 1)).total(), 100U);  // others are sums like any
}

TEST(a_plan_reads_changed_indices_but_no_memory_outside) {
    std::vector<index_t> indices = every_second();
    const WindowedPlan plan(std::make_unique<const StreamingOrder>(indices.size()), indices, true,
                            {.batch_size = 10, .fetch_factor = 7});
    overwrite(indices, {-99});
    std::vector<index_t> rows(indices.size());
    plan.fill(0, plan.n_batches(), rows);
    CHECK(rows == indices);
}
