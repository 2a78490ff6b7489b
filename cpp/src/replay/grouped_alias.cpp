#include "tombola/replay/grouped_alias.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "tombola/base/parallel.hpp"
#include "tombola/base/prefetch.hpp"
#include "tombola/random/draw_words.hpp"
#include "tombola/random/philox.hpp"
#include "tombola/weights/mass_source.hpp"
#include "tombola/weights/weight_table.hpp"

namespace tombola {
namespace {

__extension__ using u128 = unsigned __int128;

constexpr std::size_t draws_a_task = std::size_t{1} << 14U;

std::vector<GroupedAlias::Group> make_groups(std::span<const index_t> offsets) {
    if (offsets.size() < 2) {
        throw std::invalid_argument("offsets must have one entry more than there are groups, at least 2, but have " +
                                    std::to_string(offsets.size()));
    }
    if (offsets[0] != 0) {
        throw std::invalid_argument("offsets must begin with 0, but offsets[0] = " + std::to_string(offsets[0]));
    }
    std::vector<GroupedAlias::Group> groups(offsets.size() - 1);
    for (std::size_t g = 0; g < groups.size(); ++g) {
        if (offsets[g + 1] < offsets[g]) {
            throw std::invalid_argument("offsets must not descend, but offsets[" + std::to_string(g + 1) + "] = " +
                                        std::to_string(offsets[g + 1]) + " follows " + std::to_string(offsets[g]));
        }
        groups[g] = {static_cast<u64>(offsets[g]), static_cast<u64>(offsets[g + 1] - offsets[g])};
    }
    return groups;
}

std::vector<double> group_totals(std::span<const GroupedAlias::Group> groups, std::span<const double> weights) {
    if (weights.size() != groups.size()) {
        throw std::invalid_argument("there must be one weight for each of the " + std::to_string(groups.size()) +
                                    " groups, but are " + std::to_string(weights.size()));
    }
    std::vector<double> totals(groups.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
        // A weight that is wrong stays wrong, for the weight table to name, even of a group without rows.
        const bool wrong = !(weights[g] >= 0.0) || std::isinf(weights[g]);
        totals[g] = wrong ? weights[g] : weights[g] * static_cast<double>(groups[g].size);
    }
    return totals;
}

// A column holds `total`; masses are in units in which all columns hold the masses of all groups.
std::vector<GroupedAlias::Column> make_columns(const WeightTable& table) {
    const std::size_t n = static_cast<std::size_t>(table.size());
    const mass_t total = table.total();
    std::vector<GroupedAlias::Column> columns(n);
    std::vector<mass_t> given(n);
    std::vector<u128> masses(n);
    std::vector<std::size_t> small;
    std::vector<std::size_t> large;
    table.masses(0, n, given.data());
    for (std::size_t i = 0; i < n; ++i) {
        columns[i] = {.cut = total, .alias = i};
        masses[i] = static_cast<u128>(given[i]) * n;
        (masses[i] < total ? small : large).push_back(i);
    }
    while (!small.empty() && !large.empty()) {
        const std::size_t lacking = small.back();
        const std::size_t giver = large.back();
        small.pop_back();
        large.pop_back();
        columns[lacking] = {.cut = static_cast<mass_t>(masses[lacking]), .alias = giver};
        masses[giver] -= total - columns[lacking].cut;
        (masses[giver] < total ? small : large).push_back(giver);
    }
    return columns;
}

// row_of(position)
template <typename RowOf>
void draw_rows(const GroupedAlias& table, std::span<const GroupedAlias::Group> groups, u64 key, u64 first,
               std::span<index_t> out, RowOf row_of) {
    const u64 n = groups.size();
    const index_t tasks = static_cast<index_t>((out.size() + draws_a_task - 1) / draws_a_task);
    const GroupedAlias::Column* const columns = table.columns().data();
    const mass_t total = table.total();
    parallel_for(tasks, [&](index_t task) {
        DrawWords<2 * draws_at_once> words;
        const std::size_t start = static_cast<std::size_t>(task) * draws_a_task;
        const std::size_t stop = std::min(out.size(), start + draws_a_task);
        for (std::size_t at = start; at < stop; at += draws_at_once) {
            const std::size_t count = std::min(draws_at_once, stop - at);
            const u64* const u = words.fill(key, 2 * (first + at), 2 * count).data();
            for (std::size_t i = 0; i < count; ++i) {
                const u128 product = static_cast<u128>(u[2 * i]) * n;
                const u64 own = static_cast<u64>(product >> 64U);
                const GroupedAlias::Column column = columns[own];
                const u64 is_own = 0U - static_cast<u64>(multiply_high(static_cast<u64>(product), total) < column.cut);
                const GroupedAlias::Group group = groups[(own & is_own) | (column.alias & ~is_own)];
                const u64 position = group.first + multiply_high(u[2 * i + 1], group.size);
                row_of.prefetch(position);
                out[at + i] = static_cast<index_t>(position);
            }
            for (index_t& row : out.subspan(at, count)) {
                row = row_of(row);
            }
        }
    });
}

struct Itself {
    void prefetch(u64 /*position*/) const noexcept {}
    index_t operator()(index_t position) const noexcept { return position; }
};

template <typename Member>
struct MemberAt {
    const Member* members;
    void prefetch(u64 position) const noexcept { prefetch_far(members + position); }
    index_t operator()(index_t position) const noexcept { return static_cast<index_t>(members[position]); }
};

}  // namespace

GroupedAlias::GroupedAlias(std::span<const index_t> offsets, std::span<const double> weights)
    : groups_(make_groups(offsets)), size_(static_cast<u64>(offsets.back())) {
    const std::vector<double> totals = group_totals(groups_, weights);
    const WeightTable table(make_value_source(std::span<const double>(totals), {}));
    columns_ = make_columns(table);
    total_ = table.total();
}

void GroupedAlias::draw(u64 seed, u64 epoch, u64 first, std::span<index_t> out) const {
    draw_rows(*this, groups_, derive_key(seed, epoch, Purpose::grouped_alias), first, out, Itself{});
}

template <typename Member>
void GroupedAlias::draw(u64 seed, u64 epoch, u64 first, std::span<const Member> members, std::span<index_t> out) const {
    if (members.size() != size_) {
        throw std::invalid_argument("there must be " + std::to_string(size_) +
                                    " members, as the offsets say, but are " + std::to_string(members.size()));
    }
    draw_rows(*this, groups_, derive_key(seed, epoch, Purpose::grouped_alias), first, out,
              MemberAt<Member>{members.data()});
}

template void GroupedAlias::draw<std::int32_t>(u64, u64, u64, std::span<const std::int32_t>, std::span<index_t>) const;
template void GroupedAlias::draw<index_t>(u64, u64, u64, std::span<const index_t>, std::span<index_t>) const;

}  // namespace tombola
