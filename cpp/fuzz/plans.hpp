// What fuzz targets of plans share: options, sensible ones or any, and what holds of every plan.
#pragma once

#include <algorithm>

#include "fuzz.hpp"
#include "tombola/plans/plan.hpp"

namespace tombola::fuzz {

// Mostly in [first, last], now and then any number
inline index_t number(Input& input, std::size_t first, std::size_t last) {
    return input.take<std::uint8_t>() < 250 ? static_cast<index_t>(input.within(first, last)) : input.take<index_t>();
}

// What the bindings let through: std::invalid_argument else
inline index_t size_at_least(index_t least, index_t value) {
    if (value < least || value > largest_size) {
        throw std::invalid_argument("a size");
    }
    return value;
}

inline PlanOptions options_of(Input& input) {
    PlanOptions options;
    options.batch_size = number(input, 1, 20);
    options.fetch_factor = number(input, 1, 9);
    options.drop_last = input.within(0, 1) == 1;
    options.seed = static_cast<u64>(number(input, 0, 255));
    options.epoch = static_cast<u64>(number(input, 0, 255));
    check_options(options);
    return options;
}

inline constexpr index_t most_rows = 4096;     // of a query
inline constexpr index_t most_window = 16384;  // that a query makes

// Some batches of a plan over rows [0, n): inside it, as many rows as it says, and each batch the same alone.
inline void check_batches(const Plan& plan, index_t start, index_t stop, index_t n) {
    std::vector<index_t> offsets(static_cast<std::size_t>(stop - start) + 1);
    plan.offsets(start, stop, offsets);
    require(offsets.front() == 0 && std::is_sorted(offsets.begin(), offsets.end()), "offsets rise from 0");
    if (offsets.back() > most_rows) {
        return;
    }
    std::vector<index_t> rows(static_cast<std::size_t>(offsets.back()));
    plan.fill(start, stop, rows);
    require(std::all_of(rows.begin(), rows.end(), [n](index_t row) { return 0 <= row && row < n; }), "rows in range");
    const index_t first = plan.offset(start);
    for (index_t batch = start; batch < stop; ++batch) {
        const auto at = static_cast<std::size_t>(batch - start);
        require(plan.offset(batch) - first == offsets[at], "an offset alone");
        std::vector<index_t> alone(static_cast<std::size_t>(offsets[at + 1] - offsets[at]));
        plan.fill(batch, batch + 1, alone);
        require(std::equal(alone.begin(), alone.end(), rows.begin() + offsets[at]), "a batch alone");
    }
}

// Batches here and there: at the beginning, at the end, and where the input says, in any order, as ranks ask that go on
// from a position.
inline void check_plan(Input& input, const Plan& plan, const PlanOptions& options, index_t n) {
    const index_t batches = plan.n_batches();
    require(batches >= 0 && plan.n_rows() >= 0 && batches <= plan.n_rows(), "no batch is empty");
    require(plan.offset(0) == 0 && plan.offset(batches) == plan.n_rows(), "offsets from 0 to the rows");
    if (options.batch_size * options.fetch_factor > most_window) {
        return;
    }
    check_batches(plan, batches, batches, n);
    for (std::size_t left = input.within(1, 3); left > 0; --left) {
        const u64 at = input.within(0, 1) == 1 ? input.take<u64>() : input.take<std::uint8_t>();
        const auto start = static_cast<index_t>(at % (static_cast<u64>(batches) + 1));
        check_batches(plan, start, std::min(batches, start + static_cast<index_t>(input.within(0, 5))), n);
        check_batches(plan, batches - std::min(batches, index_t{2}), batches, n);
    }
}

// No row twice, and where nothing is left out each of `rows`, which ascend
inline void check_cover(const Plan& plan, const PlanOptions& options, const std::vector<index_t>& rows) {
    if (plan.n_rows() > most_rows || options.batch_size * options.fetch_factor > most_window) {
        return;
    }
    std::vector<index_t> all(static_cast<std::size_t>(plan.n_rows()));
    plan.fill(0, plan.n_batches(), all);
    std::sort(all.begin(), all.end());
    require(std::adjacent_find(all.begin(), all.end()) == all.end(), "no row comes twice");
    require(std::includes(rows.begin(), rows.end(), all.begin(), all.end()), "rows that were to be chosen from");
    require(options.drop_last || all.size() == rows.size(), "every row comes");
}

}  // namespace tombola::fuzz
