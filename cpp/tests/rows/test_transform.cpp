// Rows renumbered and worked on, against plain loops in double; arrays are exactly as long as needed, so that the
// address sanitizer sees an access beyond them. ctest-label: threads
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/rows/transform.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr index_t width = 29;
constexpr std::size_t n_rows = 700;

// Column 7 k mod 29, of every third none: a bijection of what is left onto the columns it lists
std::vector<std::int32_t> some_map() {
    std::vector<std::int32_t> to(static_cast<std::size_t>(width), -1);
    std::int32_t next = 0;
    for (index_t k = 0; k < width; ++k) {
        const index_t column = 7 * k % width;
        if (column % 3 != 0) {
            to[static_cast<std::size_t>(column)] = next++;
        }
    }
    return to;
}

index_t columns_of(const std::vector<std::int32_t>& map) {
    return map.empty() ? width : 1 + *std::max_element(map.begin(), map.end());
}

float value_at(std::size_t row, index_t column) {
    const bool is_stored = noise(row, static_cast<u64>(column)) % 3 == 0 && row % 5 != 3;
    return is_stored ? static_cast<float>(1.0 + 9.0 * unit_noise(row, static_cast<u64>(column))) : 0.0F;
}

std::vector<double> expected_row(std::size_t row, const std::vector<std::int32_t>& map, const Arithmetic& work) {
    std::vector<double> out(static_cast<std::size_t>(columns_of(map)), 0.0);
    double total = 0;
    for (index_t k = 0; k < width; ++k) {
        const double value = static_cast<double>(value_at(row, k));
        total += value;
        const index_t to = map.empty() ? k : map[static_cast<std::size_t>(k)];
        if (to >= 0) {
            out[static_cast<std::size_t>(to)] = value;
        }
    }
    for (std::size_t j = 0; j < out.size(); ++j) {
        out[j] *= work.target != 0 && total != 0 ? work.target / total : 1.0;
        out[j] = work.log1p ? std::log1p(out[j]) : out[j];
        out[j] -= work.mean.empty() ? 0.0 : work.mean[j];
        out[j] *= work.factor.empty() ? 1.0 : work.factor[j];
    }
    return out;
}

bool is_close(double found, double expected) { return std::abs(found - expected) <= 1e-6 * (1 + std::abs(expected)); }

struct Csr {
    std::vector<float> data;
    std::vector<std::int32_t> columns;
    std::vector<index_t> indptr{0};
};

Csr rows_as_csr() {
    Csr csr;
    for (std::size_t row = 0; row < n_rows; ++row) {
        for (index_t k = 0; k < width; ++k) {
            if (value_at(row, k) != 0) {
                csr.data.push_back(value_at(row, k));
                csr.columns.push_back(static_cast<std::int32_t>(k));
            }
        }
        csr.indptr.push_back(static_cast<index_t>(csr.data.size()));
    }
    csr.data.shrink_to_fit();
    csr.columns.shrink_to_fit();
    return csr;
}

void check_csr(const std::vector<std::int32_t>& map, const Arithmetic& work) {
    Csr csr = rows_as_csr();
    const ColumnMap where{map, width};
    std::vector<index_t> counts(n_rows);
    const CsrOutcome outcome = csr_transform(std::span<float>(csr.data), std::span<std::int32_t>(csr.columns),
                                             csr.indptr, {&where, 1}, {}, work, counts);
    CHECK(outcome.bad_row == -1);
    CHECK(outcome.ascending);
    std::vector<index_t> to{0};
    for (const index_t count : counts) {
        to.push_back(to.back() + count);
    }
    std::vector<float> data(static_cast<std::size_t>(to.back()));
    std::vector<std::int32_t> columns(data.size());
    csr_compact(std::span<const float>(csr.data), std::span<const std::int32_t>(csr.columns), csr.indptr, to,
                std::span<float>(data), std::span<std::int32_t>(columns));
    for (std::size_t row = 0; row < n_rows; ++row) {
        const std::vector<double> expected = expected_row(row, map, work);
        std::vector<double> found(expected.size(), 0.0);
        index_t last = -1;
        for (index_t k = to[row]; k < to[row + 1]; ++k) {
            const std::int32_t column = columns[static_cast<std::size_t>(k)];
            CHECK(column > last && column < static_cast<std::int32_t>(expected.size()));
            last = column;
            found[static_cast<std::size_t>(column)] = static_cast<double>(data[static_cast<std::size_t>(k)]);
        }
        for (std::size_t j = 0; j < expected.size(); ++j) {
            CHECK(is_close(found[j], expected[j]));
        }
    }
}

void check_dense(const std::vector<std::int32_t>& map, const Arithmetic& work) {
    std::vector<float> rows;
    std::vector<index_t> places;
    for (std::size_t row = 0; row < n_rows; ++row) {
        for (index_t k = 0; k < width; ++k) {
            rows.push_back(value_at(row, k));
        }
        places.push_back(static_cast<index_t>((row * 11) % n_rows));
    }
    rows.shrink_to_fit();
    const index_t wide = columns_of(map);
    std::vector<float> out(n_rows * static_cast<std::size_t>(wide), -1.0F);
    const RowWork become = dense_work<float>({map, width}, work, wide);
    work_on_rows(become, std::as_bytes(std::span(rows)), places, std::as_writable_bytes(std::span(out)));
    for (std::size_t row = 0; row < n_rows; ++row) {
        const std::vector<double> expected = expected_row(row, map, work);
        for (std::size_t j = 0; j < expected.size(); ++j) {
            const std::size_t at = static_cast<std::size_t>(places[row]) * expected.size() + j;
            CHECK(is_close(static_cast<double>(out[at]), expected[j]));
        }
    }
    if (map.empty()) {
        std::vector<float> in_place = rows;
        const auto bytes = std::as_writable_bytes(std::span(in_place));
        work_on_rows(become, bytes, {}, bytes);
        for (std::size_t row = 0; row < n_rows; ++row) {
            const std::size_t to = static_cast<std::size_t>(places[row]) * static_cast<std::size_t>(width);
            CHECK(std::equal(out.begin() + static_cast<std::ptrdiff_t>(to),
                             out.begin() + static_cast<std::ptrdiff_t>(to + static_cast<std::size_t>(width)),
                             in_place.begin() + static_cast<std::ptrdiff_t>(row * static_cast<std::size_t>(width))));
        }
    }
}

}  // namespace

TEST(rows_are_worked_on_in_one_order) {
    std::vector<double> mean;
    std::vector<double> factor;
    for (u64 k = 0; k < static_cast<u64>(width); ++k) {
        mean.push_back(unit_noise(k, 1));
        factor.push_back(0.5 + unit_noise(k, 2));
    }
    for (const int threads : {1, 4, 7}) {
        set_num_threads(threads);
        for (const std::vector<std::int32_t>& map : {std::vector<std::int32_t>{}, some_map()}) {
            const std::size_t wide = static_cast<std::size_t>(columns_of(map));
            const std::span<const double> means(mean.data(), wide);
            const std::span<const double> factors(factor.data(), wide);
            for (const Arithmetic& work : {Arithmetic{}, Arithmetic{100, false, {}, {}}, Arithmetic{0, true, {}, {}},
                                           Arithmetic{100, true, {}, factors}}) {
                check_csr(map, work);
                check_dense(map, work);
            }
            check_dense(map, {100, true, means, factors});
        }
    }
}

TEST(columns_out_of_range_are_named_by_their_first_row) {
    for (const std::int32_t wrong : {-1, 29, 2'000'000'000}) {
        Csr csr = rows_as_csr();
        std::size_t row = 0;
        for (const std::size_t other : {std::size_t{600}, std::size_t{41}}) {
            row = other;
            csr.columns[static_cast<std::size_t>(csr.indptr[row]) + 2] = wrong;
        }
        const std::vector<std::int32_t> map = some_map();
        const ColumnMap where{map, width};
        std::vector<index_t> counts(n_rows);
        const CsrOutcome outcome = csr_transform(std::span<float>(csr.data), std::span<std::int32_t>(csr.columns),
                                                 csr.indptr, {&where, 1}, {}, {}, counts);
        CHECK(outcome.bad_row == static_cast<index_t>(row));
        CHECK(outcome.bad_column == wrong);
    }
}

TEST(rows_of_files_with_columns_of_their_own) {
    std::vector<float> data{1, 2, 3, 4};
    std::vector<std::int64_t> columns{0, 1, 0, 2};
    const std::vector<index_t> indptr{0, 2, 4};
    const std::vector<std::int32_t> first{1, 0};
    const std::vector<std::int32_t> second{0, -1, -1};
    const std::vector<ColumnMap> maps{{first, 2}, {second, 3}};
    const std::vector<std::int32_t> map_of_row{0, 1};
    std::vector<index_t> counts(2);
    csr_transform(std::span<float>(data), std::span<std::int64_t>(columns), indptr, maps, map_of_row, {}, counts);
    CHECK((counts == std::vector<index_t>{2, 1}));
    CHECK(data[0] == 2 && data[1] == 1 && data[2] == 3);
    CHECK(columns[0] == 0 && columns[1] == 1 && columns[2] == 0);
}

TEST(duplicates_are_added_up_of_floats_and_told_of_others) {
    const std::vector<index_t> indptr{0, 4};
    const ColumnMap all{{}, 3};
    std::vector<index_t> counts(1);
    std::vector<std::int32_t> columns{2, 0, 2, 1};
    std::vector<double> data{1, 2, 3, 4};
    csr_transform(std::span<double>(data), std::span<std::int32_t>(columns), indptr, {&all, 1}, {}, {}, counts);
    CHECK(counts[0] == 3);
    CHECK(data[0] == 2 && data[1] == 4 && data[2] == 4);
    columns = {2, 0, 2, 1};
    std::vector<u16> words{1, 2, 3, 4};
    const CsrOutcome outcome =
        csr_transform(std::span<u16>(words), std::span<std::int32_t>(columns), indptr, {&all, 1}, {}, {}, counts);
    CHECK(!outcome.ascending);
    CHECK(counts[0] == 4);
}

TEST(logarithms_are_right_to_the_last_place) {
    std::vector<float> values{0.0F, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max()};
    for (int exponent = -140; exponent < 128; ++exponent) {
        for (u64 i = 0; i < 50; ++i) {
            const double fraction = 1.0 + unit_noise(static_cast<u64>(exponent + 200), i);
            values.push_back(static_cast<float>(std::ldexp(fraction < 2 ? fraction : 1.0, exponent)));
        }
        values.push_back(static_cast<float>(std::ldexp(1.0, exponent)));
    }
    for (int count = 1; count < 3000; ++count) {
        values.push_back(static_cast<float>(count));
    }
    std::vector<float> found = values;
    log1p_each(found);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const float exact = static_cast<float>(std::log1p(static_cast<double>(values[i])));
        const float above = std::nextafter(exact, std::numeric_limits<float>::infinity());
        const float below = std::nextafter(exact, -1.0F);
        CHECK(found[i] >= below && found[i] <= above);
    }
    std::vector<float> odd{-0.5F, 3.0F, std::numeric_limits<float>::infinity(), -1.0F,
                           std::numeric_limits<float>::quiet_NaN()};
    log1p_each(odd);
    CHECK(odd[0] == std::log1p(-0.5F));
    CHECK(std::isinf(odd[2]) && std::isinf(odd[3]) && std::isnan(odd[4]));
}

TEST(bfloat16_is_rounded_to_even) {
    const std::vector<u32> bits{0x3F800000, 0x3F808000, 0x3F818000, 0x3F808001, 0x7F7FFFFF,
                                0x7F800000, 0x7F800001, 0xFFFFFFFF, 0x80000000, 0x00000001};
    const std::vector<u16> expected{0x3F80, 0x3F80, 0x3F82, 0x3F81, 0x7F80, 0x7F80, 0x7FC0, 0xFFFF, 0x8000, 0x0000};
    std::vector<float> values;
    for (const u32 each : bits) {
        values.push_back(std::bit_cast<float>(each));
    }
    std::vector<u16> words(values.size());
    round_to_bfloat16(values, words);
    CHECK(words == expected);
}
