// Plans whose batches hold rows of one group (bucket) each. Rows are shuffled inside the bucket (group_shuffle.hpp) and
// cut into batches, whose order is a keyed permutation of all batches of the epoch. O(groups) a new epoch,
// O(B + log groups) a batch.
#pragma once

#include <memory>
#include <span>

#include "tombola/groups/groups.hpp"
#include "tombola/plans/plan.hpp"

namespace tombola {

// Which batches a bucket has.
class BucketBatches {
  public:
    // sizes: rows a batch for each group; empty: options.batch_size. drop_last leaves out the short batch of each
    // group. std::invalid_argument for a size below 1 or another number of sizes than groups
    BucketBatches(const Groups& groups, std::span<const index_t> sizes, index_t batch_size, bool drop_last);

    struct Batch {
        u64 id;     // of its group: the number of rows in front of it
        u64 count;  // rows of its group
        u64 first;  // rank of its first row
        u64 rows;
    };
    u64 batches() const noexcept { return firsts_[firsts_.size() - 1]; }
    u64 rows() const noexcept { return rows_; }
    template <typename Index>
    Batch at(const GroupArrays<Index>& groups, u64 number) const noexcept;

  private:
    Buffer<u64> firsts_;      // number of the first batch of each group, and of all
    std::vector<u64> guide_;  // the group of batch k << guide_shift_, at most as many as groups; the last group
    u32 guide_shift_ = 0;
    std::vector<index_t> sizes_;
    u64 batch_size_;
    u64 rows_ = 0;
};

std::unique_ptr<const Plan> make_bucket_plan(std::shared_ptr<const Groups> groups, std::span<const index_t> sizes,
                                             bool shuffle, const PlanOptions& options);

}  // namespace tombola
