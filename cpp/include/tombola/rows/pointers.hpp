// Where each row of a CSR matrix begins, packed: below 2 bytes a row where rows hold less than 2^14 values.
//
// Rule: rows go in blocks of 128. A block has the start of its first row, its shortest length, and what each length is
// above that in as many bits as the longest needs: none where all rows are equally long. The start of a row is summed
// from the nearer end of its block, so a look costs at most 64 lengths, and the next row one more.
// Build O(n), one pass over pieces; `ranges` O(1) a row; `row_of` O(log n). Immutable once `finish` was called.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "tombola/base/types.hpp"

namespace tombola {

class RowPointers {
  public:
    static constexpr std::size_t block_rows = 128;

    // `expected`: about how many rows there will be; memory is reserved for them, within reason.
    explicit RowPointers(index_t expected = 0) : expected_(expected) {}
    // Appends entries of indptr; std::invalid_argument where the first of all is not 0 or one is lower than that
    // before. `unit` is what messages call a row.
    template <typename T>
    void append(std::span<const T> entries, const char* unit);
    // Ends building: gives back what was reserved in vain.
    void finish();

    index_t n_rows() const noexcept { return n_rows_; }
    index_t n_values() const noexcept { return last_; }  // the last entry
    std::size_t memory() const noexcept;                 // bytes

    // starts, stops: as many as rows; std::out_of_range where a row is not in [0, n_rows)
    void ranges(std::span<const index_t> rows, std::span<index_t> starts, std::span<index_t> stops) const;
    void lengths(std::span<const index_t> rows, std::span<index_t> lengths) const;
    // The last row that begins at a position or before; n_rows for positions from n_values on, -1 for negative ones.
    index_t row_of(index_t position) const noexcept;
    // indptr as it was, n_rows + 1 entries
    void unpack(std::span<index_t> indptr) const;

  private:
    struct Block {
        index_t start;  // of its first row
        u64 shortest;
        u64 place;  // first word of its lengths, times 128, plus the bits of each
    };
    // One row's length within a block
    u64 length_at(const Block& block, std::size_t at) const noexcept;
    u64 sum(const Block& block, std::size_t first, std::size_t last) const noexcept;
    index_t start_of(index_t row) const noexcept;
    void check(index_t row) const;
    void close_block();
    void reserve();

    std::vector<Block> blocks_;
    std::vector<u64> words_;
    index_t expected_;
    index_t n_rows_ = 0;
    index_t last_ = 0;
    bool begun_ = false;
    std::array<u64, block_rows> open_{};  // lengths of the block that is being filled
    std::size_t n_open_ = 0;
};

}  // namespace tombola
