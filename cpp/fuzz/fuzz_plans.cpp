// Any sizes, keys and options as plans of every kind that need no weights: what does not fit is said, rows stay in
// range, batches are the same however they are asked for, and no row comes twice where none should.
#include <memory>
#include <numeric>
#include <stdexcept>

#include "plans.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/orders/bounded_order.hpp"
#include "tombola/plans/bucket_plan.hpp"
#include "tombola/plans/mixture_plan.hpp"
#include "tombola/plans/per_class_plan.hpp"
#include "tombola/plans/series_plan.hpp"

namespace tombola::fuzz {
namespace {

// Rows to choose among, ascending, below 1,000
std::vector<index_t> subset_of(Input& input, std::size_t most) {
    std::vector<index_t> rows;
    index_t row = -1;
    for (std::size_t left = input.within(0, most); left > 0; --left) {
        row += static_cast<index_t>(input.within(1, 4));
        rows.push_back(row);
    }
    return rows;
}

constexpr index_t subset_rows = 1024;

void windowed(Input& input, const PlanOptions& options) {
    const bool blocks = input.within(0, 1) == 1;
    const bool has_subset = input.within(0, 1) == 1;
    const bool shuffle = input.within(0, 1) == 1;
    const index_t block_size = size_at_least(1, number(input, 1, 30));
    const std::vector<index_t> rows = has_subset ? subset_of(input, 250) : std::vector<index_t>{};
    const index_t n = has_subset ? static_cast<index_t>(rows.size()) : size_at_least(0, number(input, 0, 255));
    std::unique_ptr<const Order> order;
    if (blocks) {
        auto counting = std::make_shared<const CountingSequence>(static_cast<u64>(n));
        order = std::make_unique<const BlockOrder>(std::move(counting), static_cast<u64>(block_size), options.seed,
                                                   options.epoch);
    } else {
        order = std::make_unique<const StreamingOrder>(static_cast<u64>(n));
    }
    const WindowedPlan plan(std::move(order), has_subset ? Subset(rows) : Subset(), blocks ? block_size > 1 : shuffle,
                            options);
    check_plan(input, plan, options, has_subset ? subset_rows : n);
    if (has_subset) {
        check_cover(plan, options, rows);
    }
}

void bounded(Input& input, const PlanOptions& options) {
    std::vector<index_t> bounds{number(input, 0, 0)};
    for (std::size_t left = input.within(0, 40); left > 0; --left) {
        const index_t step = number(input, 0, 30);
        bounds.push_back(static_cast<index_t>(static_cast<u64>(bounds.back()) + static_cast<u64>(step)));
    }
    const bool has_subset = input.within(0, 1) == 1;
    const std::vector<index_t> rows = has_subset ? subset_of(input, 100) : std::vector<index_t>{};
    const Subset subset = has_subset ? Subset(rows) : Subset();
    const auto blocks = std::make_shared<const BlockBounds>(bounds, subset);
    const WindowedPlan plan(std::make_unique<const BoundedOrder>(blocks, options.seed, options.epoch), subset,
                            blocks->largest() > 1, options);
    check_plan(input, plan, options, bounds.back());
    if (has_subset) {
        check_cover(plan, options, rows);
    }
}

std::vector<std::int64_t> keys_of(Input& input) {
    std::vector<std::int64_t> keys;
    const std::size_t count = input.within(0, 200);
    for (std::size_t i = 0; i < count; ++i) {
        keys.push_back(number(input, 0, 15));
    }
    return keys;
}

struct Keyed {
    std::shared_ptr<const Groups> groups;
    std::vector<index_t> rows;
};

Keyed groups_of(Input& input) {
    const bool wide = input.within(0, 1) == 1;
    const bool has_subset = input.within(0, 1) == 1;
    const std::vector<std::int64_t> keys = keys_of(input);
    std::vector<index_t> rows(keys.size());
    std::iota(rows.begin(), rows.end(), 0);
    if (has_subset) {
        for (std::size_t i = 1; i < rows.size(); ++i) {
            rows[i] = rows[i - 1] + static_cast<index_t>(input.within(1, 4));
        }
    }
    const Subset subset = has_subset ? Subset(rows) : Subset();
    return {std::make_shared<const Groups>(Groups::from_keys(std::span<const std::int64_t>(keys), subset, wide)), rows};
}

void keyed(Input& input, const PlanOptions& options) {
    const Keyed made = groups_of(input);
    const bool shuffle = input.within(0, 1) == 1;
    std::unique_ptr<const Plan> plan;
    switch (input.within(0, 2)) {
        case 0:
            plan = make_balanced_plan(made.groups, {number(input, 0, 5), shuffle}, options);
            break;
        case 1:
            plan = make_round_robin_plan(made.groups, shuffle, options);
            break;
        default: {
            std::vector<index_t> sizes(input.within(0, 1) == 1 ? made.groups->groups() : input.within(0, 3));
            std::generate(sizes.begin(), sizes.end(), [&] { return number(input, 1, 9); });
            plan = make_bucket_plan(made.groups, sizes, shuffle, options);
        }
    }
    check_plan(input, *plan, options, subset_rows);
    check_cover(*plan, options, made.rows);
}

void tuples(Input& input, const PlanOptions& options) {
    const Keyed made = groups_of(input);
    const bool repeat = input.within(0, 1) == 1;
    const index_t each = size_at_least(1, number(input, 1, 5));
    const auto tuples = std::make_shared<const Tuples>(made.groups, static_cast<u64>(each), repeat);
    PlanOptions fitting = options;
    if (each <= 100 && options.batch_size <= 100) {
        fitting.batch_size *= each;
    }
    const auto plan = make_per_class_plan(tuples, fitting);
    check_plan(input, *plan, fitting, subset_rows);
    fitting.drop_last = true;  // rows that fill no tuple are left out
    if (!repeat) {
        check_cover(*plan, fitting, made.rows);
    }
}

void mixture(Input& input, const PlanOptions& options) {
    const Keyed made = groups_of(input);
    const std::size_t strata = input.within(0, 15) == 0 ? 0 : input.within(1, 12);
    const std::size_t contexts = input.within(0, 15) == 0 ? 0 : input.within(1, 3);
    Mixture mixture;
    mixture.groups = made.groups;
    mixture.strata = strata;
    mixture.batches = static_cast<u64>(size_at_least(1, number(input, 10, 40)));
    for (std::size_t i = 0; i < contexts; ++i) {
        mixture.context_firsts.push_back(
            static_cast<u64>(i == 0 ? number(input, 0, 0) : number(input, 3 * i, 3 * i + 2)));
    }
    for (std::size_t i = 0; i < contexts * strata; ++i) {
        mixture.context_groups.push_back(static_cast<u64>(number(input, 0, 15)) % made.groups->groups());
    }
    PlanOptions fitting = options;
    std::vector<index_t> positions;
    switch (input.within(0, 2)) {
        case 0: {
            u64 sum = 0;
            for (std::size_t s = 0; s < strata; ++s) {
                mixture.portions.counts.push_back(static_cast<u64>(number(input, 0, 6)));
                sum += mixture.portions.counts.back();
            }
            fitting.batch_size = static_cast<index_t>(sum);
            break;
        }
        case 1:
            for (std::size_t s = 0; s + 1 < strata; ++s) {
                const auto rest = static_cast<u64>(s == 0 ? 0 : strata + s - 1);
                const auto first = static_cast<u64>(s + 1);
                mixture.portions.splits.push_back(
                    {static_cast<u64>(number(input, 0, 0)) + first, rest,
                     input.within(0, 9) == 0 ? input.take<u64>() : input.take<u64>() % ((u64{1} << 53U) + 1)});
            }
            break;
        default:
            positions.resize(input.within(0, 30));
            std::generate(positions.begin(), positions.end(), [&] { return number(input, 0, 40); });
            mixture.portions.positions = positions;
    }
    const auto plan = make_mixture_plan(std::move(mixture), fitting);
    check_plan(input, *plan, fitting, subset_rows);
}

}  // namespace

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    for (int kind = 0; kind < 5; ++kind) {
        for (int variant = 0; variant < 12; ++variant) {
            Output seed;
            seed.small(kind).small(0, 3, 0, 2, variant & 1, 0, variant, 0, 7);  // options
            seed.small(variant & 1, variant >> 1 & 1);
            if (kind < 2) {
                seed.small(1, 0, 4);
            }
            seed.small(100);
            for (int i = 0; i < 220; ++i) {
                seed.small(i * 7 % 5, (i * i + variant) % 13);
            }
            all.push_back(seed.bytes());
        }
    }
    return all;
}

}  // namespace tombola::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tombola;
    set_num_threads(1);
    fuzz::Input input(data, size);
    const std::size_t kind = input.within(0, 4);
    try {
        const PlanOptions options = fuzz::options_of(input);
        switch (kind) {
            case 0:
                fuzz::windowed(input, options);
                break;
            case 1:
                fuzz::bounded(input, options);
                break;
            case 2:
                fuzz::keyed(input, options);
                break;
            case 3:
                fuzz::tuples(input, options);
                break;
            default:
                fuzz::mixture(input, options);
        }
    } catch (const std::invalid_argument&) {
    }
    return 0;
}
