// Rounds without replacement against their definition, by both ways of drawing and by both in one round; their order of
// positions, from any place and from many threads; the logarithm behind the keys.
// ctest-label: threads
#include <set>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/orders/rounds.hpp"
#include "tombola/random/logarithm.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

__extension__ using u128 = unsigned __int128;
using Table = std::shared_ptr<const WeightTable>;

constexpr u64 seed = 0x5EED;
constexpr u64 epoch = 4;

Table table_of(const std::vector<double>& weights) {
    return std::make_shared<const WeightTable>(make_value_source(std::span<const double>(weights), {}));
}

struct PlainRound {
    std::vector<index_t> rows;
    std::size_t rejected_way = 0;  // rows that draw-and-reject gave
};

PlainRound plain_round(const Quantised& q, u64 round, u64 size) {
    std::set<index_t> accepted;
    const u64 positive =
        static_cast<u64>(std::count_if(q.masses.begin(), q.masses.end(), [](mass_t mass) { return mass > 0; }));
    if (4 * size <= positive) {
        const Stream stream{derive_key(seed, epoch, Purpose::round), round};
        for (u64 a = 0; a < 2 * size + 64 && accepted.size() < size; ++a) {
            accepted.insert(q.row(static_cast<u64>(static_cast<u128>(stream.word64(a)) * q.total() >> 64U)));
        }
    }
    PlainRound result{{}, accepted.size()};
    std::vector<std::pair<double, index_t>> keys;
    const Stream stream{derive_key(seed, epoch, Purpose::round_keys), round};
    for (std::size_t r = 0; r < q.masses.size(); ++r) {
        if (q.masses[r] != 0 && !accepted.contains(static_cast<index_t>(r))) {
            const double x = (static_cast<double>(stream.word64(r) >> 12U) + 0.5) * 0x1p-52;
            keys.emplace_back(-std::log(x) / static_cast<double>(q.masses[r]), static_cast<index_t>(r));
        }
    }
    std::sort(keys.begin(), keys.end());
    for (std::size_t i = 0; accepted.size() < size; ++i) {
        accepted.insert(keys[i].second);
    }
    result.rows.assign(accepted.begin(), accepted.end());
    return result;
}

std::vector<double> uneven_weights(std::size_t n) {
    std::vector<double> weights(n);
    for (std::size_t i = 0; i < n; ++i) {
        weights[i] = noise(30, i) % 4 == 0 ? 0.0 : unit_noise(31, i) * (i % 50 == 7 ? 20.0 : 1.0);
    }
    weights[0] = 1.0;
    return weights;
}

// One row that nearly every draw falls on: rejection cannot finish.
std::vector<double> dominated_weights(std::size_t n) {
    std::vector<double> weights(n, 1.0);
    weights[n / 3] = 1e9;
    return weights;
}

// What the positions of rounds of `size` show: blocks of each round in an order of its own.
std::vector<index_t> plain_positions(const Quantised& q, u64 draws, u64 size, u64 block_size) {
    std::vector<index_t> all;
    for (u64 g = 0; g * size < draws; ++g) {
        const std::vector<index_t> rows = plain_round(q, g, std::min(size, draws - g * size)).rows;
        const u64 blocks = (rows.size() + block_size - 1) / block_size;
        const Bijection order(blocks, derive_key(derive_key(seed, epoch, Purpose::round_blocks), g, Purpose::blocks),
                              65536);
        for (u64 j = 0; j < blocks; ++j) {
            for (u64 i = order(j) * block_size; i < std::min<u64>(rows.size(), (order(j) + 1) * block_size); ++i) {
                all.push_back(rows[i]);
            }
        }
    }
    return all;
}

}  // namespace

TEST(rounds_are_as_defined_by_rejection_and_by_keys) {
    for (const std::size_t n : {1U, 33U, 1500U, 3001U}) {
        const std::vector<double> weights = uneven_weights(n);
        const Quantised q{weights};
        const Table table = table_of(weights);
        const u64 positive = table->positive();
        for (const u64 size : {u64{1}, positive / 9 + 1, positive / 4, positive / 4 + 1, positive / 2, positive}) {
            if (size < 1 || size > positive) {
                continue;
            }
            for (const u64 round : {u64{0}, u64{1}, u64{1'000'000}}) {
                const std::vector<index_t> rows = draw_round(*table, seed, epoch, round, size);
                const PlainRound expected = plain_round(q, round, size);
                CHECK(rows == expected.rows);
                CHECK_EQ(rows.size(), size);
                CHECK(std::is_sorted(rows.begin(), rows.end(), std::less_equal<>{}));  // strictly: none twice
                CHECK(std::all_of(rows.begin(), rows.end(),
                                  [&](index_t row) { return weights[static_cast<std::size_t>(row)] > 0.0; }));
                CHECK_EQ(expected.rejected_way > 0, 4 * size <= positive);
            }
        }
    }
}

TEST(a_quarter_of_the_rows_is_still_drawn_by_rejection) {
    std::vector<double> weights(1000);
    for (std::size_t i = 0; i < weights.size(); ++i) {
        weights[i] = unit_noise(38, i);
    }
    const PlainRound expected = plain_round(Quantised{weights}, 0, 250);
    CHECK_EQ(expected.rejected_way, 250U);
    CHECK(draw_round(*table_of(weights), seed, epoch, 0, 250) == expected.rows);
}

TEST(the_last_attempt_of_rejection_counts) {
    // About one attempt in twenty meets a row that is new, so that the last one does in some rounds.
    std::vector<double> weights(1000, 1.0);
    weights[0] = 20'000.0;
    const Quantised q{weights};
    const Table table = table_of(weights);
    const mass_t threshold = q.masses[0];
    u64 at_last = 0;
    for (u64 round = 0; round < 200; ++round) {
        const PlainRound expected = plain_round(q, round, 20);
        CHECK(expected.rejected_way < 20);
        CHECK(draw_round(*table, seed, epoch, round, 20) == expected.rows);
        const u64 last = Stream{derive_key(seed, epoch, Purpose::round), round}.word64(2 * 20 + 63);
        at_last += static_cast<u64>(static_cast<u128>(last) * q.total() >> 64U) >= threshold ? 1 : 0;
    }
    CHECK(at_last > 0);
}

TEST(a_round_that_rejection_cannot_finish_is_finished_by_keys) {
    const std::vector<double> weights = dominated_weights(1000);
    const Quantised q{weights};
    for (const u64 size : {u64{3}, u64{200}, u64{250}}) {
        const PlainRound expected = plain_round(q, 5, size);
        CHECK(expected.rejected_way >= 1 && expected.rejected_way < size);
        CHECK(draw_round(*table_of(weights), seed, epoch, 5, size) == expected.rows);
    }
}

TEST(rounds_of_many_rows_are_the_same_for_every_number_of_threads_and_instruction_set) {
    const std::vector<double> weights = uneven_weights(200'003);
    const Table table = table_of(weights);
    const std::vector<index_t> rows = draw_round(*table, seed, epoch, 2, 100'000);
    CHECK(rows == plain_round(Quantised{weights}, 2, 100'000).rows);
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        CHECK(draw_round(*table, seed, epoch, 2, 100'000) == rows);
    }
    with_each_instruction_set([&](const std::string&) { CHECK(draw_round(*table, seed, epoch, 2, 100'000) == rows); });
}

TEST(rounds_of_equal_weights_need_no_memory_a_row) {
    const WeightTable table = WeightTable::uniform(1'000'000'000'000);
    const std::vector<index_t> rows = draw_round(table, seed, epoch, 0, 1000);
    CHECK_EQ(rows.size(), 1000U);
    CHECK(std::is_sorted(rows.begin(), rows.end(), std::less_equal<>{}));
    CHECK(rows.front() >= 0 && rows.back() < 1'000'000'000'000);
}

TEST(positions_show_the_blocks_of_their_round) {
    const std::vector<double> weights = uneven_weights(400);
    const Quantised q{weights};
    for (const u64 size : {u64{7}, u64{60}, u64{290}}) {
        for (const u64 block_size : {u64{1}, u64{4}, u64{1000}}) {
            const u64 draws = 6 * size + size / 2;  // more rounds than are remembered, and a short one
            const std::vector<index_t> expected = plain_positions(q, draws, size, block_size);
            const RoundOrder order(table_of(weights), draws, size, block_size, seed, epoch);
            CHECK_EQ(order.size(), draws);
            std::vector<index_t> rows(draws, -1);
            order.fill(0, draws, rows.data());
            CHECK(rows == expected);
            for (u64 t = 0; t < 60; ++t) {
                const u64 first = noise(32, t) % draws;
                const std::size_t count = static_cast<std::size_t>(noise(33, t) % (draws - first + 1));
                std::fill(rows.begin(), rows.end(), -1);
                order.fill(first, count, rows.data());
                CHECK(std::equal(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count),
                                 expected.begin() + static_cast<std::ptrdiff_t>(first)));
            }
        }
    }
}

TEST(threads_may_share_an_order) {
    const std::vector<double> weights = uneven_weights(400);
    const u64 draws = 2000;
    const std::vector<index_t> expected = plain_positions(Quantised{weights}, draws, 50, 4);
    const RoundOrder order(table_of(weights), draws, 50, 4, seed, epoch);
    parallel_for(
        200,
        [&](index_t task) {
            const u64 first = noise(34, static_cast<u64>(task)) % (draws - 120);
            std::vector<index_t> rows(120);
            order.fill(first, rows.size(), rows.data());
            CHECK(std::equal(rows.begin(), rows.end(), expected.begin() + static_cast<std::ptrdiff_t>(first)));
        },
        7);
}

TEST(the_size_of_a_round_must_be_possible) {
    const Table table = table_of({1.0, 0.0, 2.0});
    const std::string text = "sampling_size must be between 1 and the number of positive weights, 2, but is ";
    CHECK_THROWS_WITH(std::invalid_argument, text + "0", RoundOrder(table, 10, 0, 1, seed, epoch));
    CHECK_THROWS_WITH(std::invalid_argument, text + "3", RoundOrder(table, 10, 3, 1, seed, epoch));
    CHECK_EQ(RoundOrder(table, 10, 2, 1, seed, epoch).size(), 10U);
}

TEST(the_logarithm_is_right_to_the_last_places) {
    // Quotient, series, product and sum round; where the sum cancels, a unit counts twice.
    double worst = 0.0;
    const auto check = [&worst](double x) {
        const double mine = natural_logarithm(x);
        const double right = static_cast<double>(std::log(static_cast<long double>(x)));
        const double unit = std::nextafter(std::abs(right), 1e300) - std::abs(right);
        worst = std::max(worst, std::abs(mine - right) / unit);
    };
    for (u64 t = 0; t < 100'000; ++t) {
        check(unit_noise(35, t));
        check(std::ldexp(unit_noise(36, t), -static_cast<int>(t % 60)));
        check(1.0 - std::ldexp(unit_noise(37, t), -static_cast<int>(t % 50)));
    }
    CHECK_EQ(std::signbit(natural_logarithm(1.0 - 0x1p-53)), true);
    CHECK_EQ(natural_logarithm(1.0), 0.0);
    CHECK(worst <= 4.0);
}
