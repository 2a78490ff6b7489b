// What a call of `read_rows` has to do, as tasks that do not depend on each other: chunks that are to be decoded, and
// stretches of rows that went through no filter, about half a megabyte each. O(runs + chunks touched).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tombola/rows/chunk_reader.hpp"
#include "tombola/rows/segments.hpp"

namespace tombola {

struct ReadTask {
    std::size_t job;
    bool is_encoded;
    std::size_t first;  // of pieces or segments
    std::size_t last;
    std::size_t band = 0;
    std::size_t column = 0;
};

// Where in the data set a segment's rows lie
struct SegmentRows {
    index_t first;
    index_t count;
};

class ReadPlan {
  public:
    // As read_rows; `fault` is where a chunk cannot be what its table says.
    explicit ReadPlan(std::span<const ReadJob> jobs);

    std::vector<ReadTask> tasks;
    std::vector<Piece> pieces;
    std::vector<Segment> segments;
    std::vector<SegmentRows> rows;  // of each segment
    std::size_t largest = 1;        // bytes of a chunk that is to be decoded
    std::optional<ReadFault> fault;

  private:
    void plan(std::size_t number);
    void add(const Piece& piece, std::size_t first_piece);
    // Makes tasks of the pieces of a band.
    void finish(std::size_t number, std::size_t band, std::size_t first_piece);
    void read_raw(std::size_t number, std::size_t band, std::size_t column, u64 address, const Piece& piece);
    void blame(std::size_t number, std::size_t band, std::string what);

    std::span<const ReadJob> jobs_;
    std::size_t filled_ = 0;  // bytes of the last task, if it is of segments
};

}  // namespace tombola
