#include "tombola/orders/bounded_order.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "tombola/base/parallel.hpp"
#include "tombola/base/prefetch.hpp"

namespace tombola {
namespace {

constexpr u64 group_blocks = 64;
constexpr u64 groups_a_task = 256;
constexpr u64 overshoot = 32;

// start, start + 1, ... in whole steps, up to `overshoot` beyond the end: lengths differ from block to block, and a
// wrong guess of where the loop ends would cost more than the steps.
void count_from(index_t start, u64 length, index_t* out) {
    for (u64 t = 0; t < length; t += overshoot) {
        for (u64 i = 0; i < overshoot; ++i) {
            out[t + i] = start + static_cast<index_t>(t + i);
        }
    }
}

// The first element from `from` on whose row is at least `row`: a step that doubles, then a binary search.
u64 find(std::span<const index_t> subset, u64 from, u64 row) {
    const auto is_below = [row](index_t value, u64) { return static_cast<u64>(value) < row; };
    u64 step = 1;
    while (from + step < subset.size() && is_below(subset[from + step - 1], row)) {
        from += step;
        step *= 2;
    }
    const auto begin = subset.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = subset.begin() + static_cast<std::ptrdiff_t>(std::min<u64>(from + step, subset.size()));
    return static_cast<u64>(std::lower_bound(begin, end, row, is_below) - subset.begin());
}

}  // namespace

BlockBounds::BlockBounds(std::span<const index_t> bounds, const Subset& subset)
    : starts_(bounds.size()), blocks_(bounds.size() - 1) {
    if (bounds.empty()) {
        throw std::invalid_argument("bounds must go from 0 to the number of rows, but are empty");
    }
    index_t before = -1;
    for (std::size_t j = 0; j < bounds.size(); ++j) {
        const index_t bound = bounds[j];  // read once: their owner may change them at any time
        if (j == 0 && bound != 0) {
            throw std::invalid_argument("bounds must begin with 0, but begin with " + std::to_string(bound));
        }
        if (bound <= before) {
            throw std::invalid_argument("bounds must be strictly increasing, but bounds[" + std::to_string(j) +
                                        "] = " + std::to_string(bound) + " follows " + std::to_string(before));
        }
        starts_[j] = static_cast<u64>(bound);
        before = bound;
    }
    if (before > largest_size) {
        throw std::invalid_argument("bounds must end with at most 2**61 rows, but end with " + std::to_string(before));
    }
    if (subset) {
        choose(*subset);
    }
    for (u64 block = 0; block < blocks_; ++block) {
        largest_ = std::max(largest_, length(block));
    }
}

// From rows to elements of a subset, in place: there are no more blocks than before.
void BlockBounds::choose(std::span<const index_t> subset) {
    if (!subset.empty() && static_cast<u64>(subset.back()) >= size()) {
        throw std::invalid_argument("indices must lie in [0, " + std::to_string(size()) + "), but indices[" +
                                    std::to_string(subset.size() - 1) + "] = " + std::to_string(subset.back()));
    }
    u64 kept = 0;
    for (u64 block = 1; block < blocks_ && starts_[kept] < subset.size(); ++block) {
        const u64 element = find(subset, starts_[kept], starts_[block]);
        if (element != starts_[kept]) {
            starts_[++kept] = element;
        }
    }
    if (starts_[kept] != subset.size()) {
        starts_[++kept] = subset.size();
    }
    blocks_ = kept;
}

void BlockBounds::prefetch(u64 block) const noexcept { prefetch_far(starts_.data() + block); }

BoundedOrder::BoundedOrder(std::shared_ptr<const BlockBounds> bounds, u64 seed, u64 epoch)
    : bounds_(std::move(bounds)),
      order_(bounds_->blocks(), derive_key(seed, epoch, Purpose::blocks), exact_blocks_below),
      firsts_((bounds_->blocks() + group_blocks - 1) / group_blocks + 1) {
    const u64 groups = firsts_.size() - 1;
    parallel_for(static_cast<index_t>((groups + groups_a_task - 1) / groups_a_task), [&](index_t task) {
        std::array<u64, group_blocks> now;
        std::array<u64, group_blocks> next;
        const u64 begin = static_cast<u64>(task) * groups_a_task;
        const u64 end = std::min(groups, begin + groups_a_task);
        fill_group(begin, next.data());
        for (u64 group = begin; group < end; ++group) {
            now = next;
            if (group + 1 < end) {
                fill_group(group + 1, next.data());
            }
            u64 rows = 0;
            for (std::size_t i = 0; i < group_size(group); ++i) {
                rows += bounds_->length(now[i]);
            }
            firsts_[group + 1] = rows;
        }
    });
    std::partial_sum(firsts_.begin(), firsts_.end(), firsts_.begin());
}

std::size_t BoundedOrder::group_size(u64 group) const noexcept {
    return static_cast<std::size_t>(std::min(group_blocks, bounds_->blocks() - group * group_blocks));
}

// The blocks of a group of position-blocks; their bounds are on the way then.
void BoundedOrder::fill_group(u64 group, u64* blocks) const {
    const std::size_t n = group_size(group);
    order_.fill(group * group_blocks, n, blocks);
    for (std::size_t i = 0; i < n; ++i) {
        bounds_->prefetch(blocks[i]);
    }
}

void BoundedOrder::fill(u64 first, std::size_t count, index_t* out) const {
    if (count == 0) {
        return;
    }
    const u64 last = first + count;
    u64 group = static_cast<u64>(std::upper_bound(firsts_.begin(), firsts_.end(), first) - firsts_.begin()) - 1;
    u64 position = firsts_[group];
    std::array<u64, group_blocks> now;
    std::array<u64, group_blocks> next;
    fill_group(group, next.data());
    while (position < last) {
        now = next;
        if (firsts_[group + 1] < last) {
            fill_group(group + 1, next.data());
        }
        const std::size_t n = group_size(group++);
        for (std::size_t i = 0; i < n && position < last; ++i) {
            const u64 length = bounds_->length(now[i]);
            const index_t start = static_cast<index_t>(bounds_->start(now[i]));
            if (position >= first && position + length + overshoot <= last) {
                count_from(start, length, out);
                out += length;
            } else {
                const u64 skipped = std::min(length, std::max(first, position) - position);
                const u64 shown = std::min(length, last - position) - skipped;
                std::iota(out, out + shown, start + static_cast<index_t>(skipped));
                out += shown;
            }
            position += length;
        }
    }
}

}  // namespace tombola
