// An uninitialised array. Large ones ask for huge pages: the first touch of memory in small pages costs more than the
// work done on it.
#pragma once

#include <cstdlib>
#include <memory>
#include <new>
#include <span>

#include "tombola/base/types.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tombola {

template <typename T>
class Buffer {
  public:
    explicit Buffer(std::size_t size) : size_(size) {
        constexpr std::size_t huge_page = std::size_t{1} << 21U;
        const std::size_t bytes = size * sizeof(T);
        const std::size_t alignment = bytes >= 2 * huge_page ? huge_page : 64;
        void* memory = std::aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
        if (memory == nullptr) {
            throw std::bad_alloc();
        }
#if defined(__linux__)
        if (alignment == huge_page) {
            madvise(memory, bytes, MADV_HUGEPAGE);  // advice only: a refusal costs speed, nothing else
        }
#endif
        data_.reset(static_cast<T*>(memory));
    }

    T* data() noexcept { return data_.get(); }
    const T* data() const noexcept { return data_.get(); }
    std::size_t size() const noexcept { return size_; }
    T& operator[](std::size_t i) noexcept { return data_.get()[i]; }
    const T& operator[](std::size_t i) const noexcept { return data_.get()[i]; }
    std::span<T> span() noexcept { return {data_.get(), size_}; }

  private:
    struct Free {
        void operator()(T* memory) const noexcept { std::free(memory); }
    };
    std::unique_ptr<T, Free> data_;
    std::size_t size_;
};

}  // namespace tombola
