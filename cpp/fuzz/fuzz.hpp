// What fuzz targets share: taking an input apart, putting one together, and saying that something does not hold.
//
// A target is a file fuzz_NAME.cpp with libFuzzer's entry point and, for the driver (driver.cpp), inputs to begin with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tombola::fuzz {

using Bytes = std::vector<std::uint8_t>;

// Inputs that go far into the code; others are made from them.
std::vector<Bytes> seeds();

inline void require(bool holds, const char* what) {
    if (!holds) {
        std::fprintf(stderr, "does not hold: %s\n", what);
        std::abort();
    }
}

class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}

    // The next number, 0 where the input has ended
    template <typename T>
    T take() {
        T value{};
        const std::size_t bytes = left_.size() < sizeof(T) ? left_.size() : sizeof(T);
        if (bytes > 0) {
            std::memcpy(&value, left_.data(), bytes);
        }
        left_ = left_.subspan(bytes);
        return value;
    }
    // In [first, last]
    std::size_t within(std::size_t first, std::size_t last) {
        return first + take<std::uint8_t>() % (last - first + 1);
    }
    // At most so many bytes, as an array of their own: what reads beyond them is found out
    Bytes bytes(std::size_t most) {
        const std::size_t count = left_.size() < most ? left_.size() : most;
        Bytes part(left_.begin(), left_.begin() + static_cast<std::ptrdiff_t>(count));
        left_ = left_.subspan(count);
        return part;
    }
    Bytes rest() { return bytes(left_.size()); }
    std::size_t size() const noexcept { return left_.size(); }

  private:
    std::span<const std::uint8_t> left_;
};

class Output {
  public:
    template <typename T>
    Output& put(T value) {
        const auto* const from = reinterpret_cast<const std::uint8_t*>(&value);
        bytes_.insert(bytes_.end(), from, from + sizeof(T));
        return *this;
    }
    template <typename... Numbers>
    Output& small(Numbers... numbers) {
        (bytes_.push_back(static_cast<std::uint8_t>(numbers)), ...);
        return *this;
    }
    Bytes bytes() const { return bytes_; }

  private:
    Bytes bytes_;
};

}  // namespace tombola::fuzz
