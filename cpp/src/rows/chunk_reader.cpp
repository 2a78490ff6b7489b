#include "tombola/rows/chunk_reader.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "tombola/base/parallel.hpp"
#include "tombola/rows/read_ahead.hpp"
#include "tombola/rows/read_plan.hpp"
#include "tombola/rows/segments.hpp"

namespace tombola {
namespace {

constexpr std::size_t scratch_bytes = std::size_t{1} << 28U;  // of all threads together, but a chunk at least
constexpr std::size_t most_copies = 4;                        // of a chunk, which a thread decodes it in
constexpr std::size_t largest_chunk = std::size_t{1} << 32U;  // as HDF5 has it
constexpr u64 largest_contiguous = u64{1} << 61U;

bool is_codec(ChunkFilter filter) noexcept {
    return filter != ChunkFilter::shuffle && filter != ChunkFilter::fletcher32;
}

PlacedRows rows_from(const ReadJob& job, std::size_t run) {
    return {job.starts.subspan(run), job.stops.subspan(run), job.places.subspan(run)};
}

// What one thread works with
struct Workplace {
    ChunkDecoder decoder;
    std::unique_ptr<Buffer<std::byte>> rows;

    std::byte* rows_of(std::size_t bytes) {
        if (!rows || rows->size() < bytes) {
            rows.reset();
            rows = std::make_unique<Buffer<std::byte>>(bytes);
        }
        return rows->data();
    }
};

// The tasks, done by several threads
class Reading {
  public:
    Reading(std::span<const ReadJob> jobs, const ReadPlan& plan)
        : jobs_(jobs), plan_(plan), ahead_(jobs, plan), fault_(plan.fault) {}

    std::optional<ReadFault> run() {
        const std::size_t each = most_copies * plan_.largest + plan_.largest_rows;
        const std::size_t threads =
            std::clamp<std::size_t>(scratch_bytes / each, 1, static_cast<std::size_t>(get_num_threads()));
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
            switch (task.kind) {
                case TaskKind::segments:
                    read_raw(number, task);
                    break;
                case TaskKind::chunk:
                    decode(number, task);
                    break;
                case TaskKind::rows:
                    work(number, task);
            }
        } catch (const FileFailure& failure) {
            blame(task, failure.what, failure.address);
        } catch (const ChunkDamage& damage) {
            blame(task, damage.what, FileFailure::nowhere);
        }
    }
    void decode(std::size_t number, const ReadTask& task) {
        const ReadJob& job = jobs_[task.job];
        std::unique_ptr<Workplace> place = take_place();
        if (!fill(number, task, task.column, plan_.pieces_of(task), *place, job.out.data())) {
            blame(task, {}, FileFailure::nowhere);
        } else if (job.columns != nullptr) {
            for (const Piece& piece : plan_.pieces_of(task)) {
                job.columns->check(piece.to, piece.count, rows_from(job, piece.run));
            }
        }
        give_back(std::move(place));
    }
    // Rows of a band become others.
    void work(std::size_t number, const ReadTask& task) {
        const ReadJob& job = jobs_[task.job];
        const std::size_t row_bytes = job.read_bytes();
        std::vector<Piece> there;  // one after the other
        std::size_t rows = 0;
        for (const Piece& piece : plan_.pieces_of(task)) {
            there.push_back({piece.row, piece.count, rows});
            rows += piece.count;
        }
        std::unique_ptr<Workplace> place = take_place();
        std::byte* const read = place->rows_of(rows * row_bytes);
        bool fits = true;
        for (std::size_t column = 0; column < job.reader->layout().across(); ++column) {
            if (job.needs(column)) {
                fits &= fill(number, task, column, there, *place, read);
            }
        }
        if (!fits) {
            blame(task, {}, FileFailure::nowhere);
            return;
        }
        const std::byte* row = read;
        for (const Piece& piece : plan_.pieces_of(task)) {
            for (std::size_t r = 0; r < piece.count; ++r, row += row_bytes) {
                job.work->apply(row, job.out.data() + (piece.to + r) * job.row_bytes());
            }
        }
        give_back(std::move(place));
    }
    // Pieces of one chunk, to their rows of `out`; whether all values fit
    bool fill(std::size_t number, const ReadTask& task, std::size_t column, std::span<const Piece> pieces,
              Workplace& place, std::byte* out) {
        const ReadJob& job = jobs_[task.job];
        const ChunkReader& reader = *job.reader;
        const ChunkLayout& l = reader.layout();
        const StoredChunk& chunk = reader.chunk(task.band, column);
        if (chunk.address == StoredChunk::nowhere) {
            return fill_rows(l, column, pieces, job.items(), out);
        }
        const auto is_cold = [&] { ahead_.begin(number); };
        if (is_encoded(l, chunk)) {
            const std::size_t bytes = static_cast<std::size_t>(chunk.bytes);
            const Segment whole{chunk.address, bytes, place.decoder.stored(bytes)};
            {
                const DataFile::Use use(reader.file());
                ahead_.go_on(number);
                read_segments(use.descriptor(), {&whole, 1}, is_cold);
            }
            return place.decoder.decode(l, reader.libraries(), chunk, column, pieces, job.items(), out);
        }
        const DataFile::Use use(reader.file());
        ahead_.go_on(number);
        std::vector<Segment> segments;
        for (const Piece& piece : pieces) {
            const std::size_t at_once = l.has_whole_rows() ? piece.count : 1;
            for (std::size_t done = 0; done < piece.count; done += at_once) {
                segments.push_back(
                    {chunk.address + (piece.row + done) * l.chunk_row_bytes,
                     l.has_whole_rows() ? at_once * l.row_bytes : l.width(column),
                     out + (piece.to + done) * job.read_bytes() + l.left(column) / l.item_bytes * job.items().bytes});
            }
        }
        return read_converted(use.descriptor(), job, segments, place, is_cold) == nullptr;
    }
    void read_raw(std::size_t number, const ReadTask& task) {
        const ReadJob& job = jobs_[task.job];
        const DataFile::Use use(job.reader->file());
        ahead_.go_on(number);
        const std::span<const Segment> segments = plan_.segments_of(task);
        std::unique_ptr<Workplace> place = take_place();
        const Segment* const wrong =
            read_converted(use.descriptor(), job, segments, *place, [&] { ahead_.begin(number); });
        if (wrong != nullptr) {
            blame(task, {}, wrong->address);
        } else if (job.columns != nullptr) {
            for (std::size_t i = task.first; i < task.last; ++i) {
                const std::size_t byte = static_cast<std::size_t>(plan_.segments[i].out - job.out.data());
                const SegmentRows& rows = plan_.rows[i];
                job.columns->check(byte / job.items().bytes, static_cast<std::size_t>(rows.count),
                                   rows_from(job, rows.run));
            }
        }
        give_back(std::move(place));
    }
    // Fills the segments; returns one that holds a value that does not fit, nullptr where all do.
    const Segment* read_converted(int descriptor, const ReadJob& job, std::span<const Segment> segments,
                                  Workplace& place, const std::function<void()>& is_cold) {
        if (job.convert == nullptr) {
            read_segments(descriptor, segments, is_cold);
            return nullptr;
        }
        std::vector<Segment> there(segments.begin(), segments.end());
        std::size_t bytes = 0;
        for (const Segment& segment : segments) {
            bytes += segment.bytes;
        }
        std::byte* at = place.decoder.stored(bytes);
        for (Segment& segment : there) {
            segment.out = std::exchange(at, at + segment.bytes);
        }
        read_segments(descriptor, there, is_cold);
        const std::size_t item = job.reader->layout().item_bytes;
        const Segment* wrong = nullptr;
        for (std::size_t i = 0; i < there.size(); ++i) {
            if (!job.convert(there[i].out, there[i].bytes / item, segments[i].out) && wrong == nullptr) {
                wrong = &segments[i];
            }
        }
        return wrong;
    }

    std::unique_ptr<Workplace> take_place() {
        const std::lock_guard guard(lock_);
        if (idle_.empty()) {
            return std::make_unique<Workplace>();
        }
        std::unique_ptr<Workplace> place = std::move(idle_.back());
        idle_.pop_back();
        return place;
    }
    void give_back(std::unique_ptr<Workplace> place) {
        const std::lock_guard guard(lock_);
        idle_.push_back(std::move(place));
    }

    void blame(const ReadTask& task, const std::string& what, u64 address) {
        index_t first = 0;
        index_t count = 0;
        if (task.kind != TaskKind::segments) {
            const ChunkLayout& l = jobs_[task.job].reader->layout();
            first = static_cast<index_t>(task.band) * l.chunk_rows;
            count = std::min(l.rows - first, l.chunk_rows);
            if (task.kind == TaskKind::rows) {
                const std::span<const Piece> pieces = plan_.pieces_of(task);
                count = static_cast<index_t>(pieces.back().row + pieces.back().count - pieces.front().row);
                first += static_cast<index_t>(pieces.front().row);
            }
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
    ReadAhead ahead_;
    std::optional<ReadFault> fault_;
    std::atomic<bool> failed_{false};
    std::mutex lock_;
    std::vector<std::unique_ptr<Workplace>> idle_;
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
    // Two would let a few bytes stand for a million times as many.
    require(std::ranges::count_if(l.filters, is_codec) <= 1, "there must be at most one codec");
    require(libraries_.inflate.inflate != nullptr || std::ranges::count(l.filters, ChunkFilter::deflate) == 0,
            "deflate needs a library");
    require(libraries_.zstd.decompress != nullptr || std::ranges::count(l.filters, ChunkFilter::zstd) == 0,
            "zstd needs a library");
    overlapping_ = overlapping(chunks_);
}

std::optional<ReadFault> read_rows(std::span<const ReadJob> jobs) {
    const ReadPlan plan(jobs);
    if (plan.fault) {
        return plan.fault;
    }
    return Reading(jobs, plan).run();
}

}  // namespace tombola
