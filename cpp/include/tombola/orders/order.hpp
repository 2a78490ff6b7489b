// The order of an epoch's positions before the fetch windows are permuted.
//
// A Sequence is what is cut into blocks: the rows themselves, or weighted draws, sorted. An Order says which element of
// the sequence each position of the epoch shows. Both are const; any part costs its own length.
#pragma once

#include <memory>

#include "tombola/base/types.hpp"
#include "tombola/random/bijection.hpp"

namespace tombola {

// The order of fewer blocks than these is exactly uniform, by a table.
inline constexpr u64 exact_blocks_below = u64{1} << 16U;

class Sequence {
  public:
    virtual ~Sequence() = default;
    virtual u64 size() const noexcept = 0;
    // Elements starts[r], starts[r] + 1, ..., starts[r] + length - 1 for each r, one run after the other.
    virtual void runs(const u64* starts, std::size_t count, std::size_t length, index_t* out) const = 0;
};

// 0, 1, 2, ...
class CountingSequence final : public Sequence {
  public:
    explicit CountingSequence(u64 size) : size_(size) {}
    u64 size() const noexcept override { return size_; }
    void runs(const u64* starts, std::size_t count, std::size_t length, index_t* out) const override;

  private:
    u64 size_;
};

class Order {
  public:
    virtual ~Order() = default;
    virtual u64 size() const noexcept = 0;
    // What positions [first, first + count) show.
    virtual void fill(u64 first, std::size_t count, index_t* out) const = 0;
};

class StreamingOrder final : public Order {
  public:
    explicit StreamingOrder(u64 size) : sequence_(size) {}
    u64 size() const noexcept override { return sequence_.size(); }
    void fill(u64 first, std::size_t count, index_t* out) const override { sequence_.runs(&first, 1, count, out); }

  private:
    CountingSequence sequence_;
};

// Which blocks of [0, size) stand where, for any sequence: blocks of block_size, the short one at the end of the
// sequence wherever the permutation takes it, the blocks behind it moved up.
class BlockLayout {
  public:
    BlockLayout(u64 size, u64 block_size, u64 key);
    u64 size() const noexcept { return size_; }
    // What positions [first, first + count) show of `sequence`.
    void fill(const Sequence& sequence, u64 first, std::size_t count, index_t* out) const;

  private:
    u64 size_;
    u64 block_size_;
    u64 tail_;           // length of the short block, 0: none
    Bijection blocks_;   // position-block to sequence-block
    u64 tail_position_;  // where the short block begins; size_ where there is none

    void fill_whole_blocks(const Sequence& sequence, u64 position_block, u64 offset, std::size_t count,
                           index_t* out) const;
};

class BlockOrder final : public Order {
  public:
    BlockOrder(std::shared_ptr<const Sequence> sequence, u64 block_size, u64 seed, u64 epoch);
    u64 size() const noexcept override { return layout_.size(); }
    void fill(u64 first, std::size_t count, index_t* out) const override {
        layout_.fill(*sequence_, first, count, out);
    }

  private:
    std::shared_ptr<const Sequence> sequence_;
    BlockLayout layout_;
};

}  // namespace tombola
