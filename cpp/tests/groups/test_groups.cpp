// Groups against a sorted map: keys of every width, dense and arbitrary, with parts too large to be copied, subsets,
// both widths of members, whatever the threads. ctest-label: threads
#include <limits>
#include <map>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/groups/groups.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

u64 mixed(u64 x) {
    for (int i = 0; i < 2; ++i) {
        x ^= x >> 32U;
        x *= 0xD6E8FEB86659FD93U;
    }
    return x ^ x >> 32U;
}

struct Csr {
    std::vector<u64> offsets;
    std::vector<u64> members;
    bool operator==(const Csr&) const = default;
};

Csr arrays_of(const Groups& groups) {
    return groups.visit([](const auto& a) {
        return Csr{{a.offsets.data(), a.offsets.data() + a.offsets.size()},
                   {a.members.data(), a.members.data() + a.members.size()}};
    });
}

template <typename Key>
Csr plain(std::span<const Key> keys, std::span<const index_t> rows) {
    const auto [low, high] = std::minmax_element(keys.begin(), keys.end());
    const u64 lowest = static_cast<u64>(static_cast<index_t>(*low));
    const bool dense = static_cast<u64>(static_cast<index_t>(*high)) - lowest < 2 * keys.size();
    std::map<u64, std::vector<u64>> groups;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const u64 distance = static_cast<u64>(static_cast<index_t>(keys[i])) - lowest;
        groups[dense ? distance : mixed(distance)].push_back(rows.empty() ? i : static_cast<u64>(rows[i]));
    }
    Csr out;
    for (const auto& [code, members] : groups) {
        out.offsets.push_back(out.members.size());
        out.members.insert(out.members.end(), members.begin(), members.end());
    }
    out.offsets.push_back(out.members.size());
    return out;
}

template <typename Key>
void check_groups(const std::vector<Key>& keys, const Subset& rows = {}) {
    const Csr expected = plain<Key>(keys, rows.value_or(std::span<const index_t>{}));
    u64 fingerprint = 0;
    for (const bool wide : {false, true}) {
        for (const int threads : thread_counts()) {
            set_num_threads(threads);
            const Groups groups = Groups::from_keys<Key>(keys, rows, wide);
            CHECK(arrays_of(groups) == expected);
            CHECK_EQ(groups.size(), keys.size());
            CHECK_EQ(groups.groups(), expected.offsets.size() - 1);
            if (!wide) {
                CHECK(fingerprint == 0 || fingerprint == groups.fingerprint());
                fingerprint = groups.fingerprint();
            }
        }
    }
    std::map<u64, u64> classes;
    for (std::size_t g = 0; g + 1 < expected.offsets.size(); ++g) {
        ++classes[expected.offsets[g + 1] - expected.offsets[g]];
    }
    const Groups groups = Groups::from_keys<Key>(keys, rows, false);
    CHECK_EQ(groups.counts().size(), classes.size());
    CHECK_EQ(groups.largest(), classes.rbegin()->first);
    std::size_t c = 0;
    for (const auto& [count, number] : classes) {
        CHECK(groups.counts()[c].count == count && groups.counts()[c].groups == number);
        ++c;
    }
}

template <typename Key>
std::vector<Key> keys_of(std::size_t n, u64 range, u64 key, u64 factor = 1) {
    std::vector<Key> keys(n);
    for (std::size_t i = 0; i < n; ++i) {
        keys[i] = static_cast<Key>(noise(key, i) % range * factor);
    }
    return keys;
}

}  // namespace

TEST(small) {
    check_groups<std::int64_t>({5});
    check_groups<std::int64_t>({5, 5, 5});
    check_groups<std::int64_t>({3, 1, 2});
    check_groups<std::int64_t>({std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(), 0,
                                std::numeric_limits<std::int64_t>::min()});
    check_groups<std::int8_t>({-128, 127, -1, 0, 127});
    check_groups<std::int16_t>({-32768, 32767, 5, 5});
    check_groups<std::int32_t>({std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()});
}

TEST(every_width_of_keys) {
    check_groups(keys_of<std::int8_t>(5000, 256, 1));
    check_groups(keys_of<std::int16_t>(5000, 65536, 2));
    check_groups(keys_of<std::int32_t>(5000, 9000, 3));
    check_groups(keys_of<std::int64_t>(5000, 3000, 4, 0x123456789ABCDEFU));
}

TEST(around_the_border_of_dense_keys) {
    for (const index_t n : {1, 2, 100}) {
        for (const index_t width : {2 * n - 1, 2 * n, 2 * n + 1}) {
            std::vector<std::int64_t> keys(static_cast<std::size_t>(n), 7);
            keys.back() = 7 + width;
            keys.front() = 7;
            check_groups(keys);
        }
    }
}

TEST(large) {
    check_groups(keys_of<std::int64_t>(200'003, 60'000, 5));
    check_groups(keys_of<std::int64_t>(200'003, 399'999, 6));
    check_groups(keys_of<std::int32_t>(200'003, 4, 7));
    check_groups(keys_of<std::int64_t>(200'003, 60'000, 8, 0x9E3779B97F4A7C15U));
    check_groups(keys_of<std::int64_t>(200'003, ~u64{0}, 9));
}

TEST(parts_too_large_to_copy) {
    for (const u64 factor : {u64{1}, u64{0x9E3779B97F4A7C15U}}) {
        std::vector<std::int64_t> keys = keys_of<std::int64_t>(300'007, 599'000, 10, factor);
        for (std::size_t i = 0; i < keys.size(); ++i) {
            if (noise(11, i) % 10 != 0) {
                keys[i] = static_cast<std::int64_t>((noise(12, i) % 3 == 0 ? 41 : 40) * factor);
            }
        }
        check_groups(keys);
    }
}

TEST(subsets_give_their_own_row_numbers) {
    const std::vector<std::int64_t> keys = keys_of<std::int64_t>(1000, 50, 13);
    std::vector<index_t> rows;
    for (index_t i = 0; i < 1000; ++i) {
        rows.push_back(3 * i + 1);
    }
    check_groups<std::int64_t>(keys, rows);
    rows.back() = index_t{1} << 40U;
    check_groups<std::int64_t>(keys, rows);
}

TEST(wrong_input) {
    const std::vector<std::int64_t> none;
    const std::vector<std::int64_t> two{1, 2};
    const std::vector<index_t> one{0};
    CHECK_THROWS_WITH(std::invalid_argument, "must not be empty", Groups::from_keys<std::int64_t>(none, {}, false));
    CHECK_THROWS_WITH(std::invalid_argument, "as long as indices, 1, but the length is 2",
                      Groups::from_keys<std::int64_t>(two, one, false));
}
