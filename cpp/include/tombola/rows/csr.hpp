// Rows taken out of a CSR matrix, as CSR or dense: what stands between a fetch window and a batch. Bound by memory:
// each value is read once, each dense element written twice (zero, then value). Indices are checked as they are used.
#pragma once

#include <algorithm>
#include <atomic>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "tombola/base/parallel.hpp"
#include "tombola/base/types.hpp"
#include "tombola/kernels/kernels.hpp"

namespace tombola {

template <typename T, typename Column>
struct CsrView {
    std::span<const T> data;
    std::span<const Column> columns;
    std::span<const index_t> indptr;
    index_t n_columns;
    std::span<const T> background{};  // what a dense row has where nothing is stored; empty: 0

    index_t n_rows() const noexcept { return static_cast<index_t>(indptr.size()) - 1; }
    // The values of one row as a range of `data`; std::invalid_argument where row or indptr are wrong.
    std::pair<std::size_t, std::size_t> range(index_t row) const {
        if (row < 0 || row >= n_rows()) {
            throw std::invalid_argument("rows must lie in [0, " + std::to_string(n_rows()) + "), but one is " +
                                        std::to_string(row));
        }
        const index_t start = indptr[static_cast<std::size_t>(row)];
        const index_t stop = indptr[static_cast<std::size_t>(row) + 1];
        if (start < 0 || stop < start || static_cast<u64>(stop) > std::min(data.size(), columns.size())) {
            throw std::invalid_argument("indptr must rise from 0 to the number of values, but row " +
                                        std::to_string(row) + " has the values [" + std::to_string(start) + ", " +
                                        std::to_string(stop) + ")");
        }
        return {static_cast<std::size_t>(start), static_cast<std::size_t>(stop)};
    }
};

// indptr of the rows taken; indptr.size() == rows.size() + 1
template <typename T, typename Column>
void csr_take_indptr(const CsrView<T, Column>& csr, std::span<const index_t> rows, std::span<index_t> indptr) {
    indptr[0] = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto [start, stop] = csr.range(rows[i]);
        indptr[i + 1] = indptr[i] + static_cast<index_t>(stop - start);
    }
}

// indptr: as csr_take_indptr made it
template <typename T, typename Column>
void csr_take(const CsrView<T, Column>& csr, std::span<const index_t> rows, std::span<const index_t> indptr,
              std::span<T> data, std::span<Column> columns) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto [start, stop] = csr.range(rows[i]);
        const std::size_t count = stop - start;
        const std::size_t to = static_cast<std::size_t>(indptr[i]);
        if (static_cast<index_t>(count) != indptr[i + 1] - indptr[i]) {
            throw std::invalid_argument("the rows or their indptr changed while they were read");
        }
        std::copy_n(csr.data.begin() + static_cast<std::ptrdiff_t>(start), count,
                    data.begin() + static_cast<std::ptrdiff_t>(to));
        std::copy_n(csr.columns.begin() + static_cast<std::ptrdiff_t>(start), count,
                    columns.begin() + static_cast<std::ptrdiff_t>(to));
    }
}

// One row, `to` n_columns long, part by part, so that values go where the first cache still has the zeros; what is
// left then is in no order, and comes last. A column that comes twice keeps its last value.
template <typename T, typename Column>
void csr_spread(const CsrView<T, Column>& csr, index_t row, T* to) {
    constexpr std::size_t part = (std::size_t{1} << 14U) / sizeof(T);
    const std::size_t width = static_cast<std::size_t>(csr.n_columns);
    auto [k, stop] = csr.range(row);
    for (std::size_t first = 0; first < width; first += part) {
        const std::size_t count = std::min(part, width - first);
        if (csr.background.empty()) {
            std::fill_n(to + first, count, T{0});
        } else {
            std::copy_n(csr.background.data() + first, count, to + first);
        }
        for (; k < stop; ++k) {
            const std::size_t place = static_cast<std::size_t>(csr.columns[k]) - first;
            if (place >= count) {
                break;
            }
            to[first + place] = csr.data[k];
        }
    }
    for (; k < stop; ++k) {
        const u64 column = static_cast<u64>(csr.columns[k]);
        if (column >= width) {
            throw std::invalid_argument("columns must lie in [0, " + std::to_string(width) + "), but row " +
                                        std::to_string(row) + " has column " + std::to_string(csr.columns[k]));
        }
        to[column] = csr.data[k];
    }
}

// out: rows.size() x n_columns, row by row
template <typename T, typename Column>
void csr_take_dense(const CsrView<T, Column>& csr, std::span<const index_t> rows, std::span<T> out) {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        csr_spread(csr, rows[i], out.data() + i * static_cast<std::size_t>(csr.n_columns));
    }
}

// Rows [first, first + out.size() / n_columns) as csr_take_dense
template <typename T, typename Column>
void csr_dense(const CsrView<T, Column>& csr, index_t first, std::span<T> out) {
    const index_t rows = csr.n_columns == 0 ? 0 : static_cast<index_t>(out.size()) / csr.n_columns;
    constexpr index_t asked_after = 256;
    for (index_t i = 0; i < rows; ++i) {
        csr_spread(csr, first + i, out.data() + i * csr.n_columns);
        if (i % asked_after == asked_after - 1) {
            check_interrupt();
        }
    }
}

struct ColumnCheck {
    bool in_range;   // all columns lie in [0, n_columns)
    bool ascending;  // and increase strictly inside each row
};

// The same, gathered row by row
template <typename Column>
class ColumnTests {
  public:
    ColumnTests(const Column* columns, index_t n_columns)
        : columns_(reinterpret_cast<const Word*>(columns)),
          top_(static_cast<Word>(std::min<u64>(static_cast<u64>(n_columns), sign)) - 1) {}

    // Columns [first, stop) of one row; whether the first is compared with the one before it
    void add(index_t first, index_t stop, bool joins) {
        if (first >= stop) {
            return;
        }
        if (joins) {
            falls_ |= columns_[first] - columns_[first - 1] - 1;
        }
        const Word* const from = columns_ + first;
        const std::size_t count = static_cast<std::size_t>(stop - first);
        ColumnSigns<Word> signs;
        if constexpr (sizeof(Word) == sizeof(u32)) {
            signs = kernels().column_signs_32(from, count, top_);
        } else {
            signs = kernels().column_signs_64(from, count, top_);
        }
        outside_ |= signs.outside;
        falls_ |= signs.falls;
    }
    ColumnCheck result() const { return {(outside_ & sign) == 0, (falls_ & sign) == 0}; }

  private:
    using Word = std::conditional_t<sizeof(Column) == sizeof(u32), u32, u64>;
    static_assert(sizeof(Column) == sizeof(Word));
    static constexpr Word sign = ~(std::numeric_limits<Word>::max() >> 1U);

    const Word* columns_;
    Word top_;
    Word outside_ = 0;
    Word falls_ = 0;
};

// Columns [first, last), each compared with the one before it where that belongs to the same row: parts of a matrix
// may be checked as they arrive. O(last - first + log rows).
template <typename Column>
ColumnCheck csr_check_part(std::span<const Column> columns, std::span<const index_t> indptr, index_t n_columns,
                           index_t first, index_t last) {
    if (first < 0 || last < first || static_cast<u64>(last) > columns.size()) {
        throw std::invalid_argument("the part must lie in [0, " + std::to_string(columns.size()) + "), but is [" +
                                    std::to_string(first) + ", " + std::to_string(last) + ")");
    }
    ColumnTests<Column> tests(columns.data(), n_columns);
    auto row = std::upper_bound(indptr.begin(), indptr.end(), first);
    // Whether the row began in front of the part
    bool begun = first > 0 && row != indptr.begin() && *std::prev(row) < first;
    for (index_t k = first; k < last;) {
        const index_t stop = row == indptr.end() ? last : std::min(*row++, last);
        tests.add(k, stop, begun);
        k = std::max(k, stop);
        begun = false;
    }
    return tests.result();
}

// The same on all threads
template <typename Column>
ColumnCheck csr_check_columns(std::span<const Column> columns, std::span<const index_t> indptr, index_t n_columns,
                              index_t first, index_t last) {
    constexpr index_t part = index_t{1} << 18U;
    if (first < 0 || last - first <= part) {
        return csr_check_part(columns, indptr, n_columns, first, last);
    }
    std::atomic<bool> in_range{true};
    std::atomic<bool> ascending{true};
    parallel_for((last - first + part - 1) / part, [&](index_t task) {
        const index_t from = first + task * part;
        const ColumnCheck found = csr_check_part(columns, indptr, n_columns, from, std::min(last, from + part));
        if (!found.in_range) {
            in_range.store(false, std::memory_order_relaxed);
        }
        if (!found.ascending) {
            ascending.store(false, std::memory_order_relaxed);
        }
    });
    return {in_range, ascending};
}

}  // namespace tombola
