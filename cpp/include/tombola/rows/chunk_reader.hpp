// Rows of data sets read from their files without the HDF5 library, of several data sets and files by one call: from a
// table of chunks, each chunk that holds a wanted row is read once and decoded once, and its rows are copied to their
// places; rows that went through no filter are read straight there. On all threads. O(bytes of the chunks touched).
//
// What is not in memory yet is asked for ahead, so that a disk has many reads at once to do (segments.hpp).
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tombola/base/types.hpp"
#include "tombola/rows/arriving_columns.hpp"
#include "tombola/rows/chunks.hpp"
#include "tombola/rows/files.hpp"
#include "tombola/rows/row_work.hpp"

namespace tombola {

class ChunkReader {
  public:
    // std::invalid_argument where the parts do not fit each other
    ChunkReader(std::shared_ptr<const DataFile> file, ChunkLayout layout, std::vector<StoredChunk> chunks,
                CodecLibraries libraries);

    const DataFile& file() const noexcept { return *file_; }
    const ChunkLayout& layout() const noexcept { return layout_; }
    const CodecLibraries& libraries() const noexcept { return libraries_; }
    const StoredChunk& chunk(std::size_t band, std::size_t column) const noexcept {
        return chunks_[band * layout_.across() + column];
    }
    // Whether it shares bytes of the file with another
    bool overlaps(std::size_t band, std::size_t column) const noexcept {
        return !overlapping_.empty() && std::ranges::binary_search(overlapping_, band * layout_.across() + column);
    }

  private:
    std::shared_ptr<const DataFile> file_;
    ChunkLayout layout_;
    std::vector<StoredChunk> chunks_;
    std::vector<std::size_t> overlapping_;
    CodecLibraries libraries_;
};

// Rows [starts[i], stops[i]) of a data set, by ascending starts (a run may come again), to the rows of `out` from
// places[i] on; without places one run after the other. Whoever gives places sees to it that runs do not meet there.
struct ReadJob {
    const ChunkReader* reader;
    std::span<const index_t> starts;
    std::span<const index_t> stops;
    std::span<const index_t> places;
    std::span<std::byte> out;
    Convert convert = nullptr;  // to items of so many bytes, where they are to be others
    std::size_t item_bytes = 0;
    const RowWork* work = nullptr;  // what rows become, of items as they are given out
    // Told of what came to `out`, where there is no work, and each run, none of them empty, has a place and is the
    // columns of one row of a CSR matrix
    ArrivingColumns* columns = nullptr;

    OutputItems items() const noexcept {
        return {convert == nullptr ? reader->layout().item_bytes : item_bytes, convert};
    }
    // Bytes of a row as it is read, and of one of `out`
    std::size_t read_bytes() const noexcept {
        return reader->layout().row_bytes / reader->layout().item_bytes * items().bytes;
    }
    std::size_t row_bytes() const noexcept { return work == nullptr ? read_bytes() : work->out_bytes; }
    // Whether the chunks of a column are looked at
    bool needs(std::size_t column) const noexcept {
        const ChunkLayout& l = reader->layout();
        return work == nullptr || work->needs(l.left(column) / l.item_bytes, l.width(column) / l.item_bytes);
    }
};

// Why rows cannot be read; `what` is empty where a value among them does not fit the type it is to be given as
struct ReadFault {
    std::size_t job;
    index_t first_row;
    index_t last_row;
    std::string what;
};

// std::invalid_argument where runs do not ascend, or do not fit their data set or `out`; the first fault that is met,
// if there is one: `out` is half filled then.
std::optional<ReadFault> read_rows(std::span<const ReadJob> jobs);

}  // namespace tombola
