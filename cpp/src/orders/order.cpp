#include "tombola/orders/order.hpp"

#include <algorithm>
#include <array>

namespace tombola {
namespace {

constexpr std::size_t blocks_at_once = 1024;

}  // namespace

void CountingSequence::runs(const u64* starts, std::size_t count, std::size_t length, index_t* out) const {
    if (length == 1) {
        std::copy_n(starts, count, out);
        return;
    }
    for (std::size_t r = 0; r < count; ++r, out += length) {
        const index_t start = static_cast<index_t>(starts[r]);
        for (std::size_t i = 0; i < length; ++i) {
            out[i] = start + static_cast<index_t>(i);
        }
    }
}

BlockLayout::BlockLayout(u64 size, u64 block_size, u64 key)
    : size_(size),
      block_size_(block_size),
      tail_(size % block_size),
      blocks_(size / block_size + (tail_ != 0 ? 1 : 0), key, exact_blocks_below),
      tail_position_(tail_ != 0 ? blocks_.inverse(blocks_.size() - 1) * block_size : size) {}

void BlockLayout::fill(const Sequence& sequence, u64 first, std::size_t count, index_t* out) const {
    const u64 last = first + count;
    if (first < tail_position_) {  // in front of the short block
        const std::size_t n = static_cast<std::size_t>(std::min(last, tail_position_) - first);
        fill_whole_blocks(sequence, first / block_size_, first % block_size_, n, out);
    }
    const u64 tail_stop = tail_position_ + tail_;
    if (tail_ != 0 && first < tail_stop && last > tail_position_) {
        const u64 from = std::max(first, tail_position_);
        const u64 start = size_ - tail_ + (from - tail_position_);
        sequence.runs(&start, 1, static_cast<std::size_t>(std::min(last, tail_stop) - from), out + (from - first));
    }
    if (last > tail_stop) {
        const u64 from = std::max(first, tail_stop);
        const u64 skipped = block_size_ - tail_;  // as if the short block were whole
        fill_whole_blocks(sequence, (from + skipped) / block_size_, (from + skipped) % block_size_,
                          static_cast<std::size_t>(last - from), out + (from - first));
    }
}

// `count` positions from `offset` on in position-block `position_block`; no short block among them.
void BlockLayout::fill_whole_blocks(const Sequence& sequence, u64 position_block, u64 offset, std::size_t count,
                                    index_t* out) const {
    alignas(64) std::array<u64, blocks_at_once> starts;
    const auto part = [&](u64 from, std::size_t n) {
        u64 start = blocks_(position_block) * block_size_ + from;
        sequence.runs(&start, 1, n, out);
        out += n;
        count -= n;
        ++position_block;
    };
    if (count > 0 && offset != 0) {
        part(offset, static_cast<std::size_t>(std::min<u64>(count, block_size_ - offset)));
    }
    while (count >= block_size_) {
        const std::size_t n = std::min<std::size_t>(blocks_at_once, static_cast<std::size_t>(count / block_size_));
        blocks_.fill(position_block, n, starts.data());
        for (std::size_t i = 0; i < n; ++i) {
            starts[i] *= block_size_;
        }
        sequence.runs(starts.data(), n, static_cast<std::size_t>(block_size_), out);
        out += n * block_size_;
        count -= n * block_size_;
        position_block += n;
    }
    if (count > 0) {
        part(0, count);
    }
}

BlockOrder::BlockOrder(std::shared_ptr<const Sequence> sequence, u64 block_size, u64 seed, u64 epoch)
    : sequence_(std::move(sequence)),
      layout_(sequence_->size(), block_size, derive_key(seed, epoch, Purpose::blocks)) {}

}  // namespace tombola
