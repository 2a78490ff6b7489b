// Weighted draws without replacement: rounds in which no row comes twice, distributed as successive draws without
// replacement. A round is made as a whole (the stated exception to random access) and the last few are remembered.
//
// Small rounds draw and reject; should that not finish, or for large rounds, what is missing is taken by exponential
// keys -ln(u) / weight, the smallest of which win (Efraimidis and Spirakis, 2006). The switch keeps the distribution:
// after a fixed number of attempts, what is still to come depends on the rows accepted so far alone, and successive
// draws from the others is what the keys give. O(round) by rejection, O(n) by keys.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "tombola/base/per_process.hpp"
#include "tombola/orders/order.hpp"
#include "tombola/weights/weight_table.hpp"

namespace tombola {

// The rows of round `round`, ascending; size <= table.positive().
std::vector<index_t> draw_round(const WeightTable& table, u64 seed, u64 epoch, u64 round, u64 size);

class RoundOrder final : public Order {
  public:
    // std::invalid_argument unless 1 <= round_size <= table->positive()
    RoundOrder(std::shared_ptr<const WeightTable> table, u64 draws, u64 round_size, u64 block_size, u64 seed,
               u64 epoch);
    u64 size() const noexcept override { return draws_; }
    void fill(u64 first, std::size_t count, index_t* out) const override;

  private:
    struct Round;

    std::shared_ptr<const WeightTable> table_;
    u64 draws_;
    u64 round_size_;
    u64 block_size_;
    u64 seed_;
    u64 epoch_;
    struct Recent {
        std::mutex mutex;                                   // held to look a round up or put it down, no longer
        std::array<std::shared_ptr<const Round>, 4> slots;  // round r in slot r % 4
    };
    PerProcess<Recent> recent_;

    std::shared_ptr<const Round> round(u64 number) const;
};

}  // namespace tombola
