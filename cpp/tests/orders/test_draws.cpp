// Weighted draws with replacement against their definitions, one draw or one bit at a time; any run of draws equals the
// same part of the whole; counts are as close to their expectation as stratified draws promise.
// ctest-label: threads
#include "check.hpp"
#include "reference.hpp"
#include "tombola/orders/draws.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

__extension__ using u128 = unsigned __int128;
using Table = std::shared_ptr<const WeightTable>;

constexpr u64 seed = 0x5EED;
constexpr u64 epoch = 3;

std::vector<double> uneven_weights(std::size_t n) {
    std::vector<double> weights(n);
    for (std::size_t i = 0; i < n; ++i) {
        weights[i] = noise(20, i) % 5 == 0 ? 0.0 : unit_noise(21, i) + (i % 100 == 7 ? 50.0 : 0.0);
    }
    weights[n / 2] = 1.0;
    return weights;
}

Table table_of(const std::vector<double>& weights) {
    return std::make_shared<const WeightTable>(make_value_source(std::span<const double>(weights), {}));
}

mass_t stratified_target(mass_t total, u64 draws, u64 i) {
    const u128 step = (static_cast<u128>(total) << 64U) / draws;
    // i * step >> 64 without overflow: whole and fractional part apart.
    const auto edge = [step](u64 x) {
        return static_cast<u64>(step >> 64U) * x +
               static_cast<u64>(static_cast<u128>(static_cast<u64>(step)) * x >> 64U);
    };
    const u64 word = Stream{derive_key(seed, epoch, Purpose::strata), 0}.word(i);
    return edge(i) + static_cast<u64>(static_cast<u128>(word) * (edge(i + 1) - edge(i)) >> 32U);
}

std::vector<mass_t> iid_targets(mass_t total, u64 draws) {
    u32 depth = 0;
    while (draws > u64{16} << depth) {
        ++depth;
    }
    std::vector<u64> counts{draws};
    for (u32 level = 0; level < depth; ++level) {
        std::vector<u64> next;
        for (std::size_t x = 0; x < counts.size(); ++x) {
            const Stream stream{derive_key(seed, epoch, Purpose::split), (u64{1} << level) + x};
            u64 left = 0;
            PhiloxBlock words{};
            for (u64 bit = 0; bit < counts[x]; ++bit) {
                if (bit % 128 == 0) {
                    words = stream.block(static_cast<u32>(bit / 128), static_cast<u32>(bit / 128 >> 32U));
                }
                left += words[bit / 32 % 4] >> bit % 32 & 1U;
            }
            next.push_back(left);
            next.push_back(counts[x] - left);
        }
        counts = next;
    }
    std::vector<u64> points;
    for (u64 x = 0; x < counts.size(); ++x) {
        const Stream stream{derive_key(seed, epoch, Purpose::leaf), x};
        for (u64 j = 0; j < counts[x]; ++j) {
            const u64 v = stream.word(2 * j) | static_cast<u64>(stream.word(2 * j + 1)) << 32U;
            points.push_back(depth == 0 ? v : x << (64 - depth) | v >> depth);
        }
    }
    std::sort(points.begin(), points.end());
    for (u64& point : points) {
        point = static_cast<u64>(static_cast<u128>(point) * total >> 64U);
    }
    return points;
}

std::vector<index_t> whole(const Sequence& sequence) {
    std::vector<index_t> rows(sequence.size(), -1);
    const u64 start = 0;
    sequence.runs(&start, 1, rows.size(), rows.data());
    return rows;
}

// Runs of every kind of length from anywhere, many in a call.
void check_runs(const Sequence& sequence, const std::vector<index_t>& all) {
    for (const std::size_t length : {1U, 2U, 3U, 4U, 5U, 16U, 17U, 100U, 1023U, 1024U, 1025U, 2500U}) {
        if (length > all.size()) {
            return;
        }
        const std::size_t count = std::max<std::size_t>(2, 5000 / length);
        std::vector<u64> starts(count);
        std::vector<index_t> expected;
        for (std::size_t r = 0; r < count; ++r) {
            starts[r] = r == 0 ? all.size() - length : noise(22, r) % (all.size() - length + 1);
            const auto from = all.begin() + static_cast<std::ptrdiff_t>(starts[r]);
            expected.insert(expected.end(), from, from + static_cast<std::ptrdiff_t>(length));
        }
        std::vector<index_t> rows(expected.size(), -1);
        sequence.runs(starts.data(), count, length, rows.data());
        CHECK(rows == expected);
    }
}

}  // namespace

TEST(stratified_draws_are_as_defined) {
    for (const std::size_t n : {1U, 33U, 2000U}) {
        const std::vector<double> weights = uneven_weights(n);
        const Quantised q{weights};
        for (const u64 draws : {1U, 2U, 7U, 1000U, 9001U}) {
            const StratifiedSequence sequence(table_of(weights), draws, seed, epoch);
            CHECK_EQ(sequence.size(), draws);
            std::vector<index_t> expected;
            for (u64 i = 0; i < draws; ++i) {
                expected.push_back(q.row(stratified_target(q.total(), draws, i)));
            }
            const std::vector<index_t> rows = whole(sequence);
            CHECK(rows == expected);
            CHECK(std::is_sorted(rows.begin(), rows.end()));
            check_runs(sequence, rows);
        }
    }
}

TEST(stratified_counts_are_less_than_two_off_their_expectation) {
    const std::vector<double> weights = uneven_weights(3000);
    const Quantised q{weights};
    for (const u64 draws : {500U, 3000U, 30001U}) {
        std::vector<u64> counts(weights.size());
        for (const index_t row : whole(StratifiedSequence(table_of(weights), draws, seed, epoch))) {
            ++counts[static_cast<std::size_t>(row)];
        }
        bool close = true;
        for (std::size_t r = 0; r < counts.size(); ++r) {
            // |count - draws * mass / total| < 2 in integers; a stratum is off its place by less than one unit of mass.
            const u128 expected = static_cast<u128>(draws) * q.masses[r];
            const u128 had = static_cast<u128>(counts[r]) * q.total();
            const u128 allowed = 2 * static_cast<u128>(q.total()) + 2 * draws;
            close = close && had < expected + allowed && expected < had + allowed;
            close = close && (q.masses[r] > 0 || counts[r] == 0);
        }
        CHECK(close);
    }
}

TEST(stratified_draws_of_equal_weights_reach_10_to_12) {
    const u64 n = 1'000'000'000'000;
    const auto table = std::make_shared<const WeightTable>(WeightTable::uniform(n));
    for (const u64 draws : {n, n / 7, u64{1} << 52U, u64{1} << 62U}) {
        const StratifiedSequence sequence(table, draws, seed, epoch);
        for (u64 t = 0; t < 200; ++t) {
            const u64 i = t < 2 ? t * (draws - 1) : noise(23, t) % draws;
            index_t row = -1;
            sequence.runs(&i, 1, 1, &row);
            const mass_t target = stratified_target(table->total(), draws, i);
            CHECK_EQ(row, static_cast<index_t>(target >> table->scale_exponent()));
            CHECK(row >= 0 && static_cast<u64>(row) < n);
        }
    }
}

TEST(independent_draws_are_as_defined) {
    for (const std::size_t n : {1U, 33U, 2000U}) {
        const std::vector<double> weights = uneven_weights(n);
        const Quantised q{weights};
        for (const u64 draws : {1U, 2U, 15U, 16U, 17U, 32U, 33U, 1000U, 1024U, 1025U, 20011U}) {
            const IidSequence sequence(table_of(weights), draws, seed, epoch);
            CHECK_EQ(sequence.size(), draws);
            std::vector<index_t> expected;
            for (const mass_t target : iid_targets(q.total(), draws)) {
                expected.push_back(q.row(target));
            }
            const std::vector<index_t> rows = whole(sequence);
            CHECK(rows == expected);
            check_runs(sequence, rows);
        }
    }
}

TEST(many_independent_draws_are_the_same_for_every_number_of_threads) {
    const u64 draws = (u64{1} << 20U) + 12345;  // the root's bits are counted by two tasks
    const auto table = std::make_shared<const WeightTable>(WeightTable::uniform(1000));
    std::vector<index_t> expected;
    for (const mass_t target : iid_targets(table->total(), draws)) {
        expected.push_back(static_cast<index_t>(target >> table->scale_exponent()));
    }
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        const IidSequence sequence(table, draws, seed, epoch);
        std::vector<index_t> rows(5000);
        for (const u64 start : {u64{0}, u64{777'777}, draws - rows.size()}) {
            sequence.runs(&start, 1, rows.size(), rows.data());
            CHECK(std::equal(rows.begin(), rows.end(), expected.begin() + static_cast<std::ptrdiff_t>(start)));
        }
    }
}

TEST(draws_are_the_same_for_every_instruction_set) {
    const std::vector<double> weights = uneven_weights(2000);
    const Table table = table_of(weights);
    const std::vector<index_t> stratified = whole(StratifiedSequence(table, 5001, seed, epoch));
    const std::vector<index_t> independent = whole(IidSequence(table, 5001, seed, epoch));
    with_each_instruction_set([&](const std::string&) {
        CHECK(whole(StratifiedSequence(table, 5001, seed, epoch)) == stratified);
        CHECK(whole(IidSequence(table, 5001, seed, epoch)) == independent);
        check_runs(IidSequence(table, 5001, seed, epoch), independent);
    });
}

TEST(seeds_and_epochs_give_different_draws) {
    const auto table = std::make_shared<const WeightTable>(WeightTable::uniform(1'000'000));
    const std::vector<index_t> first = whole(StratifiedSequence(table, 100, 1, 2));
    CHECK(whole(StratifiedSequence(table, 100, 2, 1)) != first);
    CHECK(whole(StratifiedSequence(table, 100, 1, 3)) != first);
    CHECK(whole(IidSequence(table, 100, 1, 2)) != whole(IidSequence(table, 100, 2, 1)));
}
