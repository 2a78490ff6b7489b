// Small lists of plain HDF5 files: numbers in one piece or in chunks, not compressed or by gzip, and texts.
//
// Rule: chunks are listed by a tree (version 1); each must be there once, at the place of its number, as long as all
// are, and have passed all filters. Any other list is NotPlain. Nothing is inflated beyond the length of a chunk, and
// no chunk is longer than its stream can give. O(items).
#pragma once

#include <string>
#include <vector>

#include "tombola/base/types.hpp"
#include "tombola/h5ad/plain_object.hpp"
#include "tombola/rows/codecs.hpp"

namespace tombola {

// How many items a list on one axis has; NotPlain if it is none
u64 count_of(const PlainDataset& list);

// The items, of so many bytes each, of a list that takes at most so many
std::vector<std::byte> content_of(PlainFile& file, const PlainDataset& list, std::size_t item_bytes, u64 most,
                                  const CodecLibraries& libraries);

// How many texts a list has: some, and not too many; NotPlain if it has none, or others
u64 count_texts(const PlainDataset& list);

// References to the texts of a list, into as many bytes
void read_references(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries,
                     std::span<std::byte> out);

// As heap_texts: the lengths (u32 each), then all texts end to end. Equal results mean equal texts.
std::string texts_of(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries);

}  // namespace tombola
