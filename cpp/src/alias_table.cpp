#include "tombola/alias_table.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "tombola/draw_words.hpp"
#include "tombola/parallel.hpp"
#include "tombola/philox.hpp"

namespace tombola {
namespace {

constexpr std::size_t draws_a_task = std::size_t{1} << 14U;

}  // namespace

AliasTable::AliasTable(std::span<const Column> columns) : columns_(columns.size()) {
    if (columns.empty() || columns.size() > largest) {
        throw std::invalid_argument("an alias table must have 1 to 2**32 - 1 columns, but has " +
                                    std::to_string(columns.size()));
    }
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].alias >= columns.size()) {
            throw std::invalid_argument("aliases must lie in [0, " + std::to_string(columns.size()) + "), but column " +
                                        std::to_string(i) + " has " + std::to_string(columns[i].alias));
        }
        columns_[i] = columns[i];
    }
}

void AliasTable::draw(u64 seed, u64 epoch, u64 first, std::span<index_t> out) const {
    __extension__ using u128 = unsigned __int128;
    const u64 key = derive_key(seed, epoch, Purpose::alias);
    const u64 n = columns_.size();
    const Column* const columns = columns_.data();
    const index_t tasks = static_cast<index_t>((out.size() + draws_a_task - 1) / draws_a_task);
    parallel_for(tasks, [&](index_t task) {
        DrawWords words;
        std::array<u32, draws_at_once> own;
        std::array<u32, draws_at_once> height;
        const std::size_t start = static_cast<std::size_t>(task) * draws_a_task;
        const std::size_t stop = std::min(out.size(), start + draws_a_task);
        for (std::size_t at = start; at < stop; at += draws_at_once) {
            const std::size_t count = std::min(draws_at_once, stop - at);
            const std::span<const u64> u = words.fill(key, first + at, count);
            for (std::size_t i = 0; i < count; ++i) {
                const u128 product = static_cast<u128>(u[i]) * n;
                own[i] = static_cast<u32>(product >> 64U);
                height[i] = static_cast<u32>(static_cast<u64>(product) >> 32U);
                __builtin_prefetch(columns + own[i]);
            }
            for (std::size_t i = 0; i < count; ++i) {
                const Column column = columns[own[i]];
                const u32 is_own = 0U - static_cast<u32>(height[i] < column.cut);  // a branch would be a coin's toss
                out[at + i] = static_cast<index_t>((own[i] & is_own) | (column.alias & ~is_own));
            }
        }
    });
}

}  // namespace tombola
