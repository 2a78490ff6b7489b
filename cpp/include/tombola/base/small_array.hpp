// An uninitialised array whose few elements lie on the stack, more on the heap.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "tombola/base/types.hpp"

namespace tombola {

template <typename T, std::size_t few = 512>
class SmallArray {
  public:
    explicit SmallArray(std::size_t size)
        : many_(size > few ? std::make_unique_for_overwrite<T[]>(size) : nullptr),
          all_(many_ ? many_.get() : few_.data(), size) {}
    SmallArray(const SmallArray&) = delete;
    SmallArray& operator=(const SmallArray&) = delete;

    std::span<T> span() noexcept { return all_; }
    T& operator[](std::size_t i) noexcept { return all_[i]; }

  private:
    std::array<T, few> few_;
    std::unique_ptr<T[]> many_;
    std::span<T> all_;
};

}  // namespace tombola
