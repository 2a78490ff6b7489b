// Stretches of a file, read to wherever each belongs: few system calls, none of them for what lies between.
#pragma once

#include <functional>
#include <span>

#include "tombola/base/types.hpp"
#include "tombola/rows/files.hpp"

namespace tombola {

struct Segment {
    u64 address;
    std::size_t bytes;
    std::byte* out;
};

// Fills all segments, which ascend and are disjoint; neighbours, or nearly such, by one call. `is_cold` is called once,
// before the first wait for the disk, where the system can tell. FileFailure with its address where bytes cannot be
// had.
void read_segments(int descriptor, std::span<const Segment> segments, const std::function<void()>& is_cold);

// Asks the system to read a stretch soon; advice only.
void advise(int descriptor, u64 address, std::size_t bytes) noexcept;

}  // namespace tombola
