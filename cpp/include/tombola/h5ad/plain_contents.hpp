// What the usual h5ad file holds, found without HDF5.
//
// Usual are files that h5py wrote as it does if not told otherwise: CSR or dense X, layers or raw X, obs and var as
// groups, row pointers and labels not compressed or by gzip. Of any other, and of any that is not as it should be,
// nothing is found. Several files are looked into at once, on all threads. O(bytes of headers, small lists, and names).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tombola/base/types.hpp"
#include "tombola/h5ad/codes.hpp"
#include "tombola/h5ad/held_names.hpp"
#include "tombola/h5ad/plain_object.hpp"
#include "tombola/rows/pointers.hpp"

namespace tombola {

struct Question {
    std::string x;                     // the matrix: "X", "layers/NAME" or "raw/X"
    std::vector<std::string> columns;  // of obs, to be read on the way
    index_t most_rows = 0;             // of files with more it is said where codes lie
    CodecLibraries libraries;
    std::shared_ptr<const HeldNames> names;  // of a file before
};

struct PlainColumn {
    std::string name;
    ItemType type;
    std::vector<std::byte> values;  // numbers, or codes
    bool is_coded = false;
    std::optional<u64> address;  // of codes that were not read, where they lie
    CodesRange range;            // of those that were
    u64 count = 0;               // of categories
    std::string texts;           // they, as `texts_of` gives them
};

struct PlainContents {
    FileStamp stamp;
    u64 rows = 0;
    u64 width = 0;
    ItemType type;                        // of values
    std::optional<RowPointers> pointers;  // nothing of a dense matrix
    u64 values = 0;                       // that a sparse one has room for
    ItemType index_type;
    bool has_held_names = false;  // those of the file before, so that they were not read
    u64 names = 0;
    std::string names_text;  // as `texts_of` gives them
    std::vector<std::string> obs_columns;
    std::optional<std::string> version;  // of the format, as the file says and as obs says
    std::optional<std::string> obs_version;
    std::vector<PlainColumn> columns;           // those that are as usual
    std::shared_ptr<const HeldNames> now_held;  // names that were read, for the next files
};

// What an open file holds; NotPlain
PlainContents plain_contents(int descriptor, const Question& question, bool holds_names);

// The same of files by their names, nothing of those that are not plain. Names are held of the first file alone, and
// only where they are others than those of before.
std::vector<std::optional<PlainContents>> look_into(std::span<const std::string> paths, const Question& question);

}  // namespace tombola
