// Any changes of a sum tree, with NaN, infinite, negative, huge and tiny weights and slots out of range among them:
// what is wrong is said and changes nothing; sums are those of the weights; the scale is kept and fitted by its rule;
// drawn slots have weight, none comes twice where none should, and a tree that is restored draws the same.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "fuzz.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/replay/sum_tree.hpp"

namespace tombola::fuzz {
namespace {

__extension__ using u128 = unsigned __int128;

constexpr std::size_t many_slots = 16384;  // so many that masses times slots go beyond 64 bits

bool same(const SumTree::Fit& a, const SumTree::Fit& b) {
    return a.chosen == b.chosen && a.exponent == b.exponent && a.low == b.low;
}

// A tree, and what it must be
struct Pair {
    explicit Pair(std::size_t n) : tree(n), weights(n) {}

    u128 mass(double weight) const {
        return static_cast<u128>(
            std::max(std::nearbyint(std::ldexp(weight, tree.fit().exponent)), weight > 0 ? 1.0 : 0.0));
    }
    // By the rule of sum_tree.hpp, whether the scale still fits when weights are `after`, and `given` were new
    bool still_fits(const std::vector<double>& after, const std::vector<double>& given) const {
        const double largest = given.empty() ? 0.0 : *std::max_element(given.begin(), given.end());
        if (!tree.fit().chosen || std::ldexp(largest, tree.fit().exponent) > 0x1p51) {
            return false;
        }
        const u128 sum = total(after);
        const u64 some = positive(after);
        return sum < u128{1} << 62U && (some == 0 || sum * after.size() / some >= tree.fit().low);
    }
    u128 total(const std::vector<double>& of) const {
        return std::accumulate(of.begin(), of.end(), u128{0}, [this](u128 sum, double w) { return sum + mass(w); });
    }
    static u64 positive(const std::vector<double>& of) {
        return static_cast<u64>(std::count_if(of.begin(), of.end(), [](double w) { return w > 0; }));
    }

    SumTree tree;
    std::vector<double> weights;
};

double weight_of(Input& input) {
    const auto kind = input.take<std::uint8_t>();
    if (kind < 100) {
        return kind % 8;
    }
    return kind < 250 ? std::ldexp(1.0, input.take<std::int8_t>() * (kind % 2 == 0 ? 1 : 8)) : input.take<double>();
}

// One after the other, or one for all
std::vector<double> weights_of(Input& input, std::size_t count) {
    std::vector<double> weights(count);
    if (count > 300 || input.within(0, 3) == 0) {
        std::fill(weights.begin(), weights.end(), weight_of(input));
    } else {
        std::generate(weights.begin(), weights.end(), [&] { return weight_of(input); });
    }
    return weights;
}

std::vector<index_t> slots_of(Input& input, std::size_t n) {
    if (input.within(0, 3) == 0) {  // all but the first ones
        std::vector<index_t> slots(n - std::min(n, input.within(0, 3)));
        std::iota(slots.begin(), slots.end(), static_cast<index_t>(n - slots.size()));
        return slots;
    }
    std::vector<index_t> slots(input.within(0, 90));
    std::generate(slots.begin(), slots.end(), [&] {
        return input.within(0, 255) == 255 ? input.take<index_t>()
                                           : static_cast<index_t>(input.take<std::uint16_t>() % n);
    });
    return slots;
}

void check(const Pair& pair) {
    const std::span<const double> weights = pair.tree.weights();
    require(std::equal(weights.begin(), weights.end(), pair.weights.begin(), pair.weights.end()), "weights as set");
    require(pair.tree.positive() == Pair::positive(pair.weights), "slots of positive weight");
    require(pair.tree.total() == pair.total(pair.weights), "the total is the sum of the masses");
}

void fill(Input& input, Pair& pair) {
    const std::vector<double> weights = weights_of(input, pair.weights.size());
    if (input.within(0, 1) == 1) {
        const std::vector<float> narrow(weights.begin(), weights.end());
        pair.tree.fill(narrow);
        pair.weights.assign(narrow.begin(), narrow.end());
    } else {
        pair.tree.fill(weights);
        pair.weights = weights;
    }
}

void update(Input& input, Pair& pair) {
    const std::vector<index_t> slots = slots_of(input, pair.weights.size());
    const std::vector<double> given = weights_of(input, slots.size());
    const bool fine = std::all_of(slots.begin(), slots.end(),
                                  [&](index_t slot) { return static_cast<u64>(slot) < pair.weights.size(); }) &&
                      std::all_of(given.begin(), given.end(), [](double w) { return 0 <= w && w <= 0x1p900; });
    std::vector<double> after = pair.weights;
    for (std::size_t i = 0; fine && i < slots.size(); ++i) {
        after[static_cast<std::size_t>(slots[i])] = given[i];
    }
    const SumTree::Fit before = pair.tree.fit();
    const bool keeps = fine && pair.still_fits(after, given);
    pair.tree.update(slots, given);
    require(fine, "what is wrong with an update is said");
    pair.weights = after;
    require(!keeps || same(before, pair.tree.fit()), "a scale that fits is kept");
}

// What a state may hold
void restore(Input& input, Pair& pair) {
    const SumTree::Fit fit{.chosen = input.within(0, 3) > 0,
                           .exponent = input.within(0, 1) == 1 ? pair.tree.fit().exponent + input.take<std::int8_t>()
                                                               : input.take<std::int32_t>(),
                           .low = input.take<u64>()};
    const std::vector<double> weights = weights_of(input, pair.weights.size());
    pair.tree.restore(weights, fit);
    pair.weights = weights;
    require(same(fit, pair.tree.fit()), "a scale is restored as it was");
}

void draw(Input& input, const Pair& pair) {
    SumTree other(pair.weights.size());
    other.restore(pair.tree.weights(), pair.tree.fit());
    require(other.total() == pair.tree.total(), "a state can be restored");
    const u64 seed = input.take<u64>();
    const u64 step = input.take<u64>();
    const std::size_t count = input.within(0, 90);
    const auto draws = input.within(0, 1) == 1 ? SumTree::Draws::stratified : SumTree::Draws::independent;
    for (const bool distinct : {false, true}) {
        std::vector<index_t> slots(distinct ? std::min<u64>(count, pair.tree.positive()) : count);
        std::vector<index_t> again(slots.size());
        std::vector<mass_t> masses(slots.size());
        if (distinct) {
            pair.tree.draw_distinct(seed, step, slots, masses);
            other.draw_distinct(seed, step, again, {});
        } else {
            pair.tree.draw(seed, step, draws, slots, masses);
            other.draw(seed, step, draws, again, {});
        }
        require(slots == again, "a restored tree draws the same");
        for (std::size_t i = 0; i < slots.size(); ++i) {
            const auto slot = static_cast<std::size_t>(slots[i]);
            require(slot < pair.weights.size() && pair.weights[slot] > 0, "drawn slots have weight");
            require(pair.mass(pair.weights[slot]) == masses[i], "masses of drawn slots");
        }
        std::sort(again.begin(), again.end());
        require(!distinct || std::adjacent_find(again.begin(), again.end()) == again.end(), "no slot twice");
    }
}

}  // namespace

std::vector<Bytes> seeds() {
    std::vector<Bytes> all;
    for (int size = 0; size < 8; ++size) {
        for (int variant = 0; variant < (size == 7 ? 1 : 12); ++variant) {
            Output seed;
            seed.small(size == 7 ? 0 : 1, 1 + size * 30);
            for (int i = 0; i < 600; ++i) {
                seed.small(i * (variant + 3) % (variant % 2 == 0 ? 4 : 101), (i * i + variant) % 13);
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
    fuzz::Pair pair(input.within(0, 127) == 0 ? fuzz::many_slots : input.within(1, 255));
    for (std::size_t left = pair.weights.size() < fuzz::many_slots ? 5 : 3; left > 0 && input.size() > 0; --left) {
        try {
            switch (input.within(0, 3)) {
                case 0:
                    fuzz::fill(input, pair);
                    break;
                case 1:
                    fuzz::restore(input, pair);
                    break;
                default:
                    fuzz::update(input, pair);
            }
        } catch (const std::invalid_argument&) {
        } catch (const std::out_of_range&) {
        }
        fuzz::check(pair);
        try {
            fuzz::draw(input, pair);
        } catch (const std::invalid_argument&) {
            fuzz::require(pair.tree.total() == 0, "what has weight can be drawn");
        }
    }
    return 0;
}
