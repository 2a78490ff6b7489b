#include "tombola/orders/draws.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <span>

#include "tombola/base/parallel.hpp"
#include "tombola/kernels/kernels.hpp"
#include "tombola/random/philox.hpp"

namespace tombola {
namespace {

constexpr std::size_t group_draws = 128;    // that take a step together
constexpr std::size_t groups_at_once = 4;   // whose targets are made together; at least the steps that a group lags
constexpr std::size_t words_at_once = 256;  // counters whose random words are made in one go

// Rows of `count` runs of draws. make(starts, runs, length, targets) makes sorted targets of each run. Runs go through
// the table in groups: while the rows of one are located, the memory that the next ones need is on its way.
template <typename Make>
void short_runs(const WeightTable& table, const u64* starts, std::size_t count, std::size_t length, index_t* out,
                Make make) {
    const std::size_t group = std::min<std::size_t>(64, group_draws / length);
    const std::size_t chunk = group * groups_at_once;
    alignas(64) std::array<mass_t, 2 * groups_at_once * group_draws> targets;
    std::array<u64, 2 * groups_at_once * group_draws> granules;
    const std::size_t groups = (count + group - 1) / group;
    const auto group_at = [&](std::size_t g) {
        const std::size_t at = g % (2 * groups_at_once) * group;
        const std::size_t runs = g < groups ? std::min(group, count - g * group) : 0;
        return RunGroup{.targets = targets.data() + at * length, .granules = granules.data() + at, .runs = runs};
    };
    for (std::size_t g = 0; g < groups + 3; ++g) {
        if (g < groups && g % groups_at_once == 0) {
            const std::size_t runs = std::min(chunk, count - g * group);
            make(starts + g * group, runs, length, targets.data() + g % (2 * groups_at_once) * group * length);
        }
        // Groups in front of the first one have numbers beyond the last.
        table.locate({.at = {group_at(g - 3), group_at(g - 2), group_at(g - 1), group_at(g)}}, length, out);
        out += g >= 3 ? group * length : 0;
    }
}

// The same for runs that are long enough to do without.
template <typename Make>
void long_runs(const WeightTable& table, const u64* starts, std::size_t count, std::size_t length, index_t* out,
               Make make) {
    constexpr std::size_t draws_at_once = 1024;
    alignas(64) std::array<mass_t, draws_at_once> targets;
    for (std::size_t r = 0; r < count; ++r) {
        for (std::size_t done = 0; done < length; done += draws_at_once) {
            const u64 start = starts[r] + done;
            const std::size_t n = std::min(draws_at_once, length - done);
            make(&start, std::size_t{1}, n, targets.data());
            table.rows(targets.data(), n, out + r * length + done);
        }
    }
}

template <typename Make>
void any_runs(const WeightTable& table, const u64* starts, std::size_t count, std::size_t length, index_t* out,
              Make make) {
    if (length <= group_draws) {
        short_runs(table, starts, count, length, out, make);
    } else {
        long_runs(table, starts, count, length, out, make);
    }
}

}  // namespace

StratifiedSequence::StratifiedSequence(std::shared_ptr<const WeightTable> table, u64 draws, u64 seed, u64 epoch)
    : table_(std::move(table)),
      draws_(draws),
      key_(derive_key(seed, epoch, Purpose::strata)),
      strata_{.step = table_->total() / draws, .step_fraction = 0} {
    __extension__ using u128 = unsigned __int128;
    strata_.step_fraction = static_cast<u64>((static_cast<u128>(table_->total() % draws) << 64U) / draws);
}

void StratifiedSequence::runs(const u64* starts, std::size_t count, std::size_t length, index_t* out) const {
    any_runs(*table_, starts, count, length, out,
             [this](const u64* from, std::size_t n, std::size_t each, mass_t* to) { make_targets(from, n, each, to); });
}

void StratifiedSequence::make_targets(const u64* starts, std::size_t count, std::size_t length, mass_t* targets) const {
    // A run that begins inside the four words of a counter takes that counter whole: at most length / 4 + 2 of them.
    alignas(64) std::array<u64, words_at_once + 2> counters;
    alignas(64) std::array<u32, 4 * (words_at_once + 2)> words;
    const std::size_t counters_a_run = (length + 2) / 4 + 1;
    const std::size_t runs = std::max<std::size_t>(1, words_at_once / counters_a_run);
    for (std::size_t first = 0; first < count; first += runs) {
        const std::size_t last = std::min(count, first + runs);
        std::size_t n = 0;
        for (std::size_t r = first; r < last; ++r) {
            const u64 stop = (starts[r] + length - 1) / 4;
            for (u64 c = starts[r] / 4; c <= stop; ++c) {
                counters[n++] = c;
            }
        }
        kernels().serial_words_at(key_, 0, counters.data(), n, words.data());
        kernels().stratify(strata_, starts + first, last - first, length, words.data(), targets + first * length);
    }
}

// ---------------------------------------------------------------------------------------------------------------

namespace {

constexpr u64 leaf_draws = 16;
constexpr u32 levels_below_parts = 4;
constexpr u64 bits_a_task = u64{1} << 20U;

// Counters of streams whose words are made in one go.
class Counters {
  public:
    // Puts counters 0 .. n - 1 of stream `id` behind the others.
    void add(u64 id, u64 n) {
        if (used_ + n + words_of_step > ids_.size()) {
            ids_.resize(2 * (used_ + n + words_of_step));
            counters_.resize(ids_.size());
        }
        for (u64 c = 0; c < n; ++c) {
            ids_[used_] = id;
            counters_[used_++] = c;
        }
    }
    // The words of all of them, which are forgotten.
    const u32* words(u64 key) {
        const std::size_t count = (used_ + words_of_step - 1) / words_of_step * words_of_step;
        words_.resize(std::max(words_.size(), 4 * count));
        kernels().words_of(key, ids_.data(), counters_.data(), count, words_.data());
        used_ = 0;
        return words_.data();
    }

  private:
    std::size_t used_ = 0;
    std::vector<u64> ids_;  // with room for a last step
    std::vector<u64> counters_;
    std::vector<u32> words_;
};

// The number of ones among bits [first, last) of the stream's serial words; first is a multiple of 128.
u64 count_ones(const Stream& stream, u64 first, u64 last) {
    constexpr u64 block_bits = 128 * 64;
    alignas(64) std::array<u32, block_bits / 32> words;
    u64 ones = 0;
    for (u64 at = first; at < last; at += block_bits) {
        const u64 bits = std::min(block_bits, last - at);
        kernels().serial_words(stream.key, stream.id, at / 128, (bits + 127) / 128, words.data());
        ones += kernels().count_ones(words.data(), bits);
    }
    return ones;
}

}  // namespace

IidSequence::IidSequence(std::shared_ptr<const WeightTable> table, u64 draws, u64 seed, u64 epoch)
    : table_(std::move(table)),
      draws_(draws),
      split_key_(derive_key(seed, epoch, Purpose::split)),
      leaf_key_(derive_key(seed, epoch, Purpose::leaf)),
      depth_(static_cast<u32>(std::bit_width((draws - 1) / leaf_draws))),
      part_depth_(depth_ > levels_below_parts ? depth_ - levels_below_parts : 0) {
    split_parts();
}

void IidSequence::split_parts() {
    std::vector<u64> counts{draws_};
    for (u32 level = 0; level < part_depth_; ++level) {
        const std::size_t nodes = counts.size();
        const u64 largest = *std::max_element(counts.begin(), counts.end());
        // Wide nodes are counted by several tasks, narrow ones many by a task.
        const u64 pieces = (largest + bits_a_task - 1) / bits_a_task;
        const u64 nodes_a_task = pieces > 1 ? 1 : std::max<u64>(1, bits_a_task / std::max<u64>(1, largest));
        const u64 groups = (nodes + nodes_a_task - 1) / nodes_a_task;
        std::vector<std::atomic<u64>> left(nodes);
        parallel_for(static_cast<index_t>(groups * pieces), [&](index_t task) {
            const u64 group = static_cast<u64>(task) / pieces;
            const u64 first_bit = static_cast<u64>(task) % pieces * bits_a_task;
            for (u64 x = group * nodes_a_task; x < std::min<u64>(nodes, (group + 1) * nodes_a_task); ++x) {
                const u64 last_bit = std::min(counts[x], first_bit + bits_a_task);
                if (first_bit < last_bit) {
                    left[x] += count_ones(Stream{split_key_, (u64{1} << level) + x}, first_bit, last_bit);
                }
            }
        });
        std::vector<u64> next(2 * nodes);
        for (std::size_t x = 0; x < nodes; ++x) {
            next[2 * x] = left[x];
            next[2 * x + 1] = counts[x] - left[x];
        }
        counts = std::move(next);
    }
    before_.reserve(counts.size() + 1);
    u64 sum = 0;
    for (const u64 count : counts) {
        before_.push_back(sum);
        sum += count;
    }
    before_.push_back(sum);
}

// Draws [first, last) of the epoch and where their targets go.
struct IidSequence::Request {
    u64 first;
    u64 last;
    mass_t* targets;
    std::vector<u64>* leaf;
};

// A draw on its way down: the `rank`-th of the `count` draws of a node.
struct IidSequence::Descent {
    u64 node;
    u64 count;
    u64 rank;
};

IidSequence::Descent IidSequence::part_of(u64 draw) const noexcept {
    // Parts hold about as many draws each, so the one wanted is not far from where it would be if they held the same.
    const auto begin = before_.begin();
    const std::ptrdiff_t parts = static_cast<std::ptrdiff_t>(before_.size() - 1);
    __extension__ using u128 = unsigned __int128;
    std::ptrdiff_t low = static_cast<std::ptrdiff_t>(static_cast<u128>(draw) * static_cast<u64>(parts) / draws_);
    std::ptrdiff_t high = low + 1;
    for (std::ptrdiff_t step = 4; low > 0 && begin[low] > draw; step *= 2) {
        high = low;
        low = std::max<std::ptrdiff_t>(0, low - step);
    }
    for (std::ptrdiff_t step = 4; high < parts && begin[high] <= draw; step *= 2) {
        low = high;
        high = std::min(parts, high + step);
    }
    const u64 x = static_cast<u64>(std::upper_bound(begin + low, begin + high, draw) - begin) - 1;
    return {x, before_[x + 1] - before_[x], draw - before_[x]};
}

// Draws that do not follow each other: all go down a level together, so that the words of many nodes, which hold few
// draws each, are made in one go.
void IidSequence::make_single_targets(const u64* draws, std::size_t count, mass_t* targets) const {
    constexpr std::size_t at_once = 64;
    Counters counters;
    const Kernels& kernel = kernels();
    std::array<Descent, at_once> ways;
    for (std::size_t first = 0; first < count; first += at_once) {
        const std::span<Descent> some(ways.data(), std::min(at_once, count - first));
        for (std::size_t i = 0; i < some.size(); ++i) {
            some[i] = part_of(draws[first + i]);
        }
        for (u32 level = part_depth_; level < depth_; ++level) {
            for (const Descent& way : some) {
                counters.add((u64{1} << level) + way.node, (way.count + 127) / 128);
            }
            const u32* words = counters.words(split_key_);
            for (Descent& way : some) {
                const u64 left = kernel.count_ones(words, way.count);
                words += 4 * ((way.count + 127) / 128);
                const u64 is_right = way.rank >= left ? 1 : 0;
                way.node = 2 * way.node + is_right;
                way.rank -= is_right * left;
                way.count = left + is_right * (way.count - 2 * left);  // no branch: half of them would be mistaken
            }
        }
        for (const Descent& way : some) {
            counters.add(way.node, (way.count + 1) / 2);
        }
        const u32* words = counters.words(leaf_key_);
        for (std::size_t i = 0; i < some.size(); ++i) {
            const Descent& way = some[i];
            const u64 word = kernel.select(words, static_cast<std::size_t>(way.count), way.rank);
            words += 4 * ((way.count + 1) / 2);
            targets[first + i] = multiply_high(point_of(way.node, word), table_->total());
        }
    }
}

// `count` draws, the first of them number `first` of the epoch, lie in node `node` of `level`.
void IidSequence::descend(u32 level, u64 node, u64 first, u64 count, Request& request) const {
    if (count == 0 || first >= request.last || first + count <= request.first) {
        return;
    }
    if (level < depth_) {
        const u64 left = count_ones(Stream{split_key_, (u64{1} << level) + node}, 0, count);
        descend(level + 1, 2 * node, first, left, request);
        descend(level + 1, 2 * node + 1, first + left, count - left, request);
        return;
    }
    std::vector<u64>& points = *request.leaf;
    const std::size_t counters = static_cast<std::size_t>((count + 1) / 2);
    points.resize(2 * counters);
    kernels().serial_words(leaf_key_, node, 0, counters, reinterpret_cast<u32*>(points.data()));
    points.resize(static_cast<std::size_t>(count));
    for (u64& point : points) {
        point = point_of(node, point);
    }
    std::sort(points.begin(), points.end());
    const u64 from = std::max(first, request.first);
    const u64 to = std::min(first + count, request.last);
    for (u64 i = from; i < to; ++i) {
        request.targets[i - request.first] = multiply_high(points[i - first], table_->total());
    }
}

void IidSequence::make_targets(u64 start, std::size_t length, mass_t* targets) const {
    thread_local std::vector<u64> leaf;
    Request request{.first = start, .last = start + length, .targets = targets, .leaf = &leaf};
    const auto after = std::upper_bound(before_.begin(), before_.end(), start);
    for (u64 x = static_cast<u64>(after - before_.begin()) - 1; x + 1 < before_.size() && before_[x] < request.last;
         ++x) {
        descend(part_depth_, x, before_[x], before_[x + 1] - before_[x], request);
    }
}

void IidSequence::runs(const u64* starts, std::size_t count, std::size_t length, index_t* out) const {
    any_runs(*table_, starts, count, length, out, [this](const u64* from, std::size_t n, std::size_t each, mass_t* to) {
        if (each == 1) {
            make_single_targets(from, n, to);
            return;
        }
        for (std::size_t r = 0; r < n; ++r) {
            make_targets(from[r], each, to + r * each);
        }
    });
}

}  // namespace tombola
