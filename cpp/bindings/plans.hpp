// A plan of the core and the Python arrays that it borrows.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>

#include "arrays.hpp"
#include "tombola/plans/plan.hpp"

namespace tombola::bindings {

class PyPlan {
  public:
    PyPlan(std::unique_ptr<const Plan> plan, const PlanOptions& options, py::object arrays)
        : plan_(std::move(plan)), options_(options), arrays_(std::move(arrays)) {}

    const Plan& core() const noexcept { return *plan_; }
    index_t size() const { return plan_->n_batches(); }
    index_t n_rows() const { return plan_->n_rows(); }
    index_t batch_size() const { return options_.batch_size; }
    index_t fetch_factor() const { return options_.fetch_factor; }
    index_t offset(index_t k) const {
        if (k < 0 || k > size()) {
            throw py::index_error("the batch must lie in [0, " + std::to_string(size()) + "], but is " +
                                  std::to_string(k));
        }
        const py::gil_scoped_release release;
        return plan_->offset(k);
    }
    py::tuple batches(index_t start, index_t stop) const {
        if (start < 0 || start > stop || stop > size()) {
            throw py::index_error("the batches must lie in [0, " + std::to_string(size()) + "], but are [" +
                                  std::to_string(start) + ", " + std::to_string(stop) + ")");
        }
        py::array_t<index_t> offsets = new_indices(stop - start + 1);
        const std::span<index_t> offset_span = span_of(offsets);
        {
            const py::gil_scoped_release release;
            plan_->offsets(start, stop, offset_span);
        }
        py::array_t<index_t> rows = new_indices(offset_span.back());
        const std::span<index_t> row_span = span_of(rows);
        {
            const py::gil_scoped_release release;
            plan_->fill(start, stop, row_span);
        }
        return py::make_tuple(std::move(rows), std::move(offsets));
    }

  private:
    std::unique_ptr<const Plan> plan_;
    PlanOptions options_;
    py::object arrays_;  // that the plan borrows
};

inline PlanOptions make_options(index_t batch_size, index_t fetch_factor, bool drop_last, u64 seed, u64 epoch) {
    const PlanOptions options{batch_size, fetch_factor, drop_last, seed, epoch};
    check_options(options);
    return options;
}

}  // namespace tombola::bindings
