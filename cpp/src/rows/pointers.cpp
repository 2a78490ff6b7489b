#include "tombola/rows/pointers.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace tombola {
namespace {

constexpr unsigned bits_of_width = 7;  // widths are 0 to 64
constexpr unsigned word_bits = 64;
constexpr double most_reserved = double{1U << 26U};  // bytes: a file may promise more rows than it has
constexpr double spare = 1.05;

u64 mask_of(unsigned width) noexcept { return width == word_bits ? ~u64{0} : (u64{1} << width) - 1; }

// The value of `width` bits at a place of a row of words; the words end with one that is spare.
u64 unpacked(const u64* words, std::size_t at, unsigned width) noexcept {
    const std::size_t bit = at * width;
    const std::size_t word = bit / word_bits;
    const unsigned shift = static_cast<unsigned>(bit % word_bits);
    // Two shifts, as one by 64 is undefined
    return ((words[word] >> shift) | ((words[word + 1] << 1U) << (word_bits - 1 - shift))) & mask_of(width);
}

template <typename T>
[[noreturn]] void refuse_first(T value) {
    throw std::invalid_argument("must begin with 0, but begins with " + std::to_string(value));
}

}  // namespace

template <typename T>
void RowPointers::append(std::span<const T> entries, const char* unit) {
    std::size_t i = 0;
    if (!begun_ && !entries.empty()) {
        if (entries[0] != T{0}) {
            refuse_first(entries[0]);
        }
        begun_ = true;
        i = 1;
    }
    index_t last = last_;
    for (; i < entries.size(); ++i) {
        const T entry = entries[i];
        if constexpr (std::is_same_v<T, u64>) {
            if (entry > static_cast<u64>(std::numeric_limits<index_t>::max())) {
                throw std::invalid_argument("must hold entries below 2**63, but has " + std::to_string(entry) +
                                            " at the end of " + unit + " " + std::to_string(n_rows_));
            }
        }
        const index_t next = static_cast<index_t>(entry);
        if (next < last) {
            throw std::invalid_argument("must not decrease, but goes from " + std::to_string(last) + " to " +
                                        std::to_string(next) + " at " + unit + " " + std::to_string(n_rows_));
        }
        open_[n_open_++] = static_cast<u64>(next - last);
        last = next;
        ++n_rows_;
        if (n_open_ == block_rows) {
            last_ = last;
            close_block();
        }
    }
    last_ = last;
    if (expected_ > n_rows_ && !blocks_.empty()) {
        reserve();
        expected_ = 0;
    }
}

// Room for all rows, if they are as those so far: vectors that grow step by step leave holes in the heap.
void RowPointers::reserve() {
    const double rows = static_cast<double>(expected_);
    const double words = rows * spare * static_cast<double>(words_.size()) / static_cast<double>(n_rows_);
    const double blocks = rows / static_cast<double>(block_rows) + 1;
    words_.reserve(static_cast<std::size_t>(std::min(words, most_reserved / sizeof(u64))));
    blocks_.reserve(static_cast<std::size_t>(std::min(blocks, most_reserved / sizeof(Block))));
}

template void RowPointers::append(std::span<const std::int8_t>, const char*);
template void RowPointers::append(std::span<const std::int16_t>, const char*);
template void RowPointers::append(std::span<const std::int32_t>, const char*);
template void RowPointers::append(std::span<const std::int64_t>, const char*);
template void RowPointers::append(std::span<const std::uint8_t>, const char*);
template void RowPointers::append(std::span<const u16>, const char*);
template void RowPointers::append(std::span<const u32>, const char*);
template void RowPointers::append(std::span<const u64>, const char*);

void RowPointers::close_block() {
    u64 shortest = ~u64{0};
    u64 longest = 0;
    u64 total = 0;
    for (std::size_t i = 0; i < n_open_; ++i) {
        shortest = std::min(shortest, open_[i]);
        longest = std::max(longest, open_[i]);
        total += open_[i];
    }
    const unsigned width = static_cast<unsigned>(std::bit_width(longest - shortest));
    const std::size_t first = words_.size();
    words_.resize(first + (n_open_ * width + word_bits - 1) / word_bits);
    u64* word = words_.data() + first;
    u64 gathered = 0;
    unsigned used = 0;
    for (std::size_t i = 0; width > 0 && i < n_open_; ++i) {
        const u64 above = open_[i] - shortest;
        gathered |= above << used;
        used += width;
        if (used >= word_bits) {
            *word++ = gathered;
            used -= word_bits;
            gathered = used == 0 ? 0 : above >> (width - used);
        }
    }
    if (used > 0) {
        *word = gathered;
    }
    blocks_.push_back(
        {last_ - static_cast<index_t>(total), shortest, (static_cast<u64>(first) << bits_of_width) | width});
    n_open_ = 0;
}

void RowPointers::finish() {
    if (n_open_ > 0) {
        close_block();
    }
    words_.push_back(0);
    // What was reserved and not touched takes no memory; to shrink is a copy.
    if (words_.capacity() / 8 > words_.size() / 7) {
        words_.shrink_to_fit();
    }
    if (blocks_.capacity() / 8 > blocks_.size() / 7) {
        blocks_.shrink_to_fit();
    }
}

std::size_t RowPointers::memory() const noexcept {
    return sizeof(*this) + blocks_.size() * sizeof(Block) + words_.size() * sizeof(u64);
}

u64 RowPointers::length_at(const Block& block, std::size_t at) const noexcept {
    const unsigned width = static_cast<unsigned>(block.place & ((1U << bits_of_width) - 1));
    if (width == 0) {
        return block.shortest;
    }
    return block.shortest + unpacked(words_.data() + (block.place >> bits_of_width), at, width);
}

u64 RowPointers::sum(const Block& block, std::size_t first, std::size_t last) const noexcept {
    const unsigned width = static_cast<unsigned>(block.place & ((1U << bits_of_width) - 1));
    u64 total = block.shortest * (last - first);
    if (width > 0) {
        const u64* const words = words_.data() + (block.place >> bits_of_width);
        for (std::size_t at = first; at < last; ++at) {
            total += unpacked(words, at, width);
        }
    }
    return total;
}

index_t RowPointers::start_of(index_t row) const noexcept {
    const std::size_t number = static_cast<std::size_t>(row) / block_rows;
    const std::size_t at = static_cast<std::size_t>(row) % block_rows;
    const Block& block = blocks_[number];
    const std::size_t rows = std::min(block_rows, static_cast<std::size_t>(n_rows_) - number * block_rows);
    if (at <= rows / 2) {
        return block.start + static_cast<index_t>(sum(block, 0, at));
    }
    const index_t end = number + 1 < blocks_.size() ? blocks_[number + 1].start : last_;
    return end - static_cast<index_t>(sum(block, at, rows));
}

void RowPointers::check(index_t row) const {
    if (row < 0 || row >= n_rows_) {
        throw std::out_of_range("rows must be in [0, " + std::to_string(n_rows_) + "), but one is " +
                                std::to_string(row));
    }
}

void RowPointers::ranges(std::span<const index_t> rows, std::span<index_t> starts, std::span<index_t> stops) const {
    index_t before = -1;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const index_t row = rows[i];
        check(row);
        const index_t start = before >= 0 && row == before + 1 ? stops[i - 1] : start_of(row);
        const std::size_t place = static_cast<std::size_t>(row);
        starts[i] = start;
        stops[i] = start + static_cast<index_t>(length_at(blocks_[place / block_rows], place % block_rows));
        before = row;
    }
}

void RowPointers::lengths(std::span<const index_t> rows, std::span<index_t> lengths) const {
    for (std::size_t i = 0; i < rows.size(); ++i) {
        check(rows[i]);
        const std::size_t place = static_cast<std::size_t>(rows[i]);
        lengths[i] = static_cast<index_t>(length_at(blocks_[place / block_rows], place % block_rows));
    }
}

index_t RowPointers::row_of(index_t position) const noexcept {
    if (position < 0) {
        return -1;
    }
    if (position >= last_) {
        return n_rows_;
    }
    // Blocks of empty rows share a start: the last of them is the one.
    const auto after = std::upper_bound(blocks_.begin(), blocks_.end(), position,
                                        [](index_t at, const Block& block) { return at < block.start; });
    const std::size_t number = static_cast<std::size_t>(after - blocks_.begin()) - 1;
    const Block& block = blocks_[number];
    const std::size_t rows = std::min(block_rows, static_cast<std::size_t>(n_rows_) - number * block_rows);
    index_t stop = block.start;
    std::size_t at = 0;
    while (at < rows) {
        stop += static_cast<index_t>(length_at(block, at));
        if (stop > position) {
            break;
        }
        ++at;
    }
    return static_cast<index_t>(number * block_rows + at);
}

void RowPointers::unpack(std::span<index_t> indptr) const {
    index_t entry = 0;
    indptr[0] = 0;
    for (std::size_t row = 0; row < static_cast<std::size_t>(n_rows_); ++row) {
        entry += static_cast<index_t>(length_at(blocks_[row / block_rows], row % block_rows));
        indptr[row + 1] = entry;
    }
}

}  // namespace tombola
