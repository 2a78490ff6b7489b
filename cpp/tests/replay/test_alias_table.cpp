// The alias table gives every row its share of the columns exactly, by the columns that the plain sweep makes; draws
// are what the columns and the stream say, from any place, for every number of threads. ctest-label: threads
#include "check.hpp"
#include "reference.hpp"
#include "tombola/replay/alias_table.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

__extension__ using u128 = unsigned __int128;
using Column = AliasTable::Column;

constexpr u64 full = u64{1} << 32U;

WeightTable table_of(const std::vector<double>& weights) {
    return WeightTable(make_value_source(std::span<const double>(weights), {}));
}

std::vector<std::vector<double>> weight_cases() {
    std::vector<std::vector<double>> all{{1.0}, {0.0, 1.0}, {1.0, 1.0, 1.0}, {1e-300, 1e300, 1.0}, {0.3, 0.3, 0.4}};
    for (const std::size_t n : {7U, 2047U, 2048U, 2049U, 20'000U, 300'001U}) {
        std::vector<double> uneven(n);
        std::vector<double> one_large(n, 1.0);
        std::vector<double> large_first(n, 1.0);
        for (std::size_t i = 0; i < n; ++i) {
            uneven[i] = noise(40, i) % 6 == 0 ? 0.0 : std::exp2(static_cast<double>(noise(41, i) % 40));
            large_first[i] = 5 * i < n ? 9.0 + unit_noise(42, i) : 0.01;
        }
        uneven[n - 1] = 1.0;
        one_large[n / 2] = 1e12;
        all.insert(all.end(), {uneven, one_large, large_first, std::vector<double>(n, 0.3)});
    }
    return all;
}

std::vector<u64> plain_shares(const std::vector<double>& weights) {
    const Quantised q{weights};
    const u64 whole = weights.size() << 32U;
    u64 multiplier = whole / q.total();
    u64 rest = whole % q.total();
    u32 shift = 0;
    for (; multiplier < u64{1} << 62U; ++shift) {
        multiplier = 2 * multiplier + 2 * rest / q.total();
        rest = 2 * rest % q.total();
    }
    multiplier += rest > 0 ? 1 : 0;
    std::vector<u64> shares;
    u64 below = 0;
    for (const mass_t sum : q.cumulative) {
        const u64 above = std::min(static_cast<u64>(static_cast<u128>(sum) * multiplier >> shift), whole);
        shares.push_back(above - below);
        below = above;
    }
    CHECK_EQ(below, whole);
    return shares;
}

std::vector<Column> plain_columns(const std::vector<u64>& shares) {
    std::vector<Column> columns;
    std::vector<std::size_t> light;
    std::vector<std::size_t> heavy;
    for (std::size_t row = 0; row < shares.size(); ++row) {
        columns.push_back({~u32{0}, static_cast<u32>(row)});
        if (shares[row] != full) {
            (shares[row] < full ? light : heavy).push_back(row);
        }
    }
    std::size_t i = 0;
    u64 left = heavy.empty() ? 0 : shares[heavy[0]];
    for (std::size_t j = 0; j < heavy.size();) {
        if (left >= full && i < light.size()) {
            columns[light[i]] = {static_cast<u32>(shares[light[i]]), static_cast<u32>(heavy[j])};
            left -= full - shares[light[i++]];
        } else if (++j < heavy.size()) {
            columns[heavy[j - 1]] = {static_cast<u32>(left), static_cast<u32>(heavy[j])};
            left = shares[heavy[j]] - (full - left);
        }
    }
    return columns;
}

bool equal(std::span<const Column> a, std::span<const Column> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](Column x, Column y) { return x.cut == y.cut && x.alias == y.alias; });
}

std::vector<index_t> draw(const AliasTable& alias, std::size_t count, u64 first = 0) {
    std::vector<index_t> rows(count, -1);
    alias.draw(11, 22, first, rows);
    return rows;
}

}  // namespace

TEST(every_row_has_exactly_its_share_less_than_one_unit_off) {
    for (const std::vector<double>& weights : weight_cases()) {
        const std::vector<u64> shares = plain_shares(weights);
        const Quantised q{weights};
        const AliasTable alias(table_of(weights));
        CHECK_EQ(alias.size(), weights.size());
        std::vector<u64> given(weights.size());
        bool valid = true;
        for (std::size_t row = 0; row < weights.size(); ++row) {
            const Column& c = alias.columns()[row];
            valid = valid && c.alias < weights.size();
            given[row] += c.alias == row ? full : c.cut;
            given[c.alias] += c.alias == row ? 0 : full - c.cut;
        }
        CHECK(valid);
        CHECK(given == shares);
        bool near = true;
        for (std::size_t row = 0; row < weights.size(); ++row) {
            const double exact = static_cast<double>(q.masses[row]) / static_cast<double>(q.total()) *
                                 static_cast<double>(weights.size()) * 0x1p32;
            const double share = static_cast<double>(shares[row]);
            near = near && std::abs(share - exact) < 1.0 + exact * 0x1p-50 && (weights[row] > 0 || shares[row] == 0);
        }
        CHECK(near);
    }
}

TEST(columns_are_those_of_the_plain_sweep_for_every_number_of_threads_and_instruction_set) {
    for (const std::vector<double>& weights : weight_cases()) {
        const WeightTable table = table_of(weights);
        const std::vector<Column> expected = plain_columns(plain_shares(weights));
        with_each_instruction_set([&](const std::string&) { CHECK(equal(AliasTable(table).columns(), expected)); });
        for (const int threads : thread_counts()) {
            set_num_threads(threads);
            CHECK(equal(AliasTable(table).columns(), expected));
        }
    }
}

TEST(draws_follow_the_columns) {
    for (const std::vector<double>& weights : weight_cases()) {
        const AliasTable alias(table_of(weights));
        const Stream stream{derive_key(11, 22, Purpose::alias), 0};
        std::vector<index_t> expected;
        for (u64 i = 0; i < 1500; ++i) {
            const u128 product = static_cast<u128>(stream.word64(i)) * weights.size();
            const u64 column = static_cast<u64>(product >> 64U);
            const Column& c = alias.columns()[column];
            const bool own = static_cast<u64>(product) >> 32U < c.cut;
            expected.push_back(static_cast<index_t>(own ? column : c.alias));
        }
        CHECK(draw(alias, expected.size()) == expected);
        for (const u64 first : {1U, 255U, 256U, 1000U}) {
            const std::vector<index_t> later(expected.begin() + static_cast<std::ptrdiff_t>(first), expected.end());
            CHECK(draw(alias, later.size(), first) == later);
        }
        CHECK(draw(alias, 0).empty());
    }
}

TEST(rows_of_zero_weight_never_come) {
    const AliasTable alias(table_of({0.0, 1.0, 0.0, 1e-4, 0.0}));
    const std::vector<index_t> rows = draw(alias, 50'000);
    CHECK(std::all_of(rows.begin(), rows.end(), [](index_t row) { return row == 1 || row == 3; }));
    CHECK(std::find(rows.begin(), rows.end(), 3) != rows.end());
}

TEST(draws_are_the_same_for_every_number_of_threads_and_instruction_set) {
    const AliasTable alias(table_of(weight_cases()[5]));
    set_num_threads(1);
    const std::vector<index_t> rows = draw(alias, 400'001);
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        CHECK(draw(alias, rows.size()) == rows);
    }
    with_each_instruction_set([&](const std::string&) { CHECK(draw(alias, rows.size()) == rows); });
}

TEST(equal_weights_make_a_table_as_well) {
    const AliasTable alias(WeightTable::uniform(10'000));
    for (std::size_t column = 0; column < 10'000; ++column) {
        CHECK_EQ(alias.columns()[column].alias, static_cast<u32>(column));
    }
    std::vector<index_t> other(100);
    alias.draw(11, 23, 0, other);
    CHECK(draw(alias, 100) != other);  // another epoch
}

TEST(tables_are_made_from_columns) {
    const AliasTable alias(table_of(weight_cases()[5]));
    CHECK(draw(AliasTable(alias.columns()), 500) == draw(alias, 500));
    const std::vector<Column> wrong{{1, 0}, {5, 2}};
    CHECK_THROWS_WITH(std::invalid_argument, "aliases must lie in [0, 2), but column 1 has 2",
                      AliasTable(std::span<const Column>(wrong)));
    CHECK_THROWS_WITH(std::invalid_argument, "1 to 2**32 - 1 columns, but has 0",
                      AliasTable(std::span<const Column>()));
    CHECK_THROWS_WITH(std::invalid_argument, "at most 2**32 - 1 rows, but there are 4294967296",
                      AliasTable(WeightTable::uniform(u64{1} << 32U)));
}
