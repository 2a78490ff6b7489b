// What slots of a sum tree hold, and draws from it: many targets go down a level at a time, so that the cache misses
// of one hide those of another.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>

#include "tombola/base/parallel.hpp"
#include "tombola/random/draw_words.hpp"
#include "tombola/random/philox.hpp"
#include "tombola/replay/sum_tree.hpp"

namespace tombola {
namespace {

__extension__ using u128 = unsigned __int128;

constexpr std::size_t draws_a_task = std::size_t{1} << 13U;

}  // namespace

void SumTree::find(std::size_t count, u64* targets, u64* slots, mass_t* masses) const noexcept {
    std::fill_n(slots, count, 0);
    for (std::size_t l = levels_.size(); l-- > 0;) {
        const void* const below = l > 0 ? static_cast<const void*>(levels_[l - 1].data()) : weights_.data();
        kernels().descend(levels_[l].data(), below, entries_[l] - 1, count, targets, slots);
    }
    kernels().find_slots(weights_.data(), scale(), size_ - 1, count, targets, slots, masses);
}

void SumTree::draw_part(u64 seed, u64 step, Draws draws, u64 first, u64 all, std::span<index_t> out,
                        std::span<mass_t> masses) const {
    check_whole();
    if (total() == 0 && !out.empty()) {
        throw std::invalid_argument("at least one weight must be > 0 to draw, but all " + std::to_string(size_) +
                                    " are 0");
    }
    const u64 key = derive_key(seed, step, Purpose::sum_tree);
    const bool stratified = draws == Draws::stratified;
    const index_t tasks = static_cast<index_t>((out.size() + draws_a_task - 1) / draws_a_task);
    parallel_for(tasks, [&](index_t task) {
        DrawWords words;
        std::array<u64, draws_at_once> targets;
        std::array<u64, draws_at_once> slots;
        std::array<mass_t, draws_at_once> found;
        const std::size_t start = static_cast<std::size_t>(task) * draws_a_task;
        const std::size_t stop = std::min(out.size(), start + draws_a_task);
        for (std::size_t at = start; at < stop; at += draws_at_once) {
            const std::size_t count = std::min(draws_at_once, stop - at);
            const std::span<const u64> u = words.fill(key, first + at, count);
            for (std::size_t i = 0; i < count; ++i) {
                u64 low = 0;
                u64 width = total();
                if (stratified) {
                    low = static_cast<u64>(static_cast<u128>(total()) * (first + at + i) / all);
                    width = static_cast<u64>(static_cast<u128>(total()) * (first + at + i + 1) / all) - low;
                }
                targets[i] = low + multiply_high(u[i], width);
            }
            find(count, targets.data(), slots.data(), found.data());
            for (std::size_t i = 0; i < count; ++i) {
                out[at + i] = static_cast<index_t>(slots[i]);
                if (!masses.empty()) {
                    masses[at + i] = found[i];
                }
            }
        }
    });
}

// The slots that came already, in two ways: as a hash set, and as the gaps that they leave in the line of masses.
//
// Attempt a takes word64 a. Targets are uniform over the line without the gaps; a target on a slot that came since the
// gaps were last closed is dropped. Once such slots hold more than half of the line their gaps are closed as well: so
// at least every second attempt counts, whatever the weights, and all draws together cost O(k log k) and k descents.
struct SumTree::Distinct {
    struct Gap {
        u64 start;
        u64 mass;
    };

    explicit Distinct(std::size_t most) : seen_(std::bit_ceil(2 * most + 2), 0) {}

    // Whether the slot is new
    bool insert(u64 slot) {
        const std::size_t mask = seen_.size() - 1;
        std::size_t at = static_cast<std::size_t>((slot + 1) * 0x9E3779B97F4A7C15U >> 20U) & mask;
        while (seen_[at] != 0 && seen_[at] != slot + 1) {
            at = (at + 1) & mask;
        }
        const bool is_new = seen_[at] == 0;
        seen_[at] = slot + 1;
        return is_new;
    }
    // From a place on the line without gaps to one on the whole line
    u64 place(u64 target) const noexcept {
        const auto found = std::upper_bound(edges_.begin(), edges_.end(), target);
        return target + before_[static_cast<std::size_t>(found - edges_.begin())];
    }
    void add_gap(Gap gap) {
        fresh_.push_back(gap);
        fresh_mass_ += gap.mass;
    }
    u64 fresh_mass() const noexcept { return fresh_mass_; }
    u64 closed_mass() const noexcept { return before_.back(); }
    void close_gaps() {
        const auto by_start = [](const Gap& a, const Gap& b) { return a.start < b.start; };
        std::sort(fresh_.begin(), fresh_.end(), by_start);
        const std::ptrdiff_t middle = static_cast<std::ptrdiff_t>(gaps_.size());
        gaps_.insert(gaps_.end(), fresh_.begin(), fresh_.end());
        std::inplace_merge(gaps_.begin(), gaps_.begin() + middle, gaps_.end(), by_start);
        edges_.clear();
        before_.assign(1, 0);
        for (const Gap& gap : gaps_) {
            edges_.push_back(gap.start - before_.back());
            before_.push_back(before_.back() + gap.mass);
        }
        fresh_.clear();
        fresh_mass_ = 0;
    }

  private:
    std::vector<u64> seen_;
    std::vector<Gap> gaps_;  // closed, in the order of the line
    std::vector<Gap> fresh_;
    u64 fresh_mass_ = 0;
    std::vector<u64> edges_;                         // where each closed gap lies on the line without them
    std::vector<u64> before_ = std::vector<u64>(1);  // the masses of the first gaps
};

void SumTree::draw_distinct(u64 seed, u64 step, std::span<index_t> out, std::span<mass_t> masses) const {
    check_whole();
    if (out.size() > positive_) {
        throw std::invalid_argument("without replacement at most as many slots can be drawn as have a weight > 0, " +
                                    std::to_string(positive_) + ", but size is " + std::to_string(out.size()));
    }
    const u64 key = derive_key(seed, step, Purpose::sum_tree_distinct);
    DrawWords words;
    Distinct distinct(out.size());
    std::array<u64, draws_at_once> targets;
    std::array<u64, draws_at_once> offsets;
    std::array<u64, draws_at_once> slots;
    std::array<mass_t, draws_at_once> found;
    u64 attempt = 0;
    for (std::size_t done = 0; done < out.size();) {
        const u64 line = total() - distinct.closed_mass();
        const std::size_t count = std::min(draws_at_once, (out.size() - done) * 9 / 8 + 4);
        const std::span<const u64> u = words.fill(key, attempt, count);
        for (std::size_t i = 0; i < count; ++i) {
            targets[i] = distinct.place(multiply_high(u[i], line));
            offsets[i] = targets[i];
        }
        find(count, offsets.data(), slots.data(), found.data());
        for (std::size_t i = 0; i < count && done < out.size(); ++i) {
            ++attempt;
            if (!distinct.insert(slots[i])) {
                continue;
            }
            out[done] = static_cast<index_t>(slots[i]);
            if (!masses.empty()) {
                masses[done] = found[i];
            }
            ++done;
            distinct.add_gap({targets[i] - offsets[i], found[i]});
            if (distinct.fresh_mass() > line / 2) {
                distinct.close_gaps();  // and the attempts behind this one are made anew
                break;
            }
        }
    }
}

void SumTree::get(std::span<const index_t> slots, std::span<double> weights) const {
    check_slots(slots);
    for (std::size_t i = 0; i < slots.size(); ++i) {
        weights[i] = weights_[static_cast<std::size_t>(slots[i])];
    }
}

void SumTree::masses(std::span<const index_t> slots, std::span<mass_t> out) const {
    check_slots(slots);
    const double by = scale();
    for (std::size_t i = 0; i < slots.size(); ++i) {
        kernels().quantise_f64(&weights_[static_cast<std::size_t>(slots[i])], 1, by, &out[i]);
    }
}

}  // namespace tombola
