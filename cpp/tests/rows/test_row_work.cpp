// Rows that become others while they are read: every grid and filter against the same work on the rows that were
// written. ctest-label: threads
#include <numeric>

#include "tombola/base/parallel.hpp"
#include "tombola/rows/row_work.hpp"
#include "written.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

// Items of a row, each in the order given; nothing else of the row is looked at.
RowWork picking(const ChunkLayout& layout, const std::vector<std::size_t>& items) {
    RowWork work;
    work.row_bytes = layout.row_bytes;
    work.out_bytes = items.size() * layout.item_bytes;
    work.items = items;
    std::ranges::sort(work.items);
    work.apply = [items, item = layout.item_bytes](const std::byte* row, std::byte* out) {
        for (const std::size_t each : items) {
            std::memcpy(out, row + each * item, item);
            out += item;
        }
    };
    return work;
}

// All of a row from behind
RowWork turning(const ChunkLayout& layout) {
    RowWork work;
    work.row_bytes = work.out_bytes = layout.row_bytes;
    work.apply = [n = layout.row_bytes](const std::byte* row, std::byte* out) { std::reverse_copy(row, row + n, out); };
    return work;
}

void check_work(const Written& written, const RowWork& work, const Runs& runs) {
    const ChunkReader reader = written.reader();
    std::vector<index_t> places;
    index_t rows = 0;
    for (std::size_t i = runs.starts.size(); i-- > 0;) {
        places.insert(places.begin(), rows);
        rows += runs.stops[i] - runs.starts[i];
    }
    Bytes expected(static_cast<std::size_t>(rows) * work.out_bytes);
    for (std::size_t i = 0; i < runs.starts.size(); ++i) {
        for (index_t row = runs.starts[i]; row < runs.stops[i]; ++row) {
            const std::size_t to = static_cast<std::size_t>(places[i] + row - runs.starts[i]);
            work.apply(written.values.data() + static_cast<std::size_t>(row) * work.row_bytes,
                       expected.data() + to * work.out_bytes);
        }
    }
    Bytes found(expected.size());
    const ReadJob job{&reader, runs.starts, runs.stops, places, found, nullptr, 0, &work};
    CHECK(!read_rows({&job, 1}));
    CHECK(found == expected);
}

TEST(rows_become_others_in_every_grid) {
    for (const auto& filters : pipelines) {
        for (const auto& [row_items, chunk_items] :
             std::vector<std::pair<std::size_t, std::size_t>>{{5, 5}, {5, 2}, {5, 8}, {9, 1}}) {
            for (const std::size_t chunk_rows : {1U, 7U, 64U, 300U}) {
                const Written written(203, row_items, 4, chunk_rows, chunk_items, filters);
                for (const RowWork& work : {turning(written.layout), picking(written.layout, {3, 0}),
                                            picking(written.layout, {row_items - 1})}) {
                    check_work(written, work, {{0}, {203}});
                    check_work(written, work, {{}, {}});
                    check_work(written, work, {{3, 3, 3, 20, 20}, {5, 5, 4, 21, 203}});
                    check_work(written, work, random_runs(203, 1));
                }
            }
        }
    }
}

TEST(threads_change_nothing) {
    const Written written(20'000, 40, 4, 64, 7, pipelines[3]);
    const int before = get_num_threads();
    for (const int threads : {1, 2, 5}) {
        set_num_threads(threads);
        check_work(written, picking(written.layout, {39, 8, 9}), random_runs(20'000, 7));
        check_work(written, turning(written.layout), {{0}, {20'000}});
    }
    set_num_threads(before);
}

// More than a task's 32 MB of rows of one chunk, as they come again, and half a megabyte of rows without filters
TEST(rows_are_cut_into_tasks) {
    for (const auto& filters : {pipelines[0], pipelines[1]}) {
        const Written written(64, 2'000, 4, 64, 2'000, filters);
        Runs runs;
        for (index_t row = 0; row < 64; ++row) {
            for (index_t i = 0; i < 80; ++i) {
                runs.starts.push_back(row);
                runs.stops.push_back(row + 1);
            }
        }
        check_work(written, picking(written.layout, {1'999, 5}), runs);
    }
}

TEST(chunks_that_are_not_looked_at_are_not_read) {
    Written written(40, 6, 4, 10, 2, pipelines[1]);
    for (std::size_t i = 0; i < written.chunks.size(); ++i) {
        if (i % 3 == 1 && written.chunks[i].address != StoredChunk::nowhere) {
            written.chunks[i].address = 10'000'000;  // beyond the file
        }
    }
    check_work(written, picking(written.layout, {0, 1, 5}), {{0}, {40}});
    const RowWork work = picking(written.layout, {1, 2});
    const ChunkReader reader = written.reader();
    const std::vector<index_t> starts{4, 13, 17};
    const std::vector<index_t> stops{5, 14, 19};
    const std::vector<index_t> places{0, 1, 2};
    Bytes out(4 * work.out_bytes);
    const ReadJob job{&reader, starts, stops, places, out, nullptr, 0, &work};
    const auto fault = read_rows({&job, 1});
    CHECK(fault.has_value());
    CHECK(fault->what.find("the chunk lies at bytes 10000000 to") == 0);
}

TEST(damage_and_values_that_do_not_fit_name_the_rows) {
    const Written written(40, 1, 8, 40, 1, {});
    const ChunkReader reader = written.reader();
    const RowWork work{[](const std::byte* row, std::byte* out) { std::copy_n(row, 4, out); }, 4, 4, {}};
    const std::vector<index_t> starts{7, 9};
    const std::vector<index_t> stops{8, 12};
    const std::vector<index_t> places{0, 1};
    Bytes out(16);
    const ReadJob job{&reader, starts, stops, places, out, converter("u8", "i4"), 4, &work};
    const auto fault = read_rows({&job, 1});
    CHECK(fault.has_value());
    CHECK(fault->what.empty());
    CHECK_EQ(fault->first_row, 7);
    CHECK_EQ(fault->last_row, 11);
}

TEST(rows_in_memory_on_any_number_of_threads) {
    const std::size_t n = 5'000;
    Bytes rows(n * 120);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i] = static_cast<std::byte>(noise(i, 3));
    }
    std::vector<index_t> places(n);
    std::iota(places.rbegin(), places.rend(), index_t{0});
    const RowWork work{
        [](const std::byte* row, std::byte* out) { std::reverse_copy(row, row + 120, out); }, 120, 120, {}};
    Bytes expected(rows.rbegin(), rows.rend());
    const int before = get_num_threads();
    for (const int threads : {1, 4, 7}) {
        set_num_threads(threads);
        Bytes found(rows.size());
        work_on_rows(work, rows, places, found);
        CHECK(found == expected);
    }
    set_num_threads(before);
    Bytes nothing;
    work_on_rows(work, nothing, {}, nothing);
}

}  // namespace
