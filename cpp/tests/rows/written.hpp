// Data sets as HDF5 writes them, made by the tests: chunks in a temporary file.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "check.hpp"
#include "encoders.hpp"
#include "reference.hpp"
#include "tombola/rows/chunk_reader.hpp"

namespace tombola::test {

inline std::optional<ReadFault> read_runs(const ChunkReader& reader, const std::vector<index_t>& starts,
                                          const std::vector<index_t>& stops, std::span<std::byte> out,
                                          const std::vector<index_t>& places = {}) {
    const ReadJob job{&reader, starts, stops, places, out};
    return read_rows({&job, 1});
}

// A data set of bytes, its chunks one after the other in a temporary file; every seventh was never written, unless the
// values are given
struct Written {
    ChunkLayout layout;
    Bytes values;  // row by row
    std::vector<StoredChunk> chunks;
    bool lacks_chunks;
    Bytes content;
    std::array<char, 64> path{"/tmp/tombola-chunks-XXXXXX"};
    std::FILE* file = ::fdopen(::mkstemp(path.data()), "w+b");

    Written(std::size_t rows, std::size_t row_items, std::size_t item, std::size_t chunk_rows, std::size_t chunk_items,
            std::vector<ChunkFilter> filters, std::span<const std::byte> given = {})
        : layout{static_cast<index_t>(rows),
                 row_items * item,
                 static_cast<index_t>(chunk_rows),
                 chunk_items * item,
                 item,
                 std::move(filters),
                 Bytes(item, std::byte{7})},
          values(rows * row_items * item),
          lacks_chunks(given.empty()) {
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i] = given.empty() ? static_cast<std::byte>(noise(i / 3, 1) % 5) : given[i];
        }
        for (std::size_t down = 0; down < layout.down(); ++down) {
            for (std::size_t across = 0; across < layout.across(); ++across) {
                write(down, across);
            }
        }
        CHECK_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
        std::fflush(file);
    }
    ~Written() {
        std::fclose(file);
        std::remove(path.data());
    }
    Written(const Written&) = delete;
    Written& operator=(const Written&) = delete;

    void write(std::size_t down, std::size_t across) {
        const std::size_t number = chunks.size();
        const std::size_t left = across * layout.chunk_row_bytes;
        const std::size_t width = std::min(layout.chunk_row_bytes, layout.row_bytes - left);
        Bytes chunk(static_cast<std::size_t>(layout.chunk_rows) * layout.chunk_row_bytes, std::byte{1});
        for (std::size_t r = 0; r < static_cast<std::size_t>(layout.chunk_rows); ++r) {
            const std::size_t row = down * static_cast<std::size_t>(layout.chunk_rows) + r;
            if (row < static_cast<std::size_t>(layout.rows)) {
                if (lacks_chunks && number % 7 == 5) {
                    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(row * layout.row_bytes + left), width,
                                std::byte{7});
                }
                std::memcpy(chunk.data() + r * layout.chunk_row_bytes, values.data() + row * layout.row_bytes + left,
                            width);
            }
        }
        if (lacks_chunks && number % 7 == 5) {
            chunks.push_back({});
            return;
        }
        std::uint32_t skipped = 0;
        for (std::size_t f = 0; f < layout.filters.size(); ++f) {
            if (noise(number, f) % 4 == 0) {
                skipped |= std::uint32_t{1} << f;
                continue;
            }
            switch (layout.filters[f]) {
                case ChunkFilter::deflate:
                    chunk = shorten(chunk);
                    break;
                case ChunkFilter::shuffle:
                    chunk = shuffle(chunk, layout.item_bytes);
                    break;
                case ChunkFilter::fletcher32:
                    chunk = with_checksum(chunk);
                    break;
                case ChunkFilter::lzf:
                    chunk = literals(chunk);
                    break;
                case ChunkFilter::lz4:
                    chunk = lz4_blocks(chunk, 50);
                    break;
                case ChunkFilter::zstd:
                    chunk = shorten(chunk);
                    break;
                case ChunkFilter::blosc:
                    chunk = blosc_chunk(chunk, {.item = layout.item_bytes,
                                                .block = 160 * layout.item_bytes,
                                                .codec = static_cast<BloscCodec>(number % 5 == 2 ? 0 : number % 5),
                                                .shuffle = static_cast<unsigned>(noise(number, 9) % 3)});
            }
        }
        content.resize(content.size() + number % 3);  // chunks need not follow each other
        chunks.push_back({content.size(), chunk.size(), skipped});
        content.insert(content.end(), chunk.begin(), chunk.end());
    }

    ChunkReader reader() const {
        return ChunkReader(std::make_shared<DataFile>(path.data(), stamp_of(fileno(file))), layout, chunks, stand_ins);
    }
};

struct Runs {
    std::vector<index_t> starts;
    std::vector<index_t> stops;
};

inline Runs random_runs(index_t rows, u64 seed) {
    Runs runs;
    index_t at = 0;
    for (u64 i = 0;; ++i) {
        const index_t start = at + static_cast<index_t>(noise(3 * i, seed) % 9);
        const index_t stop = start + static_cast<index_t>(noise(3 * i + 1, seed) % 13);
        if (stop > rows) {
            return runs;
        }
        runs.starts.push_back(start);
        runs.stops.push_back(stop);
        at = stop + static_cast<index_t>(noise(3 * i + 2, seed) % 2);
    }
}

inline void check_runs(const Written& written, const ChunkReader& reader, const Runs& runs) {
    Bytes expected;
    for (std::size_t i = 0; i < runs.starts.size(); ++i) {
        const std::ptrdiff_t width = static_cast<std::ptrdiff_t>(written.layout.row_bytes);
        expected.insert(expected.end(), written.values.begin() + runs.starts[i] * width,
                        written.values.begin() + runs.stops[i] * width);
    }
    Bytes found(expected.size());
    CHECK(!read_runs(reader, runs.starts, runs.stops, found));
    CHECK(found == expected);
    // The same from behind: each run to where those that follow it leave room
    const std::size_t width = written.layout.row_bytes;
    std::vector<index_t> places;
    Bytes turned;
    index_t left = static_cast<index_t>(expected.size() / width);
    for (std::size_t i = 0; i < runs.starts.size(); ++i) {
        left -= runs.stops[i] - runs.starts[i];
        places.push_back(left);
    }
    for (std::size_t i = runs.starts.size(); i-- > 0;) {
        turned.insert(turned.end(), written.values.begin() + runs.starts[i] * static_cast<std::ptrdiff_t>(width),
                      written.values.begin() + runs.stops[i] * static_cast<std::ptrdiff_t>(width));
    }
    std::ranges::fill(found, std::byte{0});
    CHECK(!read_runs(reader, runs.starts, runs.stops, found, places));
    CHECK(found == turned);
}

inline const std::vector<std::vector<ChunkFilter>> pipelines{
    {},
    {ChunkFilter::deflate},
    {ChunkFilter::shuffle},
    {ChunkFilter::shuffle, ChunkFilter::deflate},
    {ChunkFilter::shuffle, ChunkFilter::deflate, ChunkFilter::fletcher32},
    {ChunkFilter::fletcher32, ChunkFilter::deflate, ChunkFilter::shuffle},
    {ChunkFilter::lzf},
    {ChunkFilter::fletcher32, ChunkFilter::shuffle, ChunkFilter::lzf},
    {ChunkFilter::lz4},
    {ChunkFilter::shuffle, ChunkFilter::lz4, ChunkFilter::fletcher32},
    {ChunkFilter::zstd},
    {ChunkFilter::fletcher32, ChunkFilter::shuffle, ChunkFilter::zstd},
    {ChunkFilter::blosc},
    {ChunkFilter::shuffle, ChunkFilter::blosc, ChunkFilter::fletcher32},
    {ChunkFilter::fletcher32, ChunkFilter::blosc},
};

}  // namespace tombola::test
