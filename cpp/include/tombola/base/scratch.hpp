// Work space that a thread keeps between calls, so that a row of calls finds its memory mapped. It is kept up to a
// bound: a thread that made a large window once must not hold on to its memory for ever.
#pragma once

#include <vector>

#include "tombola/base/types.hpp"

namespace tombola {

inline constexpr std::size_t most_kept_bytes = std::size_t{1} << 23U;  // of each vector

// To be called on a thread's work space once it is done with.
template <typename T>
void keep_little(std::vector<T>& space) noexcept {
    if (space.capacity() * sizeof(T) > most_kept_bytes) {
        std::vector<T>().swap(space);
    }
}

}  // namespace tombola
