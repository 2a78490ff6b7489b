// Files that are damaged or change: a fault that names rows, never a crash. ctest-label: threads
#include "written.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

TEST(damage_is_a_fault_that_names_rows) {
    const auto fault_of = [](Written& written) {
        Bytes out(written.values.size());
        const ChunkReader reader = written.reader();
        return read_runs(reader, {0}, {written.layout.rows}, out);
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
    deflated.chunks[2].bytes = static_cast<u64>(deflated.content.size() - deflated.chunks[2].address) / 2 * 2;
    for (const std::size_t other : {0U, 1U, 3U, 4U}) {
        deflated.chunks[other] = {};
    }
    check_fault(deflated, "more than the chunk's 80 bytes");
}

TEST(files_that_change_and_more_than_may_be_open) {
    const std::size_t most = most_open_files();
    std::vector<std::unique_ptr<Written>> written;
    std::vector<ChunkReader> readers;
    for (std::size_t i = 0; i < most + 5; ++i) {
        written.push_back(std::make_unique<Written>(20 + i % 3, 1, 4, 8, 1, pipelines[i % pipelines.size()]));
        readers.push_back(written.back()->reader());
        check_runs(*written.back(), readers.back(), {{0}, {20}});
    }
    for (std::size_t i = 0; i < written.size(); ++i) {
        check_runs(*written[i], readers[i], {{3}, {17}});
    }
    Written& last = *written.back();
    CHECK_EQ(std::fputc(1, last.file), 1);
    std::fflush(last.file);
    Bytes out(static_cast<std::size_t>(last.layout.rows) * 4);
    const auto fault = read_runs(readers.back(), {0}, {last.layout.rows}, out);
    CHECK(fault && fault->what == "it was replaced or written to since it was opened");
    std::remove(written[0]->path.data());
    check_runs(*written[2], readers[2], {{0}, {20}});
}

TEST(sizes_that_no_chunk_can_have) {
    const auto fault = [](std::vector<ChunkFilter> filters, u64 bytes, std::uint32_t skipped = 0) {
        return size_fault({100, 8, 1'000, 8, 4, std::move(filters), {}}, {0, bytes, skipped});  // 8,000 bytes of values
    };
    using enum ChunkFilter;
    CHECK_EQ(fault({shuffle}, 8'000), "");
    CHECK(fault({shuffle}, 8'001).find("has 8001 bytes, more than the 8000 that its 8000 bytes") != std::string::npos);
    CHECK_EQ(fault({shuffle, fletcher32}, 8'004), "");
    CHECK(fault({shuffle, fletcher32}, 8'005).find("more than the 8004") != std::string::npos);
    CHECK_EQ(fault({deflate}, 8'050), "");
    CHECK_EQ(fault({lzf}, 8'250), "");
    CHECK(fault({deflate}, u64{1} << 30U).find("more than the 20096 that") != std::string::npos);
    CHECK(fault({lzf, fletcher32}, u64{1} << 30U).find("more than the 20100 that") != std::string::npos);
    CHECK_EQ(fault({deflate}, 8), "");
    CHECK_EQ(fault({deflate}, 7), "the chunk has 7 bytes, too few for its 8000 bytes of values");
    CHECK_EQ(fault({shuffle, lzf}, 91), "");
    CHECK(fault({shuffle, lzf}, 90).find("too few") != std::string::npos);
    CHECK(fault({shuffle, lzf}, 8'001, 2).find("more than the 8000") != std::string::npos);
}

TEST(chunks_that_overlap) {
    using Numbers = std::vector<std::size_t>;
    const auto found = [](const std::vector<StoredChunk>& chunks) { return overlapping(chunks); };
    CHECK(found({}) == Numbers{});
    CHECK(found({{10, 5}, {15, 5}, {}, {20, 1}, {3, 0}}) == Numbers{});
    CHECK(found({{15, 5}, {}, {10, 5}, {20, 1}, {17, 0}}) == Numbers{});
    CHECK(found({{15, 5}, {}, {10, 6}, {20, 1}}) == (Numbers{0, 2}));
    CHECK(found({{10, 5}, {15, 5}, {15, 5}}) == (Numbers{1, 2}));
    CHECK(found({{0, 100}, {30, 5}, {200, 5}, {10, 5}}) == (Numbers{0, 1, 3}));
    CHECK(found({{StoredChunk::nowhere - 9, ~u64{0} - 1}, {StoredChunk::nowhere - 5, 2}, {0, 9}}) == (Numbers{0, 1}));
    Written written(47, 2, 4, 10, 2, {ChunkFilter::shuffle});
    written.chunks[3].address = written.chunks[1].address + 1;
    const ChunkReader reader = written.reader();
    Bytes out(written.values.size());
    const auto fault = read_runs(reader, {0}, {47}, out);
    CHECK(fault && fault->first_row == 10 && fault->what.find("the chunk shares bytes") == 0);
    check_runs(written, reader, {{0, 20, 40}, {10, 30, 47}});
}

TEST(nothing_shuffled) {
    unshuffle(nullptr, 0, 1, 0, 0, nullptr);
    unshuffle(nullptr, 0, 4, 0, 0, nullptr);
    CHECK_EQ(fletcher32(nullptr, 0), 0U);
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
    const auto fault = read_runs(reader, {0}, {40}, out);
    CHECK(fault.has_value());
    CHECK(fault && fault->first_row == 10);
}

}  // namespace
