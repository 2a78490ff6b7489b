// Rows out of the chunks of a file: every grid, filter and skipped filter against the rows that were written; damage is
// a fault that names rows. The codec is a stand-in: runs of one byte. ctest-label: threads
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/rows/chunks.hpp"
#include "tombola/rows/filters.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

using Bytes = std::vector<std::byte>;

void* make_codec() { return new int(0); }
void free_codec(void* made) { delete static_cast<int*>(made); }

// Pairs of a count and a byte
int expand(void*, const void* in, std::size_t in_bytes, void* out, std::size_t room, std::size_t* used,
           std::size_t* given) {
    const auto* from = static_cast<const std::byte*>(in);
    auto* to = static_cast<std::byte*>(out);
    *given = 0;
    if (in_bytes % 2 != 0) {
        return 1;
    }
    for (std::size_t i = 0; i < in_bytes; i += 2) {
        const std::size_t count = std::to_integer<std::size_t>(from[i]);
        if (count > room - *given) {
            return 3;
        }
        std::fill_n(to + *given, count, from[i + 1]);
        *given += count;
    }
    *used = in_bytes;
    return 0;
}

Bytes shorten(const Bytes& bytes) {
    Bytes out;
    for (std::size_t i = 0; i < bytes.size();) {
        std::size_t stop = i;
        while (stop < bytes.size() && stop - i < 255 && bytes[stop] == bytes[i]) {
            ++stop;
        }
        out.push_back(static_cast<std::byte>(stop - i));
        out.push_back(bytes[i]);
        i = stop;
    }
    return out;
}

Bytes shuffle(const Bytes& bytes, std::size_t item) {
    Bytes out = bytes;
    const std::size_t items = bytes.size() / item;
    for (std::size_t i = 0; i < items * item; ++i) {
        out[i % item * items + i / item] = bytes[i];
    }
    return out;
}

Bytes with_checksum(Bytes bytes) {
    const std::uint32_t sum = fletcher32(bytes.data(), bytes.size());
    const auto* const from = reinterpret_cast<const std::byte*>(&sum);
    bytes.insert(bytes.end(), from, from + sizeof(sum));
    return bytes;
}

// A data set of bytes, its chunks one after the other in a temporary file
struct Written {
    ChunkLayout layout;
    Bytes values;  // row by row
    std::vector<StoredChunk> chunks;
    Bytes content;
    std::FILE* file = std::tmpfile();

    Written(std::size_t rows, std::size_t row_items, std::size_t item, std::size_t chunk_rows, std::size_t chunk_items,
            std::vector<ChunkFilter> filters)
        : layout{static_cast<index_t>(rows),
                 row_items * item,
                 static_cast<index_t>(chunk_rows),
                 chunk_items * item,
                 item,
                 std::move(filters),
                 Bytes(item, std::byte{7})},
          values(rows * row_items * item) {
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i] = static_cast<std::byte>(noise(i / 3, 1) % 5);
        }
        for (std::size_t down = 0; down < layout.down(); ++down) {
            for (std::size_t across = 0; across < layout.across(); ++across) {
                write(down, across);
            }
        }
        CHECK_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
        std::fflush(file);
    }
    ~Written() { std::fclose(file); }
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
                if (number % 7 == 5) {  // never written
                    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(row * layout.row_bytes + left), width,
                                std::byte{7});
                }
                std::memcpy(chunk.data() + r * layout.chunk_row_bytes, values.data() + row * layout.row_bytes + left,
                            width);
            }
        }
        if (number % 7 == 5) {
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
            }
        }
        content.resize(content.size() + number % 3);  // chunks need not follow each other
        chunks.push_back({content.size(), chunk.size(), skipped});
        content.insert(content.end(), chunk.begin(), chunk.end());
    }

    ChunkReader reader() const { return ChunkReader(fileno(file), layout, chunks, {make_codec, free_codec, expand}); }
};

struct Runs {
    std::vector<index_t> starts;
    std::vector<index_t> stops;
};

Runs random_runs(index_t rows, u64 seed) {
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

void check_runs(const Written& written, const ChunkReader& reader, const Runs& runs) {
    Bytes expected;
    for (std::size_t i = 0; i < runs.starts.size(); ++i) {
        const std::ptrdiff_t width = static_cast<std::ptrdiff_t>(written.layout.row_bytes);
        expected.insert(expected.end(), written.values.begin() + runs.starts[i] * width,
                        written.values.begin() + runs.stops[i] * width);
    }
    Bytes found(expected.size());
    CHECK(!reader.read(runs.starts, runs.stops, found));
    CHECK(found == expected);
}

const std::vector<std::vector<ChunkFilter>> pipelines{
    {},
    {ChunkFilter::deflate},
    {ChunkFilter::shuffle},
    {ChunkFilter::shuffle, ChunkFilter::deflate},
    {ChunkFilter::shuffle, ChunkFilter::deflate, ChunkFilter::fletcher32},
    {ChunkFilter::fletcher32, ChunkFilter::deflate, ChunkFilter::shuffle},
};

TEST(rows_are_those_that_were_written) {
    for (const auto& filters : pipelines) {
        for (const std::size_t item : {1U, 2U, 3U, 4U, 8U}) {
            for (const auto& [row_items, chunk_items] :
                 std::vector<std::pair<std::size_t, std::size_t>>{{1, 1}, {5, 5}, {5, 2}, {5, 8}}) {
                for (const std::size_t chunk_rows : {1U, 7U, 64U, 300U}) {
                    const Written written(203, row_items, item, chunk_rows, chunk_items, filters);
                    const ChunkReader reader = written.reader();
                    check_runs(written, reader, {{0}, {203}});
                    check_runs(written, reader, {{}, {}});
                    for (u64 seed = 0; seed < 3; ++seed) {
                        check_runs(written, reader, random_runs(203, 3 * seed));
                    }
                }
            }
        }
    }
}

TEST(threads_change_nothing) {
    const Written written(2'000, 3, 4, 16, 2, pipelines[4]);
    const ChunkReader reader = written.reader();
    const int before = get_num_threads();
    for (const int threads : {1, 2, 5}) {
        set_num_threads(threads);
        check_runs(written, reader, random_runs(2'000, 5));
    }
    set_num_threads(before);
}

TEST(damage_is_a_fault_that_names_rows) {
    const auto fault_of = [](Written& written) {
        Bytes out(written.values.size());
        const ChunkReader reader = written.reader();
        return reader.read(std::vector<index_t>{0}, std::vector<index_t>{written.layout.rows}, out);
    };
    const auto check_fault = [&](Written& written, const char* what) {
        const auto fault = fault_of(written);
        CHECK(fault.has_value());
        if (fault) {
            CHECK_EQ(fault->first_row, 20);
            CHECK_EQ(fault->last_row, 29);
            CHECK(fault->what.find(what) != std::string::npos);
        }
    };
    for (const auto& filters : pipelines) {
        Written written(47, 2, 4, 10, 2, filters);
        written.chunks[2].address = 1U << 30U;
        check_fault(written, "the chunk lies at bytes 1073741824 to");
        written.chunks[2].address = StoredChunk::nowhere - 1;
        check_fault(written, "the chunk lies at bytes");
    }
    Written raw(47, 2, 4, 10, 2, {});
    raw.chunks[2].bytes -= 1;
    check_fault(raw, "the chunk has 79 bytes instead of 80");
    Written checked(47, 2, 4, 10, 2, {ChunkFilter::fletcher32});
    checked.chunks[2].skipped = 0;
    checked.chunks[2].bytes = 3;
    check_fault(checked, "too short for its checksum");
    Written deflated(47, 2, 4, 10, 2, {ChunkFilter::deflate});
    deflated.chunks[2].skipped = 0;
    deflated.chunks[2].bytes = 4;
    check_fault(deflated, "its deflate stream gives");
    deflated.chunks[2].bytes = 5;
    check_fault(deflated, "its deflate stream is damaged");
    for (StoredChunk& chunk : deflated.chunks) {
        chunk.bytes = static_cast<u64>(deflated.content.size() - deflated.chunks[2].address) / 2 * 2;
        chunk.address = deflated.chunks[2].address;
        chunk.skipped = 0;
    }
    CHECK(fault_of(deflated)->what.find("more than the chunk's 80 bytes") != std::string::npos);
}

TEST(checksums_are_compared) {
    Written written(40, 2, 4, 10, 2, {ChunkFilter::fletcher32});
    written.chunks[1].skipped = 0;
    const u64 at = written.chunks[1].address + 11;
    const std::byte other = written.content[static_cast<std::size_t>(at)] ^ std::byte{16};
    CHECK_EQ(std::fseek(written.file, static_cast<long>(at), SEEK_SET), 0);
    CHECK_EQ(std::fwrite(&other, 1, 1, written.file), 1U);
    std::fflush(written.file);
    Bytes out(written.values.size());
    const ChunkReader reader = written.reader();
    const auto fault = reader.read(std::vector<index_t>{0}, std::vector<index_t>{40}, out);
    CHECK(fault.has_value());
    CHECK(fault && fault->first_row == 10);
}

TEST(wrong_arguments_are_refused) {
    const Written written(47, 2, 4, 10, 2, {});
    const ChunkReader reader = written.reader();
    Bytes out(8);
    const auto read = [&](std::vector<index_t> starts, std::vector<index_t> stops) {
        (void)reader.read(starts, stops, out);
    };
    CHECK_THROWS_WITH(std::invalid_argument, "as many stops as starts", read({0}, {}));
    CHECK_THROWS_WITH(std::invalid_argument, "runs must ascend inside [0, 47)", read({-1}, {0}));
    CHECK_THROWS_WITH(std::invalid_argument, "runs must ascend inside [0, 47)", read({47}, {48}));
    CHECK_THROWS_WITH(std::invalid_argument, "runs must ascend inside [0, 47)", read({3}, {2}));
    CHECK_THROWS_WITH(std::invalid_argument, "runs must ascend inside [0, 47)", read({3, 2}, {4, 3}));
    CHECK_THROWS_WITH(std::invalid_argument, "the output must have 16 bytes, but has 8", read({3}, {5}));
    ChunkLayout layout = written.layout;
    layout.fill.clear();
    const auto make = [&] { ChunkReader(fileno(written.file), layout, written.chunks, {}); };
    CHECK_THROWS_WITH(std::invalid_argument, "the fill value must be one item", make());
    layout = written.layout;
    layout.filters = {ChunkFilter::deflate};
    CHECK_THROWS_WITH(std::invalid_argument, "deflate needs a library", make());
    layout = written.layout;
    layout.rows = 99;
    CHECK_THROWS_WITH(std::invalid_argument, "one entry a chunk", make());
    layout = written.layout;
    layout.chunk_rows = index_t{1} << 40;
    CHECK_THROWS_WITH(std::invalid_argument, "at most 2**32 bytes", make());
    layout = written.layout;
    layout.item_bytes = 3;
    CHECK_THROWS_WITH(std::invalid_argument, "whole items", make());
}

}  // namespace
