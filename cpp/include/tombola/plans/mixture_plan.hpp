// Plans whose batches hold so many rows of each stratum, each of which goes through its own rows without end.
//
// A stratum is a group of rows. Its endless sequence is one pass over its rows after the other, each in a fresh order
// (group_shuffle.hpp, or a plan of its own), so that a position is a pass and a rank. A batch takes of each stratum the
// next positions of its sequence; epochs go on where those before ended. How many, is either a number for all batches,
// or a share of the batch, whose fractions are spread by cumulative rounding: after x batches of B rows, the strata up
// to s have had floor(x B F_s + 1/2) rows, where F_s is the sum of their shares.
//
// Where batches are each of one context, a context has strata of its own, or shares them with others; the order of an
// epoch's batches is a keyed permutation, and a context's k-th batch takes the positions of the k-th.
//
// O(strata + log contexts + B) a batch. Memory: that of the groups, 40 bytes a context and stratum, 8 bytes a batch and
// stratum where numbers differ from batch to batch.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tombola/groups/groups.hpp"
#include "tombola/plans/plan.hpp"
#include "tombola/random/bijection.hpp"

namespace tombola {

// What a batch takes of each of the strata.
struct Portions {
    std::vector<u64> counts;             // rows a batch, if not empty
    std::vector<u64> shares;             // else sums of shares, each up to and with the stratum, in units of 2^-53
    std::span<const index_t> positions;  // else, [strata][batches + 1]: rows in front of each batch of an epoch
};

// A context and its batches of an epoch: those from `first` on, up to the first one of the next context.
struct Context {
    u64 first;
    struct Use {
        u64 group;    // of rows
        u64 first;    // batch from which on contexts that share it use it
        u64 batches;  // of an epoch that use it
    };
    std::vector<Use> uses;  // one a stratum
};

// A pass over a group, whose rows come from a plan: called for those that a query needs, on the thread that asks.
using MakePass = std::function<std::shared_ptr<const Plan>(index_t group, index_t pass)>;

struct Mixture {
    std::shared_ptr<const Groups> groups;
    Portions portions;
    std::vector<Context> contexts;
    u64 batches;                     // of an epoch
    std::vector<index_t> pass_rows;  // rows a pass of each group whose passes are plans, 0 for others; or empty
    MakePass make_pass;
};

// std::invalid_argument for portions or contexts that do not fit
std::unique_ptr<const Plan> make_mixture_plan(Mixture mixture, const PlanOptions& options);

}  // namespace tombola
