// Whether a file has the names that one before it had: most files of a source have the same.
//
// Rule: equal references into equal bytes are equal names, which is told in a fifth of the time of reading them.
// Addresses may all be shifted by one distance. Collections of text may hold other texts beside the names: where those
// differ, the table of objects of that collection must still lead to the same places. O(names), and the bytes of their
// collections, in pieces that stay in the cache; memory: those bytes and the references, once.
#pragma once

#include <optional>
#include <vector>

#include "tombola/base/types.hpp"
#include "tombola/h5ad/plain_lists.hpp"

namespace tombola {

class HeldNames {
  public:
    // What a file holds; nothing of what is beyond 4 GiB, has empty names, or is unusually large. The names were read
    // before, so that they are as they should be. NotPlain where that is no longer so.
    static std::optional<HeldNames> make(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries);

    u64 count() const noexcept { return words_.size() / 2; }
    // Whether a file has these names in these places; NotPlain where it cannot be read.
    bool are_in(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries) const;

  private:
    struct Collection {
        u64 start;
        std::size_t words;
        std::size_t first;                 // of its words among those of all
        std::vector<std::size_t> numbers;  // of the objects that are names
        std::vector<index_t> places;       // where each begins in the collection, and its bytes, in turns
    };
    struct Stretch {  // collections that lie together are one
        u64 start;
        std::size_t words;
    };

    bool has_references(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries, u64& shift) const;
    bool has_places(PlainFile& file, const Collection& collection, u64 shift) const;
    void find_collections(PlainFile& file);

    std::vector<u64> words_;  // two a reference: length and low half of the address, high half and number
    std::vector<Collection> collections_;
    std::vector<Stretch> stretches_;
    std::vector<u64> held_;
    std::vector<std::uint8_t> is_name_;  // of each word
};

}  // namespace tombola
