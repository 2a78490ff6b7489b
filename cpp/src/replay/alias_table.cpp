#include "tombola/replay/alias_table.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

#include "tombola/base/parallel.hpp"
#include "tombola/base/prefetch.hpp"
#include "tombola/random/draw_words.hpp"
#include "tombola/random/philox.hpp"

namespace tombola {
namespace {

constexpr std::size_t draws_a_task = std::size_t{1} << 14U;
constexpr std::size_t block_draws = 64;
constexpr std::size_t waiting = 3;  // blocks

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
        // Blocks wait for their columns while the random numbers of the next ones are made.
        struct Block {
            std::array<u32, block_draws> own;
            std::array<u32, block_draws> height;
        };
        std::array<Block, waiting + 1> blocks;
        DrawWords<block_draws> words;
        const std::size_t start = static_cast<std::size_t>(task) * draws_a_task;
        const std::size_t count = std::min(draws_a_task, out.size() - start);
        const std::size_t n_blocks = (count + block_draws - 1) / block_draws;
        for (std::size_t b = 0; b < n_blocks + waiting; ++b) {
            if (b < n_blocks) {
                Block& block = blocks[b % blocks.size()];
                const std::size_t at = start + b * block_draws;
                const std::span<const u64> u = words.fill(key, first + at, block_draws);
                for (std::size_t i = 0; i < block_draws; ++i) {
                    const u128 product = static_cast<u128>(u[i]) * n;
                    block.own[i] = static_cast<u32>(product >> 64U);
                    block.height[i] = static_cast<u32>(static_cast<u64>(product) >> 32U);
                    prefetch_far(columns + block.own[i]);
                }
            }
            if (b >= waiting) {
                const Block& block = blocks[(b - waiting) % blocks.size()];
                const std::size_t done = (b - waiting) * block_draws;
                for (std::size_t i = 0; i < std::min(block_draws, count - done); ++i) {
                    const Column column = columns[block.own[i]];
                    const u32 own = 0U - static_cast<u32>(block.height[i] < column.cut);  // a branch is a coin's toss
                    out[start + done + i] = static_cast<index_t>((block.own[i] & own) | (column.alias & ~own));
                }
            }
        }
    });
}

}  // namespace tombola
