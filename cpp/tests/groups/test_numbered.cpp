// Groups of given counts whose members are numbered one after the other: equal to grouping such keys, in both widths.
#include "check.hpp"
#include "reference.hpp"
#include "tombola/groups/groups.hpp"

using namespace tombola;
using namespace tombola::test;

TEST(numbered_members) {
    const std::vector<u64> counts{3, 1, 70, 2};
    std::vector<std::int64_t> keys;
    for (std::size_t g = 0; g < counts.size(); ++g) {
        keys.insert(keys.end(), counts[g], static_cast<std::int64_t>(g));
    }
    for (const bool wide : {false, true}) {
        const Groups made = Groups::from_counts(counts, wide);
        const Groups grouped = Groups::from_keys<std::int64_t>(keys, {}, wide);
        CHECK_EQ(made.size(), u64{76});
        CHECK_EQ(made.groups(), u64{4});
        CHECK_EQ(made.largest(), u64{70});
        CHECK_EQ(made.fingerprint(), grouped.fingerprint());
        made.visit([&]<typename Index>(const GroupArrays<Index>& a) {
            CHECK_EQ(sizeof(Index), wide ? sizeof(u64) : sizeof(u32));
            for (u64 i = 0; i < 76; ++i) {
                CHECK_EQ(u64{a.members[i]}, i);
            }
            CHECK_EQ(u64{a.offsets[3]}, u64{74});
        });
    }
}

TEST(no_groups) {
    CHECK_THROWS_WITH(std::invalid_argument, "groups that have members", Groups::from_counts({}, false));
    const std::vector<u64> counts{3, 0, 1};
    CHECK_THROWS_WITH(std::invalid_argument, "groups that have members", Groups::from_counts(counts, false));
}
