// The series of an epoch in their order, and the line of positions that they form.
//
// The order is a keyed permutation of the groups, or that of first appearance. On the line, series stand one after the
// other, each with a position for every row that it gives; a bit marks where one begins, and each word of 64 bits knows
// what lies in front of it, so that a position finds its series by one read and a count of bits (Jacobson,
// "Space-efficient static trees and graphs", 1989). O(groups) a new epoch; 8 bytes a group and 2 bits a position with
// 32-bit rows.
#pragma once

#include <bit>

#include "tombola/groups.hpp"

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
        const Word& word = words_[position / 64U];
        const u64 starts = word.starts & (~u64{0} >> (63U - position % 64U));
        return {u64{word.series_before} + count_bits(starts) - 1U,
                starts == 0 ? u64{word.start_before}
                            : position / 64U * 64U + 63U - static_cast<u64>(std::countl_zero(starts))};
    }
    void prefetch(u64 position) const noexcept { __builtin_prefetch(&words_[position / 64U]); }

  private:
    // std::popcount is a call into the compiler's library where the instruction cannot be taken for granted.
    static u64 count_bits(u64 x) noexcept {
        x -= x >> 1U & 0x5555555555555555U;
        x = (x & 0x3333333333333333U) + (x >> 2U & 0x3333333333333333U);
        x = (x + (x >> 4U)) & 0x0F0F0F0F0F0F0F0FU;
        return x * 0x0101010101010101U >> 56U;
    }

    struct Word {
        u64 starts;           // bit b: a series starts at position 64w + b
        Index series_before;  // how many start in front of the word
        Index start_before;   // where the last of them starts
    };
    Buffer<Word> words_;
};

}  // namespace tombola
