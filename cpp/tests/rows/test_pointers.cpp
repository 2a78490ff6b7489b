// Packed row pointers against the indptr that they were made of: all widths of lengths, any pieces, blocks that end
// early, rows without values; wrong entries are refused by their row.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/rows/pointers.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

std::vector<index_t> indptr_of(const std::vector<u64>& lengths) {
    std::vector<index_t> indptr{0};
    for (const u64 length : lengths) {
        indptr.push_back(indptr.back() + static_cast<index_t>(length));
    }
    return indptr;
}

// Lengths of up to so many bits, above a shortest one
std::vector<u64> some_lengths(std::size_t n, unsigned bits, u64 shortest) {
    std::vector<u64> lengths;
    for (std::size_t row = 0; row < n; ++row) {
        lengths.push_back(shortest + (bits == 0 ? 0 : noise(row, bits) >> (64U - bits)));
    }
    return lengths;
}

template <typename T>
void add(RowPointers& pointers, const std::vector<T>& entries, const char* unit) {
    pointers.append(std::span<const T>(entries), unit);
}

RowPointers packed(const std::vector<index_t>& indptr, std::size_t piece) {
    RowPointers pointers;
    for (std::size_t at = 0; at < indptr.size(); at += piece) {
        pointers.append(std::span(indptr).subspan(at, std::min(piece, indptr.size() - at)), "row");
    }
    pointers.finish();
    return pointers;
}

void check_all(const std::vector<index_t>& indptr, const RowPointers& pointers) {
    const std::size_t n = indptr.size() - 1;
    CHECK_EQ(static_cast<std::size_t>(pointers.n_rows()), n);
    CHECK_EQ(pointers.n_values(), indptr.back());
    std::vector<index_t> back(n + 1, -1);
    pointers.unpack(back);
    CHECK(back == indptr);
    std::vector<index_t> rows(n);
    std::iota(rows.begin(), rows.end(), index_t{0});
    std::vector<index_t> starts(n);
    std::vector<index_t> stops(n);
    std::vector<index_t> lengths(n);
    for (int turn = 0; turn < 3; ++turn) {  // in order, backwards, every third row
        pointers.ranges(rows, starts, stops);
        pointers.lengths(rows, lengths);
        bool equal = true;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const std::size_t row = static_cast<std::size_t>(rows[i]);
            equal =
                equal && starts[i] == indptr[row] && stops[i] == indptr[row + 1] && lengths[i] == stops[i] - starts[i];
        }
        CHECK(equal);
        if (turn == 0) {
            std::reverse(rows.begin(), rows.end());
        } else {
            for (std::size_t i = 0; i < rows.size(); ++i) {
                rows[i] = static_cast<index_t>(i * 3 % n);
            }
        }
    }
    bool found = true;
    for (std::size_t i = 0; i <= n; ++i) {
        for (const index_t position : {indptr[i] - 1, indptr[i]}) {
            const auto after = std::upper_bound(indptr.begin(), indptr.end(), position);
            found = found && pointers.row_of(position) == after - indptr.begin() - 1;
        }
    }
    CHECK(found);
}

}  // namespace

TEST(lengths_of_every_width) {
    for (unsigned bits = 0; bits <= 54; ++bits) {
        const auto indptr = indptr_of(some_lengths(300, bits, bits % 3 == 0 ? 1000 : 0));
        check_all(indptr, packed(indptr, 77));
    }
}

TEST(one_row_as_long_as_can_be) {
    for (const std::size_t at :
         {std::size_t{0}, std::size_t{63}, std::size_t{127}, std::size_t{128}, std::size_t{199}}) {
        std::vector<u64> lengths(200, 0);
        lengths[at] = static_cast<u64>(std::numeric_limits<index_t>::max());
        const auto indptr = indptr_of(lengths);
        check_all(indptr, packed(indptr, 1000));
    }
}

TEST(blocks_that_end_early_and_pieces_of_any_size) {
    for (const std::size_t n : {1U, 2U, 63U, 64U, 65U, 127U, 128U, 129U, 255U, 256U, 257U, 1000U}) {
        for (const std::size_t piece : {1U, 2U, 127U, 128U, 129U, 5000U}) {
            const auto indptr = indptr_of(some_lengths(n, 11, 0));
            check_all(indptr, packed(indptr, piece));
        }
    }
}

TEST(rows_without_values) {
    std::vector<u64> lengths(1000, 0);
    for (std::size_t row = 0; row < lengths.size(); row += row < 500 ? 3 : 170) {
        lengths[row] = 7;
    }
    const auto indptr = indptr_of(lengths);
    check_all(indptr, packed(indptr, 64));
    check_all(std::vector<index_t>(400, 0), packed(std::vector<index_t>(400, 0), 64));
}

TEST(no_rows) {
    const RowPointers pointers = packed({0}, 1);
    CHECK_EQ(pointers.n_rows(), 0);
    CHECK_EQ(pointers.row_of(0), 0);
    CHECK_EQ(pointers.row_of(-1), -1);
    std::vector<index_t> none;
    std::vector<index_t> one{0};
    pointers.ranges(none, none, none);
    CHECK_THROWS_WITH(std::out_of_range, "rows must be in [0, 0), but one is 0", pointers.lengths(one, one));
}

TEST(memory_is_below_two_bytes_a_row) {
    const auto indptr = indptr_of(some_lengths(100'000, 13, 200));
    CHECK(packed(indptr, 4096).memory() < 2 * indptr.size());
    for (const index_t expected : {index_t{100'000}, index_t{1}, std::numeric_limits<index_t>::max()}) {
        RowPointers pointers(expected);
        add(pointers, indptr, "row");
        pointers.finish();
        CHECK(pointers.memory() < 2 * indptr.size());
        check_all(indptr, pointers);
    }
    const auto equal = indptr_of(some_lengths(100'000, 0, 1000));
    CHECK(packed(equal, 4096).memory() < equal.size() / 4);
}

TEST(rows_out_of_range) {
    const auto indptr = indptr_of(some_lengths(130, 5, 0));
    const RowPointers pointers = packed(indptr, 50);
    for (const index_t row : {index_t{-1}, index_t{130}, std::numeric_limits<index_t>::min()}) {
        std::vector<index_t> rows{3, row};
        std::vector<index_t> starts(2);
        std::vector<index_t> stops(2);
        const std::string text = "rows must be in [0, 130), but one is " + std::to_string(row);
        CHECK_THROWS_WITH(std::out_of_range, text, pointers.ranges(rows, starts, stops));
        CHECK_THROWS_WITH(std::out_of_range, text, pointers.lengths(rows, starts));
    }
}

TEST(wrong_entries) {
    const auto refused = []<typename T>(const std::vector<T>& entries, const char* text) {
        RowPointers pointers;
        CHECK_THROWS_WITH(std::invalid_argument, text, add(pointers, entries, "column"));
    };
    refused(std::vector<std::int32_t>{3, 4}, "must begin with 0, but begins with 3");
    refused(std::vector<std::int64_t>{-1, 4}, "must begin with 0, but begins with -1");
    refused(std::vector<std::int16_t>{0, 5, 4, 9}, "must not decrease, but goes from 5 to 4 at column 1");
    refused(std::vector<std::int8_t>{0, -5}, "must not decrease, but goes from 0 to -5 at column 0");
    refused(std::vector<u64>{0, u64{1} << 63U}, "must hold entries below 2**63, but has 9223372036854775808");
    RowPointers pointers;
    add(pointers, std::vector<u32>(200, 0), "row");
    CHECK_THROWS_WITH(std::invalid_argument, "must not decrease, but goes from 9 to 8 at row 201",
                      add(pointers, std::vector<std::int64_t>{0, 9, 8}, "row"));
}
