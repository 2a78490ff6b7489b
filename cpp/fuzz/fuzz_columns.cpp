// Any indptr and columns as a CSR matrix: what is out of range is found, by the check of columns, by the spreading of
// rows and by the work on a window, and nothing is touched beyond the arrays.
#include <optional>
#include <stdexcept>
#include <type_traits>

#include "fuzz.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/rows/csr.hpp"
#include "tombola/rows/transform.hpp"

namespace tombola::fuzz {
namespace {

template <typename Column>
struct Matrix {
    std::vector<float> data;
    std::vector<Column> columns;
    std::vector<index_t> indptr;
    index_t n_columns;

    CsrView<float, Column> view() const { return {data, columns, indptr, n_columns}; }
    bool is_in_range(std::size_t k) const {
        return static_cast<std::make_unsigned_t<Column>>(columns[k]) < static_cast<u64>(n_columns);
    }
};

template <typename Column>
Matrix<Column> matrix_of(Input& input) {
    Matrix<Column> matrix;
    matrix.n_columns = static_cast<index_t>(input.within(0, 12));
    const std::size_t rows = input.within(0, 9);
    const bool adds_up = input.within(0, 3) > 0;
    matrix.indptr.push_back(adds_up ? 0 : input.take<index_t>());
    for (std::size_t i = 0; i < rows; ++i) {
        matrix.indptr.push_back(adds_up ? matrix.indptr.back() + static_cast<index_t>(input.within(0, 6))
                                        : static_cast<index_t>(input.take<std::int8_t>()));
    }
    while (input.size() > 0) {
        const auto small = input.take<std::uint8_t>();
        matrix.columns.push_back(small == 255 ? input.take<Column>() : static_cast<Column>(small % 16));
        matrix.data.push_back(static_cast<float>(small));
    }
    return matrix;
}

// Rows as they are taken; nothing where indptr or a column is wrong
template <typename Column>
std::optional<std::vector<float>> spread(const Matrix<Column>& matrix) {
    const auto width = static_cast<std::size_t>(matrix.n_columns);
    std::vector<float> out((matrix.indptr.size() - 1) * width);
    std::vector<index_t> rows;
    for (std::size_t row = 0; row + 1 < matrix.indptr.size(); ++row) {
        rows.push_back(static_cast<index_t>(row));
    }
    try {
        csr_take_dense<float, Column>(matrix.view(), rows, out);
    } catch (const std::invalid_argument&) {
        return std::nullopt;
    }
    return out;
}

template <typename Column>
bool is_sound(const Matrix<Column>& matrix) {
    const auto n = static_cast<index_t>(matrix.columns.size());
    for (std::size_t row = 0; row + 1 < matrix.indptr.size(); ++row) {
        const index_t start = matrix.indptr[row];
        const index_t stop = matrix.indptr[row + 1];
        if (start < 0 || stop < start || stop > n) {
            return false;
        }
        for (index_t k = start; k < stop; ++k) {
            if (!matrix.is_in_range(static_cast<std::size_t>(k))) {
                return false;
            }
        }
    }
    return true;
}

// The check of columns, of all that the rows hold; indptr rises from 0 to their number
template <typename Column>
void check_columns(const Matrix<Column>& matrix) {
    bool in_range = true;
    bool ascending = true;
    for (std::size_t row = 0; row + 1 < matrix.indptr.size(); ++row) {
        for (index_t k = matrix.indptr[row]; k < matrix.indptr[row + 1]; ++k) {
            const auto at = static_cast<std::size_t>(k);
            in_range = in_range && matrix.is_in_range(at);
            ascending = ascending && (k == matrix.indptr[row] || matrix.columns[at] > matrix.columns[at - 1]);
        }
    }
    const ColumnCheck found = csr_check_columns<Column>(matrix.columns, matrix.indptr, matrix.n_columns, 0,
                                                        static_cast<index_t>(matrix.columns.size()));
    require(found.in_range == in_range, "columns out of range are found");
    require(!in_range || found.ascending == ascending, "columns that do not ascend are found");
}

template <typename Column>
void check_work(Matrix<Column> matrix) {
    index_t bad_row = -1;
    for (std::size_t row = 0; row + 1 < matrix.indptr.size() && bad_row < 0; ++row) {
        for (index_t k = matrix.indptr[row]; k < matrix.indptr[row + 1]; ++k) {
            bad_row = matrix.is_in_range(static_cast<std::size_t>(k)) ? bad_row : static_cast<index_t>(row);
        }
    }
    const ColumnMap map{{}, matrix.n_columns};
    std::vector<index_t> counts(matrix.indptr.size() - 1);
    Arithmetic work;
    work.target = 100;
    work.log1p = true;
    const CsrOutcome outcome =
        csr_transform<float, Column>(matrix.data, matrix.columns, matrix.indptr, {&map, 1}, {}, work, counts);
    require(outcome.bad_row == bad_row, "the first row with a column out of range is named");
}

template <typename Column>
void check(Input& input) {
    Matrix<Column> matrix = matrix_of<Column>(input);
    require(spread(matrix).has_value() == is_sound(matrix), "rows come where all of them are sound");
    const index_t n = matrix.indptr.back();
    if (matrix.indptr.front() != 0 || n > static_cast<index_t>(matrix.columns.size()) ||
        !std::ranges::is_sorted(matrix.indptr)) {
        return;
    }
    matrix.columns.resize(static_cast<std::size_t>(n));
    matrix.data.resize(static_cast<std::size_t>(n));
    check_columns(matrix);
    check_work(std::move(matrix));
}

}  // namespace

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    for (const int type : {0, 1}) {
        Output seed;
        seed.small(type, 10, 5, 1);
        for (const int length : {3, 0, 6, 1, 4}) {
            seed.small(length);
        }
        for (const int column : {0, 4, 9, 1, 2, 3, 5, 7, 8, 6, 0, 3, 6, 9}) {
            seed.small(column);
        }
        all.push_back(seed.bytes());
    }
    return all;
}

}  // namespace tombola::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tombola;
    static const bool is_single = (set_num_threads(1), true);
    fuzz::require(is_single, "one thread");
    fuzz::Input input(data, size);
    if (input.take<std::uint8_t>() % 2 == 0) {
        fuzz::check<std::int32_t>(input);
    } else {
        fuzz::check<index_t>(input);
    }
    return 0;
}
