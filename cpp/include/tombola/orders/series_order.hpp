// The series of an epoch in their order, and the line of positions that they form.
//
// The order is a keyed permutation of the groups, or that of first appearance. On the line, series stand one after the
// other, each with a position for every row that it gives; a bit marks where one begins, and each word of 64 bits knows
// what lies in front of it, so that a position finds its series by one read and a count of bits (Jacobson,
// "Space-efficient static trees and graphs", 1989). O(groups) a new epoch; 8 bytes a group and 2 bits a position with
// 32-bit rows.
#pragma once

#include "tombola/groups/groups.hpp"
#include "tombola/kernels/kernels.hpp"

namespace tombola {

template <typename Index>
struct Series {
    Index offset;  // of its first member
    Index count;   // rows
};

// series[j]: the j-th of the epoch
template <typename Index>
Buffer<Series<Index>> order_series(const GroupArrays<Index>& groups, u64 seed, u64 epoch, bool shuffle);

template <typename Index>
class SeriesLine {
  public:
    struct Place {
        u64 series;
        u64 start;
    };

    // Each series has min(count, most) positions; those from `positions` on are not looked at.
    SeriesLine(const Buffer<Series<Index>>& series, u64 most, u64 positions);

    // The series that covers a position, and where it starts.
    Place at(u64 position) const noexcept {
        u64 series = 0;
        u64 rank = 0;
        at(&position, 1, &series, &rank, &position, 0);
        return {series, position - rank};
    }
    // The same for many, with how far in its series each position is. series[i] of `array`, of 2^shift bytes, is
    // prefetched.
    void at(const u64* positions, std::size_t n, u64* series, u64* ranks, const void* array, u32 shift) const noexcept {
        if constexpr (sizeof(Index) == 4) {
            kernels().line_at_32(words_.data(), positions, n, array, shift, series, ranks);
        } else {
            kernels().line_at_64(words_.data(), positions, n, array, shift, series, ranks);
        }
    }
    void prefetch(u64 position) const noexcept { __builtin_prefetch(&words_[position / 64U]); }

  private:
    using Word = LineWord<Index>;
    Buffer<Word> words_;
};

}  // namespace tombola
