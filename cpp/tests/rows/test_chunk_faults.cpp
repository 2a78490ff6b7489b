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
    for (StoredChunk& chunk : deflated.chunks) {
        chunk.bytes = static_cast<u64>(deflated.content.size() - deflated.chunks[2].address) / 2 * 2;
        chunk.address = deflated.chunks[2].address;
        chunk.skipped = 0;
    }
    CHECK(fault_of(deflated)->what.find("more than the chunk's 80 bytes") != std::string::npos);
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
