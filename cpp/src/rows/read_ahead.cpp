#include "tombola/rows/read_ahead.hpp"

#include <algorithm>

namespace tombola {
namespace {

constexpr std::size_t tasks_ahead = 16;

}  // namespace

void ReadAhead::begin(std::size_t number) {
    is_cold_.store(true, std::memory_order_relaxed);
    go_on(number);
}

void ReadAhead::go_on(std::size_t number) {
    if (!is_cold_.load(std::memory_order_relaxed)) {
        return;
    }
    const std::size_t stop = std::min(number + tasks_ahead, plan_.tasks.size());
    std::size_t done = asked_.load(std::memory_order_relaxed);
    while (done < stop && !asked_.compare_exchange_weak(done, stop, std::memory_order_relaxed)) {
    }
    try {
        for (std::size_t next = std::max(done, number); next < stop; ++next) {
            ask_for(plan_.tasks[next]);
        }
    } catch (const FileFailure&) {  // whoever reads there says it, with its rows
    }
}

void ReadAhead::ask_for(const ReadTask& task) const {
    const ChunkReader& reader = *jobs_[task.job].reader;
    const DataFile::Use use(reader.file());
    switch (task.kind) {
        case TaskKind::segments:
            for (const Segment& segment : plan_.segments_of(task)) {
                advise(use.descriptor(), segment.address, segment.bytes);
            }
            break;
        case TaskKind::chunk:
            ask_for(use.descriptor(), task, task.column);
            break;
        case TaskKind::rows:
            for (std::size_t column = 0; column < reader.layout().across(); ++column) {
                if (jobs_[task.job].needs(column)) {
                    ask_for(use.descriptor(), task, column);
                }
            }
    }
}

void ReadAhead::ask_for(int descriptor, const ReadTask& task, std::size_t column) const {
    const ChunkReader& reader = *jobs_[task.job].reader;
    const ChunkLayout& l = reader.layout();
    const StoredChunk& chunk = reader.chunk(task.band, column);
    if (chunk.address == StoredChunk::nowhere) {
        return;
    }
    if (is_encoded(l, chunk)) {
        advise(descriptor, chunk.address, static_cast<std::size_t>(chunk.bytes));
        return;
    }
    for (const Piece& piece : plan_.pieces_of(task)) {
        advise(descriptor, chunk.address + piece.row * l.chunk_row_bytes, piece.count * l.chunk_row_bytes);
    }
}

}  // namespace tombola
