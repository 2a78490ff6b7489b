// Plain versions of the core's rules, and what the tests share. Slow on purpose.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/base/types.hpp"
#include "tombola/kernels/kernels.hpp"
#include "tombola/random/philox.hpp"

namespace tombola::test {

inline const std::vector<int>& thread_counts() {
    static const std::vector<int> counts{1, 4, 7};
    return counts;
}

// body(name) under each instruction set of this machine; the best one is in use afterwards.
template <typename Body>
void with_each_instruction_set(Body body) {
    for (const std::string_view name : available_instruction_sets()) {
        set_instruction_set(name);
        body(std::string(name));
    }
    set_instruction_set("auto");
}

// Some 64-bit numbers, the same in every run.
inline u64 noise(u64 key, u64 t) { return Stream{key, 0x7E57}.word64(t); }
// In (0, 1)
inline double unit_noise(u64 key, u64 t) { return (static_cast<double>(noise(key, t) >> 12U) + 0.5) * 0x1p-52; }

inline bool is_permutation_of_iota(std::span<const index_t> values) {
    std::vector<bool> seen(values.size());
    for (const index_t value : values) {
        if (value < 0 || static_cast<std::size_t>(value) >= values.size() || seen[static_cast<std::size_t>(value)]) {
            return false;
        }
        seen[static_cast<std::size_t>(value)] = true;
    }
    return true;
}

// The smallest c with x <= 2^c.
inline int ceil_log2(double x) {
    int c = -1100;
    while (std::ldexp(1.0, c) < x) {
        ++c;
    }
    return c;
}

// Weights as integers, by the rule of mass_source.hpp.
struct Quantised {
    int exponent = 0;
    std::vector<mass_t> masses;
    std::vector<mass_t> cumulative;  // inclusive

    Quantised(std::span<const double> weights, double total) {
        exponent = std::min(61 - ceil_log2(total), 51 - ceil_log2(*std::max_element(weights.begin(), weights.end())));
        mass_t sum = 0;
        for (const double w : weights) {
            const double scaled = std::max(w * std::ldexp(1.0, exponent), w > 0 ? 1.0 : 0.0);
            masses.push_back(static_cast<mass_t>(std::nearbyint(scaled)));
            sum += masses.back();
            cumulative.push_back(sum);
        }
    }
    // Weights whose float64 sum is the same in any order, at least up to the next power of two.
    explicit Quantised(std::span<const double> weights) : Quantised(weights, plain_sum(weights)) {}

    mass_t total() const { return cumulative.back(); }
    index_t row(mass_t target) const {
        return std::upper_bound(cumulative.begin(), cumulative.end(), target) - cumulative.begin();
    }

    static double plain_sum(std::span<const double> weights) {
        double sum = 0;
        for (const double w : weights) {
            sum += w;
        }
        return sum;
    }
};

}  // namespace tombola::test
