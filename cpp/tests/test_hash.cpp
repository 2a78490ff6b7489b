// The hash of arrays: it sees every bit, the length, the order of chunks, and does not depend on threads.
// ctest-label: threads
#include <set>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/hash.hpp"

using namespace tombola;
using namespace tombola::test;

TEST(every_bit_and_the_length_count) {
    std::set<u64> seen;
    std::size_t made = 0;
    for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 31U, 32U, 33U, 100U}) {
        std::vector<unsigned char> bytes(size);
        seen.insert(hash_bytes(bytes.data(), size));
        ++made;
        for (std::size_t bit = 0; bit < 8 * size; ++bit) {
            bytes[bit / 8] ^= static_cast<unsigned char>(1U << bit % 8);
            seen.insert(hash_bytes(bytes.data(), size));
            ++made;
            bytes[bit / 8] = 0;
        }
    }
    CHECK_EQ(seen.size(), made);
}

TEST(large_arrays_are_hashed_in_order_whatever_the_threads) {
    std::vector<unsigned char> bytes(3 * (std::size_t{1} << 20U) + 4099);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<unsigned char>(i * 2654435761U >> 13U);
    }
    set_num_threads(1);
    const u64 hash = hash_bytes(bytes.data(), bytes.size());
    for (const int threads : thread_counts()) {
        set_num_threads(threads);
        CHECK_EQ(hash_bytes(bytes.data(), bytes.size()), hash);
    }
    CHECK(hash_bytes(bytes.data(), bytes.size() - 1) != hash);
    for (const std::size_t at : {std::size_t{0}, std::size_t{4095}, std::size_t{1} << 20U, bytes.size() - 1}) {
        bytes[at] ^= 1U;
        CHECK(hash_bytes(bytes.data(), bytes.size()) != hash);
        bytes[at] ^= 1U;
    }
    const auto middle = bytes.begin() + (1 << 20);
    std::swap_ranges(bytes.begin(), middle, middle);
    CHECK(hash_bytes(bytes.data(), bytes.size()) != hash);
}

TEST(unaligned_arrays_have_the_same_hash) {
    const std::vector<unsigned char> bytes(5000, 7);
    std::vector<unsigned char> moved(5001, 7);
    moved[0] = 1;
    CHECK_EQ(hash_bytes(moved.data() + 1, 5000), hash_bytes(bytes.data(), 5000));
}
