#include "tombola/rows/read_plan.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace tombola {
namespace {

constexpr std::size_t task_bytes = std::size_t{1} << 19U;
constexpr std::size_t rows_bytes = std::size_t{1} << 25U;

[[noreturn]] void refuse_room(const ReadJob& job) {
    std::size_t rows = 0;
    for (std::size_t i = 0; i < job.starts.size(); ++i) {  // unsigned: the runs behind are not checked yet
        rows += job.stops[i] > job.starts[i] ? static_cast<u64>(job.stops[i]) - static_cast<u64>(job.starts[i]) : 0;
    }
    throw std::invalid_argument("the output must have " + std::to_string(rows * job.row_bytes()) +
                                " bytes, and places inside, but has " + std::to_string(job.out.size()));
}

}  // namespace

ReadPlan::ReadPlan(std::span<const ReadJob> jobs) : jobs_(jobs) {
    for (std::size_t job = 0; job < jobs.size() && !fault; ++job) {
        plan(job);
    }
}

void ReadPlan::plan(std::size_t number) {
    const ReadJob& job = jobs_[number];
    const ChunkLayout& l = job.reader->layout();
    if (job.starts.size() != job.stops.size() || (!job.places.empty() && job.places.size() != job.starts.size())) {
        throw std::invalid_argument("there must be as many stops, and places, as starts");
    }
    const std::size_t room = job.out.size() / job.row_bytes();
    std::size_t to = 0;
    index_t before = 0;
    std::size_t first_piece = pieces.size();
    std::size_t band = 0;
    for (std::size_t i = 0; i < job.starts.size(); ++i) {
        const index_t start = job.starts[i];
        const index_t stop = job.stops[i];
        if (start < before || stop < start || stop > l.rows) {
            throw std::invalid_argument("runs must ascend inside [0, " + std::to_string(l.rows) + "), but one is [" +
                                        std::to_string(start) + ", " + std::to_string(stop) + ")");
        }
        before = start;
        const std::size_t count = static_cast<std::size_t>(stop - start);
        if (!job.places.empty()) {
            to = static_cast<std::size_t>(job.places[i]);  // a negative one is too large
        }
        if (to > room || count > room - to) {
            refuse_room(job);
        }
        for (index_t row = start; row < stop;) {
            const std::size_t number_of_band = static_cast<std::size_t>(row / l.chunk_rows);
            const index_t band_start = static_cast<index_t>(number_of_band) * l.chunk_rows;
            // Written so that nothing overflows where a chunk is longer than the data set
            const index_t part = std::min(stop - row, l.chunk_rows - (row - band_start));
            if (number_of_band != band) {
                finish(number, band, first_piece);
                first_piece = pieces.size();
                band = number_of_band;
            }
            add({static_cast<std::size_t>(row - band_start), static_cast<std::size_t>(part), to, i}, first_piece);
            to += static_cast<std::size_t>(part);
            row += part;
        }
    }
    finish(number, band, first_piece);
    if (job.places.empty() && job.out.size() != to * job.row_bytes()) {
        refuse_room(job);
    }
}

void ReadPlan::add(const Piece& piece, std::size_t first_piece) {
    if (pieces.size() > first_piece) {
        Piece& last = pieces.back();
        if (last.row + last.count == piece.row && last.to + last.count == piece.to) {
            last.count += piece.count;
            return;
        }
    }
    pieces.push_back(piece);
}

bool ReadPlan::is_sound(std::size_t number, std::size_t band, std::size_t column) {
    const ChunkReader& reader = *jobs_[number].reader;
    const StoredChunk& chunk = reader.chunk(band, column);
    const u64 file_bytes = reader.file().stamp().bytes;
    if (chunk.bytes > file_bytes || chunk.address > file_bytes - chunk.bytes) {
        blame(number, band,
              "the chunk lies at bytes " + std::to_string(chunk.address) + " to " +
                  std::to_string(chunk.address + chunk.bytes) + " of a file of " + std::to_string(file_bytes));
        return false;
    }
    if (reader.overlaps(band, column)) {
        blame(number, band,
              "the chunk shares bytes " + std::to_string(chunk.address) + " to " +
                  std::to_string(chunk.address + chunk.bytes) + " with another");
        return false;
    }
    const ChunkLayout& l = reader.layout();
    if (is_encoded(l, chunk)) {
        std::string what = size_fault(l, chunk);
        if (!what.empty()) {
            blame(number, band, std::move(what));
        }
        return !fault.has_value();
    }
    if (chunk.bytes != l.chunk_bytes()) {
        blame(number, band,
              "the chunk has " + std::to_string(chunk.bytes) + " bytes instead of " + std::to_string(l.chunk_bytes()));
        return false;
    }
    return true;
}

void ReadPlan::finish(std::size_t number, std::size_t band, std::size_t first_piece) {
    const std::size_t last_piece = pieces.size();
    if (first_piece == last_piece || fault) {
        return;
    }
    const ReadJob& job = jobs_[number];
    if (job.work != nullptr) {
        finish_rows(number, band, first_piece);
        return;
    }
    const ChunkLayout& l = job.reader->layout();
    for (std::size_t column = 0; column < l.across(); ++column) {
        const StoredChunk& chunk = job.reader->chunk(band, column);
        if (chunk.address == StoredChunk::nowhere) {
            tasks.push_back({number, TaskKind::chunk, first_piece, last_piece, band, column});
            continue;
        }
        if (!is_sound(number, band, column)) {
            return;
        }
        if (is_encoded(l, chunk)) {
            largest = std::max(largest, l.chunk_bytes());
            tasks.push_back({number, TaskKind::chunk, first_piece, last_piece, band, column});
            continue;
        }
        for (std::size_t i = first_piece; i < last_piece; ++i) {
            read_raw(number, band, column, chunk.address, pieces[i]);
        }
    }
}

void ReadPlan::finish_rows(std::size_t number, std::size_t band, std::size_t first_piece) {
    const ReadJob& job = jobs_[number];
    const ChunkLayout& l = job.reader->layout();
    bool are_encoded = false;
    for (std::size_t column = 0; column < l.across(); ++column) {
        const StoredChunk& chunk = job.reader->chunk(band, column);
        if (chunk.address == StoredChunk::nowhere || !job.needs(column)) {
            continue;
        }
        if (!is_sound(number, band, column)) {
            return;
        }
        are_encoded = are_encoded || is_encoded(l, chunk);
    }
    // What is decoded for some rows is decoded again for others.
    const std::size_t at_once = std::max<std::size_t>(1, (are_encoded ? rows_bytes : task_bytes) / job.read_bytes());
    const std::vector<Piece> uncut(pieces.begin() + static_cast<std::ptrdiff_t>(first_piece), pieces.end());
    pieces.resize(first_piece);
    std::size_t taken = 0;
    const auto close = [&] {
        if (taken > 0) {
            tasks.push_back({number, TaskKind::rows, first_piece, pieces.size(), band});
            largest_rows = std::max(largest_rows, taken * job.read_bytes());
        }
        first_piece = pieces.size();
        taken = 0;
    };
    for (Piece piece : uncut) {
        while (piece.count > 0) {
            const std::size_t count = std::min(piece.count, at_once - taken);
            pieces.push_back({piece.row, count, piece.to});
            piece = {piece.row + count, piece.count - count, piece.to + count};
            taken += count;
            if (taken == at_once) {
                close();
            }
        }
    }
    close();
    largest = std::max(largest, are_encoded ? l.chunk_bytes() : std::size_t{1});
}

void ReadPlan::read_raw(std::size_t number, std::size_t band, std::size_t column, u64 address, const Piece& piece) {
    const ReadJob& job = jobs_[number];
    const ChunkLayout& l = job.reader->layout();
    const std::size_t at_once = l.has_whole_rows() ? std::max<std::size_t>(1, task_bytes / l.row_bytes) : 1;
    std::size_t run = piece.run;
    for (std::size_t done = 0; done < piece.count;) {
        const std::size_t count = std::min(at_once, piece.count - done);
        const std::size_t row = piece.row + done;
        const std::size_t bytes = l.has_whole_rows() ? count * l.row_bytes : l.width(column);
        if (tasks.empty() || tasks.back().kind != TaskKind::segments || tasks.back().job != number ||
            filled_ >= task_bytes) {
            tasks.push_back({number, TaskKind::segments, segments.size(), segments.size()});
            filled_ = 0;
        }
        segments.push_back(
            {address + row * l.chunk_row_bytes, bytes,
             job.out.data() + (piece.to + done) * job.row_bytes() + l.left(column) / l.item_bytes * job.items().bytes});
        const index_t first = static_cast<index_t>(band) * l.chunk_rows + static_cast<index_t>(row);
        while (first >= job.stops[run]) {
            ++run;
        }
        rows.push_back({first, static_cast<index_t>(count), run});
        tasks.back().last = segments.size();
        filled_ += bytes;
        done += count;
    }
}

void ReadPlan::blame(std::size_t number, std::size_t band, std::string what) {
    const ChunkLayout& l = jobs_[number].reader->layout();
    const index_t first = static_cast<index_t>(band) * l.chunk_rows;
    fault = {number, first, first + std::min(l.rows - first, l.chunk_rows) - 1, std::move(what)};
}

}  // namespace tombola
