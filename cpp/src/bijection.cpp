#include "tombola/bijection.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <stdexcept>
#include <string>

#include "tombola/shuffle.hpp"

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

void Bijection::at(const u64* in, std::size_t count, u64* out) const {
    if (exact()) {
        for (std::size_t t = 0; t < count; ++t) {
            out[t] = table_[in[t]];
        }
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
