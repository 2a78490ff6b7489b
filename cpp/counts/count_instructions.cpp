// Work whose instructions are counted: `count_instructions WORK` makes its data, then does the work once inside
// tombola_counted, the one function that the counter looks at (`valgrind --tool=callgrind
// --toggle-collect=tombola_counted`). Without an argument it prints the compiler and the kernels in use, and the names
// of all work with the indices that each is. benchmarks/instructions.py runs it.
//
// Instructions are those of one thread and of the AVX2 kernels, which valgrind knows, at sizes small enough for it.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tombola/base/parallel.hpp"
#include "tombola/kernels/kernels.hpp"
#include "tombola/orders/draws.hpp"
#include "tombola/orders/rounds.hpp"
#include "tombola/plans/bucket_plan.hpp"
#include "tombola/plans/mixture_plan.hpp"
#include "tombola/plans/per_class_plan.hpp"
#include "tombola/plans/series_plan.hpp"
#include "tombola/random/permutation.hpp"
#include "tombola/replay/alias_table.hpp"
#include "tombola/replay/grouped_alias.hpp"
#include "tombola/replay/sum_tree.hpp"

extern "C" __attribute__((noinline)) void tombola_counted(const std::function<void()>& work) { work(); }

namespace tombola {
namespace {

constexpr u64 n = u64{1} << 18U;
constexpr PlanOptions options{.batch_size = 64, .fetch_factor = 256, .drop_last = false, .seed = 1, .epoch = 2};
constexpr PlanOptions another{.batch_size = 64, .fetch_factor = 256, .drop_last = false, .seed = 1, .epoch = 1};

// What is to be counted; what it needs was made before.
using Ready = std::function<void()>;

struct Work {
    const char* name;
    u64 indices;
    Ready (*make)();
};

// Words of the generator for data without an order.
std::vector<u64> random_words(u64 id) {
    std::vector<u64> words(n);
    kernels().serial_words(derive_key(5, id, Purpose::permutation), id, 0, n / 2, reinterpret_cast<u32*>(words.data()));
    return words;
}

template <typename T>
std::vector<T> values_below(u64 id, u64 limit) {
    std::vector<T> values;
    values.reserve(n);
    for (const u64 word : random_words(id)) {
        values.push_back(static_cast<T>((word >> 32U) * limit >> 32U));
    }
    return values;
}

template <typename T>
std::vector<T> weights() {
    std::vector<T> values;
    values.reserve(n);
    for (const u64 word : random_words(1)) {
        values.push_back(static_cast<T>(static_cast<double>((word >> 44U) + 1) / 1048576.0));
    }
    return values;
}

// A plan is read by whole fetch windows, as the samplers and the loader do; one epoch was read before, so that what
// a strategy makes once is there.
template <typename Make>
Ready epoch_of(Make make, bool with_its_plan = true) {
    const auto out = std::make_shared<std::vector<index_t>>(n + 64);
    const auto read = [out](const Plan& plan) {
        for (index_t batch = 0; batch < plan.n_batches(); batch += options.fetch_factor) {
            const index_t stop = std::min(plan.n_batches(), batch + options.fetch_factor);
            plan.fill(batch, stop,
                      std::span(*out).first(static_cast<std::size_t>(plan.offset(stop) - plan.offset(batch))));
        }
    };
    const std::shared_ptr<const Plan> before = make(another);
    read(*before);
    if (with_its_plan) {
        return [make, read] { read(*std::unique_ptr<const Plan>(make(options))); };
    }
    return [before, read] { read(*before); };
}

std::unique_ptr<const Plan> windowed(std::unique_ptr<const Order> order, const PlanOptions& asked,
                                     bool permute = true) {
    return std::make_unique<const WindowedPlan>(std::move(order), Subset{}, permute, asked);
}

template <typename Sequence, typename Source>
Ready weighted(std::shared_ptr<Source> values, std::unique_ptr<MassSource> source) {
    const auto table = std::make_shared<const WeightTable>(std::move(source));
    return epoch_of([values, table](const PlanOptions& asked) {
        auto sequence = std::make_shared<const Sequence>(table, n, asked.seed, asked.epoch);
        return windowed(std::make_unique<const BlockOrder>(std::move(sequence), 16, asked.seed, asked.epoch), asked);
    });
}

template <typename Sequence, typename T>
Ready by_weights() {
    const auto values = std::make_shared<std::vector<T>>(weights<T>());
    return weighted<Sequence>(values, make_value_source(std::span<const T>(*values), {}));
}

Ready by_classes() {
    constexpr u64 classes = 400;
    const auto codes = std::make_shared<std::vector<std::int16_t>>(values_below<std::int16_t>(2, classes));
    std::vector<double> of_class;
    for (u64 c = 0; c < classes; ++c) {
        of_class.push_back(1.0 / static_cast<double>(c + 1));
    }
    return weighted<StratifiedSequence>(codes, make_code_source(std::span<const std::int16_t>(*codes), of_class, {}));
}

Ready blocks(u64 block_size) {
    return epoch_of([block_size](const PlanOptions& asked) {
        auto rows = std::make_shared<const CountingSequence>(n);
        auto order = std::make_unique<const BlockOrder>(std::move(rows), block_size, asked.seed, asked.epoch);
        return windowed(std::move(order), asked, block_size > 1);
    });
}

Ready rounds() {
    const auto values = std::make_shared<std::vector<float>>(weights<float>());
    const auto table = std::make_shared<const WeightTable>(make_value_source(std::span<const float>(*values), {}));
    return epoch_of([values, table](const PlanOptions& asked) {
        return windowed(std::make_unique<const RoundOrder>(table, n, n / 16, 16, asked.seed, asked.epoch), asked);
    });
}

std::shared_ptr<const Groups> groups_of(u64 id, u64 keys) {
    const std::vector<std::int32_t> values = values_below<std::int32_t>(id, keys);
    return std::make_shared<const Groups>(Groups::from_keys(std::span<const std::int32_t>(values), {}, false));
}

Ready grouping() {
    const auto keys = std::make_shared<std::vector<std::int32_t>>(values_below<std::int32_t>(3, n / 3));
    return [keys] { static_cast<void>(Groups::from_keys(std::span<const std::int32_t>(*keys), {}, false)); };
}

Ready series(bool with_its_plan) {
    const auto groups = groups_of(3, n / 3);
    return epoch_of([groups](const PlanOptions& asked) { return make_balanced_plan(groups, {}, asked); },
                    with_its_plan);
}

Ready series_in_turn() {
    const auto groups = groups_of(3, n / 3);
    return epoch_of([groups](const PlanOptions& asked) { return make_round_robin_plan(groups, true, asked); });
}

Ready buckets() {
    const auto groups = groups_of(4, 100);
    return epoch_of([groups](const PlanOptions& asked) { return make_bucket_plan(groups, {}, true, asked); });
}

Ready per_class() {
    const auto tuples = std::make_shared<const Tuples>(groups_of(5, n / 256), 4, false);
    return epoch_of([tuples](const PlanOptions& asked) { return make_per_class_plan(tuples, asked); });
}

Ready mixture() {
    std::vector<std::int32_t> roles = values_below<std::int32_t>(6, 4);
    for (std::int32_t& role : roles) {
        role = role == 0 ? 0 : 1;
    }
    const auto groups =
        std::make_shared<const Groups>(Groups::from_keys(std::span<const std::int32_t>(roles), {}, false));
    return epoch_of([groups](const PlanOptions& asked) {
        Mixture mixed;
        mixed.groups = groups;
        mixed.strata = 2;
        mixed.portions.counts = {16, 48};
        mixed.batches = n / 64;
        mixed.context_firsts = {0};
        mixed.context_groups = {0, 1};
        return make_mixture_plan(std::move(mixed), asked);
    });
}

Ready exact_permutation() {
    const auto out = std::make_shared<std::vector<index_t>>(n);
    return [out] { permutation(1, *out); };
}

Ready random_access_permutation() {
    const auto out = std::make_shared<std::vector<u64>>(n);
    const auto order = std::make_shared<const Bijection>(u64{100'000'007}, 7, 0);
    return [out, order] { order->fill(12345, n, out->data()); };
}

Ready weight_table() {
    const auto values = std::make_shared<std::vector<float>>(weights<float>());
    return [values] { static_cast<void>(WeightTable(make_value_source(std::span<const float>(*values), {}))); };
}

Ready alias_draws() {
    const auto values = std::make_shared<std::vector<float>>(weights<float>());
    const auto table =
        std::make_shared<const AliasTable>(WeightTable(make_value_source(std::span<const float>(*values), {})));
    const auto out = std::make_shared<std::vector<index_t>>(n);
    return [table, out] { table->draw(1, 2, 0, *out); };
}

Ready grouped_draws() {
    std::vector<index_t> offsets{0};
    std::vector<double> of_group;
    for (index_t g = 0; g < 400; ++g) {
        offsets.push_back(offsets.back() + 100 + g);
        of_group.push_back(1.0 / static_cast<double>(100 + g));
    }
    const auto table = std::make_shared<const GroupedAlias>(offsets, of_group);
    const auto out = std::make_shared<std::vector<index_t>>(n);
    return [table, out] { table->draw(1, 2, 0, *out); };
}

std::shared_ptr<SumTree> tree() {
    const auto made = std::make_shared<SumTree>(n);
    made->fill(std::span<const double>(weights<double>()));
    return made;
}

constexpr u64 tree_batch = 256;
constexpr u64 tree_batches = 64;

Ready tree_draws() {
    const auto out = std::make_shared<std::vector<index_t>>(tree_batch);
    return [drawn = tree(), out] {
        for (u64 step = 0; step < tree_batches; ++step) {
            drawn->draw(1, step, SumTree::Draws::independent, *out, {});
        }
    };
}

Ready tree_updates() {
    const auto slots = std::make_shared<std::vector<index_t>>(values_below<index_t>(7, n));
    const auto values = std::make_shared<std::vector<double>>(weights<double>());
    return [updated = tree(), slots, values] {
        for (u64 step = 0; step < tree_batches; ++step) {
            updated->update(std::span(*slots).subspan(step * tree_batch, tree_batch),
                            std::span(*values).subspan(step * tree_batch, tree_batch));
        }
    };
}

const std::vector<Work>& all_work() {
    static const std::vector<Work> all{
        {"permutation", n, exact_permutation},
        {"random-access permutation", n, random_access_permutation},
        {"blocks of 16, epoch", n, [] { return blocks(16); }},
        {"blocks of 1, epoch", n, [] { return blocks(1); }},
        {"weighted, float32, epoch", n, by_weights<StratifiedSequence, float>},
        {"weighted, float64, epoch", n, by_weights<StratifiedSequence, double>},
        {"weighted, iid, epoch", n, by_weights<IidSequence, float>},
        {"weighted, build", n, weight_table},
        {"balanced classes, epoch", n, by_classes},
        {"rounds without replacement, epoch", n, rounds},
        {"groups, build", n, grouping},
        {"series, epoch", n, [] { return series(true); }},
        {"series, epoch of a plan that is there", n, [] { return series(false); }},
        {"series in turn, epoch", n, series_in_turn},
        {"buckets, epoch", n, buckets},
        {"classes of tuples, epoch", n, per_class},
        {"mixture, epoch", n, mixture},
        {"alias table, draws", n, alias_draws},
        {"grouped alias table, draws", n, grouped_draws},
        {"sum tree, draws of 256", tree_batch * tree_batches, tree_draws},
        {"sum tree, updates of 256", tree_batch * tree_batches, tree_updates},
    };
    return all;
}

int run(std::string_view wanted) {
    set_num_threads(1);
    for (const Work& work : all_work()) {
        if (wanted == work.name) {
            const Ready ready = work.make();
            tombola_counted(ready);
            return 0;
        }
    }
    std::fprintf(stderr, "no work is called \"%s\"\n", std::string(wanted).c_str());
    return 2;
}

#if defined(__clang__)
constexpr const char* compiler = "Clang";
constexpr int compiler_version = __clang_major__;
#else
constexpr const char* compiler = "GCC";
constexpr int compiler_version = __GNUC__;
#endif

void list() {
    std::printf("%s %d\t%s\n", compiler, compiler_version, kernels().name);
    for (const Work& work : all_work()) {
        std::printf("%llu\t%s\n", static_cast<unsigned long long>(work.indices), work.name);
    }
}

}  // namespace
}  // namespace tombola

int main(int argc, char** argv) {
    if (argc == 1) {
        tombola::list();
        return 0;
    }
    return tombola::run(argv[1]);
}
