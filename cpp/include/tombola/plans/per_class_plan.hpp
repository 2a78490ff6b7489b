// Plans whose batches hold K different rows of each of P classes.
//
// The rows of a class, in an order of their own each epoch (group_shuffle.hpp), are cut into tuples of K; the rows that
// fill no tuple are others each epoch. Tuples are scheduled as rows of series are: P of different classes a batch, by
// the balanced rule of series_plan.hpp with full batches only, but those of a class keep their order, as their rows are
// in a new one anyway. A class of fewer than K rows has no tuple, or one in
// which its rows come again, each as often as the others to one.
//
// O(classes) a new epoch, O(P K) a batch. 4 bytes and 2 bits a tuple, 8 bytes a class, with 32-bit rows.
#pragma once

#include <memory>

#include "tombola/plans/series_plan.hpp"

namespace tombola {

// The tuples of all classes, made once.
class Tuples {
  public:
    // repeat: whether a class of fewer than rows_per_class rows has a tuple. std::invalid_argument where there is none.
    Tuples(std::shared_ptr<const Groups> classes, u64 rows_per_class, bool repeat);

    const Groups& classes() const noexcept { return *classes_; }
    const std::shared_ptr<const Groups>& tuples() const noexcept { return tuples_; }
    u64 rows_per_class() const noexcept { return rows_per_class_; }

  private:
    std::shared_ptr<const Groups> classes_;
    std::shared_ptr<const Groups> tuples_;  // grouped by class, those without a tuple left out
    u64 rows_per_class_;
};

// options.batch_size is P * K. std::invalid_argument if it is no multiple of K
std::unique_ptr<const Plan> make_per_class_plan(std::shared_ptr<const Tuples> tuples, const PlanOptions& options);

}  // namespace tombola
