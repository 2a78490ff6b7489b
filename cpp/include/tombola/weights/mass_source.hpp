// Where weights come from: arrays of float32 or float64, or class codes with one weight a class, each over all rows or
// over a subset given by indices. A source turns them into masses: non-negative integers, so that sums are exact in any
// order and a search by threads or vectors finds the same row everywhere.
//
//     mass = rint(max(weight * 2^e, 1 if weight > 0 else 0)),  e = min(61 - ceil(log2(total)), 51 -
//     ceil(log2(largest)))
//
// so that a positive weight keeps a positive mass, a mass is at most 2^51 and their sum below 2^62: one unit is 2^-61
// of the total, or 2^-51 of the largest weight. Arrays are borrowed; values that change later change choices, nothing
// else.
#pragma once

#include <memory>
#include <span>

#include "tombola/base/types.hpp"
#include "tombola/kernels/kernels.hpp"

namespace tombola {

struct WeightSummary {
    double total;  // float64 sum in a fixed order: its exponent decides the scale
    double largest;
    u64 positive;  // rows of positive weight
};

class MassSource {
  public:
    virtual ~MassSource() = default;
    virtual u64 size() const noexcept = 0;
    // Reads everything once: std::invalid_argument names the first weight or code that is wrong.
    virtual WeightSummary summarise() const = 0;
    virtual void set_scale_exponent(int exponent) = 0;
    // Masses of rows [first, first + count)
    virtual void masses(u64 first, std::size_t count, mass_t* out) const = 0;
    // For the kernels; once the exponent is set
    virtual MassArray array() const noexcept = 0;
};

// std::invalid_argument for an empty subset: there is nothing to draw from
std::unique_ptr<MassSource> make_value_source(std::span<const float> weights, const Subset& subset);
std::unique_ptr<MassSource> make_value_source(std::span<const double> weights, const Subset& subset);

// Code: int8_t, int16_t, int32_t, int64_t. `counts`: what count_codes gives, where the caller knows it; empty: not.
template <typename Code>
std::unique_ptr<MassSource> make_code_source(std::span<const Code> codes, std::span<const double> class_weights,
                                             const Subset& subset, std::span<const index_t> counts = {});

// Rows of each code; std::invalid_argument names the first code outside [0, counts.size()).
template <typename Code>
void count_codes(std::span<const Code> codes, const Subset& subset, std::span<index_t> counts);

}  // namespace tombola
