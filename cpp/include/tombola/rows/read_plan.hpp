// What a call of `read_rows` has to do, as tasks that do not depend on each other: chunks that are to be decoded,
// stretches of rows that went through no filter, about half a megabyte each, and rows that become others, as many as
// lie in the same chunks, up to 32 MB. O(runs + chunks touched).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tombola/rows/chunk_reader.hpp"
#include "tombola/rows/segments.hpp"

namespace tombola {

enum class TaskKind { segments, chunk, rows };

struct ReadTask {
    std::size_t job;
    TaskKind kind;
    std::size_t first;  // of segments, else of pieces
    std::size_t last;
    std::size_t band = 0;
    std::size_t column = 0;
};

// Where in the data set a segment's rows lie, and of which run the first one is
struct SegmentRows {
    index_t first;
    index_t count;
    std::size_t run;
};

class ReadPlan {
  public:
    // As read_rows; `fault` is where a chunk cannot be what its table says.
    explicit ReadPlan(std::span<const ReadJob> jobs);

    // Of a task that has pieces
    std::span<const Piece> pieces_of(const ReadTask& task) const {
        return std::span(pieces).subspan(task.first, task.last - task.first);
    }
    // Of one that has segments
    std::span<const Segment> segments_of(const ReadTask& task) const {
        return std::span(segments).subspan(task.first, task.last - task.first);
    }

    std::vector<ReadTask> tasks;
    std::vector<Piece> pieces;
    std::vector<Segment> segments;
    std::vector<SegmentRows> rows;  // of each segment
    std::size_t largest = 1;        // bytes of a chunk that is to be decoded
    std::size_t largest_rows = 0;   // bytes of the rows of a task, as they are read
    std::optional<ReadFault> fault;

  private:
    void plan(std::size_t number);
    void add(const Piece& piece, std::size_t first_piece);
    // Makes tasks of the pieces of a band.
    void finish(std::size_t number, std::size_t band, std::size_t first_piece);
    void finish_rows(std::size_t number, std::size_t band, std::size_t first_piece);
    // Whether a chunk can be what the table says; else that is the fault.
    bool is_sound(std::size_t number, std::size_t band, std::size_t column);
    void read_raw(std::size_t number, std::size_t band, std::size_t column, u64 address, const Piece& piece);
    void blame(std::size_t number, std::size_t band, std::string what);

    std::span<const ReadJob> jobs_;
    std::size_t filled_ = 0;  // bytes of the last task, if it is of segments
};

}  // namespace tombola
