#include "tombola/rows/arriving_columns.hpp"

#include <algorithm>

namespace tombola {

void ArrivingColumns::check(std::size_t first, std::size_t count, const PlacedRows& rows) {
    const index_t last = static_cast<index_t>(first + count);
    const ColumnCheck found = std::visit(
        [&](auto columns) {
            ColumnTests tests(columns.data(), n_columns_);
            index_t k = static_cast<index_t>(first);
            for (std::size_t row = 0; k < last; ++row) {
                const index_t stop = std::min(rows.places[row] + (rows.stops[row] - rows.starts[row]), last);
                tests.add(k, stop, false);
                k = std::max(k, stop);
            }
            return tests.result();
        },
        columns_);
    if (!found.in_range) {
        in_range_.store(false, std::memory_order_relaxed);
    }
    if (!found.ascending) {
        ascending_.store(false, std::memory_order_relaxed);
    }
    if (count > 0 && static_cast<index_t>(first) != rows.places[0]) {
        const std::lock_guard guard(lock_);
        seams_.push_back(first);
    }
}

ColumnCheck ArrivingColumns::result() const {
    const std::lock_guard guard(lock_);
    const bool seams_ascend = std::visit(
        [&](auto columns) {
            return std::ranges::all_of(seams_, [&](std::size_t k) { return columns[k - 1] < columns[k]; });
        },
        columns_);
    return {in_range_, ascending_ && seams_ascend};
}

}  // namespace tombola
