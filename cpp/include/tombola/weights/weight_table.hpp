// Weights prepared for draws: the masses of mass_source.hpp, summed over granules of 8 rows, and a guide that leads
// from a target to its granule. O(n) once; a search is O(1) but for very uneven weights, where it is O(log n).
//
// Memory beyond the borrowed arrays: at most 9 bytes for 8 rows. A granule of 8 rows takes 8 bytes for its sum, and a
// quarter of a byte to one byte of the guide, which has 4 bytes for every 4 to 16 granules. Class codes add at most 24
// bytes a class; equal weights take nothing.
#pragma once

#include <memory>
#include <optional>

#include "tombola/base/buffer.hpp"
#include "tombola/base/types.hpp"
#include "tombola/weights/mass_source.hpp"

namespace tombola {

class WeightTable {
  public:
    // std::invalid_argument for no rows, all-zero weights, a sum that overflows, and what the source refuses
    explicit WeightTable(std::unique_ptr<MassSource> source);
    static WeightTable uniform(u64 n);  // equal weights: O(1)

    u64 size() const noexcept { return size_; }
    u64 positive() const noexcept { return positive_; }
    mass_t total() const noexcept { return total_; }
    int scale_exponent() const noexcept { return exponent_; }
    u64 fingerprint() const noexcept { return fingerprint_; }

    // The rows that sorted targets of [0, total) fall on: row r owns as many targets as its mass, in row order.
    // count rows, whatever has become of the weights since.
    void rows(const mass_t* targets, std::size_t count, index_t* out) const;
    // The same for many runs of `length` targets each, every run sorted: a step of four groups of them, see RunGroups.
    void locate(const RunGroups& groups, std::size_t length, index_t* out) const;
    index_t row(mass_t target) const {
        index_t out = 0;
        rows(&target, 1, &out);
        return out;
    }
    // Masses of rows [first, first + count)
    void masses(u64 first, std::size_t count, mass_t* out) const;

  private:
    std::unique_ptr<MassSource> source_;  // null: uniform
    u64 size_ = 0;
    u64 positive_ = 0;
    mass_t total_ = 0;
    int exponent_ = 0;
    u64 fingerprint_ = 0;
    u64 granules_ = 0;
    std::optional<Buffer<mass_t>> before_;  // before_[g]: sum of the granules in front of g; granules_ + 1 entries
    std::optional<Buffer<u32>> guide_;      // guide_[k]: the granule of target k << guide_shift_
    u32 guide_shift_ = 0;
    MassArray array_{};
    Granules table_{};

    WeightTable() = default;
    void sum_granules();
    void make_guide();
};

}  // namespace tombola
