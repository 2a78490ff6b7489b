#include "tombola/random/bijection.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <stdexcept>
#include <string>

#include "tombola/random/shuffle.hpp"

namespace tombola {
namespace {

constexpr u64 largest = u64{1} << 62U;  // beyond it sums of two right halves overflow 32 bits

Feistel make_feistel(u64 n, u64 key) {
    assert(n > 2);  // both halves have at least one bit
    Feistel f{};
    const u32 bits = static_cast<u32>(std::bit_width(n - 1));
    f.low_bits = bits / 2U;
    f.radix = static_cast<u32>(((n - 1) >> f.low_bits) + 1);
    f.n = n;
    u32 words[2 * feistel_rounds];
    kernels().serial_words(key, n, 0, 2U * feistel_rounds / 4U, words);
    std::copy(std::begin(words), std::end(words), std::begin(f.keys));
    return f;
}

// One element without vectors, which would take the time of 64.
u64 feistel_element(const Feistel& f, u64 x) {
    const u64 low_mask = (u64{1} << f.low_bits) - 1;
    const auto hash = [](u32 v, u32 first, u32 second) {
        v = (v ^ first) * 0x9E3779B1U;
        v ^= v >> 15U;
        return v * (second | 1U);
    };
    do {
        u32 left = static_cast<u32>(x & low_mask);
        u32 right = static_cast<u32>(x >> f.low_bits);
        for (int round = 0; round < feistel_rounds; round += 2) {
            const u32* const k = f.keys + 2 * round;
            left = (left + (hash(right, k[0], k[1]) >> (32U - f.low_bits))) & static_cast<u32>(low_mask);
            right += static_cast<u32>(u64{hash(left, k[2], k[3])} * f.radix >> 32U);
            right = std::min(right, right - f.radix);  // wraps where there is nothing to take off
        }
        x = u64{right} << f.low_bits | left;
    } while (x >= f.n);
    return x;
}

}  // namespace

Bijection::Bijection(u64 n, u64 key, u64 exact_below) : n_(n) {
    if (n == 0) {
        return;
    }
    if (n > largest) {
        throw std::invalid_argument("a permutation must have at most 2**62 elements, but has " + std::to_string(n));
    }
    if (n < exact_below) {
        table_.resize(n);
        shuffled_iota(Stream{key, n}, std::span<u32>(table_));
        inverse_.resize(n);
        for (u32 i = 0; i < n; ++i) {
            inverse_[table_[i]] = i;
        }
        return;
    }
    feistel_ = make_feistel(n, key);
}

void Bijection::fill(u64 first, std::size_t count, u64* out) const {
    if (exact()) {
        std::copy_n(table_.begin() + static_cast<std::ptrdiff_t>(first), count, out);
        return;
    }
    kernels().feistel(feistel_, nullptr, first, count, out);
}

void Bijection::fill(u64 first, std::size_t count, u64* out, const GatherAhead& ahead) const {
    if (exact()) {
        gather_ahead(ahead);
        fill(first, count, out);
        return;
    }
    kernels().feistel_gathering(feistel_, first, count, 0, ahead, out);
}

void Bijection::at(const u64* in, std::size_t count, u64* out) const {
    if (exact()) {
        for (std::size_t t = 0; t < count; ++t) {
            out[t] = table_[in[t]];
        }
        return;
    }
    if (count == 1) {
        *out = feistel_element(feistel_, *in);
        return;
    }
    kernels().feistel(feistel_, in, 0, count, out);
}

void Bijection::inverse_at(const u64* in, std::size_t count, u64* out) const {
    if (exact()) {
        for (std::size_t t = 0; t < count; ++t) {
            out[t] = inverse_[in[t]];
        }
        return;
    }
    kernels().feistel_inverse(feistel_, in, 0, count, out);
}

}  // namespace tombola
