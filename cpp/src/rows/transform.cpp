#include "tombola/rows/transform.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "tombola/base/parallel.hpp"

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
};

// Whether columns ascend and are in range; both as signs of differences, which any compiler turns into vectors.
template <typename Column>
bool all_is_well(const Column* columns, std::size_t n, u64 width) {
    using Unsigned = std::make_unsigned_t<Column>;
    constexpr Unsigned sign = ~(std::numeric_limits<Unsigned>::max() >> 1U);
    if (n == 0 || width == 0 || width > sign) {
        return n == 0;
    }
    const Unsigned top = static_cast<Unsigned>(width - 1);
    const Unsigned first = static_cast<Unsigned>(columns[0]);
    Unsigned wrong = first | (top - first);
    for (std::size_t k = 1; k < n; ++k) {
        const Unsigned column = static_cast<Unsigned>(columns[k]);
        wrong |= column | (top - column) | (column - static_cast<Unsigned>(columns[k - 1]) - 1);
    }
    return (wrong & sign) == 0;
}

// Renumbers the columns of a row and closes up; where one is out of range it stands at `kept`.
template <typename T, typename Column>
Selected select_columns(T* values, Column* columns, std::size_t n, const ColumnMap& map) {
    const u64 width = static_cast<u64>(map.n_columns);
    if (map.to.empty() && all_is_well(columns, n, width)) {
        return {n, true, true};
    }
    std::size_t kept = 0;
    bool ascending = true;
    index_t last = -1;
    for (std::size_t k = 0; k < n; ++k) {
        const u64 column = static_cast<u64>(columns[k]);
        if (column >= width) {
            columns[kept] = columns[k];
            return {kept, false, ascending};
        }
        const index_t to = map.to.empty() ? static_cast<index_t>(column) : map.to[column];
        const bool keep = to >= 0;
        columns[kept] = static_cast<Column>(to);
        values[kept] = values[k];
        kept += keep ? 1U : 0U;
        ascending = ascending && (!keep || to > last);
        last = keep ? to : last;
    }
    return {kept, true, ascending};
}

}  // namespace

template <typename T, typename Column>
CsrOutcome csr_transform(std::span<T> data, std::span<Column> columns, std::span<const index_t> indptr,
                         std::span<const ColumnMap> maps, std::span<const std::int32_t> map_of_row,
                         const Arithmetic& work, std::span<index_t> counts) {
    constexpr index_t none = std::numeric_limits<index_t>::max();
    std::atomic<index_t> bad{none};
    std::atomic<bool> ascending{true};
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
void dense_transform(std::span<const T> rows, const ColumnMap& map, const Arithmetic& work,
                     std::span<const index_t> places, index_t n_out, std::span<T> out) {
    if (map.n_columns == 0 && n_out == 0) {
        return;
    }
    const std::size_t width = static_cast<std::size_t>(map.n_columns);
    const std::size_t wide = static_cast<std::size_t>(n_out);
    // Where each column here comes from; the file's width where from none
    std::vector<std::size_t> source;
    if (!map.to.empty()) {
        source.assign(wide, width);
        for (std::size_t k = 0; k < width; ++k) {
            if (map.to[k] >= 0) {
                source[static_cast<std::size_t>(map.to[k])] = k;
            }
        }
    }
    const std::size_t n = width == 0 ? (places.empty() ? out.size() / wide : places.size()) : rows.size() / width;
    each_row(static_cast<index_t>(n), static_cast<index_t>(n * std::max(width, wide)), [&](index_t row) {
        const std::size_t i = static_cast<std::size_t>(row);
        const T* const from = rows.data() + i * width;
        T* const to = out.data() + (places.empty() ? i : static_cast<std::size_t>(places[i])) * wide;
        double total = 0;
        if constexpr (std::is_floating_point_v<T>) {
            total = work.target == 0 ? 0 : total_of(from, width);
        }
        if (!map.to.empty()) {
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
    });
}

// u = 1 + x is taken apart as 2^e * m with m in [sqrt(1/2), sqrt(2)); log m = 2 artanh(s), s = (m - 1) / (m + 1), whose
// series is cut where the rest is below 2^-33 of it. In front of e = 0 the sum 1 + x is not needed, and x small is not
// rounded away. Without branches, so that compilers make vectors of it.
void log1p_each(std::span<float> values) {
    u32 odd = 0;  // its sign is set by what is negative, infinite or no number
    for (const float x : values) {
        const u32 bits = std::bit_cast<u32>(x);
        odd |= bits | (bits + 0x00800000U);
    }
    const bool is_plain = (odd >> 31U) == 0;
    if (!is_plain) {
        std::transform(values.begin(), values.end(), values.begin(), [](float x) { return std::log1p(x); });
        return;
    }
    constexpr u64 root_half = 0x3FE6A09E667F3BCDULL;  // sqrt(1/2) as bits
    constexpr u64 one = 0x3FF0000000000000ULL;
    constexpr u64 fraction = 0x000FFFFFFFFFFFFFULL;
    constexpr u64 whole = 0x4330000000000000ULL;  // 2^52: its last bits count units
    constexpr double unit = 4503599627370496.0;
    constexpr double log_2 = 0.69314718055994530942;
    for (float& value : values) {
        const double x = static_cast<double>(value);
        const u64 bits = std::bit_cast<u64>(1.0 + x) + (one - root_half);
        const u64 exponent = (bits >> 52U) - 1023U;  // 0 to 128
        const double e = std::bit_cast<double>(exponent | whole) - unit;
        const double above = std::bit_cast<double>((bits & fraction) + root_half) - 1.0;
        const u64 is_zero = u64{0} - ((exponent - 1U) >> 63U);
        const double f =
            std::bit_cast<double>((std::bit_cast<u64>(x) & is_zero) | (std::bit_cast<u64>(above) & ~is_zero));
        const double s = f / (2.0 + f);
        const double t = s * s;
        const double series =
            1.0 + t * (1.0 / 3.0 + t * (1.0 / 5.0 + t * (1.0 / 7.0 + t * (1.0 / 9.0 + t * (1.0 / 11.0)))));
        value = static_cast<float>(2.0 * s * series + e * log_2);
    }
}

void round_to_bfloat16(std::span<const float> values, std::span<u16> words) {
    const index_t n = static_cast<index_t>(values.size());
    parallel_for((n + task_values - 1) / task_values, [&](index_t task) {
        const std::size_t stop = static_cast<std::size_t>(std::min(n, (task + 1) * task_values));
        for (std::size_t k = static_cast<std::size_t>(task * task_values); k < stop; ++k) {
            const u32 bits = std::bit_cast<u32>(values[k]);
            const u32 rounded = bits + 0x7FFFU + ((bits >> 16U) & 1U);
            const bool is_number = (bits & 0x7FFFFFFFU) <= 0x7F800000U;
            words[k] = static_cast<u16>((is_number ? rounded : bits | 0x00400000U) >> 16U);
        }
    });
}

#define TOMBOLA_CSR(T, Column)                                                                                      \
    template CsrOutcome csr_transform(std::span<T>, std::span<Column>, std::span<const index_t>,                    \
                                      std::span<const ColumnMap>, std::span<const std::int32_t>, const Arithmetic&, \
                                      std::span<index_t>);                                                          \
    template void csr_compact(std::span<const T>, std::span<const Column>, std::span<const index_t>,                \
                              std::span<const index_t>, std::span<T>, std::span<Column>);
#define TOMBOLA_ROWS(T)                                                                                              \
    TOMBOLA_CSR(T, std::int32_t)                                                                                     \
    TOMBOLA_CSR(T, std::int64_t)                                                                                     \
    template void dense_transform(std::span<const T>, const ColumnMap&, const Arithmetic&, std::span<const index_t>, \
                                  index_t, std::span<T>);
TOMBOLA_ROWS(float)
TOMBOLA_ROWS(double)
TOMBOLA_ROWS(std::uint8_t)
TOMBOLA_ROWS(u16)
TOMBOLA_ROWS(u32)
TOMBOLA_ROWS(u64)

}  // namespace tombola
