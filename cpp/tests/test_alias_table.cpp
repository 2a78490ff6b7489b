// The alias table gives every row exactly its share, summed over the columns in integers; draws are what the columns
// and the stream say, from any place, for every number of threads. ctest-label: threads
#include "check.hpp"
#include "reference.hpp"
#include "tombola/alias_table.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

__extension__ using u128 = unsigned __int128;

WeightTable table_of(const std::vector<double>& weights) {
    return WeightTable(make_value_source(std::span<const double>(weights), {}));
}

std::vector<std::vector<double>> weight_cases() {
    std::vector<std::vector<double>> all{{1.0}, {0.0, 1.0}, {1.0, 1.0, 1.0}, {1e-300, 1e300, 1.0}};
    for (const std::size_t n : {7U, 1023U, 1024U, 1025U, 5000U}) {
        std::vector<double> uneven(n);
        std::vector<double> one_large(n, 1.0);
        for (std::size_t i = 0; i < n; ++i) {
            uneven[i] = noise(40, i) % 6 == 0 ? 0.0 : std::exp2(static_cast<double>(noise(41, i) % 40));
        }
        uneven[n - 1] = 1.0;
        one_large[n / 2] = 1e12;
        all.insert(all.end(), {uneven, one_large, std::vector<double>(n, 0.3)});
    }
    return all;
}

std::vector<index_t> draw(const AliasTable& alias, std::size_t count, u64 first = 0) {
    std::vector<index_t> rows(count, -1);
    alias.draw(11, 22, first, rows);
    return rows;
}

}  // namespace

TEST(every_row_has_exactly_its_share) {
    for (const std::vector<double>& weights : weight_cases()) {
        const Quantised q{weights};
        const AliasTable alias(table_of(weights));
        const u64 n = weights.size();
        CHECK_EQ(alias.size(), n);
        std::vector<u128> shares(n);
        bool valid = true;
        for (std::size_t column = 0; column < n; ++column) {
            const AliasTable::Column& c = alias.columns()[column];
            valid = valid && c.cut <= q.total() && static_cast<u64>(c.alias) < n;
            shares[column] += c.cut;
            shares[static_cast<std::size_t>(c.alias)] += q.total() - c.cut;
        }
        CHECK(valid);
        bool exact = true;
        for (std::size_t row = 0; row < n; ++row) {
            exact = exact && shares[row] == static_cast<u128>(q.masses[row]) * n;
        }
        CHECK(exact);
    }
}

TEST(draws_follow_the_columns) {
    for (const std::vector<double>& weights : weight_cases()) {
        const mass_t total = Quantised{weights}.total();
        const AliasTable alias(table_of(weights));
        const Stream stream{derive_key(11, 22, Purpose::alias), 0};
        std::vector<index_t> expected;
        for (u64 i = 0; i < 1500; ++i) {
            const u64 column = static_cast<u64>(static_cast<u128>(stream.word64(2 * i)) * weights.size() >> 64U);
            const u64 target = static_cast<u64>(static_cast<u128>(stream.word64(2 * i + 1)) * total >> 64U);
            const AliasTable::Column& c = alias.columns()[column];
            expected.push_back(target < c.cut ? static_cast<index_t>(column) : c.alias);
        }
        CHECK(draw(alias, expected.size()) == expected);
        for (const u64 first : {1U, 255U, 256U, 1000U}) {
            expected.erase(expected.begin(), expected.end() - static_cast<std::ptrdiff_t>(1500 - first));
            CHECK(draw(alias, expected.size(), first) == expected);
        }
        CHECK(draw(alias, 0).empty());
    }
}

TEST(rows_of_zero_weight_never_come) {
    const AliasTable alias(table_of({0.0, 1.0, 0.0, 1e-12, 0.0}));
    const std::vector<index_t> rows = draw(alias, 20'000);
    CHECK(std::all_of(rows.begin(), rows.end(), [](index_t row) { return row == 1 || row == 3; }));
}

TEST(draws_are_the_same_for_every_number_of_threads_and_instruction_set) {
    const AliasTable alias(table_of(weight_cases().back()));
    set_num_threads(1);
    const std::vector<index_t> rows = draw(alias, 400'001);
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        CHECK(draw(alias, rows.size()) == rows);
    }
    with_each_instruction_set([&](const std::string&) { CHECK(draw(alias, rows.size()) == rows); });
}

TEST(equal_weights_make_a_table_as_well) {
    const AliasTable alias(WeightTable::uniform(1000));
    for (std::size_t column = 0; column < 1000; ++column) {
        CHECK_EQ(alias.columns()[column].alias, static_cast<index_t>(column));
    }
    std::vector<index_t> other(100);
    alias.draw(11, 23, 0, other);
    CHECK(draw(alias, 100) != other);  // another epoch
}
