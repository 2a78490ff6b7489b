// The bytes of a list of text of variable length in an HDF5 file, read in few calls to be compared with others.
//
// Rule: HDF5 keeps 16 bytes a text (length, address of a heap collection, number of the object in it) and the texts in
// collections of about 4 kB. HDF5 itself takes a quarter of a microsecond and an allocation a text. O(texts).
// Source: HDF5 file format specification, "Global Heap" (version 1), with addresses and lengths of 8 bytes.
#pragma once

#include <optional>
#include <string>

#include "tombola/base/types.hpp"

namespace tombola {

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

}  // namespace tombola
