// Slots of a reservoir and uniform draws are what their rules say, from any place, for every number of threads and
// instruction set. ctest-label: threads
#include <algorithm>
#include <numeric>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/random/philox.hpp"
#include "tombola/replay/replay.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

std::vector<index_t> slots_of(u64 first, std::size_t count, u64 slots) {
    std::vector<index_t> out(count, -7);
    reservoir_slots(3, first, slots, out);
    return out;
}

std::vector<index_t> drawn(u64 stored, std::size_t count, bool replace) {
    std::vector<index_t> out(count, -7);
    uniform_draws(3, 4, stored, replace, out);
    return out;
}

}  // namespace

TEST(slots_follow_the_rule) {
    const Stream stream{derive_key(3, 0, Purpose::reservoir), 0};
    for (const u64 slots : {u64{1}, u64{5}, u64{1000}}) {
        const std::vector<index_t> all = slots_of(0, 50'000, slots);
        for (u64 t = 0; t < all.size(); ++t) {
            const u64 slot = t < slots ? t : multiply_high(stream.word64(t), t + 1);
            CHECK_EQ(all[t], slot < slots ? static_cast<index_t>(slot) : -1);
        }
    }
}

TEST(cuts_do_not_matter) {
    const std::vector<index_t> all = slots_of(0, 40'000, 100);
    for (const std::size_t first : {std::size_t{1}, std::size_t{99}, std::size_t{16'385}}) {
        const std::vector<index_t> part = slots_of(first, 20'001, 100);
        CHECK(std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(first)));
    }
    CHECK(slots_of(7, 0, 100).empty());
    CHECK_EQ(slots_of((u64{1} << 61U) - 1, 1, 1).size(), std::size_t{1});
}

TEST(draws_without_replacement_are_those_of_a_shuffle) {
    const Stream stream{derive_key(3, 4, Purpose::uniform_draws), 0};
    for (const u64 stored : {u64{1}, u64{2}, u64{30}, u64{20'000}}) {
        std::vector<index_t> order(stored);
        std::iota(order.begin(), order.end(), index_t{0});
        for (u64 i = 0; i < stored; ++i) {
            std::swap(order[i], order[i + multiply_high(stream.word64(i), stored - i)]);
        }
        for (const std::size_t count : {std::size_t{0}, (stored + 1) / 2, std::size_t{stored}}) {
            const std::vector<index_t> some = drawn(stored, count, false);
            CHECK(std::equal(some.begin(), some.end(), order.begin()));
        }
    }
    const std::vector<index_t> far = drawn(u64{1} << 61U, 1000, false);
    for (u64 i = 0; i < far.size(); ++i) {
        CHECK_EQ(far[i], static_cast<index_t>(i + multiply_high(stream.word64(i), (u64{1} << 61U) - i)));
    }
}

TEST(draws_with_replacement_and_units) {
    const Stream stream{derive_key(3, 4, Purpose::uniform_draws), 0};
    const std::vector<index_t> some = drawn(10, 30'000, true);
    for (u64 i = 0; i < some.size(); ++i) {
        CHECK_EQ(some[i], static_cast<index_t>(multiply_high(stream.word64(i), 10)));
    }
    const Stream thinning{derive_key(3, 4, Purpose::thinning), 0};
    std::vector<double> units(30'000);
    unit_draws(3, 4, units);
    for (u64 i = 0; i < units.size(); ++i) {
        CHECK_EQ(units[i], static_cast<double>(thinning.word64(i) >> 11U) / 9007199254740992.0);
        CHECK(units[i] >= 0.0 && units[i] < 1.0);
    }
}

TEST(everywhere_the_same) {
    const std::vector<index_t> slots = slots_of(11, 70'000, 900);
    const std::vector<index_t> distinct = drawn(90'000, 60'000, false);
    with_each_instruction_set([&](const std::string&) {
        for (const int threads : thread_counts()) {
            set_num_threads(threads);
            CHECK(slots_of(11, 70'000, 900) == slots);
            CHECK(drawn(90'000, 60'000, false) == distinct);
        }
    });
    set_num_threads(1);
}

TEST(what_cannot_be_is_refused) {
    CHECK_THROWS_WITH(std::invalid_argument, "a slot or more, but has 0", slots_of(0, 1, 0));
    CHECK_THROWS_WITH(std::invalid_argument, "at most 2**61", slots_of(u64{1} << 61U, 1, 1));
    CHECK_THROWS_WITH(std::invalid_argument, "as many items as draws to draw from, but there are 3",
                      drawn(3, 4, false));
    CHECK_THROWS_WITH(std::invalid_argument, "an item to draw from, but there are 0", drawn(0, 1, true));
}
