#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/orders/group_shuffle.hpp"
#include "tombola/orders/layer_shuffle.hpp"
#include "tombola/orders/series_rows.hpp"
#include "tombola/plans/series_plan.hpp"
#include "tombola/random/bijection.hpp"

namespace tombola {
namespace {

constexpr u64 exact_below = 65;
constexpr u64 batches_a_task = 1024;
constexpr u64 rows_a_task = u64{1} << 16U;
constexpr std::size_t at_once = 256;
// Positions of a layer that stay together, and batches that share them: what they read fits the last-level cache, and
// the rows of a series are thousands of batches apart as in an epoch of that length.
constexpr u64 block = u64{1} << 14U;
constexpr u64 fewest_blocks = 4;  // with fewer, a layer is permuted as a whole
constexpr u64 longest_in_blocks = 64;
constexpr u64 squares_a_row = 16;
constexpr u64 layers_at_once = 64;
constexpr u64 most_kept_layers = 4096;  // whose shuffles a plan keeps
constexpr u64 found_together = 4096;    // positions of as many layers as that takes
constexpr u64 line = 8;                 // rows of a cache line

u64 ceil_divide(u64 a, u64 b) { return a / b + (a % b != 0 ? 1 : 0); }

// Rows that the series give if each gives `most` at most.
u64 rows_of_at_most(const Groups& groups, u64 most) {
    u64 rows = 0;
    for (const CountClass& c : groups.counts()) {
        rows += std::min(c.count, most) * c.groups;
    }
    return rows;
}

// The largest T with B * T rows to fill T batches. The rows there are, as a function of T, are concave and begin with
// 0: once too few, they stay too few.
u64 most_full_batches(const Groups& groups, u64 batch_size, u64 per_series) {
    u64 enough = 0;
    u64 too_many = groups.size() / batch_size + 1;
    while (too_many - enough > 1) {
        const u64 middle = enough + (too_many - enough) / 2;
        const u64 most = middle > groups.largest() / per_series ? groups.largest() : middle * per_series;
        (rows_of_at_most(groups, most) >= batch_size * middle ? enough : too_many) = middle;
    }
    return enough;
}

// Whether positions may move in blocks. Two series of c rows each in one block of batches meet c^2 / block times, which
// must be rare: so series must be short, each and on average.
bool in_blocks(const Groups& groups, const BalancedShape& shape) {
    if (shape.batches < fewest_blocks * block || shape.most > longest_in_blocks) {
        return false;
    }
    u64 squares = 0;
    for (const CountClass& c : groups.counts()) {
        squares += std::min(c.count, shape.most) * std::min(c.count, shape.most) * c.groups;
    }
    return squares <= squares_a_row * rows_of_at_most(groups, shape.most);
}

template <typename Index>
class BalancedPlan final : public Plan {
  public:
    BalancedPlan(std::shared_ptr<const Groups> owner, const GroupArrays<Index>& groups, const BalancedShape& shape,
                 const SeriesOptions& series, const PlanOptions& options)
        : owner_(std::move(owner)),
          shape_(shape),
          shuffle_(series.shuffle),
          layers_key_(derive_key(options.seed, options.epoch, Purpose::layers)),
          full_(shape.last, derive_key(options.seed, options.epoch, Purpose::full_batches), exact_below),
          short_(shape.batches - shape.last, derive_key(options.seed, options.epoch, Purpose::short_batches),
                 exact_below),
          rows_(groups, shape.most, shape.rows, options.seed, options.epoch, series.shuffle, series.numbered),
          block_order_(derive_key(options.seed, options.epoch, Purpose::layer_blocks),
                       derive_key(options.seed, options.epoch, Purpose::layer_block_keys), true) {
        if (!shuffle_) {
            return;
        }
        if (in_blocks(*owner_, shape)) {
            blocks_ = (shape.batches - 1) / block;
            const u64 tail = shape.batches - blocks_ * block;
            for (u64 l = 0; l + 1 < shape.layers; ++l) {
                // a series that reaches from the last whole block into the first one of the next layer
                const u64 crossing_blocks = crossing(l).before > tail ? 1 : 0;
                sigmas_.emplace_back(layers_key_, l, blocks_, crossing_blocks, crossing_blocks);
            }
        } else if (shape.layers <= most_kept_layers) {
            for (u64 l = 0; l + 1 < shape.layers; ++l) {
                sigmas_.push_back(sigma(l));
            }
        }
    }

    index_t n_batches() const noexcept override { return static_cast<index_t>(shape_.batches); }
    index_t n_rows() const noexcept override { return static_cast<index_t>(shape_.rows); }
    index_t offset(index_t batch) const override { return static_cast<index_t>(start_of(static_cast<u64>(batch))); }
    void fill(index_t start, index_t stop, std::span<index_t> rows) const override;

  private:
    std::shared_ptr<const Groups> owner_;
    BalancedShape shape_;
    bool shuffle_;
    u64 blocks_ = 0;  // whole blocks of a layer, without its last, which may be shorter; 0: layers are not in blocks
    u64 layers_key_;
    Bijection full_;   // batch to position of the last layer, of those that have one
    Bijection short_;  // and of the others, to positions behind it
    SeriesRows<Index> rows_;
    GroupShuffle block_order_;          // of the positions of each block of each layer
    std::vector<LayerShuffle> sigmas_;  // of the blocks, where there are some; else of layers, unless they are many

    struct Crossing {
        u64 before;  // positions at the end of a layer
        u64 behind;  // and at the start of the next, of one series; both 0: none crosses
    };

    u64 start_of(u64 batch) const noexcept {
        return batch * shape_.layers - (batch > shape_.last ? batch - shape_.last : 0);
    }
    Crossing crossing(u64 layer) const;
    LayerShuffle sigma(u64 layer) const {
        const auto [a, b] = crossing(layer);
        return {layers_key_, layer, shape_.batches, a, b};
    }
    // How many of batches [first, first + count) have a position in a layer: all but in the last one.
    u64 in_layer(u64 layer, u64 first, u64 count) const noexcept {
        return layer + 1 < shape_.layers ? count : first < shape_.last ? std::min(count, shape_.last - first) : 0;
    }
    void first_positions(u64 first, u64 count, u64* out) const;
    void fill_batches(u64 first, u64 last, index_t* out) const;
    void fill_in_block(u64 number, u64 first, u64 last, index_t* out) const;
};

// What crosses from a layer into the next. A series longer than a layer is in parts of one layer's length.
template <typename Index>
typename BalancedPlan<Index>::Crossing BalancedPlan<Index>::crossing(u64 layer) const {
    const u64 size = shape_.batches;
    const u64 border = (layer + 1) * size;
    const auto [start, end] = rows_.series_at(border);
    if (start == border) {
        return {0, 0};
    }
    const u64 part = start + (border - start - 1) / size * size;
    const u64 stop = std::min({part + size, end, shape_.rows});
    return stop == border ? Crossing{0, 0} : Crossing{border - part, stop - border};
}

// Positions of batches [first, first + count) in the last layer.
template <typename Index>
void BalancedPlan<Index>::first_positions(u64 first, u64 count, u64* out) const {
    if (!shuffle_) {
        std::iota(out, out + count, first);
        return;
    }
    const u64 full = first < shape_.last ? std::min(count, shape_.last - first) : 0;
    if (full > 0) {
        full_.fill(first, full, out);
    }
    if (count > full) {
        short_.fill(first + full - shape_.last, count - full, out + full);
        for (u64 t = full; t < count; ++t) {
            out[t] += shape_.last;
        }
    }
}

// The positions of several layers are looked up together where batches are few.
template <typename Index>
void BalancedPlan<Index>::fill_batches(u64 first, u64 last, index_t* out) const {
    thread_local std::vector<u64> positions;
    thread_local std::vector<u64> taken;
    const u64 count = last - first;
    positions.resize(count);
    taken.resize(found_together + count);
    first_positions(first, count, positions.data());
    const u64 before = start_of(first);
    u64 found = 0;
    u64 stop = shape_.layers;
    for (u64 l = shape_.layers; l-- > 0;) {
        if (shuffle_ && l + 1 < shape_.layers) {
            if (sigmas_.empty()) {
                sigma(l).apply(positions.data(), count);
            } else {
                sigmas_[l].apply(positions.data(), count);
            }
        }
        const u64 here = in_layer(l, first, count);
        for (u64 t = 0; t < here; ++t) {
            taken[found + t] = l * shape_.batches + positions[t];
        }
        found += here;
        if (l > 0 && found < found_together) {
            continue;
        }
        rows_.at(taken.data(), found, taken.data());
        const u64* from = taken.data();
        while (stop > l) {
            const u64 n = in_layer(--stop, first, count);
            for (u64 t = 0; t < n; ++t) {
                out[start_of(first + t) - before + stop] = static_cast<index_t>(from[t]);
            }
            from += n;
        }
        found = 0;
    }
}

// At most at_once batches [first, last), all in block `number` of batches. The positions of many layers are looked up
// together, then put where they belong, a cache line of each batch at a time.
template <typename Index>
void BalancedPlan<Index>::fill_in_block(u64 number, u64 first, u64 last, index_t* out) const {
    thread_local std::vector<u64> taken;
    taken.resize(layers_at_once * at_once);
    u64 starts[layers_at_once];  // of each layer in `taken`
    const u64 block_start = number * block;
    const u64 size = std::min(block, shape_.batches - block_start);
    const u64 before = start_of(first);
    u64 at = number;  // the block of the layer
    for (u64 stop = shape_.layers; stop > 0;) {
        const u64 start = stop - std::min(stop, layers_at_once);
        u64 found = 0;
        for (u64 l = stop; l-- > start;) {
            starts[l - start] = found;
            u64 size_here = size;
            if (l + 1 == shape_.layers) {
                size_here = std::min(size, shape_.last - std::min(shape_.last, block_start));
            } else if (number < blocks_) {
                sigmas_[l].apply(&at, 1);
            }
            const u64 until = std::min(last, block_start + size_here);
            if (first >= until) {
                continue;
            }
            u64* const positions = taken.data() + found;
            const std::size_t n = static_cast<std::size_t>(until - first);
            block_order_.fill(l * (blocks_ + 1) + number, size_here, first - block_start, n, positions);
            for (std::size_t i = 0; i < n; ++i) {
                positions[i] += l * shape_.batches + at * block;
            }
            found += n;
        }
        rows_.at(taken.data(), found, taken.data());
        for (u64 from = start; from < stop; from += line) {
            for (u64 t = first; t < last; ++t) {
                index_t* const to = out + (start_of(t) - before);
                const u64 end = std::min({stop, from + line, shape_.layers - (t < shape_.last ? 0 : 1)});
                for (u64 l = from; l < end; ++l) {
                    to[l] = static_cast<index_t>(taken[starts[l - start] + (t - first)]);
                }
            }
        }
        stop = start;
    }
}

template <typename Index>
void BalancedPlan<Index>::fill(index_t start, index_t stop, std::span<index_t> rows) const {
    if (start >= stop) {
        return;
    }
    const u64 first = static_cast<u64>(start);
    const u64 last = static_cast<u64>(stop);
    const u64 step = blocks_ > 0 ? at_once : std::max(batches_a_task, rows_a_task / shape_.layers);
    const u64 first_task = first / step;
    parallel_for(static_cast<index_t>((last - 1) / step - first_task + 1), [&](index_t task) {
        const u64 number = first_task + static_cast<u64>(task);
        const u64 from = std::max(first, number * step);
        const u64 to = std::min(last, (number + 1) * step);
        index_t* const out = rows.data() + (start_of(from) - start_of(first));
        if (blocks_ > 0) {
            fill_in_block(from / block, from, to, out);
        } else {
            fill_batches(from, to, out);
        }
    });
}

}  // namespace

BalancedShape balanced_shape(const Groups& groups, u64 batch_size, u64 per_series, bool drop_last) {
    BalancedShape shape{};
    if (drop_last) {
        shape.batches = most_full_batches(groups, batch_size, per_series);
        shape.rows = shape.batches * batch_size;
        shape.most = shape.batches > groups.largest() / per_series ? groups.largest() : shape.batches * per_series;
    } else {
        shape.batches = std::max(ceil_divide(groups.size(), batch_size), ceil_divide(groups.largest(), per_series));
        shape.rows = groups.size();
        shape.most = groups.largest();
    }
    if (shape.batches > 0) {
        shape.layers = ceil_divide(shape.rows, shape.batches);
        shape.last = shape.rows - (shape.layers - 1) * shape.batches;
    }
    return shape;
}

std::unique_ptr<const Plan> make_balanced_plan(std::shared_ptr<const Groups> groups, const SeriesOptions& series,
                                               const PlanOptions& options) {
    check_options(options);
    if (series.per_series < 1) {
        throw std::invalid_argument("per_series must be an integer >= 1, but is " + std::to_string(series.per_series));
    }
    const Groups& all = *groups;
    const u64 per_series = std::min(static_cast<u64>(series.per_series), all.largest());
    const BalancedShape shape =
        balanced_shape(all, static_cast<u64>(options.batch_size), per_series, options.drop_last);
    return all.visit([&]<typename Index>(const GroupArrays<Index>& arrays) -> std::unique_ptr<const Plan> {
        return std::make_unique<const BalancedPlan<Index>>(std::move(groups), arrays, shape, series, options);
    });
}

}  // namespace tombola
