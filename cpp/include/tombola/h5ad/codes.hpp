// Codes of labels, read from many files at once and looked at on the way.
//
// Rule: codes that lie in one piece go straight to their places, in parts on all threads, and the least and the largest
// of each list are found while a part is in the cache: a pass over 100 million codes is 50 ms. O(codes).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tombola/base/types.hpp"
#include "tombola/h5ad/plain_object.hpp"
#include "tombola/rows/files.hpp"

namespace tombola {

struct CodesRange {
    index_t least = 0;
    index_t largest = -1;  // so, if there is none
};

// Of integers, which lie as their type needs it; NotPlain of others, and of what is beyond index_t.
CodesRange range_of(ItemType type, std::span<const std::byte> codes);

struct CodesJob {
    std::string path;
    FileStamp stamp;  // what the file was when the list was found there
    u64 address;
    ItemType type;
    std::span<std::byte> out;
};

// The range of each list; nothing where it cannot be read, or the file is another one, and `out` may be half filled.
std::vector<std::optional<CodesRange>> read_codes(std::span<const CodesJob> jobs);

}  // namespace tombola
