#include "tombola/rows/row_work.hpp"

#include <algorithm>

#include "tombola/base/parallel.hpp"

namespace tombola {
namespace {

constexpr std::size_t task_bytes = std::size_t{1} << 18U;

}  // namespace

bool RowWork::needs(std::size_t first, std::size_t count) const noexcept {
    const auto found = std::ranges::lower_bound(items, first);
    return items.empty() || (found != items.end() && *found - first < count);
}

void work_on_rows(const RowWork& work, std::span<const std::byte> rows, std::span<const index_t> places,
                  std::span<std::byte> out) {
    const std::size_t row_bytes = std::max<std::size_t>(1, std::max(work.row_bytes, work.out_bytes));
    const std::size_t n = work.row_bytes > 0   ? rows.size() / work.row_bytes
                          : work.out_bytes > 0 ? out.size() / work.out_bytes
                                               : 0;
    const std::size_t at_once = std::max<std::size_t>(1, task_bytes / row_bytes);
    parallel_for(static_cast<index_t>((n + at_once - 1) / at_once), [&](index_t task) {
        const std::size_t first = static_cast<std::size_t>(task) * at_once;
        for (std::size_t i = first; i < std::min(n, first + at_once); ++i) {
            const std::size_t to = places.empty() ? i : static_cast<std::size_t>(places[i]);
            work.apply(rows.data() + i * work.row_bytes, out.data() + to * work.out_bytes);
        }
    });
}

}  // namespace tombola
