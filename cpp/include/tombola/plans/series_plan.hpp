// Plans whose batches hold rows of different series.
//
// balanced: no batch holds more than per_series rows of one series, and there are as few batches as that allows,
// T = max(ceil(N / B), max ceil(count / per_series)). The line of all positions is cut into layers of T, and a batch
// takes one position of each (layer_shuffle.hpp); a series longer than T is in parts of T. Batches that are one row
// shorter come last. With very many batches of short series positions move in blocks of 2^14: the rows of a series then
// fall into one such block of batches, or two. drop_last: the most batches that can all be full, with as many rows of
// each series as those allow.
//
// round_robin: round r takes one row of every series that still has one; the sequence of all rounds is cut into
// batches. Rounds between which no series ends form a level, whose series are listed when first needed.
//
// O(groups) a new epoch. O(B) a batch, but O(groups) for one of a level of rounds that was not read before.
#pragma once

#include <memory>

#include "tombola/groups/groups.hpp"
#include "tombola/plans/plan.hpp"

namespace tombola {

struct SeriesOptions {
    index_t per_series = 1;
    bool shuffle = true;    // false: series in order of first appearance, rows in order
    bool numbered = false;  // balanced: groups as from_counts makes them, whose rows keep their order
};

// std::invalid_argument for per_series below 1
std::unique_ptr<const Plan> make_balanced_plan(std::shared_ptr<const Groups> groups, const SeriesOptions& series,
                                               const PlanOptions& options);
std::unique_ptr<const Plan> make_round_robin_plan(std::shared_ptr<const Groups> groups, bool shuffle,
                                                  const PlanOptions& options);

// The sizes of a balanced schedule.
struct BalancedShape {
    u64 batches;  // T
    u64 rows;     // of the epoch
    u64 most;     // rows that a series gives at most
    u64 layers;
    u64 last;  // positions of the last layer; so many batches have `layers` rows, the others one less
};
BalancedShape balanced_shape(const Groups& groups, u64 batch_size, u64 per_series, bool drop_last);

}  // namespace tombola
