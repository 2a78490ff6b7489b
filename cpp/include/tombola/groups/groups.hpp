// Rows grouped by an integer key, as CSR: the rows of group g are members[offsets[g] .. offsets[g + 1]), ascending.
// Groups stand in ascending order of key where the keys span less than 2n values, else of a hash of the key.
//
// A radix partition by the leading bits of the key, through lines that are written whole, then a counting sort of each
// part inside the cache (Polychroniou and Ross, "A comprehensive study of main-memory partitioning", 2014). Rows are 32
// bits wide where n allows. O(n); memory at the peak, beyond the keys, 8 bytes a row where keys span less than 2n
// values, 16 where they are arbitrary.
#pragma once

#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "tombola/base/buffer.hpp"
#include "tombola/base/types.hpp"

namespace tombola {

template <typename Index>
struct GroupArrays {
    Buffer<Index> offsets;  // one for each group, and the end
    Buffer<Index> members;

    u64 groups() const noexcept { return offsets.size() - 1; }
};

// How many groups have so many rows.
struct CountClass {
    u64 count;
    u64 groups;
};

class Groups {
  public:
    // One key a row. `rows`: the numbers that rows go by, ascending, as many as keys; none: 0, 1, 2, ...
    // wide: 64-bit members at any size. std::invalid_argument for no keys.
    template <typename Key>
    static Groups from_keys(std::span<const Key> keys, const Subset& rows, bool wide);

    // Groups of so many members each, which are numbered one after the other. std::invalid_argument for none, or for a
    // count of 0.
    static Groups from_counts(std::span<const u64> counts, bool wide);

    u64 size() const noexcept { return size_; }
    u64 groups() const noexcept { return groups_; }
    u64 largest() const noexcept { return counts_.back().count; }
    std::span<const CountClass> counts() const noexcept { return counts_; }  // ascending
    u64 fingerprint() const;

    // visit(arrays) with the arrays in their own width
    template <typename Visit>
    decltype(auto) visit(Visit&& visit) const {
        return std::visit(std::forward<Visit>(visit), arrays_);
    }

  private:
    using Arrays = std::variant<GroupArrays<u32>, GroupArrays<u64>>;

    u64 size_;
    u64 groups_;
    Arrays arrays_;
    std::vector<CountClass> counts_;

    explicit Groups(Arrays arrays);
};

}  // namespace tombola
