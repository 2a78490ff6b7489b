// Draws from rows of few distinct weights: a group by an alias table over the groups, then a row of it, each with the
// same chance. Groups are given as CSR: group g holds positions offsets[g] .. offsets[g + 1] - 1, each of weight
// weights[g]. O(groups) to build and to keep, O(1) a draw.
//
// The groups' weights (size * weight, a float64) become masses by the rule of mass_source.hpp; the alias table over
// them is Vose's (1991) in exact integers. Draw t takes word64 2t and 2t + 1 of the stream, u and v: u * groups / 2^64
// is the column, its fraction times the total what is held against the cut, v * size / 2^64 the place in the group.
#pragma once

#include <span>
#include <vector>

#include "tombola/base/types.hpp"

namespace tombola {

class GroupedAlias {
  public:
    struct Column {
        mass_t cut;  // below it, out of the total, the column's own group is drawn
        u64 alias;   // from it on, this one
    };
    struct Group {
        u64 first;
        u64 size;
    };

    // std::invalid_argument where offsets do not begin with 0 and ascend, where there are not one weight a group, and
    // where no group that holds rows has a weight > 0
    GroupedAlias(std::span<const index_t> offsets, std::span<const double> weights);

    u64 size() const noexcept { return size_; }
    u64 groups() const noexcept { return groups_.size(); }
    std::span<const Column> columns() const noexcept { return columns_; }
    mass_t total() const noexcept { return total_; }
    // Independent draws first, first + 1, ... of the stream of (seed, epoch): positions, or members[position]
    void draw(u64 seed, u64 epoch, u64 first, std::span<index_t> out) const;
    template <typename Member>
    void draw(u64 seed, u64 epoch, u64 first, std::span<const Member> members, std::span<index_t> out) const;

  private:
    std::vector<Column> columns_;
    std::vector<Group> groups_;
    mass_t total_ = 0;
    u64 size_ = 0;
};

}  // namespace tombola
