#include "tombola/weights/weight_table.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "tombola/base/hash.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/kernels/kernels.hpp"

namespace tombola {
namespace {

constexpr int largest_exponent = 1000;
constexpr mass_t largest_total = mass_t{1} << 62U;
constexpr u64 largest_uniform = u64{1} << 61U;
constexpr u64 largest_size_of_guide = u64{granule_rows} << 32U;  // guide_ holds granules as 32-bit numbers
constexpr std::size_t granules_a_task = 16384;                   // part of the fingerprint
constexpr int granules_an_entry = 8;                             // of the guide, up to so many

// The smallest c with x <= 2^c, for a normal or subnormal x > 0.
int ceil_log2(double x) {
    int exponent = 0;
    const double fraction = std::frexp(x, &exponent);  // exact: x = fraction * 2^exponent, fraction in [1/2, 1)
    return fraction == 0.5 ? exponent - 1 : exponent;
}

int choose_exponent(double total, double largest) { return std::min(61 - ceil_log2(total), 51 - ceil_log2(largest)); }

// Sums that no weights of the summary can have: no search could rely on them.
[[noreturn]] void refuse_changed() { throw std::invalid_argument("the weights changed while they were read"); }

}  // namespace

WeightTable::WeightTable(std::unique_ptr<MassSource> source) : source_(std::move(source)), size_(source_->size()) {
    if (size_ == 0) {
        throw std::invalid_argument("weights must not be empty");
    }
    if (size_ > largest_size_of_guide) {
        throw std::invalid_argument("there must be at most " + std::to_string(largest_size_of_guide) +
                                    " weights, but are " + std::to_string(size_));
    }
    const WeightSummary summary = source_->summarise();
    positive_ = summary.positive;
    if (positive_ == 0) {
        throw std::invalid_argument("at least one weight must be > 0, but all " + std::to_string(size_) + " are 0");
    }
    if (!std::isfinite(summary.total)) {
        throw std::invalid_argument("the sum of the weights must be finite, but overflows float64");
    }
    exponent_ = choose_exponent(summary.total, summary.largest);
    if (exponent_ > largest_exponent) {
        throw std::invalid_argument(
            "the sum of the weights must be at least 2**-939, so that their ratios can be "
            "represented: multiply them by a constant");
    }
    source_->set_scale_exponent(exponent_);
    sum_granules();
    make_guide();
}

WeightTable WeightTable::uniform(u64 n) {
    if (n == 0) {
        throw std::invalid_argument("weights must not be empty");
    }
    if (n > largest_uniform) {
        throw std::invalid_argument("there must be at most 2**61 equal weights, but are " + std::to_string(n));
    }
    WeightTable table;
    table.size_ = n;
    table.positive_ = n;
    table.exponent_ = choose_exponent(static_cast<double>(n), 1.0);
    table.total_ = n << table.exponent_;
    Hash hash;
    hash.word(n);
    table.fingerprint_ = hash.value();
    return table;
}

void WeightTable::masses(u64 first, std::size_t count, mass_t* out) const {
    if (source_) {
        source_->masses(first, count, out);
    } else {
        std::fill_n(out, count, mass_t{1} << exponent_);
    }
}

void WeightTable::sum_granules() {
    granules_ = (size_ + granule_rows - 1) / granule_rows;
    before_.emplace(granules_ + 1 + granule_padding);
    const std::size_t tasks = (granules_ + granules_a_task - 1) / granules_a_task;
    std::vector<u64> hashes(tasks);
    parallel_for(static_cast<index_t>(tasks), [&](index_t task) {
        constexpr std::size_t granules_at_once = 16;
        std::array<mass_t, granules_at_once * granule_rows> buffer;
        Hash hash;
        const u64 first = static_cast<u64>(task) * granules_a_task;
        const u64 last = std::min(granules_, first + granules_a_task);
        for (u64 g = first; g < last; g += granules_at_once) {
            const u64 rows =
                std::min<u64>(std::min<u64>(granules_at_once, last - g) * granule_rows, size_ - g * granule_rows);
            source_->masses(g * granule_rows, rows, buffer.data());
            hash.words(buffer.data(), rows);
            std::fill(buffer.begin() + static_cast<std::ptrdiff_t>(rows), buffer.end(), 0);
            for (u64 i = 0; i < (rows + granule_rows - 1) / granule_rows; ++i) {
                (*before_)[g + i + 1] =
                    std::accumulate(&buffer[i * granule_rows], &buffer[i * granule_rows] + granule_rows, mass_t{0});
            }
        }
        hashes[static_cast<std::size_t>(task)] = hash.value();
    });
    (*before_)[0] = 0;
    for (u64 g = 0; g < granules_; ++g) {
        (*before_)[g + 1] += (*before_)[g];
        if ((*before_)[g + 1] >= largest_total) {
            refuse_changed();
        }
    }
    total_ = (*before_)[granules_];
    std::fill_n(before_->data() + granules_ + 1, granule_padding, largest_total);
    if (total_ == 0) {
        refuse_changed();
    }
    Hash whole;
    whole.words(hashes.data(), hashes.size());
    whole.word(size_);
    fingerprint_ = whole.value();
}

void WeightTable::make_guide() {
    const int bits =
        static_cast<int>(std::bit_width(total_ - 1)) - static_cast<int>(std::bit_width(granules_ / granules_an_entry));
    guide_shift_ = static_cast<u32>(std::max(0, bits));
    const u64 entries = ((total_ - 1) >> guide_shift_) + 1;
    guide_.emplace(entries + 1);
    u64 g = 0;
    for (u64 k = 0; k < entries; ++k) {
        while ((*before_)[g + 1] <= k << guide_shift_) {
            ++g;
        }
        (*guide_)[k] = static_cast<u32>(g);
    }
    (*guide_)[entries] = static_cast<u32>(granules_ - 1);
    array_ = source_->array();
    table_ = {.before = before_->data(),
              .guide = guide_->data(),
              .guide_shift = guide_shift_,
              .count = granules_,
              .rows = size_};
}

void WeightTable::rows(const mass_t* targets, std::size_t count, index_t* out) const {
    if (count > 0) {
        u64 granule = 0;
        const RunGroup run{targets, &granule, 1};
        locate({.at = {{}, run, {}, {}}}, count, out);
        locate({.at = {run, {}, {}, {}}}, count, out);
    }
}

void WeightTable::locate(const RunGroups& groups, std::size_t length, index_t* out) const {
    if (source_) {
        kernels().locate[static_cast<std::size_t>(array_.kind)](array_, table_, groups, length, out);
        return;
    }
    for (std::size_t t = 0; t < groups.at[0].runs * length; ++t) {
        out[t] = static_cast<index_t>(groups.at[0].targets[t] >> exponent_);
    }
}

}  // namespace tombola
