// Any bytes as a chunk of any layout through any filters: damage is said, nothing is touched beyond the arrays, and
// rows that are taken one by one are those of the whole chunk.
#include <algorithm>
#include <array>
#include <memory>

#include "fuzz.hpp"
#include "rows/encoders.hpp"
#include "tombola/rows/chunks.hpp"

namespace tombola::fuzz {
namespace {

constexpr std::array items{1U, 2U, 3U, 4U, 8U};
constexpr std::array filters{ChunkFilter::deflate, ChunkFilter::shuffle, ChunkFilter::fletcher32, ChunkFilter::lzf,
                             ChunkFilter::lz4,     ChunkFilter::zstd,    ChunkFilter::blosc};
constexpr std::array types{"i1", "u2", "", "f4", "i8"};

ChunkLayout layout_of(Input& input) {
    const std::size_t item = items[input.within(0, items.size() - 1)];
    const std::size_t row_items = input.within(1, 6);
    ChunkLayout layout{static_cast<index_t>(input.within(1, 60)),
                       row_items * item,
                       static_cast<index_t>(input.within(1, 40)),
                       input.within(1, 8) * item,
                       item,
                       {},
                       {}};
    for (std::size_t left = input.within(0, 4); left > 0; --left) {
        layout.filters.push_back(filters[input.within(0, filters.size() - 1)]);
    }
    return layout;
}

// Rows of the first column of chunks, as pieces; nothing where the chunk is damaged or a value does not fit
std::vector<std::byte> rows_of(const ChunkLayout& layout, const StoredChunk& chunk, const Bytes& stored,
                               std::span<const Piece> pieces, OutputItems given) {
    ChunkDecoder decoder;
    std::byte* const to = decoder.stored(stored.size());
    std::copy_n(reinterpret_cast<const std::byte*>(stored.data()), stored.size(), to);
    const std::size_t row_bytes = layout.row_bytes / layout.item_bytes * given.bytes;
    std::vector<std::byte> out(static_cast<std::size_t>(layout.chunk_rows) * row_bytes);
    try {
        return decoder.decode(layout, test::stand_ins, chunk, 0, pieces, given, out.data()) ? out
                                                                                            : std::vector<std::byte>{};
    } catch (const ChunkDamage& damage) {
        require(!damage.what.empty(), "damage has a reason");
        return {};
    }
}

}  // namespace

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    // 4 rows of 2 items of 4 bytes; as they are, shuffled, in runs, as literals of lzf, and in runs that are shuffled
    for (const std::vector<int>& names : std::vector<std::vector<int>>{{}, {1}, {0}, {3}, {1, 0}}) {
        Output seed;
        seed.small(3, 1, 59, 3, 1, names.size());
        for (const int name : names) {
            seed.small(name);
        }
        seed.put<std::uint32_t>(0).small(0);
        if (!names.empty() && names.back() == 0) {
            seed.small(30, 1, 2, 5);
        } else {
            for (int i = 0; i < 32; ++i) {
                seed.small(i % 5);
            }
        }
        if (!names.empty() && names.back() == 3) {
            Output stream;
            stream.small(3, 1, 59, 3, 1, 1, 3).put<std::uint32_t>(0).small(0, 31);
            for (int i = 0; i < 32; ++i) {
                stream.small(i);
            }
            seed = stream;
        }
        all.push_back(seed.bytes());
    }
    return all;
}

}  // namespace tombola::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tombola;
    fuzz::Input input(data, size);
    const ChunkLayout layout = fuzz::layout_of(input);
    StoredChunk chunk{0, 0, input.take<std::uint32_t>()};
    const bool converts = input.take<std::uint8_t>() % 2 == 1;
    const fuzz::Bytes stored = input.rest();
    chunk.bytes = stored.size();
    if (!size_fault(layout, chunk).empty()) {
        return 0;
    }
    OutputItems given{layout.item_bytes};
    if (converts) {
        for (std::size_t i = 0; i < fuzz::items.size(); ++i) {
            if (fuzz::items[i] == layout.item_bytes && *fuzz::types[i] != '\0') {
                given = {8, converter(fuzz::types[i], "f8")};
            }
        }
    }
    const auto n = static_cast<std::size_t>(layout.chunk_rows);
    const Piece all{0, n, 0};
    std::vector<Piece> each;
    for (std::size_t row = n; row-- > 0;) {
        each.push_back({row, 1, row});
    }
    const auto whole = fuzz::rows_of(layout, chunk, stored, {&all, 1}, given);
    fuzz::require(whole == fuzz::rows_of(layout, chunk, stored, each, given), "rows are those of the whole chunk");
    return 0;
}
