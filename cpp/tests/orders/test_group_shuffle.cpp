// The order inside groups against its definition, on every instruction set: single elements, whole groups; groups
// around 64 rows and of large ones; a word that has to be rejected.
#include "check.hpp"
#include "reference.hpp"
#include "tombola/orders/group_shuffle.hpp"
#include "tombola/random/bijection.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr u64 seed = 99;
constexpr u64 epoch = 3;

u64 target(u64 key, u64 id, u32 i) {
    u64 product = u64{Stream{key, 0}.word(64 * id + i - 1)} * (i + 1);
    const u32 threshold = (0U - (i + 1)) % (i + 1);
    for (u32 attempt = 0; static_cast<u32>(product) < threshold; ++attempt) {
        product = u64{Stream{key, id + 1}.retry(i, attempt)} * (i + 1);
    }
    return product >> 32U;
}

// Groups of up to 64 rows
std::vector<u64> plain_order(u64 id, u64 count) {
    const u64 key = derive_key(seed, epoch, Purpose::group_rows);
    std::vector<u64> order(count);
    for (u64 i = 0; i < count; ++i) {
        order[i] = i;
    }
    for (u32 i = static_cast<u32>(count) - 1; i > 0; --i) {
        std::swap(order[i], order[target(key, id, i)]);
    }
    return order;
}

std::vector<u64> order_by_fill(const GroupShuffle& shuffle, u64 id, u64 count) {
    std::vector<u64> order(count);
    shuffle.fill(id, count, 0, count, order.data());
    return order;
}

std::vector<u64> order_by_element(const GroupShuffle& shuffle, u64 id, u64 count) {
    const std::vector<u64> ids(count, id);
    const std::vector<u64> counts(count, count);
    std::vector<u64> ranks(count);
    for (u64 i = 0; i < count; ++i) {
        ranks[i] = i;
    }
    shuffle.at(ids.data(), counts.data(), ranks.data(), count, ranks.data());
    return ranks;
}

bool is_order(const std::vector<u64>& order) {
    const std::vector<index_t> values(order.begin(), order.end());
    return is_permutation_of_iota(values);
}

}  // namespace

TEST(small_groups_follow_the_rule) {
    with_each_instruction_set([](const std::string&) {
        const GroupShuffle shuffle = GroupShuffle::of_rows(seed, epoch, true);
        for (u64 count = 1; count <= 64; ++count) {
            for (const u64 id : {u64{0}, u64{1}, u64{12345}, (u64{1} << 32U) + 7, (u64{1} << 57U) - 1}) {
                const std::vector<u64> expected = plain_order(id, count);
                CHECK(order_by_fill(shuffle, id, count) == expected);
                CHECK(order_by_element(shuffle, id, count) == expected);
            }
        }
    });
}

TEST(large_groups_are_permuted_alike_by_both_ways) {
    std::vector<std::vector<u64>> first;
    with_each_instruction_set([&](const std::string&) {
        const GroupShuffle shuffle = GroupShuffle::of_rows(seed, epoch, true);
        std::vector<std::vector<u64>> orders;
        for (const u64 count : {65U, 66U, 127U, 128U, 129U, 1000U, 65536U, 70001U}) {
            for (const u64 id : {u64{0}, u64{3}, u64{1} << 40U}) {
                orders.push_back(order_by_fill(shuffle, id, count));
                CHECK(is_order(orders.back()));
                CHECK(order_by_element(shuffle, id, count) == orders.back());
            }
        }
        CHECK(orders[0] != orders[1]);
        CHECK(first.empty() || first == orders);
        first = orders;
    });
}

TEST(mixtures) {
    with_each_instruction_set([](const std::string&) {
        const GroupShuffle shuffle = GroupShuffle::of_rows(seed, epoch, true);
        std::vector<u64> ids;
        std::vector<u64> counts;
        std::vector<u64> ranks;
        std::vector<u64> places;
        u64 id = 0;
        for (u64 g = 0; g < 700; ++g) {
            const u64 count = g % 9 == 0 ? 65 + noise(1, g) % 300 : 1 + noise(1, g) % 64;
            ids.push_back(id);
            counts.push_back(count);
            ranks.push_back(noise(2, g) % count);
            for (const u64 member : order_by_fill(shuffle, id, count)) {
                places.push_back(id + member);
            }
            id += count;
        }
        std::vector<u64> members(ids.size());
        shuffle.at(ids.data(), counts.data(), ranks.data(), ids.size(), members.data());
        for (std::size_t g = 0; g < ids.size(); ++g) {
            CHECK_EQ(members[g], places[ids[g] + ranks[g]] - ids[g]);
        }
    });
}

TEST(a_rejected_word) {
    // found by search: swap 30 of this group draws a word whose product falls below the threshold
    const GroupShuffle shuffle = GroupShuffle::of_rows(seed, epoch, true);
    constexpr u64 id = 6181116;
    const u64 key = derive_key(seed, epoch, Purpose::group_rows);
    bool rejected = false;
    for (u32 i = 1; i < 64; ++i) {
        const u32 low = Stream{key, 0}.word(64 * id + i - 1) * (i + 1);
        rejected |= low < (0U - (i + 1)) % (i + 1);
    }
    CHECK(rejected);
    with_each_instruction_set([&](const std::string&) {
        CHECK(order_by_fill(shuffle, id, 64) == plain_order(id, 64));
        CHECK(order_by_element(shuffle, id, 64) == plain_order(id, 64));
    });
}

TEST(without_shuffle) {
    const GroupShuffle shuffle = GroupShuffle::of_rows(seed, epoch, false);
    for (const u64 count : {1U, 5U, 64U, 65U}) {
        std::vector<u64> expected(count);
        for (u64 i = 0; i < count; ++i) {
            expected[i] = i;
        }
        CHECK(order_by_fill(shuffle, 7, count) == expected);
        CHECK(order_by_element(shuffle, 7, count) == expected);
    }
}
