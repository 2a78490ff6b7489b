#include "tombola/replay/sum_tree.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "tombola/base/parallel.hpp"
#include "tombola/base/small_array.hpp"
#include "tombola/kernels/kernels.hpp"
#include "tombola/weights/mass_source.hpp"

namespace tombola {
namespace {

__extension__ using i128 = __int128;
__extension__ using u128 = unsigned __int128;

constexpr int largest_exponent = 1000;
constexpr double largest_weight = 0x1p900;  // sums of any number of them are finite
constexpr double largest_mass = 0x1p51;     // what quantisation takes
constexpr mass_t total_limit = mass_t{1} << 62U;
constexpr std::size_t nodes_a_task = 512;
constexpr std::size_t prefetch_ahead = 128;
constexpr std::size_t slots_a_task = std::size_t{1} << 18U;

std::string text(double value) {
    std::array<char, 32> digits{};
    return {digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr};
}

// The smallest c with x <= 2^c
int ceil_log2(double x) {
    int exponent = 0;
    return std::frexp(x, &exponent) == 0.5 ? exponent - 1 : exponent;
}

// Whether some weight may be refused; a zero with a sign is such a one. Read as integers, those that are valid are in
// [0, bits of largest_weight], and only for them neither the bits nor what is left up to that has the highest bit set.
bool is_doubtful(std::span<const double> weights) {
    constexpr u64 most = std::bit_cast<u64>(largest_weight);
    u64 marks = 0;
    for (const double weight : weights) {
        const u64 bits = std::bit_cast<u64>(weight);
        marks |= bits | (most - bits);
    }
    return marks >> 63U != 0;
}

template <typename T>
void check_weights(std::span<const T> weights) {
    if constexpr (std::is_same_v<T, double>) {
        if (!is_doubtful(weights)) {
            return;
        }
    }
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const double w = static_cast<double>(weights[i]);
        if (!(w >= 0.0 && w <= largest_weight)) {
            throw std::invalid_argument("weights must be finite, >= 0 and at most 2**900, but weights[" +
                                        std::to_string(i) + "] = " + text(w));
        }
    }
}

void require_as_many(const char* what, std::size_t wanted, std::size_t given) {
    if (wanted != given) {
        throw std::invalid_argument("there must be one weight for each of the " + std::to_string(wanted) + " " + what +
                                    ", but are " + std::to_string(given));
    }
}

// body(first, last) for parts of [0, n)
template <typename Body>
void for_parts(std::size_t n, std::size_t part, Body body) {
    parallel_for(static_cast<index_t>((n + part - 1) / part), [&](index_t task) {
        const std::size_t first = static_cast<std::size_t>(task) * part;
        body(first, std::min(n, first + part));
    });
}

template <typename T>
void set_zero(Buffer<T>& buffer) {
    for_parts(buffer.size(), slots_a_task,
              [&](std::size_t first, std::size_t last) { std::fill(&buffer[first], buffer.data() + last, T{0}); });
}

// The masses of up to fan_out blocks of weights
std::array<u64, SumTree::fan_out> sum_masses(const double* weights, std::size_t blocks, double scale) {
    std::array<mass_t, SumTree::fan_out * SumTree::fan_out> masses;
    std::array<u64, SumTree::fan_out> sums{};
    kernels().quantise_f64(weights, blocks * SumTree::fan_out, scale, masses.data());
    for (std::size_t i = 0; i < blocks * SumTree::fan_out; ++i) {
        sums[i / SumTree::fan_out] += masses[i];
    }
    return sums;
}

// Whether a scale gives masses that a tree can have
bool can_hold(std::span<const double> weights, const SumTree::Fit& fit) {
    if (fit.exponent < -largest_exponent || fit.exponent > largest_exponent) {
        return false;
    }
    if (!fit.chosen) {
        return std::ranges::all_of(weights, [](double w) { return w == 0.0; });
    }
    const double by = std::ldexp(1.0, fit.exponent);
    u128 total = 0;
    std::array<mass_t, 64> masses;
    for (std::size_t first = 0; first < weights.size(); first += masses.size()) {
        const std::span<const double> part = weights.subspan(first, std::min(masses.size(), weights.size() - first));
        if (*std::ranges::max_element(part) * by > largest_mass) {
            return false;
        }
        kernels().quantise_f64(part.data(), part.size(), by, masses.data());
        total = std::accumulate(masses.begin(), masses.begin() + static_cast<std::ptrdiff_t>(part.size()), total);
    }
    return total < total_limit;
}

// deltas[i] = the mass of after[i] less that of before[i]; returns their sum. Weights that are too large for the scale
// give some number.
i128 mass_deltas(std::span<const double> before, std::span<const double> after, double scale, std::span<u64> deltas) {
    constexpr std::size_t at_once = 256;  // masses are below 2^52, so that their sums stay below 2^63
    std::array<mass_t, at_once> old;
    i128 change = 0;
    for (std::size_t first = 0; first < before.size(); first += at_once) {
        const std::size_t count = std::min(at_once, before.size() - first);
        kernels().quantise_f64(&before[first], count, scale, old.data());
        kernels().quantise_f64(&after[first], count, scale, &deltas[first]);
        u64 sum = 0;
        for (std::size_t i = 0; i < count; ++i) {
            deltas[first + i] -= old[i];
            sum += deltas[first + i];
        }
        change += static_cast<std::int64_t>(sum);
    }
    return change;
}

std::size_t blocks_of(std::size_t n) { return (n + SumTree::fan_out - 1) / SumTree::fan_out; }

u64 checked_size(u64 n) {
    if (n == 0 || n > SumTree::largest) {
        throw std::invalid_argument("a sum tree must have 1 to 2**40 slots, but is asked for " + std::to_string(n));
    }
    return n;
}

}  // namespace

SumTree::SumTree(u64 n) : size_(checked_size(n)), weights_(fan_out * blocks_of(static_cast<std::size_t>(n))) {
    set_zero(weights_);
    std::size_t entries = blocks_of(static_cast<std::size_t>(n));
    do {
        entries_.push_back(entries);
        entries = blocks_of(entries);
        levels_.emplace_back(fan_out * entries);
        set_zero(levels_.back());
    } while (entries > 1);
}

double SumTree::scale() const noexcept { return std::ldexp(1.0, fit_.exponent); }

void SumTree::choose_fit() {
    whole_ = false;
    const WeightSummary summary = make_value_source(weights(), {})->summarise();
    positive_ = summary.positive;
    if (positive_ > 0) {
        const double full = summary.total / static_cast<double>(positive_) * static_cast<double>(size_);
        const int exponent = std::min(57 - ceil_log2(full), 46 - ceil_log2(summary.largest));
        fit_.exponent = std::clamp(exponent, -largest_exponent, largest_exponent);
    }
    sum_blocks();
    if (positive_ > 0) {
        fit_.chosen = true;
        fit_.low = static_cast<mass_t>(static_cast<u128>(total()) * size_ / positive_ >> 7U);
    }
}

void SumTree::sum_blocks() {
    const double by = scale();
    std::vector<u64> sums;  // of the nodes of the level in work
    for (std::size_t l = 0; l < levels_.size(); ++l) {
        Buffer<u64>& level = levels_[l];
        const std::vector<u64> below = std::exchange(sums, std::vector<u64>(level.size() / fan_out));
        for_parts(sums.size(), nodes_a_task, [&](std::size_t first, std::size_t last) {
            std::array<u64, fan_out> children{};
            for (std::size_t node = first; node < last; ++node) {
                const std::size_t start = node * fan_out;
                const std::size_t used = std::min(fan_out, entries_[l] - start);
                if (l == 0) {
                    children = sum_masses(&weights_[start * fan_out], used, by);
                } else {
                    std::fill(std::copy_n(&below[start], used, children.begin()), children.end(), 0);
                }
                u64 sum = 0;
                for (std::size_t k = 0; k < fan_out; ++k) {
                    level[start + k] = sum;
                    sum += children[k];
                }
                sums[node] = sum;
            }
        });
    }
    total_ = sums[0];
    whole_ = true;
}

template <typename T>
void SumTree::fill_with(std::span<const T> weights) {
    require_as_many("slots", static_cast<std::size_t>(size_), weights.size());
    check_weights(weights);
    whole_ = false;
    for_parts(weights.size(), slots_a_task, [&](std::size_t first, std::size_t last) {
        std::copy(&weights[first], weights.data() + last, &weights_[first]);
    });
}

void SumTree::fill(std::span<const float> weights) {
    fill_with(weights);
    fit_ = {};
    choose_fit();
}

void SumTree::fill(std::span<const double> weights) {
    fill_with(weights);
    fit_ = {};
    choose_fit();
}

void SumTree::restore(std::span<const double> weights, const Fit& fit) {
    require_as_many("slots", static_cast<std::size_t>(size_), weights.size());
    check_weights(weights);
    if (!can_hold(weights, fit)) {
        throw std::invalid_argument("the state of a sum tree holds a scale that is not of its weights");
    }
    fill_with(weights);
    fit_ = fit;
    positive_ = static_cast<u64>(std::count_if(weights.begin(), weights.end(), [](double w) { return w > 0.0; }));
    sum_blocks();
}

void SumTree::check_slots(std::span<const index_t> slots) const {
    u64 marks = 0;  // the highest bit is set for a slot that is negative or beyond the last one
    for (const index_t slot : slots) {
        marks |= static_cast<u64>(slot) | (size_ - 1 - static_cast<u64>(slot));
    }
    if (marks >> 63U == 0) {
        return;
    }
    for (std::size_t i = 0; i < slots.size(); ++i) {
        if (static_cast<u64>(slots[i]) >= size_) {
            throw std::out_of_range("slots must lie in [0, " + std::to_string(size_) + "), but slots[" +
                                    std::to_string(i) + "] = " + std::to_string(slots[i]));
        }
    }
}

void SumTree::check_whole() const {
    if (!whole_) {
        throw std::runtime_error("a change of the sum tree was broken off: fill it, or load a state, before drawing");
    }
}

void SumTree::update(std::span<const index_t> slots, std::span<const double> weights) {
    require_as_many("slots", slots.size(), weights.size());
    check_slots(slots);
    check_weights(weights);
    const std::size_t count = slots.size();
    SmallArray<double> before(count);
    SmallArray<u64> deltas(count);
    double* const held = weights_.data();
    const u64* const sums = levels_[0].data();
    const auto prefetch = [=](index_t slot) {
        __builtin_prefetch(held + slot, 1);
        __builtin_prefetch(sums + static_cast<u64>(slot) / fan_out, 1);
    };
    std::for_each_n(slots.begin(), std::min(count, prefetch_ahead), prefetch);
    const bool was_whole = std::exchange(whole_, false);  // for there may be no memory for what follows
    u64 more = 0;                                         // slots that have a weight than before, modulo 2^64
    double largest_given = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (i + prefetch_ahead < count) {
            prefetch(slots[i + prefetch_ahead]);
        }
        const double given = weights[i];
        before[i] = std::exchange(held[static_cast<std::size_t>(slots[i])], given);
        more += static_cast<u64>(given > 0.0) - static_cast<u64>(before[i] > 0.0);
        largest_given = std::max(largest_given, given);
    }
    positive_ += more;
    // In 128 bits: what a call brings in may be so much that a sum of 64 bits would wrap, and seem to fit.
    const i128 change = mass_deltas(before.span(), weights, scale(), deltas.span());
    // A weight given may be of a slot that a later one overwrites: the rule asks for all that were given.
    const bool fits =
        was_whole && fit_.chosen && largest_given * scale() <= largest_mass && total() + change < total_limit;
    if (!fits) {
        whole_ = was_whole && positive_ == 0 && !fit_.chosen;
        if (!whole_) {
            choose_fit();
        }
        return;
    }
    add_deltas(slots, deltas.span());
    total_ = static_cast<mass_t>(total_ + change);
    whole_ = true;
    // In 128 bits: few slots that have grown since the fit have a mean mass * n beyond 64.
    if (positive_ > 0 && static_cast<u128>(total()) * size_ / positive_ < fit_.low) {
        choose_fit();
    }
}

// Level by level. Where a level has fewer entries than there are deltas, or few at all, these are summed by entry
// first: from there on each node is changed once, and none waits for the change before.
void SumTree::add_deltas(std::span<const index_t> slots, std::span<const u64> deltas) {
    constexpr std::size_t few = 64;
    SmallArray<u64> numbers(slots.size());
    const std::span<u64> entries = numbers.span();
    for (std::size_t i = 0; i < slots.size(); ++i) {
        entries[i] = static_cast<u64>(slots[i]) / fan_out;
    }
    std::size_t l = 0;
    for (; l < levels_.size() && entries_[l] > std::max(few, slots.size()); ++l) {
        kernels().add_deltas(levels_[l].data(), slots.size(), entries.data(), deltas.data());
        for (u64& entry : entries) {
            entry /= fan_out;
        }
    }
    if (l == levels_.size()) {
        return;
    }
    std::vector<u64> sums(levels_[l].size());
    for (std::size_t i = 0; i < slots.size(); ++i) {
        sums[entries[i]] += deltas[i];
    }
    for (; l < levels_.size(); ++l) {
        const std::size_t nodes = levels_[l].size() / fan_out;
        kernels().add_all_deltas(levels_[l].data(), nodes, sums.data(), sums.data());
        std::fill(&sums[nodes], sums.data() + blocks_of(nodes) * fan_out, 0);
    }
}

}  // namespace tombola
