// Rows out of the chunks of a file: every grid, filter and skipped filter against the rows that were written.
// ctest-label: threads
#include <limits>

#include "tombola/base/parallel.hpp"
#include "written.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

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

TEST(rows_that_come_again) {
    for (const auto& filters : pipelines) {
        for (const std::size_t chunk_rows : {4U, 7U, 100U}) {
            const Written written(60, 3, 4, chunk_rows, 3, filters);
            const ChunkReader reader = written.reader();
            const std::vector<index_t> rows{3, 3, 3, 5, 20, 20, 59};
            const std::vector<index_t> places{6, 0, 3, 1, 2, 5, 4};
            std::vector<index_t> stops;
            Bytes expected(7 * 12);
            for (std::size_t i = 0; i < rows.size(); ++i) {
                stops.push_back(rows[i] + 1);
                std::memcpy(expected.data() + places[i] * 12, written.values.data() + rows[i] * 12, 12);
            }
            Bytes found(expected.size());
            CHECK(!read_runs(reader, rows, stops, found, places));
            CHECK(found == expected);
        }
    }
}

TEST(several_data_sets_by_one_call) {
    const Written a(90, 3, 4, 16, 2, pipelines[4]);
    const Written b(50, 1, 8, 50, 1, {});
    const ChunkReader of_a = a.reader();
    const ChunkReader of_b = b.reader();
    const std::vector<index_t> start{0};
    const std::vector<index_t> stop_a{90};
    const std::vector<index_t> stop_b{50};
    Bytes out_a(a.values.size());
    Bytes out_b(b.values.size());
    const std::array jobs{ReadJob{&of_a, start, stop_a, {}, out_a}, ReadJob{&of_b, start, stop_b, {}, out_b}};
    CHECK(!read_rows(jobs));
    CHECK(out_a == a.values);
    CHECK(out_b == b.values);
}

TEST(wrong_arguments_are_refused) {
    const Written written(47, 2, 4, 10, 2, {});
    const ChunkReader reader = written.reader();
    Bytes out(8);
    const auto read = [&](const std::vector<index_t>& starts, const std::vector<index_t>& stops,
                          const std::vector<index_t>& places = {}) {
        (void)read_runs(reader, starts, stops, out, places);
    };
    CHECK_THROWS_WITH(std::invalid_argument, "as many stops, and places, as starts", read({0}, {}));
    CHECK_THROWS_WITH(std::invalid_argument, "as many stops, and places, as starts", read({0}, {1}, {0, 1}));
    CHECK_THROWS_WITH(std::invalid_argument, "and places inside", read({0}, {1}, {1}));
    CHECK_THROWS_WITH(std::invalid_argument, "and places inside", read({0}, {1}, {-1}));
    CHECK_THROWS_WITH(std::invalid_argument, "runs must ascend inside [0, 47)", read({-1}, {0}));
    CHECK_THROWS_WITH(std::invalid_argument, "runs must ascend inside [0, 47)", read({47}, {48}));
    CHECK_THROWS_WITH(std::invalid_argument, "runs must ascend inside [0, 47)", read({3}, {2}));
    CHECK_THROWS_WITH(std::invalid_argument, "runs must ascend inside [0, 47)", read({3, 2}, {4, 3}));
    CHECK_THROWS_WITH(std::invalid_argument, "the output must have 16 bytes, and places inside, but has 8",
                      read({3}, {5}));
    constexpr std::numeric_limits<index_t> any;
    CHECK_THROWS_WITH(std::invalid_argument, "and places inside", read({3, any.min()}, {5, any.max()}));
    ChunkLayout layout = written.layout;
    layout.fill.clear();
    const auto make = [&] {
        ChunkReader(std::make_shared<DataFile>(written.path.data(), stamp_of(fileno(written.file))), layout,
                    written.chunks, {});
    };
    CHECK_THROWS_WITH(std::invalid_argument, "the fill value must be one item", make());
    layout = written.layout;
    layout.filters = {ChunkFilter::deflate};
    CHECK_THROWS_WITH(std::invalid_argument, "deflate needs a library", make());
    layout.filters = {ChunkFilter::lzf, ChunkFilter::shuffle, ChunkFilter::lzf};
    CHECK_THROWS_WITH(std::invalid_argument, "at most one codec", make());
    layout = written.layout;
    layout.rows = 99;
    CHECK_THROWS_WITH(std::invalid_argument, "one entry a chunk", make());
    layout = written.layout;
    layout.chunk_rows = index_t{1} << 40;
    layout.filters = {ChunkFilter::shuffle};
    CHECK_THROWS_WITH(std::invalid_argument, "at most 2**32 bytes", make());
    layout = written.layout;
    layout.item_bytes = 3;
    CHECK_THROWS_WITH(std::invalid_argument, "whole items", make());
}

}  // namespace
