// Rows taken out of a CSR matrix, against plain loops; wrong pointers, rows and columns are refused before memory is
// touched. Arrays are exactly as long as needed, so that the address sanitizer sees an access beyond them.
#include <cstdint>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/rows/csr.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

template <typename T, typename Column>
struct Matrix {
    std::vector<T> data;
    std::vector<Column> columns;
    std::vector<index_t> indptr{0};
    index_t n_columns = 0;

    CsrView<T, Column> view() const { return {data, columns, indptr, n_columns}; }
};

template <typename T, typename Column>
Matrix<T, Column> random_matrix(std::size_t n_rows, index_t n_columns) {
    Matrix<T, Column> matrix;
    matrix.n_columns = n_columns;
    for (std::size_t row = 0; row < n_rows; ++row) {
        for (index_t column = 0; column < n_columns; ++column) {
            if (noise(row, static_cast<u64>(column)) % 4 == 0 && row % 5 != 3) {  // some rows are empty
                matrix.columns.push_back(static_cast<Column>(column));
                matrix.data.push_back(static_cast<T>(unit_noise(row, static_cast<u64>(column))));
            }
        }
        matrix.indptr.push_back(static_cast<index_t>(matrix.data.size()));
    }
    matrix.data.shrink_to_fit();
    matrix.columns.shrink_to_fit();
    matrix.indptr.shrink_to_fit();
    return matrix;
}

template <typename T, typename Column>
void check_take(const Matrix<T, Column>& matrix, const std::vector<index_t>& rows) {
    std::vector<T> data;
    std::vector<Column> columns;
    std::vector<index_t> indptr{0};
    std::vector<T> dense(rows.size() * static_cast<std::size_t>(matrix.n_columns));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const std::size_t row = static_cast<std::size_t>(rows[i]);
        for (index_t k = matrix.indptr[row]; k < matrix.indptr[row + 1]; ++k) {
            data.push_back(matrix.data[static_cast<std::size_t>(k)]);
            columns.push_back(matrix.columns[static_cast<std::size_t>(k)]);
            dense[i * static_cast<std::size_t>(matrix.n_columns) + static_cast<std::size_t>(columns.back())] =
                data.back();
        }
        indptr.push_back(static_cast<index_t>(data.size()));
    }
    std::vector<index_t> taken(rows.size() + 1, -1);
    csr_take_indptr(matrix.view(), rows, taken);
    CHECK(taken == indptr);
    std::vector<T> taken_data(data.size());
    std::vector<Column> taken_columns(columns.size());
    csr_take(matrix.view(), rows, taken, std::span<T>(taken_data), std::span<Column>(taken_columns));
    CHECK(taken_data == data);
    CHECK(taken_columns == columns);
    std::vector<T> out(dense.size(), T(-1));
    csr_take_dense(matrix.view(), rows, std::span<T>(out));
    CHECK(out == dense);
}

template <typename T, typename Column>
void check_matrix() {
    const Matrix<T, Column> matrix = random_matrix<T, Column>(23, 17);
    check_take(matrix, {});
    check_take(matrix, {22});
    check_take(matrix, {3, 3, 0, 22, 7, 8, 3});
    check_take(random_matrix<T, Column>(4, 0), {0, 3});
}

}  // namespace

TEST(rows_are_taken_in_any_order) {
    check_matrix<float, std::int32_t>();
    check_matrix<float, std::int64_t>();
    check_matrix<double, std::int32_t>();
    check_matrix<double, std::int64_t>();
}

TEST(wide_rows_in_any_order_are_those_of_a_plain_loop) {
    for (const index_t width : {index_t{2'047}, index_t{4'096}, index_t{4'097}, index_t{9'001}}) {
        for (const bool ascending : {true, false}) {
            Matrix<double, std::int32_t> matrix = random_matrix<double, std::int32_t>(3, width);
            if (!ascending) {  // and columns that come twice
                for (std::size_t k = 0; k < matrix.columns.size(); k += 3) {
                    matrix.columns[k] = static_cast<std::int32_t>(noise(k, 5) % static_cast<u64>(width));
                }
            }
            check_take(matrix, {2, 0, 1});
            std::vector<double> background(static_cast<std::size_t>(width));
            for (std::size_t i = 0; i < background.size(); ++i) {
                background[i] = static_cast<double>(i) + 0.5;
            }
            std::vector<double> expected = background;
            for (index_t k = matrix.indptr[1]; k < matrix.indptr[2]; ++k) {
                const std::size_t at = static_cast<std::size_t>(k);
                expected[static_cast<std::size_t>(matrix.columns[at])] = matrix.data[at];
            }
            std::vector<double> out(background.size(), -1.0);
            CsrView<double, std::int32_t> view = matrix.view();
            view.background = background;
            csr_dense(view, 1, std::span<double>(out));
            CHECK(out == expected);
        }
    }
}

TEST(wrong_rows_and_pointers_are_named) {
    Matrix<float, std::int32_t> matrix = random_matrix<float, std::int32_t>(5, 9);
    std::vector<index_t> out(2);
    std::vector<float> dense(9);
    for (const index_t row : {index_t{-1}, index_t{5}, index_t{1} << 62U}) {
        const std::vector<index_t> rows{row};
        const std::string text = "rows must lie in [0, 5), but one is " + std::to_string(row);
        CHECK_THROWS_WITH(std::invalid_argument, text, csr_take_indptr(matrix.view(), rows, out));
        CHECK_THROWS_WITH(std::invalid_argument, text, csr_take_dense(matrix.view(), rows, std::span<float>(dense)));
    }
    const std::vector<index_t> rows{2};
    const std::vector<index_t> right = matrix.indptr;
    for (const auto& [start, stop] : {std::pair<index_t, index_t>{-1, 2}, {3, 2}, {0, right.back() + 1}}) {
        matrix.indptr[2] = start;
        matrix.indptr[3] = stop;
        const std::string text = "row 2 has the values [" + std::to_string(start) + ", " + std::to_string(stop) + ")";
        CHECK_THROWS_WITH(std::invalid_argument, text, csr_take_indptr(matrix.view(), rows, out));
    }
    matrix.indptr = right;
    matrix.columns.pop_back();  // fewer columns than values
    const std::vector<index_t> last{4};
    CHECK_THROWS_WITH(std::invalid_argument, "but row 4 has the values", csr_take_indptr(matrix.view(), last, out));
}

TEST(wrong_columns_are_named_where_they_would_be_written) {
    for (const std::int32_t column : {-1, 9, 2'000'000'000}) {
        Matrix<float, std::int32_t> matrix = random_matrix<float, std::int32_t>(5, 9);
        matrix.columns[static_cast<std::size_t>(matrix.indptr[2])] = column;
        const std::vector<index_t> rows{0, 2};
        std::vector<float> dense(18);
        CHECK_THROWS_WITH(std::invalid_argument,
                          "columns must lie in [0, 9), but row 2 has column " + std::to_string(column),
                          csr_take_dense(matrix.view(), rows, std::span<float>(dense)));
    }
}

TEST(pointers_that_change_between_counting_and_copying_are_refused) {
    Matrix<double, std::int64_t> matrix = random_matrix<double, std::int64_t>(6, 30);
    const std::vector<index_t> rows{1, 5};
    std::vector<index_t> indptr(3);
    csr_take_indptr(matrix.view(), rows, indptr);
    std::vector<double> data(static_cast<std::size_t>(indptr.back()));
    std::vector<std::int64_t> columns(data.size());
    matrix.indptr[5] = matrix.indptr[6] - 1;  // as many values as before, from here on, would lie beyond the end
    CHECK_THROWS_WITH(std::invalid_argument, "changed while",
                      csr_take(matrix.view(), rows, indptr, std::span<double>(data), std::span<std::int64_t>(columns)));
}

template <typename Column>
static void check_parts(Column wrong, bool in_range, bool ascending) {
    for (std::size_t changed = 0; changed < 40; ++changed) {
        Matrix<float, Column> matrix = random_matrix<float, Column>(23, 17);
        const bool row_starts =
            std::find(matrix.indptr.begin(), matrix.indptr.end(), static_cast<index_t>(changed)) != matrix.indptr.end();
        matrix.columns[changed] = wrong;
        const index_t n = static_cast<index_t>(matrix.columns.size());
        for (const index_t size : {index_t{1}, index_t{7}, n}) {
            bool all_in_range = true;
            bool all_ascending = true;
            for (index_t first = 0; first < n; first += size) {
                const ColumnCheck found = csr_check_columns(std::span<const Column>(matrix.columns), matrix.indptr, 17,
                                                            first, std::min(n, first + size));
                all_in_range = all_in_range && found.in_range;
                all_ascending = all_ascending && found.ascending;
            }
            CHECK(all_in_range == in_range);
            if (in_range && !row_starts) {
                CHECK(all_ascending == ascending);
            }
        }
    }
}

TEST(a_part_is_told_of_its_own_columns_alone) {
    const std::vector<std::int32_t> columns{99, 1, 2};
    const std::vector<index_t> indptr{0, 3};
    const ColumnCheck found = csr_check_columns(std::span<const std::int32_t>(columns), indptr, 10, 2, 3);
    CHECK(found.in_range);
    CHECK(found.ascending);
    CHECK(csr_check_columns(std::span<const std::int32_t>(columns), indptr, 10, 1, 3).in_range);
}

TEST(columns_are_checked_in_parts) {
    check_parts<std::int32_t>(17, false, true);
    check_parts<std::int64_t>(-1, false, true);
    check_parts<std::int32_t>(0, true, false);  // a column 0 that begins no row falls
    check_parts<std::int64_t>(0, true, false);
}
