// A plan: the immutable sequence of one epoch's batches, with random access. Const: threads may share one.
#pragma once

#include <memory>
#include <span>

#include "tombola/base/types.hpp"
#include "tombola/orders/order.hpp"

namespace tombola {

inline constexpr int plan_version = 1;  // changes with the order of any strategy

struct PlanOptions {
    index_t batch_size = 1;
    index_t fetch_factor = 1;
    bool drop_last = false;
    u64 seed = 0;
    u64 epoch = 0;
};

// std::invalid_argument for batch_size or fetch_factor below 1, or a window that overflows
void check_options(const PlanOptions& options);

class Plan {
  public:
    virtual ~Plan() = default;
    virtual index_t n_batches() const noexcept = 0;
    virtual index_t n_rows() const noexcept = 0;
    // Rows in front of batch `batch`, for batch in [0, n_batches()].
    virtual index_t offset(index_t batch) const = 0;
    // Where batches start, ..., stop - 1 begin and the last one ends, counted from the first row of batch `start`;
    // out.size() == stop - start + 1. O(stop - start) from nothing.
    virtual void offsets(index_t start, index_t stop, std::span<index_t> out) const;
    // The rows of batches [start, stop), one after the other; as many as offsets say.
    virtual void fill(index_t start, index_t stop, std::span<index_t> rows) const = 0;
};

// Batches are cut from an order of positions; rows are permuted inside each fetch window of batch_size * fetch_factor
// positions, before any dropping. O(window) for any batch.
class WindowedPlan final : public Plan {
  public:
    // `subset`: the rows that sequence elements stand for; none: the elements themselves. std::invalid_argument for an
    // empty subset where there are positions to fill.
    WindowedPlan(std::unique_ptr<const Order> order, const Subset& subset, bool permute_windows,
                 const PlanOptions& options);

    index_t n_batches() const noexcept override { return n_batches_; }
    index_t n_rows() const noexcept override { return n_rows_; }
    index_t offset(index_t batch) const override;
    void fill(index_t start, index_t stop, std::span<index_t> rows) const override;

  private:
    std::unique_ptr<const Order> order_;
    Subset subset_;
    bool permute_windows_;
    u64 window_;
    u64 window_key_;
    index_t batch_size_;
    index_t n_rows_;
    index_t n_batches_;

    void fill_positions(u64 first, std::size_t count, index_t* out) const;
    void fill_windows(u64 window, std::size_t count, index_t* out) const;
    void fill_window(u64 window, u64 first, std::size_t count, index_t* out) const;
};

}  // namespace tombola
