// A codec that stands for deflate where the core is tested alone: runs of one byte, as pairs of a count and the byte.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace tombola::test {

using Bytes = std::vector<std::byte>;

inline void* make_codec() { return new int(0); }
inline void free_codec(void* made) { delete static_cast<int*>(made); }

// As libdeflate: 0 where all went well, 3 where there is more than there is room for
inline int expand(void*, const void* in, std::size_t in_bytes, void* out, std::size_t room, std::size_t* used,
                  std::size_t* given) {
    const auto* from = static_cast<const std::byte*>(in);
    auto* to = static_cast<std::byte*>(out);
    *given = 0;
    if (in_bytes % 2 != 0) {
        return 1;
    }
    for (std::size_t i = 0; i < in_bytes; i += 2) {
        const std::size_t count = std::to_integer<std::size_t>(from[i]);
        if (count > room - *given) {
            return 3;
        }
        std::fill_n(to + *given, count, from[i + 1]);
        *given += count;
    }
    *used = in_bytes;
    return 0;
}

inline Bytes shorten(const Bytes& bytes) {
    Bytes out;
    for (std::size_t i = 0; i < bytes.size();) {
        std::size_t stop = i;
        while (stop < bytes.size() && stop - i < 255 && bytes[stop] == bytes[i]) {
            ++stop;
        }
        out.push_back(static_cast<std::byte>(stop - i));
        out.push_back(bytes[i]);
        i = stop;
    }
    return out;
}

}  // namespace tombola::test
