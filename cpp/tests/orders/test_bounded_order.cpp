// Blocks of unequal lengths against their definition: blocks laid one after the other in the permuted order; any part
// equals the same part of the whole; runs of a subset; equal blocks stand as in BlockOrder; what is refused.
// ctest-label: threads
#include "check.hpp"
#include "reference.hpp"
#include "tombola/orders/bounded_order.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr u64 seed = 0xABCDEF;
constexpr u64 epoch = 17;

// Bounds of `blocks` blocks of 1 to `most` rows.
std::vector<index_t> make_bounds(u64 blocks, u64 most) {
    std::vector<index_t> bounds{0};
    for (u64 j = 0; j < blocks; ++j) {
        bounds.push_back(bounds.back() + 1 + static_cast<index_t>(noise(70, j) % most));
    }
    return bounds;
}

// All positions, block by block; of a subset its elements.
std::vector<index_t> plain_order(const std::vector<index_t>& bounds, const Subset& subset) {
    std::vector<std::vector<index_t>> blocks;
    std::size_t element = 0;
    for (std::size_t j = 0; j + 1 < bounds.size(); ++j) {
        std::vector<index_t> block;
        for (index_t row = bounds[j]; row < bounds[j + 1]; ++row) {
            if (!subset) {
                block.push_back(row);
            } else if (element < subset->size() && (*subset)[element] == row) {
                block.push_back(static_cast<index_t>(element++));
            }
        }
        if (!block.empty()) {
            blocks.push_back(block);
        }
    }
    const Bijection order(blocks.size(), derive_key(seed, epoch, Purpose::blocks), u64{1} << 16U);
    std::vector<index_t> all;
    for (u64 j = 0; j < blocks.size(); ++j) {
        all.insert(all.end(), blocks[order(j)].begin(), blocks[order(j)].end());
    }
    return all;
}

void check_order(const std::vector<index_t>& bounds, const Subset& subset) {
    const auto blocks = std::make_shared<const BlockBounds>(bounds, subset);
    const BoundedOrder order(blocks, seed, epoch);
    const std::vector<index_t> expected = plain_order(bounds, subset);
    CHECK_EQ(order.size(), expected.size());
    CHECK_EQ(blocks->size(), expected.size());
    CHECK(is_permutation_of_iota(expected));
    std::vector<index_t> rows(order.size(), -1);
    order.fill(0, rows.size(), rows.data());
    CHECK(rows == expected);
    bool equal = true;
    for (u64 t = 0; t < 60 && !expected.empty(); ++t) {
        const u64 first = t == 0 ? expected.size() - 1 : noise(71, t) % expected.size();
        const std::size_t most = t % 2 == 0 ? 3 : expected.size();
        const std::size_t count =
            static_cast<std::size_t>(std::min<u64>(noise(72, t) % (most + 1), expected.size() - first));
        std::vector<index_t> part(count, -1);
        order.fill(first, count, part.data());
        equal = equal && std::equal(part.begin(), part.end(), expected.begin() + static_cast<std::ptrdiff_t>(first));
    }
    CHECK(equal);
}

std::vector<index_t> two_of_three(index_t rows) {
    std::vector<index_t> chosen;
    for (index_t row = 0; row < rows; ++row) {
        if (noise(73, static_cast<u64>(row)) % 3 != 0) {
            chosen.push_back(row);
        }
    }
    return chosen;
}

}  // namespace

TEST(blocks_follow_each_other_in_permuted_order) {
    for (const u64 blocks : {0U, 1U, 2U, 3U, 63U, 64U, 65U, 128U, 129U, 1000U}) {
        for (const u64 most : {1U, 2U, 7U, 300U}) {
            check_order(make_bounds(blocks, most), {});
        }
    }
}

TEST(a_subset_has_the_runs_of_its_rows) {
    for (const u64 blocks : {1U, 2U, 65U, 1000U}) {
        for (const u64 most : {1U, 2U, 7U, 300U}) {
            const std::vector<index_t> bounds = make_bounds(blocks, most);
            const std::vector<index_t> chosen = two_of_three(bounds.back());
            const std::vector<index_t> last{bounds.back() - 1};
            const std::vector<index_t> first{0};
            for (const std::vector<index_t>& subset : {chosen, last, first, {}}) {
                check_order(bounds, Subset{subset});
            }
        }
    }
}

TEST(more_blocks_than_a_table_holds_are_permuted_by_the_network) {
    const std::vector<index_t> bounds = make_bounds(70'001, 20);
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        check_order(bounds, {});
    }
    check_order(bounds, Subset{two_of_three(bounds.back())});
}

TEST(blocks_of_one_length_stand_as_in_a_block_order) {
    for (const u64 size : {1U, 15U, 16U, 17U, 1000U, 70'000U * 16U + 5U}) {
        for (const u64 block_size : {1U, 7U, 16U, 5000U}) {
            std::vector<index_t> bounds;
            for (u64 row = 0; row < size; row += block_size) {
                bounds.push_back(static_cast<index_t>(row));
            }
            bounds.push_back(static_cast<index_t>(size));
            const BoundedOrder order(std::make_shared<const BlockBounds>(bounds, Subset{}), seed, epoch);
            const BlockOrder expected(std::make_shared<const CountingSequence>(size), block_size, seed, epoch);
            std::vector<index_t> rows(size, -1);
            std::vector<index_t> others(size, -2);
            order.fill(0, size, rows.data());
            expected.fill(0, size, others.data());
            CHECK(rows == others);
        }
    }
}

TEST(bounds_beyond_32_bits) {
    std::vector<index_t> bounds = make_bounds(100, 50);
    for (std::size_t j = 1; j < bounds.size(); ++j) {
        bounds[j] += index_t{1} << 60U;
    }
    const auto blocks = std::make_shared<const BlockBounds>(bounds, Subset{});
    const BoundedOrder order(blocks, seed, epoch);
    CHECK_EQ(blocks->largest(), static_cast<u64>(bounds[1]));
    const Bijection blocks_order(100, derive_key(seed, epoch, Purpose::blocks), u64{1} << 16U);
    const u64 long_one = blocks_order.inverse(0);
    u64 before = 0;
    for (u64 j = 0; j < long_one; ++j) {
        before += blocks->length(blocks_order(j));
    }
    std::vector<index_t> rows(3, -1);
    order.fill(before + (u64{1} << 59U), rows.size(), rows.data());
    CHECK_EQ(rows[0], index_t{1} << 59U);
    CHECK_EQ(rows[2], (index_t{1} << 59U) + 2);
}

TEST(what_is_no_bounds_is_refused) {
    const auto make = [](const std::vector<index_t>& bounds, const Subset& subset) {
        return BlockBounds(bounds, subset);
    };
    const std::vector<index_t> beyond{0, 4};
    using Refused = std::invalid_argument;
    CHECK_THROWS_WITH(Refused, "from 0 to the number of rows, but are empty", make({}, {}));
    CHECK_THROWS_WITH(Refused, "bounds must begin with 0, but begin with 1", make({1, 2}, {}));
    CHECK_THROWS_WITH(Refused, "bounds must begin with 0, but begin with -1", make({-1, 2}, {}));
    CHECK_THROWS_WITH(Refused, "strictly increasing, but bounds[2] = 2 follows 2", make({0, 2, 2}, {}));
    CHECK_THROWS_WITH(Refused, "strictly increasing, but bounds[2] = 1 follows 2", make({0, 2, 1}, {}));
    CHECK_THROWS_WITH(Refused, "at most 2**61 rows", make({0, largest_size + 1}, {}));
    CHECK_THROWS_WITH(Refused, "indices must lie in [0, 4), but indices[1] = 4", make({0, 4}, Subset{beyond}));
}

TEST(rows_that_change_meanwhile_stay_in_bounds) {
    const std::vector<index_t> bounds = make_bounds(300, 9);
    std::vector<index_t> subset = two_of_three(bounds.back());
    for (std::size_t i = 0; i + 1 < subset.size(); ++i) {
        subset[i] = static_cast<index_t>(noise(74, i) % 5000) - 100;  // no longer ascending
    }
    const auto blocks = std::make_shared<const BlockBounds>(bounds, Subset{subset});
    CHECK_EQ(blocks->size(), subset.size());
    std::vector<index_t> rows(subset.size(), -1);
    BoundedOrder(blocks, seed, epoch).fill(0, rows.size(), rows.data());
    CHECK(is_permutation_of_iota(rows));
}
