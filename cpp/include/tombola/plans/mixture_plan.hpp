// Plans whose batches hold so many rows of each stratum, each of which goes through its own rows without end.
//
// A stratum is a group of rows. Its endless sequence is one pass over its rows after the other, each in a fresh order
// (group_shuffle.hpp, or a plan of its own), so that a position is a pass and a rank. A batch takes of each stratum the
// next positions of its sequence, as many as portions.hpp says; epochs go on where those before ended.
//
// Where batches are each of one context, a context has strata of its own, or shares them with others; the order of an
// epoch's batches is a keyed permutation, and a context's k-th batch takes its k-th portions. Of a group that several
// contexts share, each takes, in the order of contexts, what the one in front of it left.
//
// O(groups + contexts * strata) an epoch, where portions differ from batch to batch O(batches * strata); a batch costs
// O(strata + log contexts + B). Memory: that of the groups, 8 bytes a context and stratum, 16 more where groups are
// shared, 8 bytes a batch and stratum where portions differ.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tombola/groups/groups.hpp"
#include "tombola/plans/plan.hpp"
#include "tombola/plans/portions.hpp"

namespace tombola {

// A pass over a group, whose rows come from a plan: called for those that a query needs, on the thread that asks.
// Passes are counted modulo 2^63.
using MakePass = std::function<std::shared_ptr<const Plan>(index_t group, index_t pass)>;

struct Mixture {
    std::shared_ptr<const Groups> groups;
    u64 strata;
    Portions portions;
    u64 batches;                      // of an epoch
    std::vector<u64> context_firsts;  // the first batch of each context; its last is in front of the next one's
    std::vector<u64> context_groups;  // [contexts][strata]
    std::vector<index_t> pass_rows;   // rows a pass of each group whose passes are plans, 0 for others; or empty
    MakePass make_pass;
};

// std::invalid_argument for portions or contexts that do not fit, or an epoch of 2^61 rows or more
std::unique_ptr<const Plan> make_mixture_plan(Mixture mixture, const PlanOptions& options);

}  // namespace tombola
