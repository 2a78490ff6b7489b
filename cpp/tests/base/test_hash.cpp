// The hash of arrays: it sees every bit, the length, the order of chunks, and does not depend on threads.
// ctest-label: threads
#include <set>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/base/hash.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

// The rule of hash.hpp, a word at a time: four lanes, groups filled up with zeros.
class PlainHash {
  public:
    void words(const std::vector<u64>& values) {
        for (std::size_t i = 0; i < (values.size() + 3) / 4 * 4; ++i) {
            lanes_[i % 4] = fold(lanes_[i % 4] ^ (i < values.size() ? values[i] : 0));
        }
        length_ += values.size();
    }
    u64 value() const {
        u64 h = length_ * multiplier;
        for (const u64 lane : lanes_) {
            h = fold(h ^ lane);
        }
        return h;
    }

  private:
    static constexpr u64 multiplier = 0x9E3779B97F4A7C15U;
    static u64 fold(u64 x) {
        x *= multiplier;
        return x ^ x >> 32U;
    }
    std::vector<u64> lanes_{0x243F6A8885A308D3U, 0x13198A2E03707344U, 0xA4093822299F31D0U, 0x082EFA98EC4E6C89U};
    u64 length_ = 0;
};

u64 plain_hash_bytes(const std::vector<unsigned char>& bytes) {
    constexpr std::size_t chunk = std::size_t{1} << 20U;
    std::vector<u64> parts;
    for (std::size_t start = 0; start < bytes.size(); start += chunk) {
        const std::size_t stop = std::min(bytes.size(), start + chunk);
        PlainHash part;
        for (std::size_t block = start; block < stop; block += 4096) {
            std::vector<u64> words;
            for (std::size_t at = block; at < std::min(stop, block + 4096); ++at) {
                if (at % 8 == 0) {
                    words.push_back(0);
                }
                words.back() |= static_cast<u64>(bytes[at]) << 8 * (at % 8);
            }
            part.words(words);
        }
        part.words({stop - start});
        parts.push_back(part.value());
    }
    PlainHash whole;
    whole.words(parts);
    whole.words({bytes.size()});
    return whole.value();
}

}  // namespace

TEST(hashes_follow_the_rule) {
    for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 33U, 4095U, 4096U, 4099U, 8200U, (1U << 20U) + 13U}) {
        std::vector<unsigned char> bytes(size);
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] = static_cast<unsigned char>(noise(70, i));
        }
        CHECK_EQ(hash_bytes(bytes.data(), size), plain_hash_bytes(bytes));
    }
}

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
