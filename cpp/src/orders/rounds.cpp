#include "tombola/orders/rounds.hpp"

#include <algorithm>
#include <bit>
#include <mutex>
#include <stdexcept>
#include <string>

#include "tombola/base/parallel.hpp"
#include "tombola/kernels/kernels.hpp"
#include "tombola/random/logarithm.hpp"
#include "tombola/random/philox.hpp"

namespace tombola {
namespace {

constexpr std::size_t rows_at_once = 1024;
constexpr u64 rows_a_task = u64{1} << 16U;

// Open addressing; holds the accepted rows.
class RowSet {
  public:
    explicit RowSet(u64 capacity) : slots_(std::bit_ceil(2 * capacity + 2), empty), shift_(0) {
        shift_ = 64U - static_cast<u32>(std::bit_width(slots_.size()) - 1);
    }
    bool insert(index_t row) {
        std::size_t at = slot(row);
        while (slots_[at] != empty) {
            if (slots_[at] == row) {
                return false;
            }
            at = (at + 1) & (slots_.size() - 1);
        }
        slots_[at] = row;
        return true;
    }

  private:
    static constexpr index_t empty = -1;
    std::vector<index_t> slots_;
    u32 shift_;

    std::size_t slot(index_t row) const {
        return static_cast<std::size_t>(static_cast<u64>(row) * 0x9E3779B97F4A7C15U >> shift_);
    }
};

// Rows accepted among 2 * size + 64 attempts, in the order of acceptance; at most `size`.
std::vector<index_t> draw_and_reject(const WeightTable& table, const Stream& stream, u64 size) {
    std::vector<index_t> accepted;
    accepted.reserve(size);
    RowSet seen(size);
    for (u64 attempt = 0; attempt < 2 * size + 64 && accepted.size() < size; ++attempt) {
        const index_t row = table.row(multiply_high(stream.word64(attempt), table.total()));
        if (seen.insert(row)) {
            accepted.push_back(row);
        }
    }
    return accepted;
}

struct Keyed {
    double key;
    index_t row;
    bool operator<(const Keyed& other) const { return key != other.key ? key < other.key : row < other.row; }
};

// visit(key, row) for every row of positive mass in [first, last) that is not in `taken` (sorted).
template <typename Visit>
void visit_keys(const WeightTable& table, const Stream& stream, const std::vector<index_t>& taken, u64 first, u64 last,
                Visit visit) {
    std::array<mass_t, rows_at_once> masses;
    std::array<u64, rows_at_once + 2> words;
    auto next_taken = std::lower_bound(taken.begin(), taken.end(), static_cast<index_t>(first));
    for (u64 start = first; start < last; start += rows_at_once) {  // first is even, and so is every start
        const std::size_t n = static_cast<std::size_t>(std::min<u64>(rows_at_once, last - start));
        table.masses(start, n, masses.data());
        kernels().serial_words(stream.key, stream.id, start / 2, (n + 1) / 2, reinterpret_cast<u32*>(words.data()));
        for (std::size_t i = 0; i < n; ++i) {
            const index_t row = static_cast<index_t>(start + i);
            if (next_taken != taken.end() && *next_taken == row) {
                ++next_taken;
            } else if (masses[i] != 0) {
                const double x = (static_cast<double>(words[i] >> 12U) + 0.5) * 0x1p-52;
                visit(-natural_logarithm(x) / static_cast<double>(masses[i]), row);
            }
        }
    }
}

// The `size` rows of the smallest keys. Two passes that make the keys afresh: the first counts them by the leading 16
// bits of the double (for positive doubles the order of the bits is that of the numbers), the second keeps those at or
// below the bit pattern in which the last winner lies.
std::vector<index_t> smallest_keys(const WeightTable& table, const Stream& stream, const std::vector<index_t>& taken,
                                   u64 size) {
    constexpr u32 shift = 48;
    std::vector<u64> histogram(std::size_t{1} << 16U);
    std::mutex mutex;
    const auto for_parts = [&](auto body) {
        parallel_for(static_cast<index_t>((table.size() + rows_a_task - 1) / rows_a_task), [&](index_t task) {
            const u64 first = static_cast<u64>(task) * rows_a_task;
            body(first, std::min(table.size(), first + rows_a_task));
        });
    };
    for_parts([&](u64 first, u64 last) {
        std::vector<u16> leading;
        leading.reserve(last - first);
        visit_keys(table, stream, taken, first, last,
                   [&](double key, index_t) { leading.push_back(static_cast<u16>(std::bit_cast<u64>(key) >> shift)); });
        const std::lock_guard lock(mutex);
        for (const u16 bits : leading) {
            ++histogram[bits];
        }
    });
    u64 limit = 0;
    for (u64 seen = histogram[0]; seen < size && limit + 1 < histogram.size();) {
        seen += histogram[++limit];
    }
    std::vector<Keyed> winners;
    for_parts([&](u64 first, u64 last) {
        std::vector<Keyed> mine;
        visit_keys(table, stream, taken, first, last, [&](double key, index_t row) {
            if (std::bit_cast<u64>(key) >> shift <= limit) {
                mine.push_back({key, row});
            }
        });
        const std::lock_guard lock(mutex);
        winners.insert(winners.end(), mine.begin(), mine.end());
    });
    size = std::min<u64>(size, winners.size());  // fewer only where the caller's weights have changed since
    std::nth_element(winners.begin(), winners.begin() + static_cast<std::ptrdiff_t>(size), winners.end());
    std::vector<index_t> rows(size);
    std::transform(winners.begin(), winners.begin() + static_cast<std::ptrdiff_t>(size), rows.begin(),
                   [](const Keyed& keyed) { return keyed.row; });
    return rows;
}

}  // namespace

std::vector<index_t> draw_round(const WeightTable& table, u64 seed, u64 epoch, u64 round, u64 size) {
    std::vector<index_t> rows;
    if (4 * size <= table.positive()) {
        rows = draw_and_reject(table, Stream{derive_key(seed, epoch, Purpose::round), round}, size);
        std::sort(rows.begin(), rows.end());
    }
    if (rows.size() < size) {
        const Stream keys{derive_key(seed, epoch, Purpose::round_keys), round};
        const std::vector<index_t> rest = smallest_keys(table, keys, rows, size - rows.size());
        rows.insert(rows.end(), rest.begin(), rest.end());
        std::sort(rows.begin(), rows.end());
    }
    if (rows.size() < size) {
        throw std::invalid_argument("the weights have changed since the plan was made: fewer than sampling_size = " +
                                    std::to_string(size) + " of them are still > 0");
    }
    return rows;
}

struct RoundOrder::Round final : public Sequence {
    Round(u64 number_, std::vector<index_t> rows_, u64 block_size, u64 key)
        : number(number_), rows(std::move(rows_)), layout(rows.size(), block_size, key) {}

    u64 size() const noexcept override { return rows.size(); }
    void runs(const u64* starts, std::size_t count, std::size_t length, index_t* out) const override {
        for (std::size_t r = 0; r < count; ++r) {
            out = std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(starts[r]), length, out);
        }
    }

    u64 number;
    std::vector<index_t> rows;
    BlockLayout layout;
};

RoundOrder::RoundOrder(std::shared_ptr<const WeightTable> table, u64 draws, u64 round_size, u64 block_size, u64 seed,
                       u64 epoch)
    : table_(std::move(table)),
      draws_(draws),
      round_size_(round_size),
      block_size_(block_size),
      seed_(seed),
      epoch_(epoch) {
    if (round_size < 1 || round_size > table_->positive()) {
        throw std::invalid_argument("sampling_size must be between 1 and the number of positive weights, " +
                                    std::to_string(table_->positive()) + ", but is " + std::to_string(round_size));
    }
}

std::shared_ptr<const RoundOrder::Round> RoundOrder::round(u64 number) const {
    Recent& recent = recent_.get();
    std::shared_ptr<const Round>& slot = recent.slots[number % recent.slots.size()];
    {
        const std::lock_guard lock(recent.mutex);
        if (slot && slot->number == number) {
            return slot;
        }
    }
    const u64 size = std::min(round_size_, draws_ - number * round_size_);
    const u64 key = derive_key(derive_key(seed_, epoch_, Purpose::round_blocks), number, Purpose::blocks);
    auto made =
        std::make_shared<const Round>(number, draw_round(*table_, seed_, epoch_, number, size), block_size_, key);
    const std::lock_guard lock(recent.mutex);
    slot = made;
    return made;
}

void RoundOrder::fill(u64 first, std::size_t count, index_t* out) const {
    while (count > 0) {
        const u64 number = first / round_size_;
        const u64 within = first % round_size_;
        const std::shared_ptr<const Round> current = round(number);
        const std::size_t n = static_cast<std::size_t>(std::min<u64>(count, current->size() - within));
        current->layout.fill(*current, within, n, out);
        first += n;
        out += n;
        count -= n;
    }
}

}  // namespace tombola
