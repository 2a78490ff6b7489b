#include "tombola/alias_table.hpp"

#include <algorithm>
#include <array>

#include "tombola/kernels.hpp"
#include "tombola/parallel.hpp"
#include "tombola/philox.hpp"

namespace tombola {
namespace {

constexpr std::size_t draws_at_once = 256;
constexpr std::size_t draws_a_task = std::size_t{1} << 17U;

}  // namespace

AliasTable::AliasTable(const WeightTable& table) : columns_(table.size()), total_(table.total()) {
    __extension__ using u128 = unsigned __int128;
    const std::size_t n = columns_.size();
    std::vector<u128> masses(n);  // in units in which a column holds total_
    std::vector<index_t> small;
    std::vector<index_t> large;
    std::array<mass_t, 1024> buffer;
    for (std::size_t first = 0; first < n; first += buffer.size()) {
        const std::size_t count = std::min(buffer.size(), n - first);
        table.masses(first, count, buffer.data());
        for (std::size_t i = 0; i < count; ++i) {
            masses[first + i] = static_cast<u128>(buffer[i]) * n;
            (masses[first + i] < total_ ? small : large).push_back(static_cast<index_t>(first + i));
        }
    }
    while (!small.empty() && !large.empty()) {
        const index_t row = small.back();
        const index_t giver = large.back();
        small.pop_back();
        large.pop_back();
        const mass_t own = static_cast<mass_t>(masses[static_cast<std::size_t>(row)]);
        columns_[static_cast<std::size_t>(row)] = {.cut = own, .alias = giver};
        masses[static_cast<std::size_t>(giver)] -= total_ - own;
        (masses[static_cast<std::size_t>(giver)] < total_ ? small : large).push_back(giver);
    }
    for (const std::vector<index_t>* rest : {&small, &large}) {
        for (const index_t row : *rest) {
            columns_[static_cast<std::size_t>(row)] = {.cut = total_, .alias = row};
        }
    }
}

void AliasTable::draw(u64 seed, u64 epoch, u64 first, std::span<index_t> out) const {
    const u64 key = derive_key(seed, epoch, Purpose::alias);
    const u64 n = columns_.size();
    const index_t tasks = static_cast<index_t>((out.size() + draws_a_task - 1) / draws_a_task);
    parallel_for(tasks, [&](index_t task) {
        alignas(64) std::array<u64, 2 * draws_at_once> words;
        const std::size_t start = static_cast<std::size_t>(task) * draws_a_task;
        const std::size_t stop = std::min(out.size(), start + draws_a_task);
        for (std::size_t at = start; at < stop; at += draws_at_once) {
            const std::size_t count = std::min(draws_at_once, stop - at);
            kernels().serial_words(key, 0, first + at, count, reinterpret_cast<u32*>(words.data()));
            for (std::size_t i = 0; i < count; ++i) {
                words[2 * i] = multiply_high(words[2 * i], n);
                __builtin_prefetch(&columns_[words[2 * i]]);
            }
            for (std::size_t i = 0; i < count; ++i) {
                const Column& column = columns_[words[2 * i]];
                const mass_t target = multiply_high(words[2 * i + 1], total_);
                out[at + i] = target < column.cut ? static_cast<index_t>(words[2 * i]) : column.alias;
            }
        }
    });
}

}  // namespace tombola
