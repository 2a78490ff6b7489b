// How many rows the batches of a mixture take of each stratum: a number, a share of the batch, or what a list says.
//
// Shares are dealt out down a tree whose leaves are the strata. Of x batches of B rows the root has x B; of m rows that
// a node has, its first part has floor(m q + 1/2), where q is the share of the first part in the node, and its other
// part has the rest. Either grows by 0 or 1 with m, so that no batch takes less than no rows, and all batches are full.
// A part is off its share by 1/2 at most, and by its part of what its node is off: by less than 2 rows in a tree of
// Huffman ("A method for the construction of minimum-redundancy codes", Proc. IRE 40, 1952), where three strata or
// less are off by less than 1. (Sums of the shares up to each stratum, rounded, would do with less than 1 for any
// number, but a stratum with less than a row a batch would then take less than none now and then.) O(depth) from
// nothing.
#pragma once

#include <span>
#include <vector>

#include "tombola/base/types.hpp"

namespace tombola {

// A position of a sequence without end: epochs have numbers up to 2^63, and up to 2^61 rows each.
__extension__ using endless_t = unsigned __int128;

struct Split {
    u64 first;  // part of a node: a stratum, or the number of strata and that of another split
    u64 rest;
    u64 share;  // of the first part, in units of 2^-53
};

// One of these.
struct Portions {
    std::vector<u64> counts;             // rows a batch
    std::vector<Split> splits;           // shares: nodes, the root last
    std::span<const index_t> positions;  // [strata][batches + 1]: rows in front of each batch of an epoch
};

class PortionRule {
  public:
    // std::invalid_argument for portions that are not of so many strata, or of which a batch would not be full
    PortionRule(Portions portions, u64 strata, u64 batches, u64 batch_size);

    // Rows of a stratum in front of a batch of an epoch, from the beginning of epoch 0 on, where epochs have so many
    // batches.
    endless_t before(u64 stratum, u64 epoch, u64 epoch_batches, u64 batch) const noexcept;

  private:
    struct Turn {
        u64 share;
        bool is_rest;
    };

    Portions portions_;
    u64 batches_;
    u64 batch_size_;
    std::vector<std::vector<Turn>> paths_;  // from the root to each stratum

    void make_paths(u64 strata);
};

}  // namespace tombola
