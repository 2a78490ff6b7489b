#include "tombola/plans/plan.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tombola/base/buffer.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/base/scratch.hpp"
#include "tombola/kernels/kernels.hpp"
#include "tombola/random/shuffle.hpp"

namespace tombola {
namespace {

constexpr u64 exact_window_below = u64{1} << 16U;
constexpr u64 rows_a_task = u64{1} << 17U;  // less than this is not worth a thread
constexpr u64 rows_together = 2048;         // of windows smaller than this several are filled by one call of the order

// Work space that a thread keeps between calls. It is taken away while in use: an order that asks the interrupt hook
// may come back here by way of a signal handler.
struct Scratch {
    std::optional<Buffer<index_t>> rows;
    std::vector<u16> table;

    index_t* make_rows(std::size_t size) {
        if (!rows || rows->size() < size) {
            rows.reset();  // first: both need not be there at a time
            rows.emplace(size);
        }
        return rows->data();
    }
};

Scratch& kept_scratch() {
    thread_local Scratch space;
    return space;
}

void keep(Scratch space) {
    if (space.rows && space.rows->size() * sizeof(index_t) > most_kept_bytes) {
        space.rows.reset();
    }
    kept_scratch() = std::move(space);
}

}  // namespace

void check_options(const PlanOptions& options) {
    if (options.batch_size < 1) {
        throw std::invalid_argument("batch_size must be an integer >= 1, but is " + std::to_string(options.batch_size));
    }
    if (options.fetch_factor < 1) {
        throw std::invalid_argument("fetch_factor must be an integer >= 1, but is " +
                                    std::to_string(options.fetch_factor));
    }
    constexpr index_t largest_window = index_t{1} << 40U;
    if (options.batch_size > largest_window / options.fetch_factor) {
        throw std::invalid_argument("batch_size * fetch_factor must be at most 2**40 rows, but is " +
                                    std::to_string(options.batch_size) + " * " + std::to_string(options.fetch_factor));
    }
}

WindowedPlan::WindowedPlan(std::unique_ptr<const Order> order, const Subset& subset, bool permute_windows,
                           const PlanOptions& options)
    : order_(std::move(order)),
      subset_(subset),
      permute_windows_(permute_windows),
      window_(static_cast<u64>(options.batch_size) * static_cast<u64>(options.fetch_factor)),
      window_key_(derive_key(options.seed, options.epoch, Purpose::window)),
      batch_size_(options.batch_size),
      n_rows_(static_cast<index_t>(order_->size())) {
    if (subset_ && subset_->empty() && n_rows_ > 0) {
        throw std::invalid_argument("indices must not be empty, but " + std::to_string(n_rows_) +
                                    " positions are to be filled");
    }
    if (options.drop_last) {
        n_rows_ -= n_rows_ % batch_size_;
    }
    n_batches_ = n_rows_ / batch_size_ + (n_rows_ % batch_size_ != 0 ? 1 : 0);
}

void Plan::offsets(index_t start, index_t stop, std::span<index_t> out) const {
    const index_t first = offset(start);
    for (index_t batch = start; batch <= stop; ++batch) {
        out[static_cast<std::size_t>(batch - start)] = offset(batch) - first;
    }
}

index_t WindowedPlan::offset(index_t batch) const { return batch >= n_batches_ ? n_rows_ : batch * batch_size_; }

void WindowedPlan::fill(index_t start, index_t stop, std::span<index_t> rows) const {
    const u64 first = static_cast<u64>(offset(start));
    const u64 last = static_cast<u64>(offset(stop));
    if (first >= last) {
        return;
    }
    // A task is a run of whole windows, cut at the ends of the request.
    const u64 step = permute_windows_ ? std::max<u64>(1, rows_a_task / window_) * window_ : rows_a_task;
    const u64 first_task = first / step;
    const u64 tasks = (last - 1) / step - first_task + 1;
    parallel_for(static_cast<index_t>(tasks), [&](index_t task) {
        u64 from = std::max(first, (first_task + static_cast<u64>(task)) * step);
        const u64 to = std::min(last, (first_task + static_cast<u64>(task) + 1) * step);
        while (from < to) {
            index_t* out = rows.data() + (from - first);
            u64 count = to - from;
            if (!permute_windows_) {
                fill_positions(from, static_cast<std::size_t>(count), out);
            } else if (from % window_ == 0 && 2 * window_ <= std::min(count, rows_together)) {
                count = std::min(count, rows_together) / window_ * window_;
                fill_windows(from / window_, static_cast<std::size_t>(count), out);
            } else {
                count = std::min(count, window_ - from % window_);
                fill_window(from / window_, from % window_, static_cast<std::size_t>(count), out);
            }
            from += count;
        }
    });
}

void WindowedPlan::fill_positions(u64 first, std::size_t count, index_t* out) const {
    order_->fill(first, count, out);
    if (subset_) {
        for (std::size_t i = 0; i < count; ++i) {
            out[i] = (*subset_)[static_cast<std::size_t>(out[i])];
        }
    }
}

// Rows of whole windows from `window` on, `count` in all: small ones, shuffled where they lie.
void WindowedPlan::fill_windows(u64 window, std::size_t count, index_t* out) const {
    Scratch space = std::exchange(kept_scratch(), {});
    index_t* const rows = space.make_rows(count);
    fill_positions(window * window_, count, rows);
    const std::size_t size = static_cast<std::size_t>(window_);
    for (std::size_t done = 0; done < count; done += size, ++window) {
        index_t* const to = out + done;
        shuffle(Stream{window_key_, window}, std::span<index_t>(rows + done, size),
                [to](std::size_t i, index_t row) { to[i] = row; });
    }
    keep(std::move(space));
}

// Rows [first, first + count) of a permuted window.
void WindowedPlan::fill_window(u64 window, u64 first, std::size_t count, index_t* out) const {
    const u64 start = window * window_;
    const std::size_t size = static_cast<std::size_t>(std::min(window_, order_->size() - start));
    Scratch space = std::exchange(kept_scratch(), {});
    if (size < exact_window_below) {
        index_t* const rows = space.make_rows(size);
        space.table.resize(size);
        fill_positions(start, size, rows);
        const Stream stream{window_key_, window};
        const std::span<u16> table(space.table);
        if (count == size) {
            std::iota(table.begin(), table.end(), u16{0});
            shuffle(stream, table, [rows, out](std::size_t i, u16 at) { out[i] = rows[at]; });
        } else {
            shuffled_iota(stream, table);
            kernels().gather(rows, table.data() + first, count, out);
        }
        keep(std::move(space));
        return;
    }
    const Bijection table(size, derive_key(window_key_, window, Purpose::window_large), 0);
    index_t* const rows = space.make_rows(size);
    fill_positions(start, size, rows);
    table.fill(first, count, reinterpret_cast<u64*>(out));
    for (std::size_t i = 0; i < count; ++i) {
        out[i] = rows[static_cast<std::size_t>(out[i])];
    }
    keep(std::move(space));
}

}  // namespace tombola
