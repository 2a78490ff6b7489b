// Builds the columns of an alias table by the rule of alias_table.hpp: shares a chunk of rows at a time, the lack and
// the excess in front of each chunk, then the merge in parts between chunk boundaries of either sequence.
#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/replay/alias_table.hpp"

namespace tombola {
namespace {

__extension__ using u128 = unsigned __int128;

constexpr u64 full = u64{1} << 32U;  // a column, in units of shares
constexpr std::size_t chunk = 2048;
constexpr std::size_t chunks_a_task = 32;

// T of the rule
class Scale {
  public:
    Scale(u64 n, mass_t total) : whole_(n << 32U) {
        multiplier_ = whole_ / total;
        u64 rest = whole_ % total;
        while (multiplier_ < u64{1} << 62U) {
            rest *= 2;
            multiplier_ = 2 * multiplier_ + (rest >= total ? 1 : 0);
            rest -= rest >= total ? total : 0;
            ++shift_;
        }
        multiplier_ += rest > 0 ? 1 : 0;
    }
    u64 operator()(mass_t sum) const noexcept {
        return std::min(static_cast<u64>(static_cast<u128>(sum) * multiplier_ >> shift_), whole_);
    }

  private:
    u64 whole_;
    u64 multiplier_;
    u32 shift_ = 0;
};

// The shares of any chunk of rows, and what lies in front of it.
class Shares {
  public:
    using Chunk = std::array<u64, chunk>;

    explicit Shares(const WeightTable& table)
        : table_(table), scale_(table.size(), table.total()), chunks_((table.size() + chunk - 1) / chunk) {
        before_.resize(chunks_ + 1);
        for_each_chunk([&](std::size_t c) {
            Chunk masses;
            const std::size_t count = load(c, masses);
            mass_t sum = 0;
            for (std::size_t i = 0; i < count; ++i) {
                sum += masses[i];
            }
            before_[c + 1] = sum;
        });
        // Weights that the caller changed since the table was made may have any sum: no more than was known then
        // counts.
        for (std::size_t c = 0; c < chunks_; ++c) {
            before_[c + 1] = std::min(before_[c] + std::min(before_[c + 1], table.total()), table.total());
        }
    }

    std::size_t chunks() const noexcept { return chunks_; }
    // Returns the number of rows.
    std::size_t of(std::size_t c, Chunk& shares) const {
        const std::size_t count = load(c, shares);
        mass_t sum = before_[c];
        u64 below = scale_(sum);
        for (std::size_t i = 0; i < count; ++i) {
            sum += shares[i];
            const u64 above = scale_(sum);
            shares[i] = above - below;
            below = above;
        }
        return count;
    }
    template <typename Body>
    void for_each_chunk(Body body) const {
        parallel_for(static_cast<index_t>((chunks_ + chunks_a_task - 1) / chunks_a_task), [&](index_t task) {
            const std::size_t first = static_cast<std::size_t>(task) * chunks_a_task;
            for (std::size_t c = first; c < std::min(chunks_, first + chunks_a_task); ++c) {
                body(c);
            }
        });
    }
    static void accumulate(std::vector<u64>& sums) {
        for (std::size_t c = 1; c < sums.size(); ++c) {
            sums[c] += sums[c - 1];
        }
    }

  private:
    const WeightTable& table_;
    Scale scale_;
    std::size_t chunks_;
    std::vector<mass_t> before_;

    std::size_t load(std::size_t c, Chunk& masses) const {
        const std::size_t count = std::min<std::size_t>(chunk, static_cast<std::size_t>(table_.size()) - c * chunk);
        table_.masses(c * chunk, count, masses.data());
        return count;
    }
};

// What the chunks hold of each kind of rows: D and E in front of each chunk, and at the end.
struct Fronts {
    std::vector<u64> lack;
    std::vector<u64> excess;

    explicit Fronts(std::size_t chunks) : lack(chunks + 1), excess(chunks + 1) {}
};

// The rows of one kind in their order, a chunk at a time, each with its key: D of light rows, E of heavy ones.
template <bool light>
class Rows {
  public:
    // Begins at the first row with a key >= value. At the end the key is `end_key`, the row any.
    Rows(const Shares& shares, const std::vector<u64>& front, u64 value, u64 end_key)
        : shares_(shares), front_(front), end_key_(end_key) {
        const auto found = light ? std::upper_bound(front.begin(), front.end(), value) - 1
                                 : std::lower_bound(front.begin() + 1, front.end(), value) - 1;
        next_ = static_cast<std::size_t>(found - front.begin());
        load();
        while (key() < value && count_ > 0) {
            advance();
        }
    }

    u64 key() const noexcept { return keys_[at_]; }
    u32 row() const noexcept { return rows_[at_]; }
    bool at_end() const noexcept { return count_ == 0; }
    // Of a light row: what it lacks
    u64 lack() const noexcept { return keys_[at_ + 1] - keys_[at_]; }
    void advance() {
        if (++at_ >= count_) {
            load();
        }
    }

  private:
    const Shares& shares_;
    const std::vector<u64>& front_;
    u64 end_key_;
    std::size_t next_ = 0;  // the chunk to load next
    std::size_t at_ = 0;
    std::size_t count_ = 0;
    std::array<u64, chunk + 2> keys_;
    std::array<u32, chunk + 1> rows_;
    typename Shares::Chunk values_;

    void load() {
        at_ = 0;
        count_ = 0;
        while (count_ == 0 && next_ < shares_.chunks()) {
            const std::size_t c = next_++;
            if (front_[c] == front_[c + 1]) {
                continue;
            }
            const std::size_t n = shares_.of(c, values_);
            u64 sum = front_[c];
            for (std::size_t i = 0; i < n; ++i) {  // without a branch: the kinds come in any order
                const u64 share = values_[i];
                const bool mine = light ? share < full : share > full;
                const u64 after = sum + (mine ? (light ? full - share : share - full) : 0);
                keys_[count_] = light ? sum : after;
                rows_[count_] = static_cast<u32>(c * chunk + i);
                count_ += mine ? 1 : 0;
                sum = after;
            }
            if (light) {
                keys_[count_] = sum;
            }
        }
        if (count_ == 0) {
            keys_[0] = end_key_;
            keys_[1] = end_key_;
            rows_[0] = 0;
        }
    }
};

// The events of the merge whose keys lie in [start, stop).
void merge(const Shares& shares, const Fronts& fronts, u64 start, u64 stop, AliasTable::Column* columns) {
    if (start == stop) {
        return;
    }
    Rows<true> light(shares, fronts.lack, start, fronts.lack.back());
    Rows<false> heavy(shares, fronts.excess, start, ~u64{0});
    while (true) {
        const u64 lack = light.key();
        const u64 excess = heavy.key();
        if (lack <= excess) {
            if (lack >= stop || light.at_end()) {  // there is one in front of `stop`, unless weights changed meanwhile
                return;
            }
            columns[light.row()] = {.cut = static_cast<u32>(full - light.lack()), .alias = heavy.row()};
            light.advance();
        } else {
            if (excess >= stop) {
                return;
            }
            const u32 row = heavy.row();
            heavy.advance();
            columns[row] = {.cut = static_cast<u32>(full + excess - lack), .alias = heavy.row()};
        }
    }
}

std::size_t checked_size(u64 n) {
    if (n > AliasTable::largest) {
        throw std::invalid_argument("an alias table takes at most 2**32 - 1 rows, but there are " + std::to_string(n));
    }
    return static_cast<std::size_t>(n);
}

}  // namespace

AliasTable::AliasTable(const WeightTable& table) : columns_(checked_size(table.size())) {
    const Shares shares(table);
    Fronts fronts(shares.chunks());
    shares.for_each_chunk([&](std::size_t c) {
        Shares::Chunk values;
        const std::size_t count = shares.of(c, values);
        u64 lack = 0;
        u64 excess = 0;
        for (std::size_t i = 0; i < count; ++i) {
            lack += values[i] < full ? full - values[i] : 0;
            excess += values[i] > full ? values[i] - full : 0;
            // What stays so where nobody fills it up: a row that fills its column, and the last heavy one.
            const u32 row = static_cast<u32>(c * chunk + i);
            columns_[row] = {.cut = ~u32{0}, .alias = row};
        }
        fronts.lack[c + 1] = lack;
        fronts.excess[c + 1] = excess;
    });
    Shares::accumulate(fronts.lack);
    Shares::accumulate(fronts.excess);

    // Between two neighbours of these boundaries lie rows of one chunk of each kind only, whatever the weights.
    std::vector<u64> boundaries(fronts.lack);
    boundaries.insert(boundaries.end(), fronts.excess.begin(), fronts.excess.end());
    std::sort(boundaries.begin(), boundaries.end());
    constexpr std::size_t parts_a_task = 4 * chunks_a_task;
    const std::size_t tasks = (boundaries.size() - 1 + parts_a_task - 1) / parts_a_task;
    parallel_for(static_cast<index_t>(tasks), [&](index_t task) {
        const std::size_t first = static_cast<std::size_t>(task) * parts_a_task;
        const std::size_t last = std::min(boundaries.size() - 1, first + parts_a_task);
        merge(shares, fronts, boundaries[first], boundaries[last], columns_.data());
    });
}

}  // namespace tombola
