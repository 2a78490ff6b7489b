// Scatters elements into buckets through one cache line of pending elements for each: memory sees whole lines, and the
// many write streams cost no page walk an element (software write combining). Lines are those of memory; those of a
// large output are streamed (stream.hpp). Stable within a bucket. Several scatters, each over its own part of every
// bucket, may run at once. O(1) an element, 64 bytes a bucket.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "tombola/base/buffer.hpp"
#include "tombola/base/stream.hpp"
#include "tombola/base/types.hpp"

namespace tombola {

template <typename T>
class LineScatter {
  public:
    // first[b]: where this scatter's part of bucket b begins; streams: whether whole lines are streamed
    LineScatter(T* out, const u64* first, std::size_t buckets, bool streams)
        : lead_(reinterpret_cast<std::uintptr_t>(out) % line_bytes / sizeof(T)),
          streams_(streams),
          out_(out),
          first_(first, first + buckets),
          starts_(buckets),
          cursors_(buckets),
          lines_(buckets * line) {
        for (std::size_t b = 0; b < buckets; ++b) {
            first_[b] += lead_;
            starts_[b] = first_[b] / line * line;
            cursors_[b] = static_cast<u32>(b * line + first_[b] % line);
        }
    }

    // Puts value(i) into bucket(i), for each i of [0, count) in turn.
    template <typename BucketOf, typename ValueOf>
    void put(u64 count, BucketOf bucket, ValueOf value) {
        u32* const cursors = cursors_.data();  // kept in registers, as lines could alias the members
        T* const lines = lines_.data();
        for (u64 i = 0; i < count; ++i) {
            const std::size_t b = bucket(i);
            const u32 at = cursors[b];
            lines[at] = value(i);
            cursors[b] = at + 1;
            if (at % line == line - 1) {
                flush(b);
            }
        }
    }
    void drain() {
        for (std::size_t b = 0; b < cursors_.size(); ++b) {
            write(b, cursors_[b] - b * line);
        }
        if (streams_) {
            end_stream();
        }
    }

  private:
    static constexpr u64 line = line_bytes / sizeof(T);

    void flush(std::size_t bucket) {
        const u64 start = starts_[bucket];
        const T* const pending = lines_.data() + bucket * line;
        if (start < first_[bucket]) {
            write(bucket, line);
        } else if (streams_) {
            stream_line(out_ + (start - lead_), pending);
        } else {
            std::memcpy(out_ + (start - lead_), pending, line_bytes);
        }
        starts_[bucket] = start + line;
        cursors_[bucket] = static_cast<u32>(bucket * line);
    }
    // What this scatter holds of the pending line, up to its element `stop`.
    void write(std::size_t bucket, u64 stop) {
        const u64 start = starts_[bucket];
        for (u64 i = std::max(first_[bucket], start) - start; i < stop; ++i) {
            out_[start + i - lead_] = lines_[bucket * line + i];
        }
    }

    // Places are counted from the beginning of the line in which the output begins.
    u64 lead_;
    bool streams_;
    T* out_;
    std::vector<u64> first_;
    std::vector<u64> starts_;   // of pending lines
    std::vector<u32> cursors_;  // where the next elements go in lines_
    Buffer<T> lines_;
};

}  // namespace tombola
