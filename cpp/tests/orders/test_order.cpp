// The order of blocks against its definition: blocks laid one after the other in the permuted order, the short block
// wherever it falls; any part equals the same part of the whole, also where the whole could not be stored.
#include "check.hpp"
#include "reference.hpp"
#include "tombola/orders/draws.hpp"
#include "tombola/orders/order.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr u64 key = 0xB10C;

// All positions, block by block.
std::vector<index_t> plain_order(u64 size, u64 block_size) {
    const u64 blocks = size / block_size + (size % block_size != 0 ? 1 : 0);
    const Bijection order(blocks, key, u64{1} << 16U);
    std::vector<index_t> all;
    for (u64 j = 0; j < blocks; ++j) {
        for (u64 i = order(j) * block_size; i < std::min(size, order(j) * block_size + block_size); ++i) {
            all.push_back(static_cast<index_t>(i));
        }
    }
    return all;
}

// One position of an order too long to be stored.
index_t plain_position(u64 size, u64 block_size, u64 p) {
    const u64 tail = size % block_size;
    const Bijection order(size / block_size + (tail != 0 ? 1 : 0), key, u64{1} << 16U);
    const u64 short_block = tail == 0 ? order.size() : order.inverse(order.size() - 1);
    u64 j = p / block_size;
    u64 within = p % block_size;
    if (j > short_block || (j == short_block && within >= tail)) {
        j = (p + block_size - tail) / block_size;
        within = (p + block_size - tail) % block_size;
    }
    return static_cast<index_t>(order(j) * block_size + within);
}

}  // namespace

TEST(blocks_follow_each_other_in_permuted_order) {
    for (const u64 size : {0U, 1U, 2U, 15U, 16U, 17U, 1000U, 4097U}) {
        for (const u64 block_size : {1U, 2U, 7U, 16U, 1000U, 5000U}) {
            const std::vector<index_t> expected = plain_order(size, block_size);
            CHECK(is_permutation_of_iota(expected));
            const BlockLayout layout(size, block_size, key);
            const CountingSequence sequence(size);
            std::vector<index_t> rows(size, -1);
            layout.fill(sequence, 0, size, rows.data());
            CHECK(rows == expected);
            for (u64 t = 0; t < 40 && size > 0; ++t) {
                const u64 first = noise(50, t) % size;
                const std::size_t count = static_cast<std::size_t>(noise(51, t) % (size - first + 1));
                std::vector<index_t> part(count, -1);
                layout.fill(sequence, first, count, part.data());
                CHECK(std::equal(part.begin(), part.end(), expected.begin() + static_cast<std::ptrdiff_t>(first)));
            }
        }
    }
}

TEST(every_position_alone_equals_the_whole) {
    for (const u64 block_size : {1U, 3U, 16U, 100U}) {
        const u64 size = 335;
        const std::vector<index_t> expected = plain_order(size, block_size);
        const BlockLayout layout(size, block_size, key);
        const CountingSequence sequence(size);
        bool equal = true;
        for (u64 p = 0; p < size; ++p) {
            index_t row = -1;
            layout.fill(sequence, p, 1, &row);
            equal = equal && row == expected[p] && row == plain_position(size, block_size, p);
        }
        CHECK(equal);
    }
}

TEST(more_blocks_than_a_table_holds_are_permuted_by_the_network) {
    const u64 size = 16 * 70'000 + 5;
    const std::vector<index_t> expected = plain_order(size, 16);
    CHECK(is_permutation_of_iota(expected));
    const BlockLayout layout(size, 16, key);
    std::vector<index_t> rows(size, -1);
    layout.fill(CountingSequence(size), 0, size, rows.data());
    CHECK(rows == expected);
}

TEST(orders_of_10_to_12_positions_and_more_need_no_memory) {
    for (const u64 size : {u64{1'000'000'000'000}, u64{1'000'000'000'007}, (u64{1} << 61U) - 1, u64{1} << 62U}) {
        for (const u64 block_size : {u64{1}, u64{16}, u64{1'000'003}, u64{1} << 60U}) {
            const BlockLayout layout(size, block_size, key);
            const CountingSequence sequence(size);
            for (u64 t = 0; t < 60; ++t) {
                const u64 first = t < 2 ? t * (size - 40) : noise(52, t) % (size - 40);
                std::vector<index_t> rows(40, -1);
                layout.fill(sequence, first, rows.size(), rows.data());
                bool equal = true;
                for (u64 i = 0; i < rows.size(); i += 13) {
                    equal = equal && rows[i] == plain_position(size, block_size, first + i);
                }
                CHECK(equal);
            }
        }
    }
}

TEST(a_sequence_of_draws_is_cut_into_blocks_as_rows_are) {
    const auto table = std::make_shared<const WeightTable>(WeightTable::uniform(500));
    const auto sequence = std::make_shared<const StratifiedSequence>(table, 3003, 1, 2);
    std::vector<index_t> drawn(3003);
    const u64 start = 0;
    sequence->runs(&start, 1, drawn.size(), drawn.data());
    for (const u64 block_size : {u64{1}, u64{16}, u64{2000}}) {
        const BlockOrder order(sequence, block_size, 1, 2);
        const BlockLayout layout(3003, block_size, derive_key(1, 2, Purpose::blocks));
        std::vector<index_t> elements(3003);
        layout.fill(CountingSequence(3003), 0, elements.size(), elements.data());
        std::vector<index_t> rows(3003);
        order.fill(0, rows.size(), rows.data());
        bool equal = true;
        for (std::size_t p = 0; p < rows.size(); ++p) {
            equal = equal && rows[p] == drawn[static_cast<std::size_t>(elements[p])];
        }
        CHECK(equal);
    }
}

TEST(streaming_counts) {
    const StreamingOrder order(1000);
    std::vector<index_t> rows(3);
    order.fill(997, 3, rows.data());
    CHECK(rows == std::vector<index_t>{997, 998, 999});
}
