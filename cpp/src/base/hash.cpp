#include "tombola/base/hash.hpp"

#include <algorithm>
#include <vector>

#include "tombola/base/parallel.hpp"

namespace tombola {

u64 hash_bytes(const void* data, std::size_t count) {
    constexpr std::size_t chunk = std::size_t{1} << 20U;
    std::vector<u64> parts((count + chunk - 1) / chunk);
    parallel_for(static_cast<index_t>(parts.size()), [&](index_t c) {
        const std::size_t start = static_cast<std::size_t>(c) * chunk;
        Hash part;
        part.bytes(static_cast<const unsigned char*>(data) + start, std::min(chunk, count - start));
        parts[static_cast<std::size_t>(c)] = part.value();
    });
    Hash whole;
    whole.words(parts.data(), parts.size());
    whole.word(count);
    return whole.value();
}

}  // namespace tombola
