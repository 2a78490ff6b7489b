#include "tombola/rows/chunk_reader.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "tombola/base/parallel.hpp"
#include "tombola/rows/read_plan.hpp"
#include "tombola/rows/segments.hpp"

namespace tombola {
namespace {

constexpr std::size_t scratch_bytes = std::size_t{1} << 28U;  // of all threads together, but a chunk at least
constexpr std::size_t most_copies = 4;                        // of a chunk, which a thread decodes it in
constexpr std::size_t largest_chunk = std::size_t{1} << 32U;  // as HDF5 has it
constexpr u64 largest_contiguous = u64{1} << 61U;
constexpr std::size_t tasks_ahead = 16;  // that a disk is told of

// The tasks, done by several threads
class Reading {
  public:
    Reading(std::span<const ReadJob> jobs, const ReadPlan& plan) : jobs_(jobs), plan_(plan), fault_(plan.fault) {}

    std::optional<ReadFault> run() {
        const std::size_t threads = std::clamp<std::size_t>(scratch_bytes / (most_copies * plan_.largest), 1,
                                                            static_cast<std::size_t>(get_num_threads()));
        parallel_for(
            static_cast<index_t>(plan_.tasks.size()),
            [this](index_t number) {
                if (!failed_.load(std::memory_order_relaxed)) {
                    attempt(static_cast<std::size_t>(number));
                }
            },
            static_cast<int>(threads));
        return std::move(fault_);
    }

  private:
    void attempt(std::size_t number) {
        const ReadTask& task = plan_.tasks[number];
        try {
            if (task.is_encoded) {
                decode(number, task);
                return;
            }
            read_raw(number, task);
        } catch (const FileFailure& failure) {
            blame(task, failure.what, failure.address);
        } catch (const ChunkDamage& damage) {
            blame(task, damage.what, FileFailure::nowhere);
        }
    }
    void decode(std::size_t number, const ReadTask& task) {
        const ReadJob& job = jobs_[task.job];
        const ChunkReader& reader = *job.reader;
        const StoredChunk& chunk = reader.chunk(task.band, task.column);
        const std::span<const Piece> pieces = std::span(plan_.pieces).subspan(task.first, task.last - task.first);
        if (chunk.address == StoredChunk::nowhere) {
            if (!fill_rows(reader.layout(), task.column, pieces, job.items(), job.out.data())) {
                blame(task, {}, FileFailure::nowhere);
            }
            return;
        }
        std::unique_ptr<ChunkDecoder> decoder = take_decoder();
        const std::size_t bytes = static_cast<std::size_t>(chunk.bytes);
        const Segment whole{chunk.address, bytes, decoder->stored(bytes)};
        {
            const DataFile::Use use(reader.file());
            go_ahead(number);
            read_segments(use.descriptor(), {&whole, 1}, [&] { note_cold(number); });
        }
        if (!decoder->decode(reader.layout(), reader.libraries(), chunk, task.column, pieces, job.items(),
                             job.out.data())) {
            blame(task, {}, FileFailure::nowhere);
        }
        const std::lock_guard guard(lock_);
        idle_.push_back(std::move(decoder));
    }
    void read_raw(std::size_t number, const ReadTask& task) {
        const ReadJob& job = jobs_[task.job];
        const DataFile::Use use(job.reader->file());
        go_ahead(number);
        const auto segments = std::span(plan_.segments).subspan(task.first, task.last - task.first);
        const auto is_cold = [&] { note_cold(number); };
        if (job.convert == nullptr) {
            read_segments(use.descriptor(), segments, is_cold);
            return;
        }
        std::vector<Segment> there(segments.begin(), segments.end());
        std::size_t bytes = 0;
        for (const Segment& segment : segments) {
            bytes += segment.bytes;
        }
        std::unique_ptr<ChunkDecoder> decoder = take_decoder();
        std::byte* at = decoder->stored(bytes);
        for (Segment& segment : there) {
            segment.out = std::exchange(at, at + segment.bytes);
        }
        read_segments(use.descriptor(), there, is_cold);
        const std::size_t item = job.reader->layout().item_bytes;
        for (std::size_t i = 0; i < there.size(); ++i) {
            if (!job.convert(there[i].out, there[i].bytes / item, segments[i].out)) {
                blame(task, {}, there[i].address);
            }
        }
        const std::lock_guard guard(lock_);
        idle_.push_back(std::move(decoder));
    }
    std::unique_ptr<ChunkDecoder> take_decoder() {
        const std::lock_guard guard(lock_);
        if (idle_.empty()) {
            return std::make_unique<ChunkDecoder>();
        }
        std::unique_ptr<ChunkDecoder> decoder = std::move(idle_.back());
        idle_.pop_back();
        return decoder;
    }

    // Once something was not in memory, what comes next is asked for ahead.
    void note_cold(std::size_t number) {
        is_cold_.store(true, std::memory_order_relaxed);
        go_ahead(number);
    }
    void go_ahead(std::size_t number) {
        if (!is_cold_.load(std::memory_order_relaxed)) {
            return;
        }
        const std::size_t stop = std::min(number + tasks_ahead, plan_.tasks.size());
        std::size_t done = advised_.load(std::memory_order_relaxed);
        while (done < stop && !advised_.compare_exchange_weak(done, stop, std::memory_order_relaxed)) {
        }
        try {
            for (std::size_t next = std::max(done, number); next < stop; ++next) {
                ask_for(plan_.tasks[next]);
            }
        } catch (const FileFailure&) {  // whoever reads there says it, with its rows
        }
    }
    void ask_for(const ReadTask& task) {
        const ChunkReader& reader = *jobs_[task.job].reader;
        const DataFile::Use use(reader.file());
        if (!task.is_encoded) {
            for (std::size_t i = task.first; i < task.last; ++i) {
                advise(use.descriptor(), plan_.segments[i].address, plan_.segments[i].bytes);
            }
        } else if (const StoredChunk& chunk = reader.chunk(task.band, task.column);
                   chunk.address != StoredChunk::nowhere) {
            advise(use.descriptor(), chunk.address, static_cast<std::size_t>(chunk.bytes));
        }
    }

    void blame(const ReadTask& task, const std::string& what, u64 address) {
        index_t first = 0;
        index_t count = 0;
        if (task.is_encoded) {
            const ChunkLayout& l = jobs_[task.job].reader->layout();
            first = static_cast<index_t>(task.band) * l.chunk_rows;
            count = std::min(l.rows - first, l.chunk_rows);
        } else {
            std::size_t i = task.first;
            while (i + 1 < task.last && address != FileFailure::nowhere &&
                   plan_.segments[i].address + plan_.segments[i].bytes <= address) {
                ++i;
            }
            first = plan_.rows[i].first;
            count = plan_.rows[i].count;
        }
        failed_.store(true, std::memory_order_relaxed);
        const std::lock_guard guard(lock_);
        if (!fault_ || std::pair(task.job, first) < std::pair(fault_->job, fault_->first_row)) {
            fault_ = {task.job, first, first + count - 1, what};
        }
    }

    std::span<const ReadJob> jobs_;
    const ReadPlan& plan_;
    std::optional<ReadFault> fault_;
    std::atomic<bool> failed_{false};
    std::atomic<bool> is_cold_{false};
    std::atomic<std::size_t> advised_{0};
    std::mutex lock_;
    std::vector<std::unique_ptr<ChunkDecoder>> idle_;
};

}  // namespace

ChunkReader::ChunkReader(std::shared_ptr<const DataFile> file, ChunkLayout layout, std::vector<StoredChunk> chunks,
                         CodecLibraries libraries)
    : file_(std::move(file)), layout_(std::move(layout)), chunks_(std::move(chunks)), libraries_(libraries) {
    const ChunkLayout& l = layout_;
    const auto require = [&](bool is_so, const char* what) {
        if (!is_so) {
            throw std::invalid_argument(what);
        }
    };
    require(l.rows >= 0 && l.chunk_rows > 0 && l.row_bytes > 0 && l.chunk_row_bytes > 0 && l.item_bytes > 0 &&
                l.row_bytes % l.item_bytes == 0 && l.chunk_row_bytes % l.item_bytes == 0,
            "rows and chunks must be whole items");
    const u64 most_rows = (l.filters.empty() ? largest_contiguous : largest_chunk) / l.chunk_row_bytes;
    require(static_cast<u64>(l.chunk_rows) <= most_rows, "a chunk must have at most 2**32 bytes");
    require(static_cast<u64>(l.rows) <= largest_contiguous / l.row_bytes, "a data set must have at most 2**61 bytes");
    require(l.fill.size() == l.item_bytes, "the fill value must be one item");
    require(chunks_.size() / l.across() == l.down() && chunks_.size() % l.across() == 0,
            "the table must have one entry a chunk");
    require(l.filters.size() <= 32, "there must be at most 32 filters");
    require(libraries_.inflate.inflate != nullptr || std::ranges::count(l.filters, ChunkFilter::deflate) == 0,
            "deflate needs a library");
    require(libraries_.zstd.decompress != nullptr || std::ranges::count(l.filters, ChunkFilter::zstd) == 0,
            "zstd needs a library");
}

std::optional<ReadFault> read_rows(std::span<const ReadJob> jobs) {
    const ReadPlan plan(jobs);
    if (plan.fault) {
        return plan.fault;
    }
    return Reading(jobs, plan).run();
}

}  // namespace tombola
