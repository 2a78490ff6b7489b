// Elements scattered by lines, streamed or not: each bucket holds its own in their order, wherever in a line of memory
// the output and the buckets begin, and what lies beside them stays as it was.
#include <algorithm>
#include <utility>
#include <vector>

#include "check.hpp"
#include "tombola/base/buffer.hpp"
#include "tombola/base/line_scatter.hpp"
#include "tombola/random/philox.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr u64 margin = 40;

// Buckets with `gap` elements between them, which another scatter would write, from element `lead` of a line on.
template <typename T>
bool scatters(u64 lead, u64 count, std::size_t buckets, u64 gap, bool streams) {
    constexpr T untouched = static_cast<T>(~T{0});
    const Stream random{3, count};
    std::vector<u32> bucket_of;
    std::vector<u64> starts(buckets, 0);
    for (u64 i = 0; i < count; ++i) {
        bucket_of.push_back(static_cast<u32>(u64{random.word(i)} * buckets >> 32U));
        ++starts[bucket_of.back()];
    }
    u64 total = 0;
    for (u64& start : starts) {
        total += std::exchange(start, total) + gap;
    }
    Buffer<T> memory(lead + total + margin);
    std::fill(memory.data(), memory.data() + memory.size(), untouched);
    T* const out = memory.data() + lead;
    std::vector<T> expected(memory.size(), untouched);
    std::vector<u64> next(starts);
    for (u64 i = 0; i < count; ++i) {
        expected[lead + next[bucket_of[i]]++] = static_cast<T>(i);
    }
    LineScatter<T> lines(out, starts.data(), buckets, streams);
    const u64 first = count / 3;  // in two parts
    lines.put(first, [&](u64 i) { return bucket_of[i]; }, [](u64 i) { return static_cast<T>(i); });
    lines.put(
        count - first, [&](u64 i) { return bucket_of[first + i]; }, [&](u64 i) { return static_cast<T>(first + i); });
    lines.drain();
    return std::equal(expected.begin(), expected.end(), memory.data());
}

template <typename T>
void check_all() {
    constexpr u64 line = line_bytes / sizeof(T);
    for (const bool streams : {false, true}) {
        for (const u64 lead : {u64{0}, u64{1}, line / 2, line - 1, line, line + 3}) {
            for (const u64 count : {u64{0}, u64{1}, line, u64{100}, u64{5000}}) {
                for (const std::size_t buckets : {std::size_t{1}, std::size_t{7}, std::size_t{64}}) {
                    CHECK(scatters<T>(lead, count, buckets, 0, streams));
                    CHECK(scatters<T>(lead, count, buckets, 3, streams));
                }
            }
        }
    }
}

}  // namespace

TEST(two_bytes) { check_all<u16>(); }
TEST(four_bytes) { check_all<u32>(); }
TEST(eight_bytes) { check_all<u64>(); }

TEST(numbers_are_widened_wherever_they_begin_and_end) {
    std::vector<u32> from;
    for (u32 i = 0; i < 200; ++i) {
        from.push_back(~i);
    }
    for (u64 start = 0; start < 17; ++start) {
        for (u64 count = 0; count < 100; ++count) {
            Buffer<index_t> memory(160);
            std::fill(memory.data(), memory.data() + memory.size(), index_t{-1});
            stream_widened(memory.data() + start, from.data() + start, count);
            end_stream();
            bool right = memory[start + count] == -1 && (start == 0 || memory[start - 1] == -1);
            for (u64 i = 0; i < count; ++i) {
                right = right && memory[start + i] == static_cast<index_t>(from[start + i]);
            }
            CHECK(right);
        }
    }
}
