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

}  // namespace tombola
