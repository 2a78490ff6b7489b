// What limits the instruction sets that are available. A limit stays for the rest of the process, which is why these
// tests have one of their own.
#include "check.hpp"
#include "reference.hpp"

using namespace tombola;
using namespace tombola::test;

TEST(limits_only_lower) {
    const std::vector<std::string_view> all = available_instruction_sets();
    CHECK_THROWS_WITH(std::invalid_argument, "TOMBOLA_INSTRUCTION_SET must be one of ", limit_instruction_sets("auto"));
    CHECK_THROWS_WITH(std::invalid_argument, "baseline, which this processor has, but is \"avx3\"",
                      limit_instruction_sets("avx3"));
    for (std::size_t i = 0; i < all.size(); ++i) {
        limit_instruction_sets(all[i]);
        const std::vector<std::string_view> left = available_instruction_sets();
        CHECK(std::equal(all.begin() + static_cast<std::ptrdiff_t>(i), all.end(), left.begin(), left.end()));
        CHECK_EQ(std::string(kernels().name), std::string(all[i]));
        set_instruction_set("baseline");
        set_instruction_set("auto");
        CHECK_EQ(std::string(kernels().name), std::string(all[i]));
        for (std::size_t better = 0; better < i; ++better) {
            CHECK_THROWS_WITH(std::invalid_argument, "must be one of auto, ", set_instruction_set(all[better]));
            CHECK_THROWS_WITH(std::invalid_argument, "must be one of ", limit_instruction_sets(all[better]));
        }
    }
}
