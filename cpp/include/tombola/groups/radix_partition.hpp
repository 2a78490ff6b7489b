// A stable radix partition of 0, 1, ..., n - 1 by the leading bits of a code each: the first pass of grouping. Two
// passes over the codes, in chunks that threads share; O(n), and 2^part_bits counters a chunk.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "tombola/base/buffer.hpp"
#include "tombola/base/line_scatter.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/base/types.hpp"

namespace tombola {

inline constexpr u64 partition_chunk = u64{1} << 21U;  // rows of one task
inline constexpr u32 most_part_bits = 13;
inline constexpr u64 rows_a_part = u64{1} << 15U;
inline constexpr u64 few_rows = u64{1} << 16U;
inline constexpr u64 copied_rows = u64{1} << 18U;  // a part of so many rows is copied into memory that a thread keeps

// A code's leading bits say which part it belongs to, the `low_bits` others which group of the part.
struct Radix {
    u64 n;
    u32 part_bits;
    u32 low_bits;

    std::size_t parts() const noexcept { return std::size_t{1} << part_bits; }
    std::size_t part(u64 code) const noexcept {
        return part_bits == 0 ? 0 : static_cast<std::size_t>(code >> low_bits);
    }
    u64 low(u64 code) const noexcept { return low_bits == 64 ? code : code & ((u64{1} << low_bits) - 1); }
};

// Where one pass does not sort the codes, but few low bits are left, a part is sorted into few streams: so fewer,
// larger parts are faster.
inline Radix make_radix(u64 n, u32 bits) {
    const u32 most = bits > 11U && bits <= 16U ? 9U : 11U;
    const u32 by_size = std::min<u32>(static_cast<u32>(std::bit_width(n / rows_a_part)), most);
    const u32 narrow = bits > 16U && bits <= 16U + most_part_bits && n > few_rows ? bits - 16U : 0U;
    const u32 part_bits = std::min(std::max(by_size, narrow), bits);
    return {n, part_bits, bits - part_bits};
}

template <typename Index, typename Low>
struct Parts {
    Radix radix;
    Buffer<Index> rows;
    Buffer<Low> lows;         // empty where radix.low_bits == 0
    std::vector<u64> starts;  // of each part, and the end
};

template <typename Body>
void for_chunks(u64 n, Body body) {
    parallel_for(static_cast<index_t>((n + partition_chunk - 1) / partition_chunk), [&](index_t task) {
        const u64 first = static_cast<u64>(task) * partition_chunk;
        body(static_cast<std::size_t>(task), first, std::min(n, first + partition_chunk));
    });
}

template <typename Index, typename Low, typename CodeOf>
Parts<Index, Low> partition(const Radix& radix, CodeOf code_of) {
    const std::size_t parts = radix.parts();
    const std::size_t chunks = static_cast<std::size_t>((radix.n + partition_chunk - 1) / partition_chunk);
    std::vector<u64> starts(chunks * parts);
    for_chunks(radix.n, [&](std::size_t c, u64 first, u64 last) {
        std::vector<u32> counts(2 * parts);  // two tables: equal neighbours do not wait for each other
        for (u64 i = first; i < last; ++i) {
            ++counts[2 * radix.part(code_of(i)) + i % 2];
        }
        for (std::size_t p = 0; p < parts; ++p) {
            starts[c * parts + p] = u64{counts[2 * p]} + counts[2 * p + 1];
        }
    });
    Parts<Index, Low> out{radix, Buffer<Index>(radix.n), Buffer<Low>(radix.low_bits == 0 ? 0 : radix.n), {}};
    u64 total = 0;
    for (std::size_t p = 0; p < parts; ++p) {
        out.starts.push_back(total);
        for (std::size_t c = 0; c < chunks; ++c) {
            total += std::exchange(starts[c * parts + p], total);
        }
    }
    out.starts.push_back(total);
    for_chunks(radix.n, [&](std::size_t c, u64 first, u64 last) {
        const u64* const from = &starts[c * parts];
        LineScatter<Index> rows(out.rows.data(), from, parts, is_streamed(radix.n * sizeof(Index)));
        const auto row_of = [](u64 start) { return [start](u64 i) { return static_cast<Index>(start + i); }; };
        if (radix.low_bits == 0) {
            rows.put(last - first, [&](u64 i) { return radix.part(code_of(first + i)); }, row_of(first));
        } else {
            constexpr u64 at_once = 256;
            LineScatter<Low> lows(out.lows.data(), from, parts, is_streamed(radix.n * sizeof(Low)));
            std::array<u64, at_once> codes;
            const auto part_of = [&](u64 i) { return radix.part(codes[i]); };
            for (u64 start = first; start < last; start += at_once) {
                const u64 n = std::min(at_once, last - start);
                for (u64 i = 0; i < n; ++i) {
                    codes[i] = code_of(start + i);
                }
                rows.put(n, part_of, row_of(start));
                lows.put(n, part_of, [&](u64 i) { return static_cast<Low>(radix.low(codes[i])); });
            }
            lows.drain();
        }
        rows.drain();
    });
    return out;
}

}  // namespace tombola
