// Unsorted weighted draws in O(1): Walker's alias table (1977) by Vose's linear construction (1991), in integers, so
// that every row has exactly the probability mass / total. 16 bytes a row; O(n) to build.
#pragma once

#include <span>
#include <vector>

#include "tombola/types.hpp"
#include "tombola/weight_table.hpp"

namespace tombola {

class AliasTable {
  public:
    struct Column {
        mass_t cut;     // below it the column's own row is drawn
        index_t alias;  // from it on, this one
    };

    explicit AliasTable(const WeightTable& table);
    u64 size() const noexcept { return columns_.size(); }
    // Independent draws first, first + 1, ... of the stream of (seed, epoch).
    void draw(u64 seed, u64 epoch, u64 first, std::span<index_t> out) const;

    // One a row, each equally likely; cuts are out of the table's total.
    std::span<const Column> columns() const noexcept { return columns_; }

  private:
    std::vector<Column> columns_;
    mass_t total_;
};

}  // namespace tombola
