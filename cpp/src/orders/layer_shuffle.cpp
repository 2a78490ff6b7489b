#include "tombola/orders/layer_shuffle.hpp"

#include <algorithm>

#include "tombola/random/philox.hpp"

namespace tombola {
namespace {

constexpr u64 exact_below = 65;
constexpr std::size_t at_once = 256;

u64 key_for(u64 layers_key, u64 layer, Purpose purpose) { return derive_key(layers_key, layer, purpose); }

// Draw i of the layer: an unbiased integer of [0, range).
u64 bounded(u64 key, u64 i, u64 range) {
    const u64 threshold = (0U - range) % range;
    for (u64 attempt = 0;; ++attempt) {
        const u64 value = Stream{key, attempt}.word64(i);
        if (value * range >= threshold) {
            return multiply_high(value, range);
        }
    }
}

}  // namespace

LayerShuffle::LayerShuffle(u64 layers_key, u64 layer, u64 size, u64 a, u64 b)
    : size_(size), a_(a), b_(b), tau_(size - a, key_for(layers_key, layer, Purpose::layer_shuffle), exact_below) {
    if (a > few) {
        rho_.emplace(size - b, key_for(layers_key, layer, Purpose::layer_crossing), exact_below);
        return;
    }
    for (u64 i = 0; i < a; ++i) {
        const u64 range = size - a + i - b + 1;
        swaps_[i] = b + bounded(key_for(layers_key, layer, Purpose::layer_swaps), i, range);
    }
}

// Where each position's element stood before the crossing series was inserted: tau takes those below size - a on.
void LayerShuffle::before_tau(u64* positions, std::size_t count) const {
    if (!rho_) {
        for (u64 i = a_; i-- > 0;) {
            const u64 inserted = size_ - a_ + i;
            const u64 other = swaps_[i];
            for (std::size_t t = 0; t < count; ++t) {
                const u64 p = positions[t];
                positions[t] = p == inserted ? other : p == other ? inserted : p;
            }
        }
        return;
    }
    u64 behind[at_once] = {};
    for (std::size_t t = 0; t < count; ++t) {
        behind[t] = positions[t] < b_ ? 0 : positions[t] - b_;
    }
    rho_->at(behind, count, behind);
    for (std::size_t t = 0; t < count; ++t) {
        positions[t] = positions[t] < b_ ? positions[t] : behind[t] + b_;
    }
}

void LayerShuffle::apply(u64* positions, std::size_t count) const {
    u64 low[at_once];
    for (std::size_t t = 0; t < count; t += at_once) {
        const std::size_t n = std::min(at_once, count - t);
        u64* const p = positions + t;
        if (a_ == 0) {
            tau_.at(p, n, p);
            continue;
        }
        before_tau(p, n);
        for (std::size_t i = 0; i < n; ++i) {
            low[i] = p[i] < size_ - a_ ? p[i] : 0;
        }
        tau_.at(low, n, low);
        for (std::size_t i = 0; i < n; ++i) {
            p[i] = p[i] < size_ - a_ ? low[i] : p[i];
        }
    }
}

}  // namespace tombola
