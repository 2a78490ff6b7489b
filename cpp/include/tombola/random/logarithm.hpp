// The natural logarithm by + - * / alone, so that every platform computes the same bits; no library's result is used
// to choose a row. ln x = e ln 2 + 2 artanh((f - 1) / (f + 1)) for x = f * 2^e, f in [sqrt(1/2), sqrt(2)); the series
// ends at s^21, below one unit in the last place.
#pragma once

#include <bit>

#include "tombola/base/types.hpp"

namespace tombola {

// x: a normal double > 0
inline double natural_logarithm(double x) noexcept {
    constexpr double ln2 = 0.693147180559945309417;
    constexpr double sqrt_half = 0.70710678118654752440;
    constexpr double series[] = {1.0 / 19.0, 1.0 / 17.0, 1.0 / 15.0, 1.0 / 13.0, 1.0 / 11.0,
                                 1.0 / 9.0,  1.0 / 7.0,  1.0 / 5.0,  1.0 / 3.0,  1.0};
    const u64 bits = std::bit_cast<u64>(x);
    int exponent = static_cast<int>(bits >> 52U) - 1022;
    double fraction = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFFU) | 0x3FE0000000000000U);  // [1/2, 1)
    if (fraction < sqrt_half) {
        fraction *= 2.0;
        exponent -= 1;
    }
    const double s = (fraction - 1.0) / (fraction + 1.0);
    const double z = s * s;
    double p = 1.0 / 21.0;
    for (const double coefficient : series) {
        p = p * z + coefficient;
    }
    return static_cast<double>(exponent) * ln2 + 2.0 * s * p;
}

}  // namespace tombola
