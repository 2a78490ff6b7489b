#include "tombola/groups/groups.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>

#include "tombola/base/hash.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/base/scratch.hpp"
#include "tombola/groups/radix_partition.hpp"

namespace tombola {
namespace {

template <typename Index>
constexpr Index first_flag = static_cast<Index>(Index{1} << (8U * sizeof(Index) - 1U));  // marks the first of a group

// A bijection that spreads arbitrary keys evenly over their leading bits.
inline u64 mix(u64 x) noexcept {
    x ^= x >> 32U;
    x *= 0xD6E8FEB86659FD93U;
    x ^= x >> 32U;
    x *= 0xD6E8FEB86659FD93U;
    return x ^ x >> 32U;
}

template <typename Key>
struct Code {
    std::span<const Key> keys;
    u64 lowest;
    bool mixed;

    u64 distance(u64 i) const noexcept {
        return static_cast<u64>(static_cast<index_t>(keys[static_cast<std::size_t>(i)])) - lowest;
    }
};

// A stable counting sort of one part by slot_of(low); afterwards bounds[s] is where slot s of the part ends, counted
// from the part's start. carry_lows: the lows move with their rows. Parts so large that a copy would cost memory are
// not copied: their rows come again from the keys, in order.
template <bool carry_lows, typename Index, typename Low, typename CodeOf, typename SlotOf>
void sort_part(Parts<Index, Low>& parts, std::size_t p, CodeOf code_of, SlotOf slot_of, std::vector<Index>& bounds) {
    using Items = std::vector<std::pair<Index, Low>>;
    const Radix& radix = parts.radix;
    const u64 start = parts.starts[p];
    const u64 count = parts.starts[p + 1] - start;
    Index* const rows = parts.rows.data() + start;
    Low* const lows = parts.lows.data() + start;
    for (u64 i = 0; i < count; ++i) {
        ++bounds[slot_of(lows[i])];
    }
    Index total = 0;
    for (Index& bound : bounds) {
        total = static_cast<Index>(total + std::exchange(bound, total));
    }
    const auto place = [&](Index row, Low low) {
        const Index to = bounds[slot_of(low)]++;
        rows[to] = row;
        if constexpr (carry_lows) {
            lows[to] = low;
        }
    };
    const auto place_copies = [&](Items& copied) {
        copied.resize(count);
        for (u64 i = 0; i < count; ++i) {
            copied[i] = {rows[i], lows[i]};
        }
        for (const auto& [row, low] : copied) {
            place(row, low);
        }
    };
    if (count <= copied_rows) {
        thread_local Items kept;
        place_copies(kept);
    } else if (count <= radix.n / 8) {
        Items own;
        place_copies(own);
    } else {
        for (u64 i = 0; i < radix.n; ++i) {
            if (const u64 code = code_of(i); radix.part(code) == p) {
                place(static_cast<Index>(i), static_cast<Low>(radix.low(code)));
            }
        }
    }
}

// Whether all rows of a part have one code: they are in order as they are.
template <typename Index, typename Low>
bool is_one_group(const Parts<Index, Low>& parts, std::size_t p) {
    if (parts.radix.low_bits == 0) {
        return true;
    }
    const Low* const lows = parts.lows.data();
    const Low first = lows[parts.starts[p]];
    return std::all_of(lows + parts.starts[p], lows + parts.starts[p + 1], [=](Low low) { return low == first; });
}

// Codes below 2n: every slot is a group.
template <typename Index, typename Low, typename CodeOf>
u64 group_dense(Parts<Index, Low>& parts, std::size_t p, CodeOf code_of) {
    Index* const rows = parts.rows.data() + parts.starts[p];
    const u64 count = parts.starts[p + 1] - parts.starts[p];
    if (count == 0) {
        return 0;
    }
    if (is_one_group(parts, p)) {
        rows[0] |= first_flag<Index>;
        return 1;
    }
    thread_local std::vector<Index> bounds;
    bounds.assign(std::size_t{1} << parts.radix.low_bits, 0);
    sort_part<false>(parts, p, code_of, [](Low low) { return static_cast<std::size_t>(low); }, bounds);
    u64 groups = 0;
    Index from = 0;
    for (const Index stop : bounds) {
        if (stop != from) {
            rows[from] |= first_flag<Index>;
            ++groups;
        }
        from = stop;
    }
    keep_little(bounds);
    return groups;
}

// Sorts the rows of a slot by their lows, stably. Most slots hold one group.
template <typename Index>
void sort_slot(Index* rows, u64* lows, u64 count) {
    constexpr u64 few = 32;
    if (std::is_sorted(lows, lows + count)) {
        return;
    }
    if (count > few) {
        std::vector<std::pair<u64, Index>> items(count);
        for (u64 i = 0; i < count; ++i) {
            items[i] = {lows[i], rows[i]};  // rows ascend: their order breaks ties
        }
        std::sort(items.begin(), items.end());
        for (u64 i = 0; i < count; ++i) {
            std::tie(lows[i], rows[i]) = items[i];
        }
        return;
    }
    for (u64 i = 1; i < count; ++i) {
        const u64 low = lows[i];
        const Index row = rows[i];
        u64 to = i;
        for (; to > 0 && lows[to - 1] > low; --to) {
            lows[to] = lows[to - 1];
            rows[to] = rows[to - 1];
        }
        lows[to] = low;
        rows[to] = row;
    }
}

// Arbitrary codes, evenly spread: slots by their next bits, then each slot by the whole code.
template <typename Index, typename CodeOf>
u64 group_mixed(Parts<Index, u64>& parts, std::size_t p, CodeOf code_of) {
    Index* const rows = parts.rows.data() + parts.starts[p];
    u64* const lows = parts.lows.data() + parts.starts[p];
    const u64 count = parts.starts[p + 1] - parts.starts[p];
    if (count == 0) {
        return 0;
    }
    if (is_one_group(parts, p)) {
        rows[0] |= first_flag<Index>;
        return 1;
    }
    const u32 slot_bits = static_cast<u32>(std::bit_width(std::min(count, few_rows) / 2));
    const u32 shift = parts.radix.low_bits - slot_bits;
    thread_local std::vector<Index> bounds;
    bounds.assign(std::size_t{1} << slot_bits, 0);
    const auto slot_of = [=](u64 low) { return slot_bits == 0 ? 0 : static_cast<std::size_t>(low >> shift); };
    sort_part<true>(parts, p, code_of, slot_of, bounds);
    Index from = 0;
    for (const Index stop : bounds) {
        sort_slot(rows + from, lows + from, u64{stop} - from);
        from = stop;
    }
    u64 groups = 0;
    for (u64 i = 0; i < count; ++i) {
        if (i == 0 || lows[i] != lows[i - 1]) {
            rows[i] |= first_flag<Index>;
            ++groups;
        }
    }
    return groups;
}

// Turns rows with marked firsts into CSR.
template <typename Index>
GroupArrays<Index> finish(Buffer<Index> rows, const std::vector<u64>& starts, const std::vector<u64>& groups_before,
                          std::span<const index_t> numbers) {
    GroupArrays<Index> out{Buffer<Index>(groups_before.back() + 1), std::move(rows)};
    parallel_for(static_cast<index_t>(starts.size()) - 1, [&](index_t task) {
        const std::size_t p = static_cast<std::size_t>(task);
        u64 group = groups_before[p];
        for (u64 i = starts[p]; i < starts[p + 1]; ++i) {
            Index row = out.members[i];
            if ((row & first_flag<Index>) != 0) {
                row ^= first_flag<Index>;
                out.offsets[group++] = static_cast<Index>(i);
            }
            out.members[i] = numbers.empty() ? row : static_cast<Index>(numbers[row]);
        }
    });
    out.offsets[groups_before.back()] = static_cast<Index>(starts.back());
    return out;
}

template <typename Index, typename Low, typename CodeOf, typename GroupPart>
GroupArrays<Index> group(const Radix& radix, CodeOf code_of, GroupPart group_part, std::span<const index_t> numbers) {
    Parts<Index, Low> parts = partition<Index, Low>(radix, code_of);
    std::vector<u64> groups(radix.parts() + 1);
    parallel_for(static_cast<index_t>(radix.parts()), [&](index_t p) {
        groups[static_cast<std::size_t>(p) + 1] = group_part(parts, static_cast<std::size_t>(p), code_of);
    });
    std::partial_sum(groups.begin(), groups.end(), groups.begin());
    {
        const Buffer<Low> freed = std::move(parts.lows);
    }
    return finish(std::move(parts.rows), parts.starts, groups, numbers);
}

template <typename Index, typename Key>
GroupArrays<Index> group_keys(const Code<Key>& code, u64 width, std::span<const index_t> numbers) {
    const u64 n = code.keys.size();
    const auto dense = [&code](u64 i) { return code.distance(i); };
    const auto with_low = [&]<typename Low>(Low) {
        return group<Index, Low>(
            make_radix(n, static_cast<u32>(std::bit_width(width))), dense,
            [](auto& parts, std::size_t p, auto code_of) { return group_dense(parts, p, code_of); }, numbers);
    };
    if (!code.mixed) {
        const u32 low_bits = make_radix(n, static_cast<u32>(std::bit_width(width))).low_bits;
        return low_bits <= 16 ? with_low(u16{}) : low_bits <= 32 ? with_low(u32{}) : with_low(u64{});
    }
    return group<Index, u64>(
        make_radix(n, 64), [&code](u64 i) { return mix(code.distance(i)); },
        [](auto& parts, std::size_t p, auto code_of) { return group_mixed(parts, p, code_of); }, numbers);
}

template <typename Key>
std::pair<Key, Key> range_of(std::span<const Key> keys) {
    const std::size_t chunks = (keys.size() + partition_chunk - 1) / partition_chunk;
    std::vector<std::pair<Key, Key>> ranges(chunks);
    for_chunks(keys.size(), [&](std::size_t c, u64 first, u64 last) {
        Key low = keys[first];
        Key high = low;
        for (u64 i = first; i < last; ++i) {
            low = std::min(low, keys[i]);
            high = std::max(high, keys[i]);
        }
        ranges[c] = {low, high};
    });
    std::pair<Key, Key> range = ranges.front();
    for (const auto& [low, high] : ranges) {
        range = {std::min(range.first, low), std::max(range.second, high)};
    }
    return range;
}

template <typename Index>
std::vector<CountClass> count_classes(const GroupArrays<Index>& arrays) {
    constexpr u64 small = 4096;
    std::vector<u64> few(small);
    std::map<u64, u64> many;
    for (u64 g = 0; g < arrays.groups(); ++g) {
        const u64 count = u64{arrays.offsets[g + 1]} - arrays.offsets[g];
        ++(count < small ? few[count] : many[count]);
    }
    std::vector<CountClass> classes;
    for (u64 count = 0; count < small; ++count) {
        if (few[count] != 0) {
            classes.push_back({count, few[count]});
        }
    }
    for (const auto& [count, groups] : many) {
        classes.push_back({count, groups});
    }
    return classes;
}

}  // namespace

Groups::Groups(Arrays arrays)
    : size_(std::visit([](const auto& a) -> u64 { return a.members.size(); }, arrays)),
      groups_(std::visit([](const auto& a) { return a.groups(); }, arrays)),
      arrays_(std::move(arrays)),
      counts_(std::visit([](const auto& a) { return count_classes(a); }, arrays_)) {}

template <typename Key>
Groups Groups::from_keys(std::span<const Key> keys, const Subset& subset, bool wide) {
    if (keys.empty()) {
        throw std::invalid_argument("keys must not be empty");
    }
    const std::span<const index_t> rows = subset.value_or(std::span<const index_t>{});
    if (subset && rows.size() != keys.size()) {
        throw std::invalid_argument("keys must be as long as indices, " + std::to_string(rows.size()) +
                                    ", but the length is " + std::to_string(keys.size()));
    }
    const auto [low, high] = range_of(keys);
    const u64 width = static_cast<u64>(static_cast<index_t>(high)) - static_cast<u64>(static_cast<index_t>(low));
    const Code<Key> code{keys, static_cast<u64>(static_cast<index_t>(low)), width >= 2 * keys.size()};
    constexpr u64 narrow_rows = first_flag<u32>;
    const u64 last_row = rows.empty() ? keys.size() - 1 : static_cast<u64>(rows.back());
    if (wide || last_row >= narrow_rows) {
        return Groups(group_keys<u64>(code, width, rows));
    }
    return Groups(group_keys<u32>(code, width, rows));
}

template Groups Groups::from_keys(std::span<const std::int8_t>, const Subset&, bool);
template Groups Groups::from_keys(std::span<const std::int16_t>, const Subset&, bool);
template Groups Groups::from_keys(std::span<const std::int32_t>, const Subset&, bool);
template Groups Groups::from_keys(std::span<const std::int64_t>, const Subset&, bool);

u64 Groups::fingerprint() const {
    return visit([](const auto& a) {
        Hash hash;
        hash.word(hash_bytes(a.offsets.data(), a.offsets.size() * sizeof(a.offsets[0])));
        hash.word(hash_bytes(a.members.data(), a.members.size() * sizeof(a.members[0])));
        return hash.value();
    });
}

}  // namespace tombola
