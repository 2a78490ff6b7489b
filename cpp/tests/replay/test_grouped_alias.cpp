// The alias table over groups gives every group exactly its mass; draws are what columns, groups and stream say, from
// any place, for every number of threads and instruction set. ctest-label: threads
#include "check.hpp"
#include "reference.hpp"
#include "tombola/replay/grouped_alias.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

__extension__ using u128 = unsigned __int128;

struct Example {
    std::vector<index_t> offsets;
    std::vector<double> weights;
};

std::vector<Example> examples() {
    std::vector<Example> all{{{0, 1}, {1.0}},
                             {{0, 0, 3}, {9.0, 1.0}},
                             {{0, 2, 5, 6}, {1.0, 0.0, 2.0}},
                             {{0, 1, index_t{1} << 45U}, {1e12, 1.0}}};
    Example many{{0}, {}};
    for (u64 g = 0; g < 1000; ++g) {
        many.offsets.push_back(many.offsets.back() + static_cast<index_t>(noise(50, g) % 40));
        many.weights.push_back(noise(51, g) % 5 == 0 ? 0.0 : unit_noise(52, g));
    }
    all.push_back(many);
    return all;
}

std::vector<double> totals(const Example& e) {
    std::vector<double> all;
    for (std::size_t g = 0; g < e.weights.size(); ++g) {
        all.push_back(e.weights[g] * static_cast<double>(e.offsets[g + 1] - e.offsets[g]));
    }
    return all;
}

std::vector<index_t> draw(const GroupedAlias& table, std::size_t count, u64 first = 0) {
    std::vector<index_t> rows(count, -1);
    table.draw(11, 22, first, rows);
    return rows;
}

}  // namespace

TEST(every_group_has_exactly_its_mass) {
    for (const Example& e : examples()) {
        const Quantised q{totals(e)};
        const GroupedAlias table(e.offsets, e.weights);
        CHECK_EQ(table.size(), static_cast<u64>(e.offsets.back()));
        CHECK_EQ(table.groups(), e.weights.size());
        CHECK_EQ(table.total(), q.total());
        std::vector<u128> given(e.weights.size());
        for (std::size_t g = 0; g < given.size(); ++g) {
            const GroupedAlias::Column& c = table.columns()[g];
            CHECK(c.cut <= q.total() && c.alias < given.size());
            given[g] += c.cut;
            given[static_cast<std::size_t>(c.alias)] += q.total() - c.cut;
        }
        for (std::size_t g = 0; g < given.size(); ++g) {
            CHECK(given[g] == static_cast<u128>(q.masses[g]) * given.size());
        }
    }
}

TEST(draws_follow_columns_and_groups) {
    for (const Example& e : examples()) {
        const GroupedAlias table(e.offsets, e.weights);
        const Stream stream{derive_key(11, 22, Purpose::grouped_alias), 0};
        std::vector<index_t> expected;
        for (u64 t = 0; t < 1500; ++t) {
            const u128 product = static_cast<u128>(stream.word64(2 * t)) * e.weights.size();
            const u64 own = static_cast<u64>(product >> 64U);
            const GroupedAlias::Column& c = table.columns()[own];
            const std::size_t g = multiply_high(static_cast<u64>(product), table.total()) < c.cut ? own : c.alias;
            const u64 size = static_cast<u64>(e.offsets[g + 1] - e.offsets[g]);
            expected.push_back(e.offsets[g] + static_cast<index_t>(multiply_high(stream.word64(2 * t + 1), size)));
            CHECK(e.weights[g] > 0.0 && size > 0);
        }
        CHECK(draw(table, expected.size()) == expected);
        const std::vector<index_t> later(expected.begin() + 777, expected.end());
        CHECK(draw(table, later.size(), 777) == later);
    }
}

TEST(members_stand_for_positions) {
    const Example e = examples().back();
    const GroupedAlias table(e.offsets, e.weights);
    std::vector<index_t> members;
    for (index_t i = 0; i < e.offsets.back(); ++i) {
        members.push_back(e.offsets.back() - i);
    }
    const std::vector<std::int32_t> narrow(members.begin(), members.end());
    std::vector<index_t> rows(5000);
    std::vector<index_t> others(5000);
    table.draw(11, 22, 0, std::span<const index_t>(members), rows);
    table.draw(11, 22, 0, std::span<const std::int32_t>(narrow), others);
    const std::vector<index_t> positions = draw(table, 5000);
    bool equal = rows == others;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        equal = equal && rows[i] == members[static_cast<std::size_t>(positions[i])];
    }
    CHECK(equal);
    CHECK_THROWS_WITH(std::invalid_argument, "members, as the offsets say, but are 2",
                      table.draw(1, 2, 0, std::span<const index_t>(members).first(2), rows));
}

TEST(draws_are_the_same_for_every_number_of_threads_and_instruction_set) {
    const Example e = examples().back();
    const GroupedAlias table(e.offsets, e.weights);
    set_num_threads(1);
    const std::vector<index_t> rows = draw(table, 100'001);
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        CHECK(draw(table, rows.size()) == rows);
    }
    with_each_instruction_set([&](const std::string&) { CHECK(draw(table, rows.size()) == rows); });
}

TEST(wrong_groups_are_named) {
    const auto make = [](std::vector<index_t> offsets, std::vector<double> weights) {
        return GroupedAlias(offsets, weights);
    };
    CHECK_THROWS_WITH(std::invalid_argument, "at least 2, but have 1", make({0}, {}));
    CHECK_THROWS_WITH(std::invalid_argument, "begin with 0, but offsets[0] = 1", make({1, 2}, {1.0}));
    CHECK_THROWS_WITH(std::invalid_argument, "offsets[2] = 3 follows 4", make({0, 4, 3}, {1.0, 1.0}));
    CHECK_THROWS_WITH(std::invalid_argument, "each of the 2 groups, but are 1", make({0, 4, 5}, {1.0}));
    CHECK_THROWS_WITH(std::invalid_argument, "weights[0] = -1", make({0, 0, 5}, {-1.0, 1.0}));
    CHECK_THROWS_WITH(std::invalid_argument, "weights[1] = inf", make({0, 1, 1}, {1.0, INFINITY}));
    CHECK_THROWS_WITH(std::invalid_argument, "all 2 are 0", make({0, 0, 5}, {1.0, 0.0}));
}
