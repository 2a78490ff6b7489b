// A fast 64-bit hash for fingerprints of arrays: four multiply-and-fold lanes, as in the wyhash family. It notices
// accidents, not attackers. O(bytes).
#pragma once

#include <cstring>

#include "tombola/base/types.hpp"

namespace tombola {

class Hash {
  public:
    // Four words at a time; `count` words, the last group filled up with zeros.
    void words(const u64* values, std::size_t count) noexcept {
        const std::size_t whole = count - count % 4;
        for (std::size_t i = 0; i < whole; i += 4) {
            group(values + i);
        }
        if (whole != count) {
            u64 rest[4] = {};
            std::memcpy(rest, values + whole, 8 * (count - whole));
            group(rest);
        }
        length_ += count;
    }
    void word(u64 value) noexcept { words(&value, 1); }
    void bytes(const void* data, std::size_t count) noexcept {
        constexpr std::size_t block = 4096;
        u64 buffer[block / 8];
        const auto* from = static_cast<const unsigned char*>(data);
        for (std::size_t done = 0; done < count; done += block) {
            const std::size_t n = count - done < block ? count - done : block;
            buffer[(n - 1) / 8] = 0;
            std::memcpy(buffer, from + done, n);
            words(buffer, (n + 7) / 8);
        }
        word(count);
    }
    u64 value() const noexcept {
        u64 h = length_ * multiplier;
        for (const u64 lane : lanes_) {
            h = fold(h ^ lane);
        }
        return h;
    }

  private:
    static constexpr u64 multiplier = 0x9E3779B97F4A7C15U;

    static u64 fold(u64 x) noexcept {
        x *= multiplier;
        return x ^ x >> 32U;
    }
    void group(const u64* values) noexcept {
        for (int lane = 0; lane < 4; ++lane) {
            lanes_[lane] = fold(lanes_[lane] ^ values[lane]);
        }
    }

    u64 lanes_[4] = {0x243F6A8885A308D3U, 0x13198A2E03707344U, 0xA4093822299F31D0U, 0x082EFA98EC4E6C89U};
    u64 length_ = 0;
};

// The hash of a large array, in fixed chunks and in parallel.
u64 hash_bytes(const void* data, std::size_t count);

}  // namespace tombola
