#include "tombola/rows/chunks.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "tombola/base/buffer.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/rows/filters.hpp"

namespace tombola {
namespace {

constexpr std::size_t checksum_bytes = 4;
constexpr std::size_t scratch_bytes = std::size_t{1} << 28U;  // of all threads together, but a chunk at least
constexpr std::size_t largest_chunk = std::size_t{1} << 32U;  // as HDF5 has it

struct Failure {
    std::string what;
};

[[noreturn]] void fail(std::string what) { throw Failure{std::move(what)}; }

std::byte* grown(std::unique_ptr<Buffer<std::byte>>& buffer, std::size_t bytes) {
    if (!buffer || buffer->size() < bytes) {
        buffer.reset();
        buffer = std::make_unique<Buffer<std::byte>>(bytes);
    }
    return buffer->data();
}

void read_exactly(int descriptor, u64 address, std::byte* out, std::size_t bytes) {
    while (bytes > 0) {
        const ssize_t got = ::pread(descriptor, out, bytes, static_cast<off_t>(address));
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            fail(std::strerror(errno));
        }
        if (got == 0) {
            fail("the file ends in front of byte " + std::to_string(address + bytes));
        }
        out += got;
        address += static_cast<u64>(got);
        bytes -= static_cast<std::size_t>(got);
    }
}

}  // namespace

// Rows of one band of chunks: from `row` on in the band, to row `to` of the output
struct ChunkReader::Piece {
    std::size_t row;
    std::size_t count;
    std::size_t to;
};

struct ChunkReader::Band {
    std::size_t number;
    std::size_t first_piece;
    std::size_t last_piece;
};

// What one thread decodes in
class ChunkReader::Workspace {
  public:
    explicit Workspace(const InflateLibrary& library) : library_(library) {}
    ~Workspace() {
        if (made_ != nullptr) {
            library_.destroy(made_);
        }
    }
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    std::byte* stored(std::size_t bytes) { return grown(stored_, bytes); }
    // Scratch space that is not `other`
    std::byte* scratch(std::size_t bytes, const std::byte* other) {
        auto& buffer = scratch_[0] && scratch_[0]->data() == other ? scratch_[1] : scratch_[0];
        return grown(buffer, bytes);
    }
    void inflate(const std::byte* in, std::size_t in_bytes, std::byte* out, std::size_t wanted) {
        if (made_ == nullptr) {
            made_ = library_.make();
            if (made_ == nullptr) {
                throw std::bad_alloc();
            }
        }
        std::size_t used = 0;
        std::size_t given = 0;
        const int status = library_.inflate(made_, in, in_bytes, out, wanted, &used, &given);
        if (status != 0) {
            constexpr int too_long = 3;
            fail(status == too_long
                     ? "its deflate stream gives more than the chunk's " + std::to_string(wanted) + " bytes"
                     : "its deflate stream is damaged");
        }
        if (given != wanted) {
            fail("its deflate stream gives " + std::to_string(given) + " bytes instead of " + std::to_string(wanted));
        }
    }

  private:
    const InflateLibrary& library_;
    void* made_ = nullptr;
    std::unique_ptr<Buffer<std::byte>> stored_;
    std::unique_ptr<Buffer<std::byte>> scratch_[2];
};

ChunkReader::ChunkReader(int descriptor, ChunkLayout layout, std::vector<StoredChunk> chunks, InflateLibrary library)
    : descriptor_(descriptor),
      layout_(std::move(layout)),
      chunks_(std::move(chunks)),
      library_(library),
      file_bytes_(0) {
    const ChunkLayout& l = layout_;
    const auto require = [&](bool is_so, const char* what) {
        if (!is_so) {
            throw std::invalid_argument(what);
        }
    };
    require(l.rows >= 0 && l.chunk_rows > 0 && l.row_bytes > 0 && l.chunk_row_bytes > 0 && l.item_bytes > 0 &&
                l.row_bytes % l.item_bytes == 0 && l.chunk_row_bytes % l.item_bytes == 0,
            "rows and chunks must be whole items");
    require(static_cast<u64>(l.chunk_rows) <= largest_chunk / l.chunk_row_bytes,
            "a chunk must have at most 2**32 bytes");
    require(l.fill.size() == l.item_bytes, "the fill value must be one item");
    require(chunks_.size() / l.across() == l.down() && chunks_.size() % l.across() == 0,
            "the table must have one entry a chunk");
    require(l.filters.size() <= 32, "there must be at most 32 filters");
    require(library_.inflate != nullptr || std::ranges::count(l.filters, ChunkFilter::deflate) == 0,
            "deflate needs a library");
    struct stat about{};
    require(::fstat(descriptor_, &about) == 0, "the descriptor must be that of an open file");
    file_bytes_ = static_cast<u64>(about.st_size);
}

void ChunkReader::read_part(const Band& band, std::size_t column, std::span<const Piece> pieces,
                            std::span<std::byte> out, Workspace& work) const {
    const ChunkLayout& l = layout_;
    const StoredChunk& chunk = chunks_[band.number * l.across() + column];
    const std::size_t left = column * l.chunk_row_bytes;
    const std::size_t width = std::min(l.chunk_row_bytes, l.row_bytes - left);
    const bool is_whole_rows = width == l.row_bytes && width == l.chunk_row_bytes;
    const auto place = [&](std::size_t row) { return out.data() + row * l.row_bytes + left; };
    if (chunk.address == StoredChunk::nowhere) {
        for (const Piece& piece : pieces) {
            for (std::size_t r = 0; r < piece.count; ++r) {
                for (std::size_t at = 0; at < width; at += l.item_bytes) {
                    std::memcpy(place(piece.to + r) + at, l.fill.data(), l.item_bytes);
                }
            }
        }
        return;
    }
    if (chunk.bytes > file_bytes_ || chunk.address > file_bytes_ - chunk.bytes) {
        fail("the chunk lies at bytes " + std::to_string(chunk.address) + " to " +
             std::to_string(chunk.address + chunk.bytes) + " of a file of " + std::to_string(file_bytes_));
    }
    const std::size_t chunk_bytes = l.chunk_bytes();
    const auto check_size = [&](u64 given) {
        if (given != chunk_bytes) {
            fail("the chunk has " + std::to_string(given) + " bytes instead of " + std::to_string(chunk_bytes));
        }
    };
    const auto copy_rows = [&](const std::byte* rows) {
        for (const Piece& piece : pieces) {
            const std::byte* const from = rows + piece.row * l.chunk_row_bytes;
            if (is_whole_rows) {
                std::memcpy(place(piece.to), from, piece.count * width);
                continue;
            }
            for (std::size_t r = 0; r < piece.count; ++r) {
                std::memcpy(place(piece.to + r), from + r * l.chunk_row_bytes, width);
            }
        }
    };
    std::vector<std::size_t> active;
    std::size_t checksums = 0;
    for (std::size_t f = 0; f < l.filters.size(); ++f) {
        if ((chunk.skipped >> f & 1U) == 0) {
            active.push_back(f);
            checksums += static_cast<std::size_t>(l.filters[f] == ChunkFilter::fletcher32);
        }
    }
    if (active.empty()) {
        check_size(chunk.bytes);
        for (const Piece& piece : pieces) {
            const u64 from = chunk.address + piece.row * l.chunk_row_bytes;
            if (is_whole_rows) {
                read_exactly(descriptor_, from, place(piece.to), piece.count * width);
                continue;
            }
            std::byte* const rows = work.stored(piece.count * l.chunk_row_bytes);
            read_exactly(descriptor_, from, rows, piece.count * l.chunk_row_bytes);
            for (std::size_t r = 0; r < piece.count; ++r) {
                std::memcpy(place(piece.to + r), rows + r * l.chunk_row_bytes, width);
            }
        }
        return;
    }
    std::size_t bytes = static_cast<std::size_t>(chunk.bytes);
    std::byte* const stored = work.stored(bytes);
    read_exactly(descriptor_, chunk.address, stored, bytes);
    const std::byte* data = stored;
    const bool is_all =
        pieces.size() == 1 && pieces[0].count == static_cast<std::size_t>(l.chunk_rows) && is_whole_rows;
    for (std::size_t k = active.size(); k-- > 0;) {
        const ChunkFilter filter = l.filters[active[k]];
        if (filter == ChunkFilter::fletcher32) {
            --checksums;
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
            continue;
        }
        const std::size_t wanted = chunk_bytes + checksums * checksum_bytes;
        if (filter == ChunkFilter::deflate) {
            std::byte* const to = k == 0 && is_all ? place(pieces[0].to) : work.scratch(wanted, data);
            work.inflate(data, bytes, to, wanted);
            data = to;
            bytes = wanted;
            continue;
        }
        const std::size_t items = bytes / l.item_bytes;
        if (k > 0) {
            std::byte* const to = work.scratch(bytes, data);
            unshuffle(data, items, l.item_bytes, 0, items, to);
            std::copy(data + items * l.item_bytes, data + bytes, to + items * l.item_bytes);
            data = to;
            continue;
        }
        check_size(bytes);
        const std::size_t row_items = l.chunk_row_bytes / l.item_bytes;
        for (const Piece& piece : pieces) {
            if (is_whole_rows) {
                unshuffle(data, items, l.item_bytes, piece.row * row_items, piece.count * row_items, place(piece.to));
                continue;
            }
            for (std::size_t r = 0; r < piece.count; ++r) {
                unshuffle(data, items, l.item_bytes, (piece.row + r) * row_items, width / l.item_bytes,
                          place(piece.to + r));
            }
        }
        return;
    }
    check_size(bytes);
    if (!(is_all && data == place(pieces[0].to))) {
        copy_rows(data);
    }
}

std::optional<ChunkFault> ChunkReader::read(std::span<const index_t> starts, std::span<const index_t> stops,
                                            std::span<std::byte> out) const {
    const ChunkLayout& l = layout_;
    if (starts.size() != stops.size()) {
        throw std::invalid_argument("there must be as many stops as starts");
    }
    std::vector<Piece> pieces;
    std::vector<Band> bands;
    std::size_t to = 0;
    index_t before = 0;
    for (std::size_t i = 0; i < starts.size(); ++i) {
        if (starts[i] < before || stops[i] < starts[i] || stops[i] > l.rows) {
            throw std::invalid_argument("runs must ascend inside [0, " + std::to_string(l.rows) + "), but one is [" +
                                        std::to_string(starts[i]) + ", " + std::to_string(stops[i]) + ")");
        }
        before = stops[i];
        for (index_t row = starts[i]; row < stops[i];) {
            const index_t number = row / l.chunk_rows;
            const index_t stop = std::min(stops[i], (number + 1) * l.chunk_rows);
            const std::size_t count = static_cast<std::size_t>(stop - row);
            if (bands.empty() || bands.back().number != static_cast<std::size_t>(number)) {
                bands.push_back({static_cast<std::size_t>(number), pieces.size(), pieces.size()});
            }
            const std::size_t in_band = static_cast<std::size_t>(row - number * l.chunk_rows);
            Band& band = bands.back();
            if (band.first_piece < band.last_piece && pieces.back().row + pieces.back().count == in_band) {
                pieces.back().count += count;
            } else {
                pieces.push_back({in_band, count, to});
                band.last_piece = pieces.size();
            }
            to += count;
            row = stop;
        }
    }
    if (out.size() != to * l.row_bytes) {
        throw std::invalid_argument("the output must have " + std::to_string(to * l.row_bytes) + " bytes, but has " +
                                    std::to_string(out.size()));
    }
    std::mutex lock;
    std::vector<std::unique_ptr<Workspace>> idle;
    std::optional<ChunkFault> fault;
    const std::size_t across = l.across();
    const int threads = static_cast<int>(
        std::clamp<std::size_t>(scratch_bytes / (3 * l.chunk_bytes()), 1, static_cast<std::size_t>(get_num_threads())));
    parallel_for(
        static_cast<index_t>(bands.size() * across),
        [&](index_t task) {
            std::unique_ptr<Workspace> work;
            {
                const std::lock_guard guard(lock);
                if (fault) {
                    return;
                }
                if (!idle.empty()) {
                    work = std::move(idle.back());
                    idle.pop_back();
                }
            }
            if (!work) {
                work = std::make_unique<Workspace>(library_);
            }
            const Band& band = bands[static_cast<std::size_t>(task) / across];
            try {
                read_part(band, static_cast<std::size_t>(task) % across,
                          std::span(pieces).subspan(band.first_piece, band.last_piece - band.first_piece), out, *work);
            } catch (const Failure& failure) {
                const index_t first = static_cast<index_t>(band.number) * l.chunk_rows;
                const std::lock_guard guard(lock);
                if (!fault || first < fault->first_row) {
                    fault = {first, std::min(l.rows, first + l.chunk_rows) - 1, failure.what};
                }
                return;
            }
            const std::lock_guard guard(lock);
            idle.push_back(std::move(work));
        },
        threads);
    return fault;
}

}  // namespace tombola
