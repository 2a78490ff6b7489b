#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "tombola/groups/groups.hpp"

namespace tombola {
namespace {

constexpr u64 narrow_members = u64{1} << 31U;

template <typename Index>
GroupArrays<Index> number_members(std::span<const u64> counts, u64 size) {
    GroupArrays<Index> arrays{Buffer<Index>(counts.size() + 1), Buffer<Index>(size)};
    u64 before = 0;
    for (std::size_t g = 0; g < counts.size(); ++g) {
        arrays.offsets[g] = static_cast<Index>(before);
        before += counts[g];
    }
    arrays.offsets[counts.size()] = static_cast<Index>(before);
    std::iota(arrays.members.data(), arrays.members.data() + size, Index{0});
    return arrays;
}

}  // namespace

Groups Groups::from_counts(std::span<const u64> counts, bool wide) {
    if (counts.empty() || std::find(counts.begin(), counts.end(), u64{0}) != counts.end()) {
        throw std::invalid_argument("counts must be of groups that have members");
    }
    const u64 size = std::accumulate(counts.begin(), counts.end(), u64{0});
    if (wide || size > narrow_members) {
        return Groups(number_members<u64>(counts, size));
    }
    return Groups(number_members<u32>(counts, size));
}

}  // namespace tombola
