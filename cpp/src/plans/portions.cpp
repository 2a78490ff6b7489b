#include "tombola/plans/portions.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

namespace tombola {
namespace {

constexpr unsigned share_bits = 53;
constexpr u64 whole = u64{1} << share_bits;

// floor(rows * share / 2^53 + 1/2)
endless_t rounded(endless_t rows, u64 share) noexcept {
    return (rows >> share_bits) * share + (((rows & (whole - 1)) * share + whole / 2) >> share_bits);
}

[[noreturn]] void fail(const std::string& what) { throw std::invalid_argument("portions must " + what); }

void check_positions(std::span<const index_t> positions, u64 strata, u64 batches, u64 batch_size) {
    if (positions.size() % strata != 0 || positions.size() / strata != batches + 1) {
        fail("say for each stratum and batch how many rows are in front of it");
    }
    for (u64 batch = 0; batch <= batches; ++batch) {
        u64 sum = 0;
        bool is_within = true;
        for (u64 s = 0; s < strata; ++s) {
            const u64 at = s * (batches + 1) + batch;
            const index_t before = batch == 0 ? 0 : positions[at - 1];
            if (positions[at] < before) {
                fail("not decrease, but those of stratum " + std::to_string(s) + " do before batch " +
                     std::to_string(batch));
            }
            sum += static_cast<u64>(positions[at]);
            is_within = is_within && static_cast<u64>(positions[at]) <= batch * batch_size;  // else sums may wrap
        }
        if (!is_within || sum != batch * batch_size) {
            fail("fill each batch, but those of batch " + std::to_string(batch) + " do not");
        }
    }
}

}  // namespace

PortionRule::PortionRule(Portions portions, u64 strata, u64 batches, u64 batch_size)
    : portions_(std::move(portions)), batches_(batches), batch_size_(batch_size) {
    if (!portions_.positions.empty()) {
        check_positions(portions_.positions, strata, batches, batch_size);
    } else if (!portions_.splits.empty()) {
        make_paths(strata);
    } else if (portions_.counts.size() != strata ||
               std::any_of(portions_.counts.begin(), portions_.counts.end(),
                           [batch_size](u64 count) { return count > batch_size; }) ||  // else their sum may wrap
               std::accumulate(portions_.counts.begin(), portions_.counts.end(), u64{0}) != batch_size) {
        fail("be one number for each stratum, which sum to the batch size");
    }
}

void PortionRule::make_paths(u64 strata) {
    const std::vector<Split>& splits = portions_.splits;
    const u64 nodes = strata + splits.size();
    std::vector<std::vector<Turn>> paths(nodes);
    std::vector<bool> is_part(nodes);
    if (splits.size() + 1 != strata) {
        fail("be splits that make one part for each stratum");
    }
    for (u64 node = nodes; node-- > strata;) {
        const Split& split = splits[node - strata];
        for (const u64 part : {split.first, split.rest}) {
            if (part >= node || is_part[part] || split.share > whole) {
                fail("be splits that make each part once, a share of it at most");
            }
            is_part[part] = true;
            paths[part] = paths[node];
            paths[part].push_back({split.share, part == split.rest});
        }
    }
    paths.resize(strata);
    paths_ = std::move(paths);
}

endless_t PortionRule::before(u64 stratum, u64 epoch, u64 epoch_batches, u64 batch) const noexcept {
    if (!portions_.positions.empty()) {
        const index_t* const mine = portions_.positions.data() + stratum * (batches_ + 1);
        return static_cast<endless_t>(epoch) * static_cast<u64>(mine[batches_]) + static_cast<u64>(mine[batch]);
    }
    const endless_t batches = static_cast<endless_t>(epoch) * epoch_batches + batch;
    if (paths_.empty()) {
        return batches * portions_.counts[stratum];
    }
    endless_t rows = batches * batch_size_;
    for (const Turn& turn : paths_[stratum]) {
        const endless_t first = rounded(rows, turn.share);
        rows = turn.is_rest ? rows - first : first;
    }
    return rows;
}

}  // namespace tombola
