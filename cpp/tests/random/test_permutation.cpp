// The exact permutation: a bijection at the sizes where the method changes and beside them, the same for every number
// of threads and instruction set; its shuffle is Durstenfeld's by unbiased integers.
// ctest-label: threads
#include "check.hpp"
#include "reference.hpp"
#include "tombola/base/hash.hpp"
#include "tombola/base/stream.hpp"
#include "tombola/random/permutation.hpp"
#include "tombola/random/shuffle.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

std::vector<index_t> make(u64 n, u64 seed, int threads) {
    set_num_threads(threads);
    // A value that no permutation holds: what is not written shows.
    std::vector<index_t> rows(n, -1);
    permutation(seed, rows);
    return rows;
}

}  // namespace

TEST(small_sizes_are_permuted) {
    for (u64 n = 0; n < 200; ++n) {
        const std::vector<index_t> rows = make(n, n, 1);
        CHECK(is_permutation_of_iota(rows));
    }
}

TEST(where_the_method_changes_it_is_a_permutation_whatever_the_threads) {
    for (const u64 n : {(u64{1} << 16U) - 1, u64{1} << 16U, (u64{1} << 16U) + 1, (u64{1} << 17U) + 1,
                        (u64{1} << 18U) + 1, (u64{1} << 20U) + 1}) {
        const std::vector<index_t> one = make(n, 5, 1);
        CHECK(is_permutation_of_iota(one));
        for (const int threads : {4, 7}) {
            CHECK(make(n, 5, threads) == one);
        }
    }
}

TEST(many_repetitions_with_many_threads_agree) {
    // Threads overwrite what others have copied out; every run meets another order of theirs.
    const u64 n = (u64{1} << 18U) + 77;
    const std::vector<index_t> one = make(n, 6, 1);
    for (int run = 0; run < 6; ++run) {
        CHECK(make(n, 6, run % 2 == 0 ? 7 : 3) == one);
    }
}

TEST(several_chunks_of_labels_make_a_permutation) {
    const u64 n = 2 * (u64{1} << 20U) + 12345;
    const std::vector<index_t> one = make(n, 8, 1);
    CHECK(is_permutation_of_iota(one));
    CHECK(make(n, 8, 4) == one);
}

TEST(a_large_one_is_what_it_was_before_it_was_streamed) {
    const u64 n = (u64{1} << 23U) + 77;
    for (const int threads : {1, 3}) {
        const std::vector<index_t> rows = make(n, 10, threads);
        CHECK(is_streamed(sizeof(u32) * n));
        CHECK_EQ(hash_bytes(rows.data(), sizeof(index_t) * n), u64{0xD992CB0BF1203E94U});
    }
}

TEST(instruction_sets_give_the_same_permutation) {
    for (const u64 n : {u64{30000}, u64{200001}}) {
        const std::vector<index_t> best = make(n, 9, 1);
        with_each_instruction_set([&](const std::string&) { CHECK(make(n, 9, 1) == best); });
    }
}

TEST(seeds_give_different_permutations_and_few_fixed_points) {
    for (const u64 n : {u64{1000}, u64{100000}}) {
        CHECK(make(n, 1, 1) != make(n, 2, 1));
        const std::vector<index_t> rows = make(n, 3, 1);
        index_t fixed = 0;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            fixed += rows[i] == static_cast<index_t>(i) ? 1 : 0;
        }
        CHECK(fixed < 20);  // of a uniform permutation with probability 1 - 1e-18: nearly Poisson of mean 1
    }
}

TEST(neighbouring_sizes_have_nothing_in_common) {
    for (const u64 n : {u64{1000}, u64{100000}}) {
        const std::vector<index_t> one = make(n, 3, 1);
        const std::vector<index_t> other = make(n + 1, 3, 1);
        index_t same = 0;
        for (std::size_t i = 0; i < n; ++i) {
            same += one[i] == other[i] ? 1 : 0;
        }
        CHECK(same < 20);  // nearly Poisson of mean 1 again
    }
}

TEST(the_shuffle_is_durstenfelds_by_bounded_integers) {
    // Ranges of 65,535 elements meet real rejections; their number is counted to be sure.
    u64 rejections = 0;
    for (u64 id = 0; id < 12; ++id) {
        const Stream stream{77, id};
        const u32 n = id < 8 ? static_cast<u32>(1000 + 37 * id) : 65535;
        std::vector<u16> expected(n);
        for (u32 i = 0; i < n; ++i) {
            expected[i] = static_cast<u16>(i);
        }
        for (u32 i = n - 1; i >= 1; --i) {
            const u32 word = stream.lane_word(i);
            const u32 j = stream.bounded(word, i, i + 1);
            rejections += j != static_cast<u32>(static_cast<u64>(word) * (i + 1) >> 32U) ? 1 : 0;
            std::swap(expected[i], expected[j]);
        }
        std::vector<u16> values(n);
        shuffled_iota(stream, std::span<u16>(values));
        CHECK(values == expected);
    }
    CHECK(rejections > 0);
}
