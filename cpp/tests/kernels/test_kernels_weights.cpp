// The weight kernels of every instruction set (but locate) against plain code: every length up to a few vectors,
// unaligned starts, tiny, huge and zero values, and values that no longer hold what the summary said. Arrays are
// exactly as long as needed, so that the address sanitizer sees an access beyond them.
#include <limits>

#include "check.hpp"
#include "reference.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

template <typename T>
auto quantise_kernel() {
    if constexpr (sizeof(T) == 4) {
        return kernels().quantise_f32;
    } else {
        return kernels().quantise_f64;
    }
}

template <typename T>
auto scan_kernel() {
    if constexpr (sizeof(T) == 4) {
        return kernels().scan_f32;
    } else {
        return kernels().scan_f64;
    }
}

// Weights of all magnitudes whose product with 2^10 is at most 2^51.
template <typename T>
std::vector<T> valid_weights() {
    std::vector<T> w{0,
                     T(-0.0),
                     std::numeric_limits<T>::denorm_min(),
                     std::numeric_limits<T>::min(),
                     T(1e-30),
                     T(0x1p-11),
                     T(0x1.8p-10),
                     T(0x1.4p-8),
                     T(0x1.cp-8),
                     T(0.1),
                     T(1),
                     T(3.14159265358979),
                     T(12345678.9),
                     T(0x1p41)};
    for (u64 t = 0; t < 40; ++t) {
        w.push_back(static_cast<T>(std::ldexp(unit_noise(3, t), static_cast<int>(noise(4, t) % 50) - 9)));
    }
    return w;
}

template <typename T>
void check_quantise() {
    const std::vector<T> values = valid_weights<T>();
    for (std::size_t offset = 0; offset < 9; ++offset) {
        for (std::size_t count = 0; count + offset <= values.size(); ++count) {
            const std::vector<T> weights(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(offset + count));
            std::vector<mass_t> masses(count);
            quantise_kernel<T>()(weights.data() + offset, count, 1024.0, masses.data());
            bool equal = true;
            for (std::size_t i = 0; i < count; ++i) {
                const double w = static_cast<double>(weights[offset + i]);
                const double expected = std::nearbyint(std::max(w * 1024.0, w > 0 ? 1.0 : 0.0));
                equal = equal && masses[i] == static_cast<mass_t>(expected);
            }
            CHECK(equal);
        }
    }
}

template <typename T>
void check_scan() {
    const std::vector<T> values = valid_weights<T>();
    for (std::size_t offset = 0; offset < 9; ++offset) {
        for (std::size_t count = 0; count + offset <= values.size(); ++count) {
            std::vector<T> weights(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(offset + count));
            WeightScan expected{};
            for (std::size_t i = 0; i < count; ++i) {
                const double w = static_cast<double>(weights[offset + i]);
                expected.lane_sums[i % 8] += w;
                expected.largest = std::max(expected.largest, w);
                expected.positive += w > 0 ? 1 : 0;
            }
            const WeightScan scan = scan_kernel<T>()(weights.data() + offset, count);
            CHECK(std::equal(std::begin(scan.lane_sums), std::end(scan.lane_sums), expected.lane_sums));
            CHECK_EQ(scan.largest, expected.largest);
            CHECK_EQ(scan.positive, expected.positive);
            CHECK(scan.valid);
            bool found = true;
            for (std::size_t i = 0; i < count; ++i) {
                const T mine = weights[offset + i];
                for (const double wrong : {-1e-30, -1.0, infinity, -infinity, nan_value}) {
                    weights[offset + i] = static_cast<T>(wrong);
                    found = found && !scan_kernel<T>()(weights.data() + offset, count).valid;
                }
                weights[offset + i] = mine;
            }
            CHECK(found);
        }
    }
}

}  // namespace

TEST(gather_takes_rows_by_a_table) {
    with_each_instruction_set([](const std::string&) {
        for (const std::size_t count : {0U, 1U, 7U, 8U, 9U, 63U, 64U, 65U, 1000U}) {
            std::vector<index_t> rows(1000);
            std::vector<u16> table(count + 1);
            std::vector<index_t> expected(count + 1);
            for (std::size_t i = 0; i < rows.size(); ++i) {
                rows[i] = static_cast<index_t>(noise(5, i) >> 1U);
            }
            for (std::size_t t = 1; t <= count; ++t) {
                table[t] = static_cast<u16>(noise(6, t) % rows.size());
                expected[t] = rows[table[t]];
            }
            std::vector<index_t> out(count + 1);
            kernels().gather(rows.data(), table.data() + 1, count, out.data() + 1);
            CHECK(out == expected);
        }
    });
}

TEST(quantise_rounds_half_to_even_and_keeps_positive_weights) {
    with_each_instruction_set([](const std::string&) {
        check_quantise<float>();
        check_quantise<double>();
        const std::vector<double> halves{0.5, 1.5, 2.5, 3.5, 0.25, 1e-300, 4503599627370495.5 / 2, 0.0};
        std::vector<mass_t> masses(halves.size());
        kernels().quantise_f64(halves.data(), halves.size(), 1.0, masses.data());
        CHECK(masses == std::vector<mass_t>{1, 2, 2, 4, 1, 1, 2251799813685248, 0});
        const std::vector<double> extremes{1.7976931348623157e308, 1e308, 4.9406564584124654e-324, 0.0};
        masses.resize(extremes.size());
        kernels().quantise_f64(extremes.data(), extremes.size(), 0x1p-973, masses.data());
        CHECK(masses ==
              std::vector<mass_t>{mass_t{1} << 51U, static_cast<mass_t>(std::nearbyint(1e308 * 0x1p-973)), 1, 0});
    });
}

TEST(quantise_of_values_that_changed_stays_in_range_and_is_the_same_everywhere) {
    std::vector<double> wrong{infinity, -infinity, nan_value, -nan_value, -1.0,
                              -1e300,   1e300,     0x1p52,    0x1p53,     0x1.8p60};
    for (u64 t = 0; t < 500; ++t) {
        wrong.push_back(std::bit_cast<double>(noise(7, t)));
    }
    std::vector<std::vector<mass_t>> all;
    with_each_instruction_set([&](const std::string&) {
        std::vector<mass_t> masses(wrong.size());
        kernels().quantise_f64(wrong.data(), wrong.size(), 0x1p30, masses.data());
        CHECK(*std::max_element(masses.begin(), masses.end()) < mass_t{1} << 52U);
        all.push_back(masses);
        CHECK(all.back() == all.front());
    });
}

TEST(scan_sums_in_eight_lanes_and_sees_every_wrong_value) {
    with_each_instruction_set([](const std::string&) {
        check_scan<float>();
        check_scan<double>();
        const std::vector<double> huge(16, 1.7976931348623157e308);
        const WeightScan scan = kernels().scan_f64(huge.data(), huge.size());
        CHECK(scan.valid && std::isinf(scan.lane_sums[0]));
    });
}

TEST(stratify_places_every_target_in_its_stratum) {
    __extension__ using u128 = unsigned __int128;
    with_each_instruction_set([](const std::string&) {
        for (const Strata& strata : {Strata{0, 1}, Strata{0, ~u64{0}}, Strata{1, 0}, Strata{(u64{1} << 40U) + 77, 123},
                                     Strata{12345, u64{3} << 62U}, Strata{u64{1} << 57U, ~u64{0} - 5}}) {
            const u128 step = static_cast<u128>(strata.step) << 64U | strata.step_fraction;
            const auto edge = [step](u64 i) { return static_cast<u64>(step * i >> 64U); };
            const u64 most = strata.step == 0 ? u64{1} << 62U : (u64{1} << 62U) / strata.step;  // below 2^126 together
            for (const std::size_t count : {1U, 2U, 3U, 7U, 8U, 9U, 31U}) {
                // Runs of the same length, at all offsets within a counter of four words.
                const u64 latest = most - count;
                const std::vector<u64> starts{0, 1, most / 3, most / 3 + 1, most / 3 + 2, latest, latest / 4 * 4};
                std::vector<u32> words;
                std::vector<mass_t> expected;
                for (const u64 first : starts) {
                    for (u64 i = first / 4 * 4; i < (first + count + 3) / 4 * 4; ++i) {
                        words.push_back(i % 5 == 0 ? 0xFFFFFFFFU : static_cast<u32>(noise(8, i)));
                        if (i >= first && i < first + count) {
                            const u64 width = edge(i + 1) - edge(i);
                            expected.push_back(edge(i) +
                                               static_cast<u64>(static_cast<u128>(words.back()) * width >> 32U));
                        }
                    }
                }
                std::vector<mass_t> targets(expected.size());
                kernels().stratify(strata, starts.data(), starts.size(), count, words.data(), targets.data());
                CHECK(targets == expected);
            }
        }
    });
}
