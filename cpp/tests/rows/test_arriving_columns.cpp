// Columns of CSR rows that are checked as they are read, against the check of the whole matrix behind it: matrices with
// nothing wrong, or one column, in random chunks and filters, rows in any order, parts that begin inside rows.
// ctest-label: threads
#include <algorithm>
#include <array>
#include <numeric>

#include "tombola/rows/arriving_columns.hpp"
#include "written.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

struct Rows {
    std::vector<index_t> bounds;
    std::vector<index_t> order;  // of rows as they are asked for
    index_t n_columns;
};

Rows random_rows(u64 seed, std::size_t n_values) {
    Rows rows{{0}, {}, 40};
    while (rows.bounds.back() < static_cast<index_t>(n_values)) {
        const index_t length = static_cast<index_t>(noise(rows.bounds.size(), seed) % 30);  // some rows are empty
        rows.bounds.push_back(std::min(static_cast<index_t>(n_values), rows.bounds.back() + length));
    }
    rows.order.resize(rows.bounds.size() - 1);
    std::iota(rows.order.begin(), rows.order.end(), index_t{0});
    for (std::size_t i = rows.order.size(); seed % 2 == 1 && i > 1; --i) {
        std::swap(rows.order[i - 1], rows.order[noise(i, seed) % i]);
    }
    return rows;
}

template <typename Column>
void check_matrix(u64 seed, const std::vector<ChunkFilter>& filters, std::size_t chunk) {
    constexpr std::size_t n_values = 400;
    const Rows rows = random_rows(seed, n_values);
    std::vector<Column> columns;
    for (std::size_t row = 0; row + 1 < rows.bounds.size(); ++row) {
        for (index_t k = rows.bounds[row]; k < rows.bounds[row + 1]; ++k) {
            columns.push_back(static_cast<Column>(k - rows.bounds[row] + static_cast<index_t>(row) % 9));
        }
    }
    if (seed % 5 != 0) {
        const std::array<Column, 5> wrong{0, 8, 39, 40, -1};
        columns[noise(seed, 3) % n_values] = wrong[noise(seed, 4) % wrong.size()];
    }
    Written written(n_values, 1, sizeof(Column), chunk, 1, filters, std::as_bytes(std::span(columns)));
    const ChunkReader reader = written.reader();

    // Row r comes to the place that it has in `order`.
    std::vector<index_t> indptr{0};
    std::vector<index_t> places(rows.order.size());
    for (const index_t row : rows.order) {
        const auto r = static_cast<std::size_t>(row);
        places[r] = indptr.back();
        indptr.push_back(indptr.back() + rows.bounds[r + 1] - rows.bounds[r]);
    }
    std::vector<Column> found(n_values);
    ArrivingColumns arriving(std::span<const Column>(found), rows.n_columns);
    ReadJob job{&reader, std::span(rows.bounds).first(rows.order.size()), std::span(rows.bounds).subspan(1), places,
                std::as_writable_bytes(std::span(found))};
    job.columns = &arriving;
    CHECK(!read_rows({&job, 1}));
    const ColumnCheck all = csr_check_columns<Column>(found, indptr, rows.n_columns, 0, static_cast<index_t>(n_values));
    CHECK_EQ(arriving.result().in_range, all.in_range);
    if (all.in_range) {
        CHECK_EQ(arriving.result().ascending, all.ascending);
    }
}

TEST(what_is_found_is_what_the_whole_matrix_says) {
    for (u64 seed = 0; seed < 60; ++seed) {
        for (const std::size_t chunk : {7U, 64U, 400U}) {
            check_matrix<std::int32_t>(seed, seed % 3 == 0 ? pipelines[4] : std::vector<ChunkFilter>{}, chunk);
            check_matrix<std::int64_t>(seed, seed % 3 == 0 ? pipelines[4] : std::vector<ChunkFilter>{}, chunk);
        }
    }
}

TEST(a_matrix_without_columns_holds_none) {
    const std::vector<std::int32_t> columns{0};
    const std::vector<index_t> starts{0};
    const std::vector<index_t> stops{1};
    ArrivingColumns arriving(std::span<const std::int32_t>(columns), 0);
    CHECK(arriving.result().in_range);
    arriving.check(0, 1, {starts, stops, starts});
    CHECK(!arriving.result().in_range);
}

}  // namespace
