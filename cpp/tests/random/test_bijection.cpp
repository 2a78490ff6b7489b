// The random-access permutation is one: every n up to 4,096, the edges of the powers of two up to 2^20, samples up to
// 10^12 and at the largest n; its inverse is its inverse; ranges, arrays and single points agree.
#include "check.hpp"
#include "reference.hpp"
#include "tombola/random/bijection.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

bool is_bijection(const Bijection& p) {
    std::vector<u64> values(p.size());
    p.fill(0, values.size(), values.data());
    std::vector<index_t> rows(values.begin(), values.end());
    if (!is_permutation_of_iota(rows)) {
        return false;
    }
    p.inverse_at(values.data(), values.size(), values.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (values[i] != i) {
            return false;
        }
    }
    return true;
}

}  // namespace

TEST(every_small_size_is_permuted_by_a_table) {
    for (u64 n = 0; n < 300; ++n) {
        const Bijection p(n, 42, 300);
        CHECK_EQ(p.size(), n);
        CHECK_EQ(p.exact(), n > 0);
        CHECK(is_bijection(p));
    }
}

TEST(a_table_is_the_shuffle_by_bounded_integers) {
    const u64 n = 1500;
    const Stream stream{42, n};
    std::vector<u64> expected(n);
    for (u64 i = 0; i < n; ++i) {
        expected[i] = i;
    }
    for (u32 i = n - 1; i >= 1; --i) {
        std::swap(expected[i], expected[stream.bounded(stream.lane_word(i), i, i + 1)]);
    }
    const Bijection p(n, 42, n + 1);
    std::vector<u64> values(n);
    p.fill(0, n, values.data());
    CHECK(values == expected);
}

TEST(every_size_to_4096_is_permuted_by_the_network) {
    for (u64 n = 3; n <= 4096; ++n) {
        const Bijection p(n, n, 0);
        CHECK(!p.exact());
        CHECK(is_bijection(p));
    }
}

TEST(the_edges_of_powers_of_two_are_permuted) {
    for (u64 bits = 12; bits <= 20; ++bits) {
        for (const u64 n : {(u64{1} << bits) - 1, u64{1} << bits, (u64{1} << bits) + 1}) {
            CHECK(is_bijection(Bijection(n, 7, 65)));
        }
    }
}

TEST(a_size_below_the_limit_is_exact_and_the_limit_is_not) {
    CHECK(Bijection(64, 1, 65).exact());
    CHECK(!Bijection(65, 1, 65).exact());
}

TEST(large_sizes_are_inverted_stay_in_range_and_do_not_repeat) {
    for (const u64 n : {u64{4'000'000'007}, (u64{1} << 32U) - 1, u64{1} << 32U, (u64{1} << 32U) + 1,
                        u64{1'000'000'000'000}, (u64{1} << 61U) + 1, (u64{1} << 62U) - 1, u64{1} << 62U}) {
        const Bijection p(n, 3, 65);
        std::vector<u64> points;
        for (u64 t = 0; t < 300; ++t) {
            points.push_back(t);
            points.push_back(n - 1 - t);
            points.push_back(noise(8, t) % (n - 600) + 300);
        }
        std::sort(points.begin(), points.end());
        points.erase(std::unique(points.begin(), points.end()), points.end());
        std::vector<u64> values(points.size());
        p.at(points.data(), points.size(), values.data());
        std::vector<u64> back(points.size());
        p.inverse_at(values.data(), values.size(), back.data());
        CHECK(back == points);
        CHECK(*std::max_element(values.begin(), values.end()) < n);
        std::vector<u64> sorted = values;
        std::sort(sorted.begin(), sorted.end());
        CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
        // 900 uniform points leave a half empty with probability 2^-900.
        CHECK(sorted.front() < n / 2 && sorted.back() >= n / 2);
    }
}

TEST(larger_than_2_to_62_is_refused) {
    CHECK_THROWS_WITH(std::invalid_argument, "at most 2**62 elements, but has 4611686018427387905",
                      Bijection((u64{1} << 62U) + 1, 3, 65));
}

TEST(ranges_arrays_and_points_agree_also_in_place) {
    for (const u64 n : {u64{50}, u64{1001}, u64{1'000'000'000'000}}) {
        const Bijection p(n, 11, 65);
        const u64 first = n / 3;
        for (const std::size_t count : {0U, 1U, 17U}) {
            std::vector<u64> range(count);
            std::vector<u64> array(count);
            p.fill(first, count, range.data());
            for (std::size_t t = 0; t < count; ++t) {
                array[t] = first + t;
                CHECK_EQ(p(first + t), range[t]);
                CHECK_EQ(p.inverse(range[t]), first + t);
            }
            p.at(array.data(), count, array.data());
            CHECK(array == range);
            p.inverse_at(array.data(), count, array.data());
            CHECK(count == 0 || (array.front() == first && array.back() == first + count - 1));
        }
    }
}

TEST(keys_and_sizes_give_different_permutations) {
    std::vector<u64> one(1000);
    std::vector<u64> other(1000);
    Bijection(1000, 1, 65).fill(0, 1000, one.data());
    Bijection(1000, 2, 65).fill(0, 1000, other.data());
    CHECK(one != other);
    Bijection(1001, 1, 65).fill(0, 1000, other.data());
    CHECK(one != other);
}

TEST(every_instruction_set_gives_the_same_permutation) {
    for (const u64 n : {u64{40}, u64{65}, u64{65537}, u64{1'000'000'000'000}}) {
        std::vector<std::vector<u64>> all;
        with_each_instruction_set([&](const std::string&) {
            std::vector<u64> values(static_cast<std::size_t>(std::min<u64>(n, 3001)));
            Bijection(n, 5, 65).fill(n - values.size(), values.size(), values.data());
            all.push_back(values);
            CHECK(all.back() == all.front());
        });
    }
}
