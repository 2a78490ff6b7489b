// Rows taken out of a CSR matrix, as CSR or dense: what stands between a fetch window and a batch. Bound by memory:
// each value is read once, each dense element written twice (zero, then value). Indices are checked as they are used.
#pragma once

#include <algorithm>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "tombola/types.hpp"

namespace tombola {

template <typename T, typename Column>
struct CsrView {
    std::span<const T> data;
    std::span<const Column> columns;
    std::span<const index_t> indptr;
    index_t n_columns;

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

// out: rows.size() x n_columns, row by row. A column that comes twice in a row keeps its last value.
template <typename T, typename Column>
void csr_take_dense(const CsrView<T, Column>& csr, std::span<const index_t> rows, std::span<T> out) {
    const std::size_t width = static_cast<std::size_t>(csr.n_columns);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto [start, stop] = csr.range(rows[i]);
        T* const to = out.data() + i * width;
        std::fill_n(to, width, T{0});
        for (std::size_t k = start; k < stop; ++k) {
            const u64 column = static_cast<u64>(csr.columns[k]);
            if (column >= width) {
                throw std::invalid_argument("columns must lie in [0, " + std::to_string(width) + "), but row " +
                                            std::to_string(rows[i]) + " has column " + std::to_string(csr.columns[k]));
            }
            to[column] = csr.data[k];
        }
    }
}

}  // namespace tombola
