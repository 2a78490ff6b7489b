// What is done to the rows of a window right after they were read, in one pass on all threads. For each row, in this
// order: the total over all columns of its file; columns renumbered, or dropped where they are not wanted; values
// multiplied so that the total becomes `target`; log(1 + x); minus the mean of the column, over its deviation.
// Arithmetic is in double and rounded to the type of the values after each step. These are data, not choices: results
// may differ in the last bit from one machine's libm to another's. O(values).
#pragma once

#include <span>

#include "tombola/base/types.hpp"
#include "tombola/rows/row_work.hpp"

namespace tombola {

struct ColumnMap {
    std::span<const std::int32_t> to;  // for each column of the file its column here, or -1; empty: all stay
    index_t n_columns;                 // of the file
};

struct Arithmetic {
    double target = 0;  // 0: totals stay; so does a row whose total is 0
    bool log1p = false;
    std::span<const double> mean;    // of each column here; empty: none
    std::span<const double> factor;  // one over the deviation; empty: none

    bool is_any() const noexcept { return target != 0 || log1p || !mean.empty() || !factor.empty(); }
};

struct CsrOutcome {
    index_t bad_row = -1;  // the first row with a column that its file has not got, -1 if there is none
    index_t bad_column = 0;
    bool ascending = true;  // the columns of each row increase strictly
    bool as_stored = true;  // and did so in front of it
};

// Rows in place: what is left of row i begins at indptr[i] and is counts[i] long; where a column comes out of range the
// arrays are of no more use. Floats are sorted and duplicates added up where columns do not ascend; values of other
// types are moved only, and `ascending` says so. Row i came through maps[map_of_row[i]], or maps[0] where that is
// empty.
template <typename T, typename Column>
CsrOutcome csr_transform(std::span<T> data, std::span<Column> columns, std::span<const index_t> indptr,
                         std::span<const ColumnMap> maps, std::span<const std::int32_t> map_of_row,
                         const Arithmetic& work, std::span<index_t> counts);

// Row i, counted by `to`, taken from where it begins by `from`.
template <typename T, typename Column>
void csr_compact(std::span<const T> data, std::span<const Column> columns, std::span<const index_t> from,
                 std::span<const index_t> to, std::span<T> out_data, std::span<Column> out_columns);

// What dense rows of a file become, n_out columns wide. Columns that none goes to become 0 before the arithmetic; rows
// may be worked on in place where columns stay. `work`'s arrays are borrowed as long as the result is used.
template <typename T>
RowWork dense_work(const ColumnMap& map, const Arithmetic& work, index_t n_out);

// log(1 + x) of each, correct to 1 unit in the last place of a float
void log1p_each(std::span<float> values);

// The upper halves of floats, rounded to nearest, ties to even; words.size() == values.size()
void round_to_bfloat16(std::span<const float> values, std::span<u16> words);

}  // namespace tombola
