// Any run of batches of a plan, rows and offsets, to compare.
#pragma once

#include <vector>

#include "tombola/plans/plan.hpp"

namespace tombola::test {

struct Whole {
    std::vector<index_t> rows;
    std::vector<index_t> offsets;
    bool operator==(const Whole&) const = default;
};

inline Whole read(const Plan& plan, index_t start, index_t stop) {
    Whole out;
    out.offsets.resize(static_cast<std::size_t>(stop - start) + 1);
    plan.offsets(start, stop, out.offsets);
    out.rows.assign(static_cast<std::size_t>(out.offsets.back()), -1);
    plan.fill(start, stop, out.rows);
    return out;
}

}  // namespace tombola::test
