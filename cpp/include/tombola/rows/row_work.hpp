// What rows become between the file and where they are wanted, whatever their type is.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "tombola/base/types.hpp"

namespace tombola {

struct RowWork {
    std::function<void(const std::byte* row, std::byte* out)> apply;  // called by several threads
    std::size_t row_bytes;                                            // of a row as it is given
    std::size_t out_bytes;                                            // of what it becomes
    std::vector<std::size_t> items;  // of a row that are looked at, ascending; empty: all

    // Whether items [first, first + count) of a row are looked at
    bool needs(std::size_t first, std::size_t count) const noexcept;
};

// Row i to row places[i] of `out`, or to row i where `places` is empty, on all threads. O(bytes).
void work_on_rows(const RowWork& work, std::span<const std::byte> rows, std::span<const index_t> places,
                  std::span<std::byte> out);

}  // namespace tombola
