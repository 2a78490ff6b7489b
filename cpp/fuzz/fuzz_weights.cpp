// Any weights, NaN, infinite, negative, huge and tiny ones among them, and any class codes: what is wrong is said; what
// passes has a mass exactly where it is positive, each target falls on the row that owns it, and nothing without weight
// is drawn, by plans of every kind and by alias tables.
#include <cmath>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "plans.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/orders/draws.hpp"
#include "tombola/orders/rounds.hpp"
#include "tombola/replay/alias_table.hpp"
#include "tombola/replay/grouped_alias.hpp"
#include "tombola/weights/weight_table.hpp"

namespace tombola::fuzz {
namespace {

constexpr index_t most_draws = 1 << 14;  // independent ones, of which parts are counted ahead

template <typename Weight>
Weight weight_of(Input& input) {
    const auto kind = input.take<std::uint8_t>();
    if (kind < 128) {
        return static_cast<Weight>(kind % 8);
    }
    return kind < 192 ? std::ldexp(Weight{1}, input.take<std::int8_t>() * (sizeof(Weight) == 8 ? 8 : 1))
                      : input.take<Weight>();
}

template <typename Weight>
std::vector<Weight> weights_of(Input& input, std::size_t most) {
    std::vector<Weight> weights(input.within(0, most));
    std::generate(weights.begin(), weights.end(), [&] { return weight_of<Weight>(input); });
    return weights;
}

// Mostly rows of [0, n); the table looks for those that are not
std::vector<index_t> indices_of(Input& input, std::size_t n) {
    std::vector<index_t> indices(input.within(0, 60));
    std::generate(indices.begin(), indices.end(), [&] { return number(input, 0, n > 0 ? n - 1 : 0); });
    return indices;
}

void check_masses(Input& input, const WeightTable& table, const std::vector<double>& weights) {
    const std::size_t n = weights.size();
    require(table.size() == n && table.positive() > 0 && table.total() > 0, "a table has something to draw");
    std::vector<mass_t> masses(n);
    table.masses(0, n, masses.data());
    require(std::accumulate(masses.begin(), masses.end(), mass_t{0}) == table.total(), "masses sum to the total");
    u64 positive = 0;
    mass_t before = 0;
    for (std::size_t row = 0; row < n; ++row) {
        require((masses[row] > 0) == (weights[row] > 0), "a mass where the weight is positive");
        if (masses[row] > 0) {
            ++positive;
            const auto owner = static_cast<index_t>(row);
            require(table.row(before) == owner && table.row(before + masses[row] - 1) == owner, "targets of a row");
        }
        before += masses[row];
    }
    require(positive == table.positive(), "rows of positive weight");
    std::vector<mass_t> targets(input.within(1, 40));
    std::generate(targets.begin(), targets.end(), [&] { return input.take<u64>() % table.total(); });
    std::sort(targets.begin(), targets.end());
    std::vector<index_t> rows(targets.size());
    table.rows(targets.data(), targets.size(), rows.data());
    for (std::size_t t = 0; t < targets.size(); ++t) {
        require(rows[t] == table.row(targets[t]), "many targets as one");
    }
}

// Every row has weight
void check_drawn(const std::vector<index_t>& drawn, const std::vector<double>& weights) {
    for (const index_t row : drawn) {
        require(0 <= row && static_cast<std::size_t>(row) < weights.size(), "drawn rows in range");
        require(weights[static_cast<std::size_t>(row)] > 0, "drawn rows have weight");
    }
}

void check_plans(Input& input, const std::shared_ptr<const WeightTable>& table, const std::vector<double>& weights) {
    const PlanOptions options = options_of(input);
    const index_t block_size = size_at_least(1, number(input, 1, 9));
    index_t draws = size_at_least(1, number(input, 1, 200));
    const std::size_t kind = input.within(0, 2);
    std::unique_ptr<const Order> order;
    if (kind == 2) {
        order = std::make_unique<const RoundOrder>(table, static_cast<u64>(draws),
                                                   static_cast<u64>(size_at_least(1, number(input, 1, 40))),
                                                   static_cast<u64>(block_size), options.seed, options.epoch);
    } else {
        std::shared_ptr<const Sequence> sequence;
        if (kind == 1) {
            draws = std::min(draws, most_draws);
            sequence = std::make_shared<const IidSequence>(table, static_cast<u64>(draws), options.seed, options.epoch);
        } else {
            sequence =
                std::make_shared<const StratifiedSequence>(table, static_cast<u64>(draws), options.seed, options.epoch);
        }
        order = std::make_unique<const BlockOrder>(std::move(sequence), static_cast<u64>(block_size), options.seed,
                                                   options.epoch);
    }
    const WindowedPlan plan(std::move(order), {}, block_size > 1, options);
    check_plan(input, plan, options, static_cast<index_t>(weights.size()));
    if (plan.n_batches() > 0 && options.batch_size * options.fetch_factor <= most_window) {
        const index_t last = plan.n_batches();
        std::vector<index_t> rows(static_cast<std::size_t>(plan.n_rows() - plan.offset(last - 1)));
        plan.fill(last - 1, last, rows);
        check_drawn(rows, weights);
    }
}

void check_alias(Input& input, const WeightTable& table, const std::vector<double>& weights) {
    std::vector<index_t> drawn(input.within(0, 70));
    const AliasTable alias(table);
    alias.draw(input.take<u64>(), input.take<u64>(), 0, drawn);
    require(std::all_of(drawn.begin(), drawn.end(),
                        [&](index_t row) { return 0 <= row && static_cast<std::size_t>(row) < weights.size(); }),
            "rows of an alias table in range");
}

void check_table(Input& input, std::unique_ptr<MassSource> source, const std::vector<double>& weights) {
    const auto table = std::make_shared<const WeightTable>(std::move(source));
    require(std::all_of(weights.begin(), weights.end(), [](double w) { return std::isfinite(w) && w >= 0; }),
            "weights that pass are finite and >= 0");
    check_masses(input, *table, weights);
    check_alias(input, *table, weights);
    check_plans(input, table, weights);
}

template <typename Weight>
void values(Input& input) {
    const bool has_subset = input.within(0, 1) == 1;
    const std::vector<Weight> given = weights_of<Weight>(input, 120);
    const std::vector<index_t> indices = has_subset ? indices_of(input, given.size()) : std::vector<index_t>{};
    std::unique_ptr<MassSource> source =
        make_value_source(std::span<const Weight>(given), has_subset ? Subset(indices) : Subset());
    std::vector<double> weights(given.begin(), given.end());
    if (has_subset) {
        (void)source->summarise();  // looks at the indices
        weights.clear();
        for (const index_t row : indices) {
            weights.push_back(given.at(static_cast<std::size_t>(row)));
        }
    }
    check_table(input, std::move(source), weights);
}

template <typename Code>
void codes(Input& input) {
    const std::vector<double> classes = weights_of<double>(input, 12);
    std::vector<Code> given(input.within(0, 120));
    const std::size_t last = classes.empty() ? 0 : classes.size() - 1;
    std::generate(given.begin(), given.end(), [&] { return static_cast<Code>(number(input, 0, last)); });
    std::unique_ptr<MassSource> source = make_code_source<Code>(given, classes, {});
    (void)source->summarise();
    std::vector<double> weights;
    for (const Code code : given) {
        weights.push_back(classes.at(static_cast<std::size_t>(code)));
    }
    check_table(input, std::move(source), weights);
}

void groups(Input& input) {
    const std::vector<double> weights = weights_of<double>(input, 12);
    std::vector<index_t> offsets{number(input, 0, 0)};
    for (std::size_t g = 0; g < weights.size(); ++g) {
        const auto rows = static_cast<u64>(number(input, 0, 9)) % 64;
        offsets.push_back(static_cast<index_t>(input.within(0, 20) == 0 ? input.take<u64>()
                                                                        : static_cast<u64>(offsets.back()) + rows));
    }
    const GroupedAlias alias(offsets, weights);
    std::vector<index_t> drawn(input.within(0, 70));
    alias.draw(input.take<u64>(), input.take<u64>(), 0, drawn);
    for (const index_t row : drawn) {
        require(0 <= row && row < offsets.back(), "rows of groups in range");
        const auto group = std::upper_bound(offsets.begin(), offsets.end(), row) - offsets.begin() - 1;
        require(weights[static_cast<std::size_t>(group)] > 0, "groups that are drawn have weight");
    }
}

}  // namespace

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    for (int kind = 0; kind < 5; ++kind) {
        for (int variant = 0; variant < 8; ++variant) {
            Output seed;
            seed.small(kind, kind < 2 ? variant & 1 : 3 + variant, 20 + 9 * variant);
            for (int i = 0; i < 300; ++i) {
                seed.small(i * 7 % (variant < 4 ? 8 : 130), (i * i + variant) % 13);
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
    try {
        switch (input.within(0, 4)) {
            case 0:
                fuzz::values<float>(input);
                break;
            case 1:
                fuzz::values<double>(input);
                break;
            case 2:
                fuzz::codes<std::int8_t>(input);
                break;
            case 3:
                fuzz::codes<std::int64_t>(input);
                break;
            default:
                fuzz::groups(input);
        }
    } catch (const std::invalid_argument&) {
    }
    return 0;
}
