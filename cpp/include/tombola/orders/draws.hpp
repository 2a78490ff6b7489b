// Weighted draws with replacement as sorted sequences with random access: any run of draws costs its own length, plus a
// search, and no draw is stored. Both make 64-bit targets that a WeightTable turns into rows.
#pragma once

#include <memory>
#include <vector>

#include "tombola/orders/order.hpp"
#include "tombola/weights/weight_table.hpp"

namespace tombola {

// One uniform draw a stratum: draw i falls on ((i + u_i) / draws) of the total, so that draws come sorted, and a row's
// count is less than 2 away from its expectation (systematic sampling with independent offsets). Strata boundaries are
// 128-bit fixed-point numbers, integer and fraction apart. O(1) a draw.
class StratifiedSequence final : public Sequence {
  public:
    // draws >= 1
    StratifiedSequence(std::shared_ptr<const WeightTable> table, u64 draws, u64 seed, u64 epoch);
    u64 size() const noexcept override { return draws_; }
    void runs(const u64* starts, std::size_t count, std::size_t length, index_t* out) const override;

  private:
    std::shared_ptr<const WeightTable> table_;
    u64 draws_;
    u64 key_;
    Strata strata_;

    void make_targets(const u64* starts, std::size_t count, std::size_t length, mass_t* targets) const;
};

// Independent draws, sorted. Instead of sorting them, their number is split over a binary tree of equal parts of the
// unit interval: the left half of k draws takes Binomial(k, 1/2) of them, which is the popcount of k random bits. The
// counts of parts of 128 to 256 expected draws are kept, 8 bytes each; below them the tree is walked afresh, down to
// leaves of 8 to 16, which are made and sorted. New epoch O(draws * log(draws / 256) / 32) words of the generator.
class IidSequence final : public Sequence {
  public:
    // draws >= 1
    IidSequence(std::shared_ptr<const WeightTable> table, u64 draws, u64 seed, u64 epoch);
    u64 size() const noexcept override { return draws_; }
    void runs(const u64* starts, std::size_t count, std::size_t length, index_t* out) const override;

  private:
    std::shared_ptr<const WeightTable> table_;
    u64 draws_;
    u64 split_key_;
    u64 leaf_key_;
    u32 depth_;                // of the leaves
    u32 part_depth_;           // of the parts whose counts are kept
    std::vector<u64> before_;  // draws in front of each part; one more entry than parts

    struct Request;
    struct Descent;
    void split_parts();
    Descent part_of(u64 draw) const noexcept;
    // Of a leaf's random word
    u64 point_of(u64 leaf, u64 word) const noexcept {
        return depth_ == 0 ? word : leaf << (64U - depth_) | word >> depth_;
    }
    void make_single_targets(const u64* draws, std::size_t count, mass_t* targets) const;
    void descend(u32 level, u64 node, u64 first, u64 count, Request& request) const;
    void make_targets(u64 start, std::size_t length, mass_t* targets) const;
};

}  // namespace tombola
