#include "tombola/rows/transform.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/rows/csr.hpp"

namespace tombola {
namespace {

constexpr index_t task_values = index_t{1} << 16U;

// body(row) for all rows, some `task_values` values a task
template <typename Body>
void each_row(index_t rows, index_t values, const Body& body) {
    const index_t at_once =
        std::max<index_t>(1, task_values / std::max<index_t>(1, values / std::max<index_t>(1, rows)));
    parallel_for((rows + at_once - 1) / at_once, [&](index_t task) {
        for (index_t row = task * at_once; row < std::min(rows, (task + 1) * at_once); ++row) {
            body(row);
        }
    });
}

// Four sums side by side: one alone waits for each addition.
template <typename T>
double total_of(const T* values, std::size_t n) {
    double sums[4] = {0, 0, 0, 0};
    std::size_t k = 0;
    for (; k + 4 <= n; k += 4) {
        for (std::size_t lane = 0; lane < 4; ++lane) {
            sums[lane] += static_cast<double>(values[k + lane]);
        }
    }
    for (; k < n; ++k) {
        sums[0] += static_cast<double>(values[k]);
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <typename T>
void log1p_all(T* values, std::size_t n) {
    if constexpr (std::is_same_v<T, float>) {
        log1p_each({values, n});
    } else {
        std::transform(values, values + n, values, [](T x) { return std::log1p(x); });
    }
}

// Zeros stay, and are most of a dense row: only the others are gathered and worked on.
template <typename T>
void log1p_nonzero(T* values, std::size_t n) {
    thread_local std::vector<T> some;
    thread_local std::vector<std::size_t> where;
    some.resize(n);
    where.resize(n);
    std::size_t kept = 0;
    for (std::size_t k = 0; k < n; ++k) {
        some[kept] = values[k];
        where[kept] = k;
        kept += values[k] != 0 ? 1U : 0U;
    }
    log1p_all(some.data(), kept);
    for (std::size_t k = 0; k < kept; ++k) {
        values[where[k]] = some[k];
    }
}

template <typename T>
void multiply(T* values, std::size_t n, double target, double total) {
    if (target == 0 || total == 0) {
        return;
    }
    const double factor = target / total;
    for (std::size_t k = 0; k < n; ++k) {
        values[k] = static_cast<T>(static_cast<double>(values[k]) * factor);
    }
}

// column(k) is that of value k
template <typename T, typename ColumnOf>
void scale(T* values, std::size_t n, const Arithmetic& work, const ColumnOf& column) {
    if (!work.mean.empty()) {
        for (std::size_t k = 0; k < n; ++k) {
            values[k] = static_cast<T>(static_cast<double>(values[k]) - work.mean[column(k)]);
        }
    }
    if (!work.factor.empty()) {
        for (std::size_t k = 0; k < n; ++k) {
            values[k] = static_cast<T>(static_cast<double>(values[k]) * work.factor[column(k)]);
        }
    }
}

// Sorts the columns of a row and adds up duplicates in the order in which they came; returns how many are left.
template <typename T, typename Column>
std::size_t sort_row(T* values, Column* columns, std::size_t n) {
    thread_local std::vector<std::pair<Column, T>> pairs;
    pairs.resize(n);
    for (std::size_t k = 0; k < n; ++k) {
        pairs[k] = {columns[k], values[k]};
    }
    std::stable_sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::size_t kept = 0;
    for (const auto& [column, value] : pairs) {
        if (kept > 0 && columns[kept - 1] == column) {
            values[kept - 1] += value;
        } else {
            columns[kept] = column;
            values[kept] = value;
            ++kept;
        }
    }
    return kept;
}

struct Selected {
    std::size_t kept;
    bool in_range;
    bool ascending;
    bool as_stored;
};

// Whether the columns of a row ascend and are in range
template <typename Column>
bool all_is_well(const Column* columns, std::size_t n, index_t width) {
    const std::array<index_t, 2> row{0, static_cast<index_t>(n)};
    const ColumnCheck found = csr_check_part(std::span(columns, n), std::span<const index_t>(row), width, 0, row[1]);
    return found.in_range && found.ascending;
}

// Renumbers the columns of a row and closes up; where one is out of range it stands at `kept`.
template <typename T, typename Column>
Selected select_columns(T* values, Column* columns, std::size_t n, const ColumnMap& map) {
    const u64 width = static_cast<u64>(map.n_columns);
    if (map.to.empty() && all_is_well<Column>(columns, n, map.n_columns)) {
        return {n, true, true, true};
    }
    std::size_t kept = 0;
    bool ascending = true;
    bool as_stored = true;
    index_t last = -1;
    u64 above = 0;  // what the next column may not be below
    for (std::size_t k = 0; k < n; ++k) {
        const u64 column = static_cast<u64>(columns[k]);
        if (column >= width) {
            columns[kept] = columns[k];
            return {kept, false, ascending, as_stored};
        }
        as_stored = as_stored && column >= above;
        above = column + 1;
        const index_t to = map.to.empty() ? static_cast<index_t>(column) : map.to[column];
        const bool keep = to >= 0;
        columns[kept] = static_cast<Column>(to);
        values[kept] = values[k];
        kept += keep ? 1U : 0U;
        ascending = ascending && (!keep || to > last);
        last = keep ? to : last;
    }
    return {kept, true, ascending, as_stored};
}

}  // namespace

template <typename T, typename Column>
CsrOutcome csr_transform(std::span<T> data, std::span<Column> columns, std::span<const index_t> indptr,
                         std::span<const ColumnMap> maps, std::span<const std::int32_t> map_of_row,
                         const Arithmetic& work, std::span<index_t> counts) {
    constexpr index_t none = std::numeric_limits<index_t>::max();
    std::atomic<index_t> bad{none};
    std::atomic<bool> ascending{true};
    std::atomic<bool> as_stored{true};
    const index_t rows = static_cast<index_t>(counts.size());
    each_row(rows, static_cast<index_t>(data.size()), [&](index_t row) {
        const std::size_t i = static_cast<std::size_t>(row);
        const std::size_t start = static_cast<std::size_t>(indptr[i]);
        std::size_t n = static_cast<std::size_t>(indptr[i + 1]) - start;
        T* const values = data.data() + start;
        Column* const where = columns.data() + start;
        double total = 0;
        if constexpr (std::is_floating_point_v<T>) {
            total = work.target == 0 ? 0 : total_of(values, n);
        }
        const ColumnMap& map = maps[map_of_row.empty() ? 0 : static_cast<std::size_t>(map_of_row[i])];
        const Selected found = select_columns(values, where, n, map);
        counts[i] = static_cast<index_t>(found.kept);
        if (!found.in_range) {
            index_t first = bad.load(std::memory_order_relaxed);
            while (row < first && !bad.compare_exchange_weak(first, row, std::memory_order_relaxed)) {
            }
            return;
        }
        if (!found.as_stored) {
            as_stored.store(false, std::memory_order_relaxed);
        }
        if constexpr (std::is_floating_point_v<T>) {
            n = found.ascending ? found.kept : sort_row(values, where, found.kept);
            counts[i] = static_cast<index_t>(n);
            multiply(values, n, work.target, total);
            if (work.log1p) {
                log1p_all(values, n);
            }
            scale(values, n, work, [where](std::size_t k) { return static_cast<std::size_t>(where[k]); });
        } else if (!found.ascending) {
            ascending.store(false, std::memory_order_relaxed);
        }
    });
    CsrOutcome outcome;
    outcome.ascending = ascending;
    outcome.as_stored = as_stored;
    if (bad != none) {
        outcome.bad_row = bad;
        const std::size_t i = static_cast<std::size_t>(outcome.bad_row);
        outcome.bad_column = static_cast<index_t>(columns[static_cast<std::size_t>(indptr[i] + counts[i])]);
    }
    return outcome;
}

template <typename T, typename Column>
void csr_compact(std::span<const T> data, std::span<const Column> columns, std::span<const index_t> from,
                 std::span<const index_t> to, std::span<T> out_data, std::span<Column> out_columns) {
    each_row(static_cast<index_t>(to.size()) - 1, static_cast<index_t>(out_data.size()), [&](index_t row) {
        const std::size_t i = static_cast<std::size_t>(row);
        const std::size_t n = static_cast<std::size_t>(to[i + 1] - to[i]);
        std::copy_n(data.data() + from[i], n, out_data.data() + to[i]);
        std::copy_n(columns.data() + from[i], n, out_columns.data() + to[i]);
    });
}

template <typename T>
RowWork dense_work(const ColumnMap& map, const Arithmetic& work, index_t n_out) {
    const std::size_t width = static_cast<std::size_t>(map.n_columns);
    const std::size_t wide = static_cast<std::size_t>(n_out);
    // Where each column here comes from; the file's width where from none
    std::vector<std::size_t> source;
    RowWork made{{}, width * sizeof(T), wide * sizeof(T), {}};
    if (!map.to.empty()) {
        source.assign(wide, width);
        for (std::size_t k = 0; k < width; ++k) {
            if (map.to[k] >= 0) {
                source[static_cast<std::size_t>(map.to[k])] = k;
                if (work.target == 0) {
                    made.items.push_back(k);
                }
            }
        }
    }
    made.apply = [=, source = std::move(source)](const std::byte* row, std::byte* out) {
        const T* const from = reinterpret_cast<const T*>(row);
        T* const to = reinterpret_cast<T*>(out);
        double total = 0;
        if constexpr (std::is_floating_point_v<T>) {
            total = work.target == 0 ? 0 : total_of(from, width);
        }
        if (!source.empty()) {
            for (std::size_t j = 0; j < wide; ++j) {
                to[j] = source[j] < width ? from[source[j]] : T{0};
            }
        } else if (from != to) {
            std::copy_n(from, wide, to);
        }
        if constexpr (std::is_floating_point_v<T>) {
            multiply(to, wide, work.target, total);
            if (work.log1p) {
                log1p_nonzero(to, wide);
            }
            scale(to, wide, work, [](std::size_t k) { return k; });
        }
    };
    return made;
}

#define TOMBOLA_CSR(T, Column)                                                                                      \
    template CsrOutcome csr_transform(std::span<T>, std::span<Column>, std::span<const index_t>,                    \
                                      std::span<const ColumnMap>, std::span<const std::int32_t>, const Arithmetic&, \
                                      std::span<index_t>);                                                          \
    template void csr_compact(std::span<const T>, std::span<const Column>, std::span<const index_t>,                \
                              std::span<const index_t>, std::span<T>, std::span<Column>);
#define TOMBOLA_ROWS(T)          \
    TOMBOLA_CSR(T, std::int32_t) \
    TOMBOLA_CSR(T, std::int64_t) \
    template RowWork dense_work<T>(const ColumnMap&, const Arithmetic&, index_t);
TOMBOLA_ROWS(float)
TOMBOLA_ROWS(double)
TOMBOLA_ROWS(std::uint8_t)
TOMBOLA_ROWS(u16)
TOMBOLA_ROWS(u32)
TOMBOLA_ROWS(u64)

}  // namespace tombola
