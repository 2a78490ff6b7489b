// The sum tree is at all times the tree of its weights: after any history, masses and draws are those of a plain list.
// Draws do not depend on threads or instruction sets and run side by side. ctest-label: threads
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/replay/sum_tree.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

__extension__ using u128 = unsigned __int128;

using Slots = std::vector<index_t>;

std::vector<mass_t> plain_masses(const SumTree& tree) {
    std::vector<mass_t> masses;
    for (const double w : tree.weights()) {
        const double scaled = std::max(std::ldexp(w, tree.fit().exponent), w > 0 ? 1.0 : 0.0);
        masses.push_back(static_cast<mass_t>(std::nearbyint(scaled)));
    }
    return masses;
}

u64 plain_slot(const std::vector<mass_t>& masses, mass_t target) {
    u64 slot = 0;
    while (target >= masses[slot]) {
        target -= masses[slot++];
    }
    return slot;
}

Slots draw(const SumTree& tree, std::size_t count, SumTree::Draws draws = SumTree::Draws::independent) {
    Slots slots(count, -1);
    tree.draw(11, 22, draws, slots, {});
    return slots;
}

Slots draw_distinct(const SumTree& tree, std::size_t count) {
    Slots slots(count, -1);
    tree.draw_distinct(11, 22, slots, {});
    return slots;
}

void check_tree(const SumTree& tree) {
    const std::vector<mass_t> masses = plain_masses(tree);
    const mass_t total = std::accumulate(masses.begin(), masses.end(), mass_t{0});
    CHECK_EQ(tree.total(), total);
    CHECK_EQ(tree.positive(),
             static_cast<u64>(masses.size()) - static_cast<u64>(std::count(masses.begin(), masses.end(), 0U)));
    if (total == 0) {
        return;
    }
    const Stream stream{derive_key(11, 22, Purpose::sum_tree), 0};
    Slots slots(200);
    std::vector<mass_t> found(200);
    tree.draw(11, 22, SumTree::Draws::independent, slots, found);
    for (u64 t = 0; t < slots.size(); ++t) {
        const u64 slot = plain_slot(masses, multiply_high(stream.word64(t), total));
        CHECK_EQ(slots[t], static_cast<index_t>(slot));
        CHECK_EQ(found[t], masses[slot]);
    }
    tree.draw(11, 22, SumTree::Draws::stratified, slots, found);
    for (u64 t = 0; t < slots.size(); ++t) {
        const u64 low = static_cast<u64>(static_cast<u128>(total) * t / 200);
        const u64 high = static_cast<u64>(static_cast<u128>(total) * (t + 1) / 200);
        CHECK_EQ(slots[t], static_cast<index_t>(plain_slot(masses, low + multiply_high(stream.word64(t), high - low))));
    }
}

}  // namespace

TEST(a_tree_is_that_of_its_weights_after_any_history) {
    for (const u64 n : {1U, 7U, 8U, 9U, 64U, 65U, 600U, 9'000U}) {
        const u64 most = n < 1'000 ? 50 : 1'500;  // more and fewer than a level has entries
        SumTree tree(n);
        check_tree(tree);
        for (u64 round = 0; round < 60; ++round) {
            Slots slots;
            std::vector<double> weights;
            const double level = std::exp2(static_cast<double>(noise(60, round) % 40) - 20.0);
            for (u64 i = 0; i < 1 + noise(61, round) % most; ++i) {
                slots.push_back(static_cast<index_t>(noise(62 + n, 2'000 * round + i) % n));
                weights.push_back(noise(63, 2'000 * round + i) % 4 == 0 ? 0.0
                                                                        : level * unit_noise(64, 2'000 * round + i));
            }
            tree.update(slots, weights);
            CHECK_EQ(tree.weights()[static_cast<std::size_t>(slots.back())], weights.back());
            check_tree(tree);
        }
    }
}

TEST(the_scale_is_fitted_once_for_weights_of_one_level) {
    SumTree tree(1000);
    tree.update(Slots{5}, std::vector<double>{1.0});
    const int exponent = tree.fit().exponent;
    for (index_t i = 0; i < 1000; ++i) {
        tree.update(Slots{i}, std::vector<double>{i % 2 == 0 ? 25.0 : 0.1});
        CHECK_EQ(tree.fit().exponent, exponent);
    }
    tree.update(Slots{3}, std::vector<double>{1e6});
    CHECK(tree.fit().exponent < exponent);
    check_tree(tree);
    tree.update(Slots{3}, std::vector<double>{0.0});
    std::vector<double> small(1000, 1e-4);
    Slots all(1000);
    std::iota(all.begin(), all.end(), 0);
    tree.update(all, small);
    CHECK(tree.fit().exponent > exponent);
    check_tree(tree);
}

TEST(draws_without_replacement_are_successive_draws) {
    SumTree tree(9);
    tree.fill(std::vector<double>{1.0, 0.0, 1e6, 3.0, 1e-3, 0.0, 2.0, 1e3, 5.0});
    const Slots all = draw_distinct(tree, 7);
    Slots sorted = all;
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == (Slots{0, 2, 3, 4, 6, 7, 8}));
    for (std::size_t k = 0; k < 7; ++k) {  // a longer draw begins with the shorter one
        CHECK(draw_distinct(tree, k) == Slots(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k)));
    }
    CHECK_THROWS_WITH(std::invalid_argument, "as have a weight > 0, 7, but size is 8", draw_distinct(tree, 8));
    SumTree large(100'003);
    large.fill(std::vector<double>(100'003, 0.7));
    Slots every = draw_distinct(large, 100'003);
    CHECK(is_permutation_of_iota(every));
}

TEST(draws_are_the_same_for_every_number_of_threads_and_instruction_set) {
    std::vector<double> weights;
    for (u64 i = 0; i < 300'007; ++i) {
        weights.push_back(noise(70, i) % 3 == 0 ? 0.0 : unit_noise(71, i));
    }
    SumTree tree(weights.size());
    tree.fill(weights);
    const Slots independent = draw(tree, 50'001);
    const Slots stratified = draw(tree, 50'001, SumTree::Draws::stratified);
    const Slots distinct = draw_distinct(tree, 5'001);
    const auto check = [&] {
        SumTree other(weights.size());
        other.fill(weights);
        other.update(Slots{7, 9, 7}, std::vector<double>{3.0, weights[9], weights[7]});
        CHECK_EQ(other.total(), tree.total());
        CHECK(draw(other, independent.size()) == independent);
        CHECK(draw(other, stratified.size(), SumTree::Draws::stratified) == stratified);
        CHECK(draw_distinct(other, distinct.size()) == distinct);
    };
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        check();
    }
    with_each_instruction_set([&](const std::string&) { check(); });
}

TEST(threads_draw_side_by_side) {
    SumTree tree(5000);
    tree.fill(std::vector<double>(5000, 1.5));
    const Slots expected = draw(tree, 20'000);
    const Slots distinct = draw_distinct(tree, 500);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            CHECK(draw(tree, expected.size()) == expected);
            CHECK(draw_distinct(tree, distinct.size()) == distinct);
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

TEST(states_are_restored) {
    SumTree tree(100);
    tree.fill(std::vector<double>(100, 1.0));
    tree.update(Slots{1, 2}, std::vector<double>{9.0, 0.0});
    SumTree other(100);
    other.restore(tree.weights(), tree.fit());
    CHECK(draw(other, 500) == draw(tree, 500));
    CHECK_THROWS_WITH(std::invalid_argument, "scale that is not of its weights",
                      other.restore(tree.weights(), {.chosen = true, .exponent = 60, .low = 0}));
    CHECK_THROWS_WITH(std::invalid_argument, "scale that is not of its weights", other.restore(tree.weights(), {}));
    CHECK(draw(other, 500) == draw(tree, 500));
}

TEST(errors_name_the_offence_and_change_nothing) {
    SumTree tree(10);
    CHECK_THROWS_WITH(std::invalid_argument, "at least one weight must be > 0 to draw, but all 10 are 0",
                      draw(tree, 1));
    CHECK(draw(tree, 0).empty());
    tree.update(Slots{4}, std::vector<double>{2.0});
    const Slots slots{1, 2, 3};
    CHECK_THROWS_WITH(std::out_of_range, "slots must lie in [0, 10), but slots[2] = 10",
                      tree.update(Slots{1, 2, 10}, std::vector<double>(3, 1.0)));
    CHECK_THROWS_WITH(std::out_of_range, "slots[0] = -1", tree.update(Slots{-1}, std::vector<double>(1, 1.0)));
    CHECK_THROWS_WITH(std::invalid_argument, "at most 2**900, but weights[1] = nan",
                      tree.update(slots, std::vector<double>{1.0, NAN, 1.0}));
    CHECK_THROWS_WITH(std::invalid_argument, "weights[0] = -0.5",
                      tree.update(slots, std::vector<double>{-0.5, 1.0, 1.0}));
    for (const index_t slot : {std::numeric_limits<index_t>::min(), std::numeric_limits<index_t>::max()}) {
        CHECK_THROWS(std::out_of_range, tree.update(Slots{3, slot}, std::vector<double>(2, 1.0)));
    }
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const double weight : {infinity, -infinity, -std::nan(""), -0x1p-1074, std::nextafter(0x1p900, infinity)}) {
        CHECK_THROWS(std::invalid_argument, tree.update(Slots{3, 4}, std::vector<double>{1.0, weight}));
    }
    SumTree edges(10);
    edges.update(Slots{0, 1, 2, 9}, std::vector<double>{0.0, -0.0, 0x1p-1074, 0x1p900});
    CHECK_EQ(edges.positive(), u64{2});
    CHECK_THROWS_WITH(std::invalid_argument, "each of the 3 slots, but are 2",
                      tree.update(slots, std::vector<double>{1.0, 1.0}));
    CHECK_THROWS_WITH(std::invalid_argument, "weights[0] = 1e+300", tree.fill(std::vector<double>(10, 1e300)));
    CHECK_THROWS_WITH(std::invalid_argument, "each of the 10 slots, but are 9", tree.fill(std::vector<float>(9)));
    CHECK_THROWS_WITH(std::invalid_argument, "1 to 2**40 slots, but is asked for 0", SumTree(0));
    CHECK_EQ(tree.positive(), u64{1});
    check_tree(tree);
}

TEST(a_fill_that_was_broken_off_is_noticed) {
    constexpr std::size_t n = std::size_t{1} << 23U;
    SumTree tree(n);
    tree.update(Slots{4}, std::vector<double>{2.0});
    set_num_threads(1);
    set_interrupt_check([] { throw std::runtime_error("stop"); });
    bool broken_off = false;  // it is, unless all loops are done in 20 ms each
    try {
        tree.fill(std::vector<float>(n, 1.0F));
    } catch (const std::runtime_error&) {
        broken_off = true;
    }
    set_interrupt_check({});
    if (broken_off) {
        CHECK_THROWS_WITH(std::runtime_error, "was broken off", draw(tree, 1));
        CHECK_THROWS_WITH(std::runtime_error, "was broken off", draw_distinct(tree, 1));
    }
    tree.update(Slots{4}, std::vector<double>{2.0});
    CHECK_EQ(draw(tree, 100).size(), std::size_t{100});
    CHECK_EQ(tree.positive(),
             static_cast<u64>(n) - static_cast<u64>(std::count(tree.weights().begin(), tree.weights().end(), 0.0)));
}
