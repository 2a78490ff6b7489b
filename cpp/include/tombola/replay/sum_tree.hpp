// Weights that change: slots 0 .. n - 1 under a tree of sums, 8 children to a node, each node one cache line: the sums
// in front of its children. O(log_8 n) an update and a draw; 8 bytes a slot for its weight, 1.15 for the sums.
//
// Sums are integers, so they never drift: a slot's mass is rint(max(weight * 2^e, 1 if weight > 0 else 0)), and every
// sum is at all times what a tree built anew from the weights would hold. The scale 2^e is kept until it stops to fit;
// then all masses are made anew from the weights, which are kept as they were given. It is fitted
//
//     e = min(57 - ceil(log2(mean * n)), 46 - ceil(log2(largest))), at most 1000, at least -1000,
//
// mean that of the positive weights, where no scale was chosen yet and after an update
//   - with a weight whose mass would be above 2^51 (so up to 32 times the largest at the fit are free),
//   - that brings the total, summed in 128 bits, to 2^62 or more (32 times the total of a full tree), or
//   - that brings mean mass * n below 1/128 of what it was at the fit.
// A refit is O(n), and none comes before weights have grown or fallen by such a factor.
//
// Error: a mass is off by at most half a unit (a unit, where a positive weight was lifted to 1), so a probability by
// at most (1 + n_positive * p) / total, total the sum of the masses. With n = 2^27 slots of about equal weights a unit
// is 2^-30 of a weight after a fit.
//
// Threads: const functions may run side by side; the others need the tree for themselves. Where the user breaks off a
// fill or a refit, draws are refused until a fill, an update or a restore has made the sums.
#pragma once

#include <span>
#include <vector>

#include "tombola/base/buffer.hpp"
#include "tombola/base/types.hpp"

namespace tombola {

class SumTree {
  public:
    static constexpr std::size_t fan_out = 8;
    static constexpr u64 largest = u64{1} << 40U;  // slots

    // What is kept of the past: the scale, and the mean mass * n below which it stops to fit.
    struct Fit {
        bool chosen = false;
        int exponent = 0;
        mass_t low = 0;
    };
    enum class Draws { independent, stratified };

    explicit SumTree(u64 n);  // all weights 0; std::invalid_argument for 0 or more than `largest` slots

    u64 size() const noexcept { return size_; }
    u64 positive() const noexcept { return positive_; }
    mass_t total() const noexcept { return total_; }
    const Fit& fit() const noexcept { return fit_; }

    // One weight a slot; the scale is fitted anew. std::invalid_argument names the first weight that is not finite,
    // >= 0 and at most 2^900; nothing has changed then.
    void fill(std::span<const float> weights);
    void fill(std::span<const double> weights);
    // The same, with the scale of another tree of these weights; std::invalid_argument where it cannot be theirs
    void restore(std::span<const double> weights, const Fit& fit);
    // Where a slot comes more than once the last weight holds. std::out_of_range, std::invalid_argument name the first
    // slot or weight that is wrong; nothing has changed then.
    void update(std::span<const index_t> slots, std::span<const double> weights);

    std::span<const double> weights() const noexcept { return {weights_.data(), static_cast<std::size_t>(size_)}; }
    void get(std::span<const index_t> slots, std::span<double> weights) const;
    void masses(std::span<const index_t> slots, std::span<mass_t> out) const;

    // Slots in proportion to their mass, and the mass of each (where `masses` is not empty). Draw t takes word64 t of
    // the stream of (seed, step), u: its target is u * total / 2^64, or for stratified draws lo + u * (hi - lo) / 2^64
    // with lo = floor(t * total / draws), hi the next draw's lo. std::invalid_argument where all weights are 0.
    void draw(u64 seed, u64 step, Draws draws, std::span<index_t> out, std::span<mass_t> masses) const {
        draw_part(seed, step, draws, 0, out.size(), out, masses);
    }
    // Of `all` such draws those from `first` on, as many as `out` has room for
    void draw_part(u64 seed, u64 step, Draws draws, u64 first, u64 all, std::span<index_t> out,
                   std::span<mass_t> masses) const;
    // No slot twice: each is drawn in proportion to mass among those that have not come yet (successive sampling).
    // std::invalid_argument for more than positive() slots.
    void draw_distinct(u64 seed, u64 step, std::span<index_t> out, std::span<mass_t> masses) const;

  private:
    u64 size_;
    u64 positive_ = 0;
    mass_t total_ = 0;
    bool whole_ = true;  // false where making the sums was broken off
    Fit fit_;
    Buffer<double> weights_;            // filled up with zeros to whole blocks of fan_out
    std::vector<Buffer<u64>> levels_;   // levels_[0]: nodes over the blocks; the last one is the root
    std::vector<std::size_t> entries_;  // of each level that are in use

    double scale() const noexcept;
    void choose_fit();
    void sum_blocks();
    void check_slots(std::span<const index_t> slots) const;
    void check_whole() const;
    void add_deltas(std::span<const index_t> slots, std::span<const u64> deltas);
    template <typename T>
    void fill_with(std::span<const T> weights);
    // For targets of [0, total()): the slots they fall on, what is left of them there, and the slots' masses.
    void find(std::size_t count, u64* targets, u64* slots, mass_t* masses) const noexcept;
    struct Distinct;
};

}  // namespace tombola
