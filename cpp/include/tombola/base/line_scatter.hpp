// Scatters elements into buckets through one cache line of pending elements for each: memory sees whole lines, and the
// many write streams cost no page walk an element (software write combining). Stable within a bucket. Several scatters,
// each over its own part of every bucket, may run at once. O(1) an element, 64 bytes a bucket.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "tombola/base/types.hpp"

namespace tombola {

template <typename T>
class LineScatter {
  public:
    // first[b]: where this scatter's part of bucket b begins
    LineScatter(T* out, const u64* first, std::size_t buckets)
        : out_(out), first_(first, first + buckets), next_(first_), lines_(buckets * line) {}

    void put(u32 bucket, T value) {
        const u64 at = next_[bucket]++;
        T* const pending = &lines_[bucket * line];
        pending[at % line] = value;
        if (at % line == line - 1) {
            const u64 start = at - (line - 1);
            if (start >= first_[bucket]) {
                std::memcpy(out_ + start, pending, 64);
            } else {
                write(bucket, start, at + 1);
            }
        }
    }
    void drain() {
        for (u32 bucket = 0; bucket < next_.size(); ++bucket) {
            write(bucket, next_[bucket] / line * line, next_[bucket]);
        }
    }

  private:
    static constexpr u64 line = 64 / sizeof(T);

    // What this scatter holds of the line that begins at `line_start`, up to `stop`.
    void write(u32 bucket, u64 line_start, u64 stop) {
        for (u64 at = std::max(line_start, first_[bucket]); at < stop; ++at) {
            out_[at] = lines_[bucket * line + at % line];
        }
    }

    T* out_;
    std::vector<u64> first_;
    std::vector<u64> next_;
    std::vector<T> lines_;
};

}  // namespace tombola
