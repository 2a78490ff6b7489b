// Blocks of unequal lengths in random order, such as the rows that begin in each chunk of a file.
//
// BlockBounds says where blocks begin; it is checked and copied once, and all epochs share it: 8 bytes a block. A
// BoundedOrder lays the blocks one after the other in the order of a keyed permutation. Which block holds position p
// follows from the sums of the lengths in that order, of which every 64th is kept: one pass over all blocks for a new
// epoch, O(blocks / 64) memory. Any part costs a binary search, up to 64 blocks, and its own length. Blocks of one
// length stand as in BlockOrder, a shorter last one included.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "tombola/base/buffer.hpp"
#include "tombola/orders/order.hpp"

namespace tombola {

class BlockBounds {
  public:
    // Block j is [bounds[j], bounds[j + 1]). Of a subset: the elements whose rows lie there; blocks without any are
    // left out. std::invalid_argument unless bounds ascend strictly from 0 and the subset lies below the last one.
    BlockBounds(std::span<const index_t> bounds, const Subset& subset);

    u64 size() const noexcept { return starts_[blocks_]; }  // elements
    u64 blocks() const noexcept { return blocks_; }
    u64 largest() const noexcept { return largest_; }
    u64 start(u64 block) const noexcept { return starts_[block]; }
    u64 length(u64 block) const noexcept { return starts_[block + 1] - starts_[block]; }
    void prefetch(u64 block) const noexcept;

  private:
    Buffer<u64> starts_;  // of each block, then the end
    u64 blocks_;
    u64 largest_ = 0;

    void choose(std::span<const index_t> subset);
};

class BoundedOrder final : public Order {
  public:
    BoundedOrder(std::shared_ptr<const BlockBounds> bounds, u64 seed, u64 epoch);
    u64 size() const noexcept override { return bounds_->size(); }
    void fill(u64 first, std::size_t count, index_t* out) const override;

  private:
    std::shared_ptr<const BlockBounds> bounds_;
    Bijection order_;          // position-block to block
    std::vector<u64> firsts_;  // position of every 64th position-block, then the end

    void fill_group(u64 group, u64* blocks) const;
    std::size_t group_size(u64 group) const noexcept;
};

}  // namespace tombola
