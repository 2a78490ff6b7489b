// Columns of CSR rows that arrive at their places part by part, in any order and on several threads: each part is
// checked as it comes, while a cache still holds it, which spares csr_check_columns' second pass over memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <variant>
#include <vector>

#include "tombola/rows/csr.hpp"

namespace tombola {

// Rows that lie one behind the other from places[0] on, row i of them stops[i] - starts[i] columns long
struct PlacedRows {
    std::span<const index_t> starts;
    std::span<const index_t> stops;
    std::span<const index_t> places;
};

class ArrivingColumns {
  public:
    using Columns = std::variant<std::span<const std::int32_t>, std::span<const std::int64_t>>;

    // All of them are to lie in [0, n_columns).
    ArrivingColumns(Columns columns, index_t n_columns) : columns_(columns), n_columns_(n_columns) {}

    // `count` columns from `first` on are there, the first of them one of rows.places[0]'s. O(count + rows touched).
    void check(std::size_t first, std::size_t count, const PlacedRows& rows);
    // As csr_check_columns of all that arrived. O(parts that began inside a row).
    ColumnCheck result() const;

  private:
    Columns columns_;
    index_t n_columns_;
    std::atomic<bool> in_range_{true};
    std::atomic<bool> ascending_{true};
    mutable std::mutex lock_;
    std::vector<std::size_t> seams_;  // where a part began inside a row
};

}  // namespace tombola
