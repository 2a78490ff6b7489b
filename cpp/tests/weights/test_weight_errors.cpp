// What weight tables refuse, by the text: it says what was expected, and which value came first that was not.
// ctest-label: threads
#include <limits>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/weights/weight_table.hpp"

using namespace tombola;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

template <typename T>
WeightTable table_of(const std::vector<T>& weights, const Subset& indices = {}) {
    return WeightTable(make_value_source(std::span<const T>(weights), indices));
}

template <typename Code>
WeightTable code_table(const std::vector<Code>& codes, const std::vector<double>& class_weights,
                       const Subset& indices = {}) {
    return WeightTable(make_code_source(std::span<const Code>(codes), std::span<const double>(class_weights), indices));
}

}  // namespace

TEST(more_weights_than_the_guide_can_number_are_refused_before_they_are_read) {
    const float one = 1.0F;
    const std::span<const float> claimed(&one, (std::size_t{1} << 35U) + 1);
    CHECK_THROWS_WITH(std::invalid_argument, "there must be at most 34359738368 weights, but are 34359738369",
                      WeightTable(make_value_source(claimed, {})));
}

TEST(the_first_wrong_weight_is_named) {
    for (const std::size_t at : {0U, 17U, 4095U, 4096U, 9998U}) {
        std::vector<double> weights(10000, 1.0);
        weights[9999] = -7.0;
        const std::string where = "weights must be finite and >= 0, but weights[" + std::to_string(at) + "] = ";
        weights[at] = -0.5;
        CHECK_THROWS_WITH(std::invalid_argument, where + "-0.5", table_of(weights));
        weights[at] = infinity;
        CHECK_THROWS_WITH(std::invalid_argument, where + "inf", table_of(weights));
        weights[at] = nan_value;
        CHECK_THROWS_WITH(std::invalid_argument, where + "nan", table_of(weights));
        const std::vector<float> single(weights.begin(), weights.end());
        CHECK_THROWS_WITH(std::invalid_argument, where + "nan", table_of(single));
    }
}

TEST(the_first_of_many_wrong_weights_is_named_whatever_the_threads) {
    std::vector<float> weights(1'000'000, 1.0F);
    for (std::size_t i = 200'123; i < weights.size(); i += 1000) {
        weights[i] = -1.0F;
    }
    for (const int threads : test::thread_counts()) {
        set_num_threads(threads);
        CHECK_THROWS_WITH(std::invalid_argument, "weights[200123] = -1", table_of(weights));
    }
}

TEST(a_wrong_weight_outside_the_subset_is_not_read_and_one_inside_is_named_by_its_row) {
    const std::vector<double> weights{1.0, nan_value, 1.0, -3.0};
    const std::vector<index_t> good{0, 2};
    const std::vector<index_t> bad{0, 2, 3};
    CHECK_EQ(table_of(weights, good).size(), 2U);
    CHECK_THROWS_WITH(std::invalid_argument, "weights[3] = -3", table_of(weights, bad));
}

TEST(there_must_be_a_positive_weight) {
    CHECK_THROWS_WITH(std::invalid_argument, "weights must not be empty", table_of(std::vector<double>{}));
    CHECK_THROWS_WITH(std::invalid_argument, "weights must not be empty", WeightTable::uniform(0));
    CHECK_THROWS_WITH(std::invalid_argument, "at least one weight must be > 0, but all 70 are 0",
                      table_of(std::vector<float>(70, 0.0F)));
    const std::vector<std::int8_t> codes{1, 1};
    CHECK_THROWS_WITH(std::invalid_argument, "but all 2 are 0", code_table(codes, {1.0, 0.0}));
    CHECK_THROWS_WITH(std::invalid_argument, "weights must not be empty",
                      code_table(std::vector<std::int8_t>{}, {1.0}));
}

TEST(sums_must_fit_the_scale) {
    CHECK_THROWS_WITH(std::invalid_argument, "the sum of the weights must be finite, but overflows float64",
                      table_of(std::vector<double>{1.7e308, 1.7e308}));
    CHECK_THROWS_WITH(std::invalid_argument, "at least 2**-939", table_of(std::vector<double>{0x1p-1000, 0x1p-1000}));
    CHECK_EQ(table_of(std::vector<double>{0x1p-949}).scale_exponent(), 1000);
    CHECK_THROWS_WITH(std::invalid_argument, "at least 2**-939", table_of(std::vector<double>{0x1p-950}));
    CHECK_EQ(table_of(std::vector<double>{1.7e308}).scale_exponent(), 51 - 1024);
    CHECK_THROWS_WITH(std::invalid_argument, "at most 2**61 equal weights, but are 2305843009213693953",
                      WeightTable::uniform((u64{1} << 61U) + 1));
}

TEST(codes_must_name_a_class) {
    set_num_threads(1);
    std::vector<std::int8_t> small(300'000, 1);
    small[280'001] = -1;
    small[290'000] = 5;
    CHECK_THROWS_WITH(std::invalid_argument, "codes must lie in [0, 2), but codes[280001] = -1",
                      code_table(small, {1.0, 1.0}));
    small[100] = 9;  // in the part that is read first
    CHECK_THROWS_WITH(std::invalid_argument, "codes[100] = 9", code_table(small, {1.0, 1.0}));
    small[100] = 1;
    small[280'001] = 2;
    CHECK_THROWS_WITH(std::invalid_argument, "codes[280001] = 2", code_table(small, {1.0, 1.0}));
    const std::vector<std::int64_t> wide{0, 1, (std::int64_t{1} << 32U) + 1};
    CHECK_THROWS_WITH(std::invalid_argument, "codes[2] = 4294967297", code_table(wide, {1.0, 1.0}));
    const std::vector<index_t> some{0, 1};
    CHECK_EQ(code_table(wide, {1.0, 1.0}, some).size(), 2U);
    std::vector<index_t> counts(1);
    CHECK_THROWS_WITH(std::invalid_argument, "codes must lie in [0, 1), but codes[1] = 1",
                      count_codes(std::span<const std::int64_t>(wide), {}, std::span<index_t>(counts)));
}

TEST(class_weights_must_be_finite_and_not_negative) {
    const std::vector<std::int16_t> codes{0, 1};
    const std::string where = "class_weights must be finite and >= 0, but class_weights[1] = ";
    CHECK_THROWS_WITH(std::invalid_argument, where + "-2", code_table(codes, {1.0, -2.0}));
    CHECK_THROWS_WITH(std::invalid_argument, where + "nan", code_table(codes, {1.0, nan_value}));
    CHECK_THROWS_WITH(std::invalid_argument, where + "inf", code_table(codes, {1.0, infinity}));
}

TEST(indices_must_lie_among_the_weights) {
    const std::vector<double> weights{1.0, 2.0};
    const std::vector<std::int32_t> codes{0, 0};
    const std::vector<index_t> high{0, 2};
    const std::vector<index_t> negative{-1};
    CHECK_THROWS_WITH(std::invalid_argument, "indices must lie in [0, 2), but indices[1] = 2", table_of(weights, high));
    CHECK_THROWS_WITH(std::invalid_argument, "but indices[0] = -1", table_of(weights, negative));
    CHECK_THROWS_WITH(std::invalid_argument, "indices must lie in [0, 2), but indices[1] = 2",
                      code_table(codes, {1.0}, high));
    CHECK_THROWS_WITH(std::invalid_argument, "but indices[0] = -1", code_table(codes, {1.0}, negative));
}
