// Values worked on one by one, in loops that compilers turn into vectors.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "tombola/base/parallel.hpp"
#include "tombola/rows/transform.hpp"

namespace tombola {
namespace {

constexpr index_t task_values = index_t{1} << 16U;

}  // namespace

// u = 1 + x is taken apart as 2^e * m with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh(s), s = (m - 1) / (m + 1), whose
// series is cut where the rest is below 2^-33 of it. In front of e = 0 the sum 1 + x is not needed, and x small is not
// rounded away. Without branches, so that compilers make vectors of it.
void log1p_each(std::span<float> values) {
    u32 odd = 0;  // its sign is set by what is negative, infinite or no number
    for (const float x : values) {
        const u32 bits = std::bit_cast<u32>(x);
        odd |= bits | (bits + 0x00800000U);
    }
    const bool is_plain = (odd >> 31U) == 0;
    if (!is_plain) {
        std::transform(values.begin(), values.end(), values.begin(), [](float x) { return std::log1p(x); });
        return;
    }
    constexpr u64 root_half = 0x3FE6A09E667F3BCDULL;  // sqrt(1/2) as bits
    constexpr u64 one = 0x3FF0000000000000ULL;
    constexpr u64 fraction = 0x000FFFFFFFFFFFFFULL;
    constexpr u64 whole = 0x4330000000000000ULL;  // 2^52: its last bits count units
    constexpr double unit = 4503599627370496.0;
    constexpr double log_2 = 0.69314718055994530942;
    for (float& value : values) {
        const double x = static_cast<double>(value);
        const u64 bits = std::bit_cast<u64>(1.0 + x) + (one - root_half);
        const u64 exponent = (bits >> 52U) - 1023U;  // 0 to 128
        const double e = std::bit_cast<double>(exponent | whole) - unit;
        const double above = std::bit_cast<double>((bits & fraction) + root_half) - 1.0;
        const u64 is_zero = u64{0} - ((exponent - 1U) >> 63U);
        const double f =
            std::bit_cast<double>((std::bit_cast<u64>(x) & is_zero) | (std::bit_cast<u64>(above) & ~is_zero));
        const double s = f / (2.0 + f);
        const double t = s * s;
        const double series =
            1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t * (1.0 / 9.0 + t * (1.0 / 11.0)))));
        value = static_cast<float>(2.0 * s * series + e * log_2);
    }
}

void round_to_bfloat16(std::span<const float> values, std::span<u16> words) {
    const index_t n = static_cast<index_t>(values.size());
    parallel_for((n + task_values - 1) / task_values, [&](index_t task) {
        const std::size_t stop = static_cast<std::size_t>(std::min(n, (task + 1) * task_values));
        for (std::size_t k = static_cast<std::size_t>(task * task_values); k < stop; ++k) {
            const u32 bits = std::bit_cast<u32>(values[k]);
            const u32 rounded = bits + 0x7FFFU + ((bits >> 16U) & 1U);
            const bool is_number = (bits & 0x7FFFFFFFU) <= 0x7F800000U;
            words[k] = static_cast<u16>((is_number ? rounded : bits | 0x00400000U) >> 16U);
        }
    });
}

}  // namespace tombola
