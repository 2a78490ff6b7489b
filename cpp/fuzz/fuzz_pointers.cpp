// Any numbers as indptr, in pieces: refused as they should be, or rows are where they say.
#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "fuzz.hpp"
#include "tombola/rows/pointers.hpp"

namespace tombola::fuzz {
namespace {

constexpr std::size_t most_entries = 400;  // three blocks
constexpr std::size_t some_rows = 40;

template <typename T>
bool is_sound(const std::vector<T>& entries) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (i == 0 ? entries[i] != T{0} : entries[i] < entries[i - 1]) {
            return false;
        }
        if constexpr (std::is_same_v<T, u64>) {
            if (entries[i] > static_cast<u64>(std::numeric_limits<index_t>::max())) {
                return false;
            }
        }
    }
    return true;
}

template <typename T>
std::optional<RowPointers> pointers_of(const std::vector<T>& entries, std::size_t piece, index_t expected) {
    RowPointers pointers(expected);
    try {
        for (std::size_t at = 0; at < entries.size(); at += piece) {
            const std::vector<T> part(
                entries.begin() + static_cast<std::ptrdiff_t>(at),
                entries.begin() + static_cast<std::ptrdiff_t>(std::min(at + piece, entries.size())));
            pointers.append(std::span<const T>(part), "row");
        }
    } catch (const std::invalid_argument&) {
        return std::nullopt;
    }
    pointers.finish();
    return pointers;
}

template <typename T>
void check(Input& input) {
    const std::size_t piece = input.within(1, 200);
    const auto expected = static_cast<index_t>(input.take<u16>());
    const bool adds_up = input.within(0, 1) == 1;
    std::vector<T> entries;
    if (adds_up) {
        entries.push_back(0);
    }
    while (input.size() > 0 && entries.size() < most_entries) {
        const T before = entries.empty() ? T{0} : entries.back();
        const u64 value =
            adds_up ? static_cast<u64>(before) + input.take<std::uint8_t>() : static_cast<u64>(input.take<T>());
        entries.push_back(static_cast<T>(value));
    }
    const std::optional<RowPointers> pointers = pointers_of(entries, piece, expected);
    require(pointers.has_value() == is_sound(entries), "what is refused is what does not rise from 0");
    if (!pointers || entries.empty()) {
        return;
    }
    const std::size_t n = entries.size() - 1;
    require(pointers->n_rows() == static_cast<index_t>(n), "as many rows");
    require(pointers->n_values() == static_cast<index_t>(entries.back()), "as many values");
    std::vector<index_t> indptr(n + 1);
    pointers->unpack(indptr);
    std::vector<index_t> rows;
    for (std::size_t i = 0; i < std::min(n, some_rows); ++i) {
        rows.push_back(static_cast<index_t>((i * 37 + 3) % n));
    }
    std::vector<index_t> starts(rows.size());
    std::vector<index_t> stops(rows.size());
    std::vector<index_t> lengths(rows.size());
    pointers->ranges(rows, starts, stops);
    pointers->lengths(rows, lengths);
    for (std::size_t row = 0; row <= n; ++row) {
        require(indptr[row] == static_cast<index_t>(entries[row]), "indptr comes back");
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto row = static_cast<std::size_t>(rows[i]);
        require(starts[i] == indptr[row] && stops[i] == indptr[row + 1], "rows begin and end there");
        require(lengths[i] == stops[i] - starts[i], "and are so long");
        require(starts[i] == stops[i] || pointers->row_of(starts[i]) == rows[i], "a position leads to its row");
    }
}

}  // namespace

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    for (int type = 0; type < 4; ++type) {
        Output sums;
        sums.small(type, 99).put<u16>(300).small(1);
        for (int i = 0; i < 300; ++i) {
            sums.small(type == 0 ? i % 3 == 0 : i * 11 % 250);
        }
        all.push_back(sums.bytes());
    }
    Output entries;
    entries.small(3, 1).put<u16>(0).small(0);
    for (const u64 entry : {u64{0}, u64{5}, u64{1} << 40U, u64{1} << 62U, ~u64{0} >> 1U}) {
        entries.put(entry);
    }
    all.push_back(entries.bytes());
    return all;
}

}  // namespace tombola::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tombola;
    fuzz::Input input(data, size);
    switch (input.within(0, 4)) {
        case 0:
            fuzz::check<std::uint8_t>(input);
            break;
        case 1:
            fuzz::check<std::int32_t>(input);
            break;
        case 2:
            fuzz::check<u32>(input);
            break;
        case 3:
            fuzz::check<u64>(input);
            break;
        default:
            fuzz::check<index_t>(input);
    }
    return 0;
}
