// Texts of variable length in an HDF5 file, read in few calls and without HDF5: all of a list, or those of some rows.
//
// Rule: HDF5 keeps 16 bytes a text (length, address of a heap collection, number of the object in it) and the texts in
// collections of about 4 kB. HDF5 itself takes a quarter of a microsecond and an allocation a text. Texts go in groups
// of 1,024; of each the collections are read by ascending address, each once, on all threads. O(texts), and 4 kB a
// collection that is touched; memory beside the texts: at most 4 MB a thread, or the largest collection.
// Source: HDF5 file format specification, "Global Heap" (version 1), with addresses and lengths of 8 bytes.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tombola/base/types.hpp"

namespace tombola {

constexpr std::size_t reference_bytes = 16;

// The lengths (u32 each), then all texts end to end; nothing where the file is not as expected there, for HDF5 to say.
// Equal results mean equal texts. `offset`: of the list in the file.
std::optional<std::string> heap_texts(int descriptor, u64 offset, u64 count);

// Which text of a list is the first for which, with those before it, the file has too few bytes, and the length that
// the list gives it: HDF5 takes that much memory before it looks for the text. Nothing where there is none, or where
// the file is not as expected. O(texts), in pieces.
struct TextClaim {
    u64 text;
    u64 bytes;
};
std::optional<TextClaim> overlong_text(int descriptor, u64 offset, u64 count);

// The texts that references stand for, end to end: text i is what lies from bounds[i] to bounds[i + 1], bounds having
// one entry more than there are references. Nothing where the file is not as expected, or the same texts are asked for
// so often that they are longer than the file.
std::optional<std::string> texts_at(int descriptor, std::span<const std::byte> references, std::span<index_t> bounds);

// Where the objects of a collection at an address lie: entry 2 * n is where object n begins in the file, the next one
// its bytes; both 0 where there is none of that number. Nothing where the file is not as expected. O(bytes of it).
std::optional<std::vector<index_t>> heap_objects(int descriptor, u64 address);

}  // namespace tombola
