// Unsorted weighted draws in O(1): Walker's alias table (1977), in integers, 8 bytes a row.
//
// Shares. The masses of the weight table become whole numbers of 2^-32 columns that sum to exactly n columns: with
// S(r) the mass in front of row r,
//
//     q(r) = T(S(r + 1)) - T(S(r)),  T(S) = min(floor(S * M / 2^s), n * 2^32),  M = ceil(n * 2^(32 + s) / total),
//
// s the smallest for which floor(n * 2^(32 + s) / total) >= 2^62. So a row's probability q / (n * 2^32) is less than
// one unit, 2^-32 / n, off its share; equal weights give equal shares (n <= 2^30); rows of weight 0 get nothing.
//
// Columns, by the sweep of Hübschle-Schneider and Sanders, "Parallel weighted random sampling" (2019): with the light
// rows (q < 2^32) and the heavy ones (q > 2^32) each in the order of rows, D(i) the lack of the light rows in front of
// light row i, and E(j) the excess of the heavy rows up to and with heavy row j,
//
//     light row i is filled up by the first heavy row j with E(j) >= D(i);
//     heavy row j ends at 2^32 + E(j) - D(i), i the first with D(i) > E(j), and is filled up by heavy row j + 1.
//
// All of it is a merge of two ascending sequences, so it is cut anywhere and made by any number of threads.
#pragma once

#include <span>

#include "tombola/base/buffer.hpp"
#include "tombola/base/types.hpp"
#include "tombola/weights/weight_table.hpp"

namespace tombola {

class AliasTable {
  public:
    struct Column {
        u32 cut;    // below it, out of 2^32, the column's own row is drawn
        u32 alias;  // from it on, this one
    };
    static constexpr u64 largest = (u64{1} << 32U) - 1;

    // O(n), by all threads; std::invalid_argument for more than `largest` rows
    explicit AliasTable(const WeightTable& table);
    // The columns of another table; std::invalid_argument names an alias out of range
    explicit AliasTable(std::span<const Column> columns);

    u64 size() const noexcept { return columns_.size(); }
    // Independent draws first, first + 1, ... of the stream of (seed, epoch). Draw t takes word64 t of the stream, u:
    // u * n / 2^64 is the column, the upper 32 bits of its fraction are what is held against the cut.
    void draw(u64 seed, u64 epoch, u64 first, std::span<index_t> out) const;

    // One a row, each equally likely
    std::span<const Column> columns() const noexcept { return {columns_.data(), columns_.size()}; }

  private:
    Buffer<Column> columns_;
};

}  // namespace tombola
