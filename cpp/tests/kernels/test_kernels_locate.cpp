// The kernels that locate rows, of every instruction set and every kind of masses, against a plain search: numbers of
// rows around whole granules, masses of 0 and very large ones, runs of any length, subsets, and values that have
// changed. Arrays are exactly as long as needed, so that the address sanitizer sees an access beyond them.
#include "check.hpp"
#include "reference.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr u64 classes = 8;

template <typename T>
constexpr MassKind kind_of() {
    if constexpr (std::is_floating_point_v<T>) {
        return sizeof(T) == 4 ? MassKind::f32 : MassKind::f64;
    } else {
        constexpr MassKind kinds[] = {MassKind::i8, MassKind::i16, MassKind::i32, MassKind::i64};
        return kinds[std::bit_width(sizeof(T)) - 1];
    }
}

// Rows by class: most masses are small, some 0, some very large; class 7 has a mass of the table's own.
struct Rows {
    std::vector<u64> codes;
    std::vector<mass_t> class_masses{0, 1, 2, 3, 1000, 0, 5, mass_t{1} << 40U, 0};
    std::vector<mass_t> before;  // of each row, and the total
    std::vector<mass_t> granules;
    std::vector<u32> guide;
    u32 shift = 0;

    Rows(u64 key, u64 count) {
        mass_t sum = 0;
        for (u64 i = 0; i < count; ++i) {
            const u64 v = noise(key, i) % 20;
            codes.push_back(key % 3 == 0 && i / 20 % 2 == 1 ? 0 : v < 7 ? v : v == 7 && key % 2 == 0 ? 7 : v % 2);
        }
        codes[noise(key, 1000) % count] = 1;
        for (u64 i = 0; i < count; ++i) {
            if (i % granule_rows == 0) {
                granules.push_back(sum);
            }
            before.push_back(sum);
            sum += class_masses[codes[i]];
        }
        before.push_back(sum);
        granules.push_back(sum);
        shift = static_cast<u32>(noise(key, 1001) % static_cast<u64>(std::bit_width(sum)));
        if (sum >> shift > 1000) {
            shift = static_cast<u32>(std::bit_width(sum)) - 3;
        }
        for (u64 k = 0; k <= (sum - 1) >> shift; ++k) {
            guide.push_back(static_cast<u32>(granule_of(k << shift)));
        }
        guide.push_back(static_cast<u32>(granules.size() - 2));
        granules.resize(granules.size() + granule_padding, mass_t{1} << 62U);
    }
    mass_t total() const { return before.back(); }
    u64 granule_of(mass_t target) const { return row_of(target) / granule_rows; }
    u64 row_of(mass_t target) const {
        return static_cast<u64>(std::upper_bound(before.begin(), before.end(), target) - before.begin()) - 1;
    }
    Granules table() const {
        return {granules.data(), guide.data(), shift, (codes.size() + granule_rows - 1) / granule_rows, codes.size()};
    }
};

template <typename T>
std::vector<T> values_of(const Rows& rows) {
    std::vector<T> values;
    for (const u64 code : rows.codes) {
        values.push_back(static_cast<T>(std::is_floating_point_v<T> ? rows.class_masses[code] : code));
    }
    return values;
}

template <typename T>
MassArray array_of(const Rows& rows, const std::vector<T>& values, const std::vector<index_t>& indices) {
    return {kind_of<T>(),  values.data(),
            values.size(), indices.empty() ? nullptr : indices.data(),
            1.0,           rows.class_masses.data(),
            classes};
}

// `runs` sorted runs, one behind the other.
std::vector<mass_t> make_targets(const Rows& rows, u64 key, std::size_t runs, std::size_t length) {
    std::vector<mass_t> targets;
    for (std::size_t r = 0; r < runs; ++r) {
        const mass_t from = noise(key, 2 * r) % rows.total();
        const mass_t width =
            noise(key, 2 * r + 1) % 3 == 0 ? rows.total() - from : std::min<mass_t>(60, rows.total() - from);
        for (std::size_t i = 0; i < length; ++i) {
            targets.push_back(from + noise(key + 1, r * length + i) % width);
        }
        std::sort(targets.end() - static_cast<std::ptrdiff_t>(length), targets.end());
    }
    targets.shrink_to_fit();
    return targets;
}

std::vector<index_t> locate(const MassArray& array, const Granules& table, const std::vector<mass_t>& targets,
                            std::size_t runs, std::size_t length) {
    std::vector<u64> granules(runs);
    std::vector<index_t> out(runs * length, -1);
    for (std::size_t step = 4; step-- > 0;) {
        RunGroups groups{};
        groups.at[step] = {targets.data(), granules.data(), runs};
        kernels().locate[static_cast<std::size_t>(array.kind)](array, table, groups, length, out.data());
    }
    return out;
}

template <typename T>
void check(const Rows& rows, u64 key) {
    const std::vector<T> values = values_of<T>(rows);
    // The same rows as a subset of others, in front of and between which stand some that must not count.
    std::vector<T> more;
    std::vector<index_t> indices;
    for (const T value : values) {
        more.push_back(T{1});
        indices.push_back(static_cast<index_t>(more.size()));
        more.push_back(value);
    }
    more.shrink_to_fit();
    for (const std::size_t length : {1U, 2U, 7U, 8U, 15U, 16U, 17U, 32U, 45U}) {
        const std::size_t runs = 9;
        const std::vector<mass_t> targets = make_targets(rows, key + length, runs, length);
        std::vector<index_t> expected;
        for (std::size_t t = 0; t < runs * length; ++t) {
            expected.push_back(static_cast<index_t>(rows.row_of(targets[t])));
        }
        CHECK(locate(array_of(rows, values, {}), rows.table(), targets, runs, length) == expected);
        CHECK(locate(array_of(rows, more, indices), rows.table(), targets, runs, length) == expected);
    }
}

// Whatever values stand there now, rows are those of the table.
template <typename T>
void check_changed(const Rows& rows, u64 key, T now) {
    const std::vector<T> values(rows.codes.size(), now);
    const std::vector<mass_t> targets = make_targets(rows, key, 9, 16);
    const std::vector<index_t> found = locate(array_of(rows, values, {}), rows.table(), targets, 9, 16);
    for (std::size_t t = 0; t < found.size(); ++t) {
        CHECK_EQ(static_cast<u64>(found[t]) / granule_rows, rows.granule_of(targets[t]));
        CHECK(static_cast<u64>(found[t]) < rows.codes.size());
    }
    const std::vector<index_t> wrong(rows.codes.size(), key % 2 == 0 ? -1 : static_cast<index_t>(values.size()));
    CHECK_EQ(locate(array_of(rows, values, wrong), rows.table(), targets, 9, 16).size(), found.size());
}

}  // namespace

TEST(locate_finds_the_row_of_every_target) {
    with_each_instruction_set([](const std::string&) {
        for (const u64 count : {1U, 2U, 15U, 16U, 17U, 31U, 32U, 33U, 100U, 500U}) {
            for (u64 key = 0; key < 6; ++key) {
                const Rows rows(100 * count + key, count);
                check<float>(rows, key);
                check<double>(rows, key);
                check<std::int8_t>(rows, key);
                check<std::int16_t>(rows, key);
                check<std::int32_t>(rows, key);
                check<std::int64_t>(rows, key);
            }
        }
    });
}

TEST(locate_stays_in_the_granule_when_values_have_changed) {
    with_each_instruction_set([](const std::string&) {
        for (const u64 count : {1U, 5U, 16U, 31U, 100U}) {
            const Rows rows(count, count);
            for (const double now : {0.0, 1.0, 1e5, -1.0, 0x1p51, 1e300, std::nan("")}) {
                check_changed<double>(rows, count, now);
            }
            for (const int now : {0, 4, 7, 8, 127, -1, -128}) {
                check_changed<std::int8_t>(rows, count, static_cast<std::int8_t>(now));
                check_changed<std::int64_t>(rows, count, now);
            }
        }
    });
}
