// Any table of chunks over a file of 4,096 bytes, and any runs of rows: what is planned lies in the file and in the
// output, and what is read of chunks without filters is what stands there.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

#include "fuzz.hpp"
#include "rows/encoders.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/rows/chunk_reader.hpp"
#include "tombola/rows/read_plan.hpp"

namespace tombola::fuzz {
namespace {

constexpr std::size_t file_bytes = 4096;
constexpr std::array filters{ChunkFilter::deflate, ChunkFilter::shuffle, ChunkFilter::fletcher32, ChunkFilter::lzf,
                             ChunkFilter::lz4,     ChunkFilter::zstd,    ChunkFilter::blosc};

std::uint8_t content(std::size_t at) { return static_cast<std::uint8_t>(at * 7 + at / 256); }

// A temporary file that all inputs share
class SharedFile {
  public:
    SharedFile() {
        const int descriptor = ::mkstemp(path_.data());
        Bytes bytes(file_bytes);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            bytes[i] = content(i);
        }
        require(::write(descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "a file");
        file_ = std::make_shared<DataFile>(path_.data(), stamp_of(descriptor));
        ::close(descriptor);
        set_num_threads(1);
    }
    ~SharedFile() { ::unlink(path_.data()); }
    SharedFile(const SharedFile&) = delete;
    SharedFile& operator=(const SharedFile&) = delete;
    const std::shared_ptr<const DataFile>& file() const { return file_; }

  private:
    std::array<char, 32> path_{"/tmp/tombola-fuzz-XXXXXX"};
    std::shared_ptr<const DataFile> file_;
};

const std::shared_ptr<const DataFile>& shared_file() {
    static const SharedFile shared;
    return shared.file();
}

struct Runs {
    std::vector<index_t> starts;
    std::vector<index_t> stops;
    std::vector<index_t> places;
};

Runs runs_of(Input& input) {
    Runs runs;
    const bool has_places = input.within(0, 1) == 1;
    u64 at = 0;
    for (std::size_t left = input.within(0, 8); left > 0; --left) {
        const bool is_odd = input.take<std::uint8_t>() == 255;
        at = is_odd ? input.take<u64>() : at + input.within(0, 9);
        runs.starts.push_back(static_cast<index_t>(at));
        at = is_odd ? input.take<u64>() : at + input.within(0, 9);
        runs.stops.push_back(static_cast<index_t>(at));
        if (has_places) {
            runs.places.push_back(is_odd ? input.take<index_t>() : static_cast<index_t>(input.within(0, 40)));
        }
    }
    return runs;
}

std::vector<StoredChunk> chunks_of(Input& input, const ChunkLayout& layout, std::size_t count) {
    std::vector<StoredChunk> chunks(count);
    for (StoredChunk& chunk : chunks) {
        switch (input.within(0, 3)) {
            case 0:
                chunk = {input.take<u16>() % file_bytes, layout.chunk_bytes(), input.take<std::uint8_t>()};
                break;
            case 1:
                chunk = {input.take<u16>() % file_bytes, input.take<u16>(), input.take<std::uint8_t>()};
                break;
            case 2:
                chunk = {input.take<u64>(), input.take<u64>(), input.take<u32>()};
                break;
            default:;  // never written
        }
    }
    return chunks;
}

bool is_inside(const std::byte* from, std::size_t bytes, std::span<const std::byte> out) {
    return from >= out.data() && bytes <= out.size() && from <= out.data() + (out.size() - bytes);
}

void check_plan(const ReadJob& job) {
    const ReadPlan plan({&job, 1});
    if (plan.fault) {
        require(!plan.fault->what.empty() && plan.fault->first_row <= plan.fault->last_row, "a fault names rows");
        return;
    }
    const ChunkLayout& layout = job.reader->layout();
    for (const Segment& segment : plan.segments) {
        require(segment.bytes <= file_bytes && segment.address <= file_bytes - segment.bytes, "segments in the file");
        require(is_inside(segment.out, segment.bytes, job.out), "segments in the output");
    }
    for (const Piece& piece : plan.pieces) {
        require(piece.row + piece.count <= static_cast<std::size_t>(layout.chunk_rows), "pieces in a chunk");
        require((piece.to + piece.count) * layout.row_bytes <= job.out.size(), "pieces in the output");
    }
    for (const ReadTask& task : plan.tasks) {
        if (task.kind != TaskKind::chunk) {
            continue;
        }
        const StoredChunk& chunk = job.reader->chunk(task.band, task.column);
        require(chunk.address == StoredChunk::nowhere || chunk.bytes <= file_bytes, "no chunk larger than the file");
    }
}

// Byte `at` of a row, of a data set whose chunks went through no filter
std::byte expected(const ChunkReader& reader, index_t row, std::size_t at) {
    const ChunkLayout& layout = reader.layout();
    const auto band = static_cast<std::size_t>(row / layout.chunk_rows);
    const StoredChunk& chunk = reader.chunk(band, at / layout.chunk_row_bytes);
    if (chunk.address == StoredChunk::nowhere) {
        return layout.fill[at % layout.item_bytes];
    }
    const auto in_chunk = static_cast<std::size_t>(row % layout.chunk_rows);
    return std::byte{content(static_cast<std::size_t>(chunk.address) + in_chunk * layout.chunk_row_bytes +
                             at % layout.chunk_row_bytes)};
}

void check_rows(const ReadJob& job) {
    const ChunkLayout& layout = job.reader->layout();
    if (read_rows({&job, 1}) || !layout.filters.empty() || !job.places.empty()) {
        return;
    }
    std::size_t to = 0;
    for (std::size_t i = 0; i < job.starts.size(); ++i) {
        for (index_t row = job.starts[i]; row < job.stops[i]; ++row) {
            for (std::size_t at = 0; at < layout.row_bytes; ++at) {
                require(job.out[to++] == expected(*job.reader, row, at), "bytes are the file's");
            }
        }
    }
}

}  // namespace

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    for (const int filter : {-1, 1, 2}) {
        Output seed;
        seed.small(1, 1, 20, 4, 1, filter < 0 ? 0 : 1);  // items of 2 bytes, two a row, chunks of 5 rows
        if (filter >= 0) {
            seed.small(filter);
        }
        seed.small(0);  // as many chunks as there should be
        for (int i = 0; i < 5; ++i) {
            seed.small(0).put<u16>(static_cast<u16>(200 * i)).small(filter == 1 ? 0 : 1);
        }
        seed.small(0, 3);
        for (int i = 0; i < 3; ++i) {
            seed.small(0, i, 4);
        }
        seed.put<u16>(12 * 4);
        all.push_back(seed.bytes());
    }
    return all;
}

}  // namespace tombola::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tombola;
    fuzz::Input input(data, size);
    const std::size_t item = std::size_t{1} << input.within(0, 3);
    const std::size_t row_items = input.within(0, 4) + 1;
    ChunkLayout layout{static_cast<index_t>(input.within(0, 60)),
                       row_items * item,
                       static_cast<index_t>(input.within(1, 40)),
                       input.within(1, 6) * item,
                       item,
                       {},
                       {}};
    layout.fill.assign(item, std::byte{9});
    for (std::size_t left = input.within(0, 3); left > 0; --left) {
        layout.filters.push_back(fuzz::filters[input.within(0, fuzz::filters.size() - 1)]);
    }
    std::size_t n_chunks = layout.down() * layout.across();
    if (input.take<std::uint8_t>() == 255) {
        layout.chunk_rows = input.take<index_t>();
        n_chunks = input.take<std::uint8_t>();
    }
    try {
        const ChunkReader reader(fuzz::shared_file(), layout, fuzz::chunks_of(input, layout, n_chunks),
                                 test::stand_ins);
        const fuzz::Runs runs = fuzz::runs_of(input);
        std::vector<std::byte> out(input.take<u16>() % 8192U / layout.row_bytes * layout.row_bytes);
        u64 wanted = 0;
        for (std::size_t i = 0; i < runs.starts.size(); ++i) {
            wanted += static_cast<u64>(runs.stops[i]) - static_cast<u64>(runs.starts[i]);
        }
        if (runs.places.empty() && wanted <= 1024) {
            out.resize(wanted * layout.row_bytes);
        }
        ReadJob job{&reader, runs.starts, runs.stops, runs.places, out};
        std::optional<ArrivingColumns> columns;
        if (layout.row_bytes == sizeof(u64) && item == sizeof(u64) && !runs.places.empty()) {
            const auto* const words = reinterpret_cast<const std::int64_t*>(out.data());
            job.columns = &columns.emplace(std::span(words, out.size() / sizeof(u64)), 9);
        }
        fuzz::check_plan(job);
        fuzz::check_rows(job);
        if (columns) {
            columns->result();
        }
    } catch (const std::invalid_argument&) {
    }
    return 0;
}
