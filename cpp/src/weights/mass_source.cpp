#include "tombola/weights/mass_source.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "tombola/base/parallel.hpp"

namespace tombola {
namespace {

constexpr std::size_t chunk = 4096;  // rows whose float64 sum is made in one go
constexpr std::size_t chunks_a_task = 64;

template <typename T>
constexpr auto quantise_kernel() {
    if constexpr (std::is_same_v<T, float>) {
        return &Kernels::quantise_f32;
    } else {
        return &Kernels::quantise_f64;
    }
}

template <typename T>
constexpr MassKind kind_of() {
    if constexpr (std::is_floating_point_v<T>) {
        return sizeof(T) == 4 ? MassKind::f32 : MassKind::f64;
    } else {
        return sizeof(T) == 1   ? MassKind::i8
               : sizeof(T) == 2 ? MassKind::i16
               : sizeof(T) == 4 ? MassKind::i32
                                : MassKind::i64;
    }
}

template <typename T>
constexpr auto scan_kernel() {
    if constexpr (std::is_same_v<T, float>) {
        return &Kernels::scan_f32;
    } else {
        return &Kernels::scan_f64;
    }
}

std::string text(double value) {
    std::array<char, 32> digits{};
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    static_cast<void>(error);
    return {digits.data(), end};
}

[[noreturn]] void refuse_weight(const char* name, u64 at, double value) {
    throw std::invalid_argument(std::string(name) + " must be finite and >= 0, but " + name + "[" + std::to_string(at) +
                                "] = " + text(value));
}

// In the sources an empty span stands for all rows.
std::span<const index_t> rows_of(const Subset& subset) {
    if (subset && subset->empty()) {
        throw std::invalid_argument("indices must not be empty for weighted draws");
    }
    return subset.value_or(std::span<const index_t>{});
}

void check_indices(std::span<const index_t> indices, std::size_t size) {
    for (std::size_t i = 0; i < indices.size(); ++i) {
        if (static_cast<u64>(indices[i]) >= size) {
            throw std::invalid_argument("indices must lie in [0, " + std::to_string(size) + "), but indices[" +
                                        std::to_string(i) + "] = " + std::to_string(indices[i]));
        }
    }
}

// body(start, count) for each chunk of [0, n)
template <typename Body>
void for_each_chunk(std::size_t n, Body body) {
    constexpr std::size_t part = chunk * chunks_a_task;
    parallel_for(static_cast<index_t>((n + part - 1) / part), [&](index_t task) {
        const std::size_t first = static_cast<std::size_t>(task) * part;
        for (std::size_t start = first; start < std::min(n, first + part); start += chunk) {
            body(start, std::min(chunk, n - start));
        }
    });
}

template <typename T>
class ValueSource final : public MassSource {
  public:
    ValueSource(std::span<const T> weights, std::span<const index_t> indices) : weights_(weights), indices_(indices) {
        check_indices(indices, weights.size());
    }

    u64 size() const noexcept override { return indices_.empty() ? weights_.size() : indices_.size(); }

    WeightSummary summarise() const override {
        const std::size_t n = static_cast<std::size_t>(size());
        std::vector<double> totals((n + chunk - 1) / chunk);
        std::mutex mutex;
        WeightSummary summary{};
        std::size_t wrong = n;  // the first row of the first chunk with a weight that is wrong
        for_each_chunk(n, [&](std::size_t start, std::size_t count) {
            std::array<T, chunk> gathered;
            const WeightScan scan = (kernels().*scan_kernel<T>())(values(start, count, gathered.data()), count);
            const double* s = scan.lane_sums;
            totals[start / chunk] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
            const std::lock_guard lock(mutex);
            summary.largest = std::max(summary.largest, scan.largest);
            summary.positive += scan.positive;
            if (!scan.valid) {
                wrong = std::min(wrong, start);
            }
        });
        if (wrong != n) {
            refuse(wrong, std::min(chunk, n - wrong));
        }
        for (const double total : totals) {
            summary.total += total;
        }
        return summary;
    }

    void set_scale_exponent(int exponent) override { scale_ = std::ldexp(1.0, exponent); }

    void masses(u64 first, std::size_t count, mass_t* out) const override {
        std::array<T, 64> gathered;
        for (std::size_t done = 0; done < count; done += gathered.size()) {
            const std::size_t n = std::min(gathered.size(), count - done);
            const T* from = values(static_cast<std::size_t>(first) + done, n, gathered.data());
            (kernels().*quantise_kernel<T>())(from, n, scale_, out + done);
        }
    }

    MassArray array() const noexcept override {
        return {.kind = kind_of<T>(),
                .values = weights_.data(),
                .size = weights_.size(),
                .indices = indices_.empty() ? nullptr : indices_.data(),
                .scale = scale_,
                .class_masses = nullptr,
                .classes = 0};
    }

  private:
    std::span<const T> weights_;
    std::span<const index_t> indices_;
    double scale_ = 1.0;

    const T* values(std::size_t first, std::size_t count, T* gathered) const {
        if (indices_.empty()) {
            return weights_.data() + first;
        }
        for (std::size_t i = 0; i < count; ++i) {
            const u64 at = static_cast<u64>(indices_[first + i]);
            gathered[i] = at < weights_.size() ? weights_[at] : T{0};  // indices may have changed since
        }
        return gathered;
    }
    [[noreturn]] void refuse(std::size_t first, std::size_t count) const {
        for (std::size_t i = first; i < first + count; ++i) {
            const std::size_t at = indices_.empty() ? i : static_cast<std::size_t>(indices_[i]);
            const double w = at < weights_.size() ? static_cast<double>(weights_[at]) : 0.0;
            if (!(w >= 0.0 && std::isfinite(w))) {
                refuse_weight("weights", at, w);
            }
        }
        throw std::invalid_argument("the weights changed while they were read");
    }
};

template <typename Code>
class CodeSource final : public MassSource {
  public:
    CodeSource(std::span<const Code> codes, std::span<const double> class_weights, std::span<const index_t> indices,
               std::span<const index_t> counts)
        : codes_(codes),
          indices_(indices),
          counts_(counts.begin(), counts.end()),
          class_weights_(class_weights.begin(), class_weights.end()),
          class_masses_(class_weights.size() + 1) {
        check_indices(indices, codes.size());
        for (std::size_t c = 0; c < class_weights.size(); ++c) {
            if (!(class_weights[c] >= 0.0 && std::isfinite(class_weights[c]))) {
                refuse_weight("class_weights", c, class_weights[c]);
            }
        }
    }

    u64 size() const noexcept override { return indices_.empty() ? codes_.size() : indices_.size(); }

    WeightSummary summarise() const override {
        std::vector<index_t> counts(counts_);
        if (counts.empty()) {
            counts.resize(class_weights_.size());
            count_codes(codes_, indices_.empty() ? Subset{} : Subset{indices_}, std::span<index_t>(counts));
        }
        WeightSummary summary{};
        for (std::size_t c = 0; c < counts.size(); ++c) {
            if (counts[c] > 0) {
                summary.total += static_cast<double>(counts[c]) * class_weights_[c];
                summary.largest = std::max(summary.largest, class_weights_[c]);
                summary.positive += class_weights_[c] > 0.0 ? static_cast<u64>(counts[c]) : 0;
            }
        }
        return summary;
    }

    void set_scale_exponent(int exponent) override {
        const double scale = std::ldexp(1.0, exponent);
        // A class without rows may have a weight beyond the largest one that counts: it is never looked up.
        std::vector<double> weights(class_weights_);
        for (double& weight : weights) {
            weight = std::min(weight, std::ldexp(1.0, 51 - exponent));
        }
        kernels().quantise_f64(weights.data(), weights.size(), scale, class_masses_.data());
        class_masses_.back() = 0;  // for codes that have changed to something out of range
    }

    void masses(u64 first, std::size_t count, mass_t* out) const override {
        const u64 classes = class_weights_.size();
        if (indices_.empty()) {
            const Code* from = codes_.data() + first;
            for (std::size_t i = 0; i < count; ++i) {
                out[i] = class_masses_[std::min<u64>(static_cast<u64>(from[i]), classes)];
            }
            return;
        }
        for (std::size_t i = 0; i < count; ++i) {
            const u64 at = static_cast<u64>(indices_[first + i]);
            const u64 code = at < codes_.size() ? static_cast<u64>(codes_[at]) : classes;
            out[i] = class_masses_[std::min(code, classes)];
        }
    }

    MassArray array() const noexcept override {
        return {.kind = kind_of<Code>(),
                .values = codes_.data(),
                .size = codes_.size(),
                .indices = indices_.empty() ? nullptr : indices_.data(),
                .scale = 1.0,
                .class_masses = class_masses_.data(),
                .classes = class_weights_.size()};
    }

  private:
    std::span<const Code> codes_;
    std::span<const index_t> indices_;
    std::vector<index_t> counts_;
    std::vector<double> class_weights_;
    std::vector<mass_t> class_masses_;
};

}  // namespace

template <typename Code>
void count_codes(std::span<const Code> codes, const Subset& subset, std::span<index_t> counts) {
    const std::span<const index_t> indices = subset.value_or(std::span<const index_t>{});
    const std::size_t n = subset ? indices.size() : codes.size();
    const u64 classes = counts.size();
    const auto row = [&](std::size_t i) { return subset ? static_cast<std::size_t>(indices[i]) : i; };
    const auto code_of = [&](std::size_t at) {  // indices may have changed since they were checked
        return at < codes.size() ? static_cast<u64>(static_cast<std::int64_t>(codes[at])) : classes;
    };
    std::mutex mutex;
    std::size_t wrong = n;
    const std::size_t part = std::max(chunks_a_task * chunk, 4 * counts.size());
    parallel_for(static_cast<index_t>((n + part - 1) / part), [&](index_t task) {
        const std::size_t first = static_cast<std::size_t>(task) * part;
        const std::size_t last = std::min(n, first + part);
        std::vector<index_t> mine(2 * (classes + 1));  // two tables: equal neighbours do not wait for each other
        for (std::size_t i = first; i < last; ++i) {
            ++mine[2 * std::min(code_of(row(i)), classes) + i % 2];
        }
        const std::lock_guard lock(mutex);
        for (std::size_t c = 0; c < classes; ++c) {
            counts[c] += mine[2 * c] + mine[2 * c + 1];
        }
        if (mine[2 * classes] + mine[2 * classes + 1] != 0) {
            wrong = std::min(wrong, first);
        }
    });
    for (std::size_t i = wrong; i < n; ++i) {
        const std::size_t at = row(i);
        if (at >= codes.size()) {
            check_indices(indices, codes.size());
        } else if (code_of(at) >= classes) {
            throw std::invalid_argument("codes must lie in [0, " + std::to_string(classes) + "), but codes[" +
                                        std::to_string(at) + "] = " + std::to_string(codes[at]));
        }
    }
}

std::unique_ptr<MassSource> make_value_source(std::span<const float> weights, const Subset& subset) {
    return std::make_unique<ValueSource<float>>(weights, rows_of(subset));
}

std::unique_ptr<MassSource> make_value_source(std::span<const double> weights, const Subset& subset) {
    return std::make_unique<ValueSource<double>>(weights, rows_of(subset));
}

template <typename Code>
std::unique_ptr<MassSource> make_code_source(std::span<const Code> codes, std::span<const double> class_weights,
                                             const Subset& subset, std::span<const index_t> counts) {
    return std::make_unique<CodeSource<Code>>(codes, class_weights, rows_of(subset), counts);
}

#define TOMBOLA_FOR_CODE(Code)                                                                                  \
    template void count_codes<Code>(std::span<const Code>, const Subset&, std::span<index_t>);                  \
    template std::unique_ptr<MassSource> make_code_source<Code>(std::span<const Code>, std::span<const double>, \
                                                                const Subset&, std::span<const index_t>);
TOMBOLA_FOR_CODE(std::int8_t)
TOMBOLA_FOR_CODE(std::int16_t)
TOMBOLA_FOR_CODE(std::int32_t)
TOMBOLA_FOR_CODE(std::int64_t)
#undef TOMBOLA_FOR_CODE

}  // namespace tombola
