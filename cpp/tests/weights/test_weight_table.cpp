// Weight tables against plain sums: the scale, the masses and the row of every target that matters, for float32 and
// float64 weights, class codes, subsets by indices, very uneven weights, and equal weights without memory.
#include "check.hpp"
#include "reference.hpp"
#include "tombola/weights/weight_table.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

template <typename T>
WeightTable table_of(const std::vector<T>& weights, const Subset& indices = {}) {
    return WeightTable(make_value_source(std::span<const T>(weights), indices));
}

template <typename Code>
WeightTable code_table(const std::vector<Code>& codes, const std::vector<double>& class_weights,
                       const Subset& indices = {}) {
    return WeightTable(make_code_source(std::span<const Code>(codes), std::span<const double>(class_weights), indices));
}

std::vector<mass_t> masses_of(const WeightTable& table) {
    std::vector<mass_t> masses(table.size());
    table.masses(0, masses.size(), masses.data());
    return masses;
}

// Both ends of every row's share, and targets between.
std::vector<mass_t> interesting_targets(const Quantised& q) {
    std::vector<mass_t> targets;
    for (std::size_t r = 0; r < q.masses.size(); ++r) {
        if (q.masses[r] != 0) {
            targets.push_back(q.cumulative[r] - q.masses[r]);
            targets.push_back(q.cumulative[r] - q.masses[r] / 2 - 1);
            targets.push_back(q.cumulative[r] - 1);
        }
    }
    for (u64 t = 0; t < 300; ++t) {
        targets.push_back(noise(9, t) % q.total());
    }
    std::sort(targets.begin(), targets.end());
    return targets;
}

// All steps of a group of runs, one after the other.
void rows_of_runs(const WeightTable& table, const std::vector<mass_t>& targets, std::size_t runs, std::size_t length,
                  index_t* out) {
    std::vector<u64> granules(runs);
    for (std::size_t step = 4; step-- > 0;) {
        RunGroups groups{};
        groups.at[step] = {.targets = targets.data(), .granules = granules.data(), .runs = runs};
        table.locate(groups, length, out);
    }
}

void check_rows(const WeightTable& table, const Quantised& q) {
    const std::vector<mass_t> targets = interesting_targets(q);
    std::vector<index_t> expected;
    for (const mass_t target : targets) {
        expected.push_back(q.row(target));
    }
    std::vector<index_t> rows(targets.size());
    table.rows(targets.data(), targets.size(), rows.data());
    CHECK(rows == expected);
    for (std::size_t t = 0; t < targets.size(); t += targets.size() / 50 + 1) {
        CHECK_EQ(table.row(targets[t]), expected[t]);
    }
    for (const std::size_t length : {1U, 3U, 16U, 17U, 100U}) {
        // Runs in an order of their own, each sorted.
        const std::size_t runs = std::min<std::size_t>(targets.size() / length, 40);
        std::vector<mass_t> shuffled;
        std::vector<index_t> wanted;
        for (std::size_t r = 0; r < runs; ++r) {
            const std::size_t from = noise(10, r) % (targets.size() - length + 1);
            for (std::size_t i = from; i < from + length; ++i) {
                shuffled.push_back(targets[i]);
                wanted.push_back(expected[i]);
            }
        }
        rows.assign(runs * length, -1);
        rows_of_runs(table, shuffled, runs, length, rows.data());
        CHECK(rows == wanted);
    }
}

void check_table(const WeightTable& table, const std::vector<double>& weights) {
    const Quantised q{weights};
    CHECK_EQ(table.size(), weights.size());
    CHECK_EQ(table.scale_exponent(), q.exponent);
    CHECK_EQ(table.total(), q.total());
    CHECK(table.total() < mass_t{1} << 62U);
    CHECK_EQ(static_cast<long>(table.positive()),
             std::count_if(weights.begin(), weights.end(), [](double w) { return w > 0; }));
    CHECK(masses_of(table) == q.masses);
    check_rows(table, q);
}

// Named cases of weights.
std::vector<std::vector<double>> weight_cases() {
    std::vector<std::vector<double>> all{{1.0}, {0.0, 3.0}, {3.0, 0.0}, {1e-300, 1e300}, {0x1p-1074, 0.0, 1.0}};
    for (const std::size_t n : {31U, 32U, 33U, 64U, 1000U, 5000U}) {
        std::vector<double> uneven(n);
        std::vector<double> sparse(n);
        std::vector<double> rising(n);
        std::vector<double> last(n);
        for (std::size_t i = 0; i < n; ++i) {
            uneven[i] = std::exp2(static_cast<double>(noise(11, i) % 60) - 30.0);
            sparse[i] = noise(12, i) % 97 == 0 ? 1.0 : 0.0;
            rising[i] = static_cast<double>(i);
            last[i] = i + 1 == n ? 1.0 : 0.0;
        }
        sparse[n / 2] = 1.0;
        all.insert(all.end(), {uneven, sparse, rising, last, std::vector<double>(n, 0.1)});
    }
    return all;
}

}  // namespace

TEST(values_are_quantised_and_found) {
    for (const std::vector<double>& weights : weight_cases()) {
        check_table(table_of(weights), weights);
        const std::vector<float> single(weights.begin(), weights.end());
        if (std::all_of(single.begin(), single.end(), [](float w) { return std::isfinite(w); })) {
            check_table(table_of(single), std::vector<double>(single.begin(), single.end()));
        }
    }
}

TEST(every_instruction_set_finds_the_same_rows) {
    const std::vector<double> weights = weight_cases()[10];
    with_each_instruction_set([&](const std::string&) { check_table(table_of(weights), weights); });
}

TEST(targets_beside_every_edge_are_found) {
    const std::vector<double> weights{0, 0, 1, 0, 2, 0, 0, 0, 4, 1, 0};
    const Quantised q{weights};
    const WeightTable table = table_of(weights);
    for (const mass_t edge : q.cumulative) {
        for (mass_t target = edge > 2 ? edge - 2 : 0; target < std::min(edge + 3, q.total()); ++target) {
            CHECK_EQ(table.row(target), q.row(target));
        }
    }
}

TEST(indices_choose_the_rows_that_count) {
    const std::vector<double> weights = weight_cases()[10];
    std::vector<index_t> indices;
    std::vector<double> chosen;
    for (std::size_t i = 0; i < weights.size(); i += 1 + noise(13, i) % 3) {
        indices.push_back(static_cast<index_t>(i));
        chosen.push_back(weights[i]);
    }
    check_table(table_of(weights, indices), chosen);
    const std::vector<std::int16_t> codes{0, 2, 1, 2, 2, 0, 1, 1};
    const std::vector<index_t> some{1, 2, 6};
    check_table(code_table(codes, {5.0, 2.0, 1.0}, some), {1.0, 2.0, 2.0});
}

TEST(codes_stand_for_the_weights_of_their_classes) {
    const std::vector<double> class_weights{0.5, 0.0, 3.0, 0.1, 1e6};
    std::vector<std::int64_t> codes(3000);
    for (std::size_t i = 0; i < codes.size(); ++i) {
        codes[i] = static_cast<std::int64_t>(noise(14, i) % 5);
    }
    std::vector<double> weights;
    for (const std::int64_t code : codes) {
        weights.push_back(class_weights[static_cast<std::size_t>(code)]);
    }
    check_table(code_table(codes, class_weights), weights);
    check_table(code_table(std::vector<std::int8_t>(codes.begin(), codes.end()), class_weights), weights);
    check_table(code_table(std::vector<std::int16_t>(codes.begin(), codes.end()), class_weights), weights);
    check_table(code_table(std::vector<std::int32_t>(codes.begin(), codes.end()), class_weights), weights);
}

TEST(a_class_without_rows_does_not_set_the_scale) {
    const std::vector<std::int8_t> codes{0, 0, 2};
    check_table(code_table(codes, {1.0, 1.7e308, 2.0}), {1.0, 1.0, 2.0});
}

TEST(equal_weights_take_no_memory_and_no_limit_of_float32) {
    for (const u64 n : {u64{1}, u64{3}, u64{1000}, (u64{1} << 24U) + 1, u64{1'000'000'000'000}, u64{1} << 61U}) {
        const WeightTable table = WeightTable::uniform(n);
        const mass_t mass = mass_t{1} << table.scale_exponent();
        CHECK_EQ(table.total(), n * mass);
        CHECK(table.total() < mass_t{1} << 62U);
        CHECK(table.total() >= mass_t{1} << 51U);
        CHECK_EQ(table.positive(), n);
        for (const u64 row : {u64{0}, n / 3, n - 1}) {
            CHECK_EQ(table.row(row * mass), static_cast<index_t>(row));
            CHECK_EQ(table.row(row * mass + mass - 1), static_cast<index_t>(row));
        }
    }
    const std::vector<double> same(1000, 1.0);
    CHECK_EQ(WeightTable::uniform(1000).total(), table_of(same).total());
    CHECK_EQ(WeightTable::uniform(1000).scale_exponent(), table_of(same).scale_exponent());
}

TEST(fingerprints_tell_weights_apart) {
    const std::vector<double> weights = weight_cases()[10];
    const u64 fingerprint = table_of(weights).fingerprint();
    CHECK_EQ(table_of(weights).fingerprint(), fingerprint);
    for (std::size_t i = 0; i < weights.size(); i += 37) {
        std::vector<double> other = weights;
        other[i] = other[i] == 0.0 ? 1.0 : other[i] * 1.5;
        CHECK(table_of(other).fingerprint() != fingerprint);
    }
    std::vector<double> longer = weights;
    longer.push_back(0.0);
    CHECK(table_of(longer).fingerprint() != fingerprint);
    CHECK(WeightTable::uniform(5).fingerprint() != WeightTable::uniform(6).fingerprint());
}

TEST(codes_are_counted) {
    const std::vector<std::int32_t> codes{3, 1, 1, 0, 3, 3};
    std::vector<index_t> counts(5);
    count_codes(std::span<const std::int32_t>(codes), {}, std::span<index_t>(counts));
    CHECK(counts == std::vector<index_t>{1, 2, 0, 3, 0});
    const std::vector<index_t> some{0, 1, 5};
    counts.assign(4, 0);
    count_codes(std::span<const std::int32_t>(codes), some, std::span<index_t>(counts));
    CHECK(counts == std::vector<index_t>{0, 1, 0, 2});
}
