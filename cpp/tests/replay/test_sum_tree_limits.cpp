// Masses near what a sum of 64 bits holds, brought in by one call and by many: a sum that would wrap is noticed, the
// limits are those of sum_tree.hpp to the unit, and no target leads out of a tree.
#include <numeric>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/kernels/kernels.hpp"
#include "tombola/replay/sum_tree.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

__extension__ using u128 = unsigned __int128;

constexpr mass_t limit = mass_t{1} << 62U;

std::vector<index_t> slots_of(std::size_t first, std::size_t last) {
    std::vector<index_t> slots(last - first);
    std::iota(slots.begin(), slots.end(), static_cast<index_t>(first));
    return slots;
}

u128 plain_total(const SumTree& tree) {
    u128 total = 0;
    for (const double w : tree.weights()) {
        total += static_cast<u128>(std::max(std::nearbyint(std::ldexp(w, tree.fit().exponent)), w > 0 ? 1.0 : 0.0));
    }
    return total;
}

void check_tree(const SumTree& tree) {
    CHECK(tree.total() == plain_total(tree));
    CHECK(tree.total() < limit);
    for (const auto draws : {SumTree::Draws::independent, SumTree::Draws::stratified}) {
        std::vector<index_t> drawn(300);
        std::vector<mass_t> masses(drawn.size());
        std::vector<mass_t> expected(drawn.size());
        tree.draw(1, 2, draws, drawn, masses);
        tree.masses(drawn, expected);
        CHECK(masses == expected);
        CHECK(std::ranges::all_of(masses, [](mass_t m) { return m > 0; }));
    }
    std::vector<index_t> drawn(std::min<u64>(300, tree.positive()));
    tree.draw_distinct(1, 2, drawn, {});
    std::ranges::sort(drawn);
    CHECK(std::ranges::adjacent_find(drawn) == drawn.end());
    CHECK(tree.weights()[static_cast<std::size_t>(drawn.back())] > 0.0);
}

// One slot of weight 1 fixes a scale in which a weight of `weight` has a mass of 2^50.
SumTree tree_of_one(u64 n, double& weight) {
    SumTree tree(n);
    std::vector<double> weights(n);
    weights[0] = 1.0;
    tree.fill(weights);
    weight = std::ldexp(1.0, 50 - tree.fit().exponent);
    return tree;
}

}  // namespace

// 2^14 masses of 2^50 are 2^64: seen modulo 2^64, any number of them seems to fit again.
TEST(much_mass_that_comes_in_one_call_or_in_many_is_summed_rightly) {
    constexpr u64 n = 70'000;
    for (const std::size_t count : {4'095U, 4'096U, 16'383U, 16'384U, 16'385U, 20'479U, 32'769U, 65'537U}) {
        for (const std::size_t calls : {1U, 2U, 7U, 4'000U}) {
            double weight = 0;
            SumTree tree = tree_of_one(n, weight);
            for (std::size_t call = 0; call < calls; ++call) {
                const std::vector<index_t> slots = slots_of(1 + count * call / calls, 1 + count * (call + 1) / calls);
                tree.update(slots, std::vector<double>(slots.size(), weight));
            }
            CHECK_EQ(tree.positive(), u64{count + 1});
            check_tree(tree);
            tree.update(slots_of(1, count + 1), std::vector<double>(count, 0.0));
            CHECK_EQ(tree.positive(), u64{1});
            check_tree(tree);
        }
    }
}

TEST(slots_that_come_again_and_again_in_one_call_do_not_count_twice) {
    double weight = 0;
    SumTree tree = tree_of_one(100, weight);
    const int exponent = tree.fit().exponent;
    std::vector<index_t> slots(100'000);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        slots[i] = static_cast<index_t>(1 + i % 99);
    }
    tree.update(slots, std::vector<double>(slots.size(), weight));
    CHECK_EQ(tree.fit().exponent, exponent);
    check_tree(tree);
}

TEST(the_limit_holds_to_the_unit) {
    for (const double more : {-1.0, 0.0}) {
        double weight = 0;
        SumTree tree = tree_of_one(5'000, weight);
        const int exponent = tree.fit().exponent;
        std::vector<double> weights(4'096, weight);
        weights[7] += std::ldexp(more, -exponent);
        weights[8] -= 1.0;  // slot 0 has it
        tree.update(slots_of(1, 4'097), weights);
        CHECK_EQ(tree.fit().exponent == exponent, more < 0.0);
        CHECK(more == 0.0 || tree.total() == limit - 1);
        check_tree(tree);
        SumTree other(tree.size());
        other.restore(tree.weights(), tree.fit());
        CHECK_EQ(other.total(), tree.total());
        if (more < 0.0) {
            weights.assign(tree.weights().begin(), tree.weights().end());
            weights[4'500] = std::ldexp(1.0, -exponent - 20);  // a unit, as it is positive
            CHECK_THROWS_WITH(std::invalid_argument, "scale that is not of its weights",
                              other.restore(weights, tree.fit()));
            CHECK_EQ(other.total(), tree.total());
        }
    }
}

// The one slot that is left has a mass of 2^51; times 2^14 slots that is 2^65, which modulo 2^64 seems to have fallen.
TEST(a_mean_that_has_grown_does_not_count_as_fallen) {
    SumTree tree(16'384);
    tree.fill(std::vector<double>(tree.size(), 1.0));
    const int exponent = tree.fit().exponent;
    tree.update(slots_of(1, tree.size()), std::vector<double>(tree.size() - 1, 0.0));
    tree.update(slots_of(0, 1), std::vector<double>(1, std::ldexp(1.0, 51 - exponent)));
    CHECK_EQ(tree.fit().exponent, exponent);
    CHECK_EQ(tree.total(), mass_t{1} << 51U);
    check_tree(tree);
}

TEST(scales_of_damaged_states_are_refused) {
    SumTree tree(70'000);
    const std::vector<double> weights(tree.size(), 1.0);
    for (const int exponent : {46, 51, 52, 1000, 1001, -1001, std::numeric_limits<int>::min()}) {
        CHECK_THROWS_WITH(std::invalid_argument, "scale that is not of its weights",
                          tree.restore(weights, {.chosen = true, .exponent = exponent, .low = 0}));
    }
    const std::vector<double> none(tree.size(), 0.0);
    for (const int exponent : {1001, -1001, 1024, std::numeric_limits<int>::max()}) {
        CHECK_THROWS_WITH(std::invalid_argument, "scale that is not of its weights",
                          tree.restore(none, {.chosen = false, .exponent = exponent, .low = 0}));
    }
    tree.restore(weights, {.chosen = true, .exponent = 45, .low = 0});
    check_tree(tree);
}

TEST(no_target_leads_out_of_a_tree) {
    with_each_instruction_set([](const std::string&) {
        const std::vector<double> weights{1.0, 2.0, 0.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 0, 0, 0, 0, 0, 0};
        const std::vector<u64> nodes{0, 28, 45, 45, 45, 45, 45, 45};
        for (const u64 target : {u64{0}, u64{44}, u64{45}, u64{46}, limit, limit << 1U, ~u64{0}}) {
            u64 left = target;
            u64 slot = 0;
            mass_t mass = 77;
            kernels().descend(nodes.data(), weights.data(), 1, 1, &left, &slot);
            CHECK(slot < 2);
            kernels().find_slots(weights.data(), 1.0, 9, 1, &left, &slot, &mass);
            CHECK(slot < 10);
            CHECK(target >= 45 || (left < mass && mass == static_cast<mass_t>(weights[slot])));
        }
    });
}
