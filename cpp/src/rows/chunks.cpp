#include "tombola/rows/chunks.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "tombola/rows/filters.hpp"

namespace tombola {
namespace {

constexpr std::size_t checksum_bytes = 4;

[[noreturn]] void fail(std::string what) { throw ChunkDamage{std::move(what)}; }

std::byte* grown(std::unique_ptr<Buffer<std::byte>>& buffer, std::size_t bytes) {
    if (!buffer || buffer->size() < bytes) {
        buffer.reset();
        buffer = std::make_unique<Buffer<std::byte>>(bytes);
    }
    return buffer->data();
}

// Copies pieces of a decoded chunk to their places.
class Places {
  public:
    Places(const ChunkLayout& layout, std::size_t column, std::span<const Piece> pieces, OutputItems items,
           std::byte* out)
        : layout_(layout),
          pieces_(pieces),
          items_(items),
          row_bytes_(layout.row_bytes / layout.item_bytes * items.bytes),
          out_(out + layout.left(column) / layout.item_bytes * items.bytes),
          width_(layout.width(column)) {}

    // Where the chunk belongs as a whole, one row after the other; nullptr if it does not
    std::byte* whole() const noexcept {
        const bool is_whole = pieces_.size() == 1 && layout_.has_whole_rows() && !converts() &&
                              pieces_[0].count == static_cast<std::size_t>(layout_.chunk_rows);
        return is_whole ? place(pieces_[0].to) : nullptr;
    }
    bool converts() const noexcept { return items_.convert != nullptr; }
    // Bytes of the chunk that are wanted
    std::vector<ByteRange> ranges() const {
        std::vector<ByteRange> found;
        for (const Piece& piece : pieces_) {
            found.push_back({piece.row * layout_.chunk_row_bytes, (piece.row + piece.count) * layout_.chunk_row_bytes});
        }
        return found;
    }
    bool copy(const std::byte* rows) const {
        bool fits = true;
        each([&](std::size_t row, std::size_t bytes, std::byte* to) {
            const std::byte* const from = rows + row * layout_.chunk_row_bytes;
            if (converts()) {
                fits &= items_.convert(from, bytes / layout_.item_bytes, to);
            } else {
                std::memcpy(to, from, bytes);
            }
        });
        return fits;
    }
    void unshuffle_from(const std::byte* data, std::size_t items) const {
        const std::size_t item = layout_.item_bytes;
        each([&](std::size_t row, std::size_t bytes, std::byte* to) {
            unshuffle(data, items, item, row * layout_.chunk_row_bytes / item, bytes / item, to);
        });
    }

  private:
    std::byte* place(std::size_t row) const noexcept { return out_ + row * row_bytes_; }

    template <typename Body>
    void each(Body body) const {
        for (const Piece& piece : pieces_) {
            if (layout_.has_whole_rows()) {
                body(piece.row, piece.count * width_, place(piece.to));
                continue;
            }
            for (std::size_t r = 0; r < piece.count; ++r) {
                body(piece.row + r, width_, place(piece.to + r));
            }
        }
    }

    const ChunkLayout& layout_;
    std::span<const Piece> pieces_;
    OutputItems items_;
    std::size_t row_bytes_;
    std::byte* out_;
    std::size_t width_;
};

// How many bytes are left without the checksum at their end
std::size_t without_checksum(const std::byte* data, std::size_t bytes) {
    if (bytes < checksum_bytes) {
        fail("the chunk is too short for its checksum");
    }
    bytes -= checksum_bytes;
    std::uint32_t kept = 0;
    std::memcpy(&kept, data + bytes, checksum_bytes);
    const std::uint32_t made = fletcher32(data, bytes);
    const std::uint32_t swapped = (made & 0xff00ffU) << 8U | (made >> 8U & 0xff00ffU);  // of HDF5 before 1.6.3
    if (kept != made && kept != swapped) {
        fail("the chunk's checksum is not that of its bytes");
    }
    return bytes;
}

}  // namespace

bool is_encoded(const ChunkLayout& layout, const StoredChunk& chunk) noexcept {
    const std::uint64_t all = (std::uint64_t{1} << layout.filters.size()) - 1;
    return (~std::uint64_t{chunk.skipped} & all) != 0;
}

std::byte* ChunkDecoder::stored(std::size_t bytes) { return grown(stored_, bytes); }

// Scratch space that is not `other`
std::byte* ChunkDecoder::scratch(std::size_t bytes, const std::byte* other) {
    auto& buffer = scratch_[0] && scratch_[0]->data() == other ? scratch_[1] : scratch_[0];
    return grown(buffer, bytes);
}

void ChunkDecoder::expand(ChunkFilter filter, const Encoded& stream, std::span<const ByteRange> ranges) {
    switch (filter) {
        case ChunkFilter::deflate:
            return codecs_.inflate(stream);
        case ChunkFilter::lzf:
            return codecs_.lzf(stream);
        case ChunkFilter::lz4:
            return codecs_.lz4_blocks(stream);
        case ChunkFilter::zstd:
            return codecs_.zstd(stream);
        case ChunkFilter::blosc:
            return blosc_.decode(stream, ranges);
        case ChunkFilter::shuffle:
        case ChunkFilter::fletcher32:
            break;  // which compress nothing, and are not asked for
    }
}

bool ChunkDecoder::decode(const ChunkLayout& layout, const CodecLibraries& libraries, const StoredChunk& chunk,
                          std::size_t column, std::span<const Piece> pieces, OutputItems out_items, std::byte* out) {
    codecs_.use(libraries);
    const Places places(layout, column, pieces, out_items, out);
    std::vector<std::size_t> active;
    std::size_t checksums = 0;
    for (std::size_t f = 0; f < layout.filters.size(); ++f) {
        if ((chunk.skipped >> f & 1U) == 0) {
            active.push_back(f);
            checksums += static_cast<std::size_t>(layout.filters[f] == ChunkFilter::fletcher32);
        }
    }
    const std::byte* data = stored_->data();
    std::size_t bytes = static_cast<std::size_t>(chunk.bytes);
    for (std::size_t k = active.size(); k-- > 0;) {
        const ChunkFilter filter = layout.filters[active[k]];
        if (filter == ChunkFilter::fletcher32) {
            --checksums;
            bytes = without_checksum(data, bytes);
            continue;
        }
        if (filter == ChunkFilter::shuffle) {
            const std::size_t items = bytes / layout.item_bytes;
            if (k == 0 && bytes == layout.chunk_bytes() && !places.converts()) {
                places.unshuffle_from(data, items);
                return true;
            }
            std::byte* const to = scratch(bytes, data);
            unshuffle(data, items, layout.item_bytes, 0, items, to);
            std::copy(data + items * layout.item_bytes, data + bytes, to + items * layout.item_bytes);
            data = to;
            continue;
        }
        const std::size_t wanted = layout.chunk_bytes() + checksums * checksum_bytes;
        std::byte* const whole = k == 0 ? places.whole() : nullptr;
        std::byte* const to = whole != nullptr ? whole : scratch(wanted, data);
        const std::vector<ByteRange> ranges = k == 0 ? places.ranges() : std::vector<ByteRange>{{0, wanted}};
        expand(filter, {data, bytes, to, wanted}, ranges);
        if (whole != nullptr) {
            return true;
        }
        data = to;
        bytes = wanted;
    }
    if (bytes != layout.chunk_bytes()) {
        fail("the chunk has " + std::to_string(bytes) + " bytes instead of " + std::to_string(layout.chunk_bytes()));
    }
    return places.copy(data);
}

bool fill_rows(const ChunkLayout& layout, std::size_t column, std::span<const Piece> pieces, OutputItems items,
               std::byte* out) {
    std::array<std::byte, 16> given{};
    const std::byte* fill = layout.fill.data();
    bool fits = true;
    if (items.convert != nullptr) {
        fits = items.convert(fill, 1, given.data());
        fill = given.data();
    }
    const std::size_t row_items = layout.row_bytes / layout.item_bytes;
    const std::size_t left = layout.left(column) / layout.item_bytes;
    const std::size_t width = layout.width(column) / layout.item_bytes;
    for (const Piece& piece : pieces) {
        for (std::size_t r = 0; r < piece.count; ++r) {
            std::byte* const to = out + ((piece.to + r) * row_items + left) * items.bytes;
            for (std::size_t i = 0; i < width; ++i) {
                std::memcpy(to + i * items.bytes, fill, items.bytes);
            }
        }
    }
    return fits;
}

}  // namespace tombola
