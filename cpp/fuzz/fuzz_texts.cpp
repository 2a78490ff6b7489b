// Any bytes as a file with a list of texts: nothing is read beyond it, and what is given are bytes of the file.
#include <algorithm>

#include "fuzz.hpp"
#include "shared_file.hpp"
#include "tombola/rows/texts.hpp"

namespace tombola::fuzz {
namespace {

void check(const std::string& found, u64 count, const Bytes& file) {
    const std::size_t lengths = static_cast<std::size_t>(count) * sizeof(u32);
    require(found.size() >= lengths && count <= file.size(), "a length for each text");
    std::size_t at = lengths;
    for (u64 i = 0; i < count; ++i) {
        u32 length = 0;
        std::memcpy(&length, found.data() + i * sizeof(length), sizeof(length));
        require(length <= found.size() - at, "the texts that the lengths say");
        const auto* const text = reinterpret_cast<const std::uint8_t*>(found.data()) + at;
        require(std::search(file.begin(), file.end(), text, text + length) != file.end() || length == 0,
                "a text is in the file");
        at += length;
    }
    require(at == found.size(), "no more than the texts");
}

std::vector<std::byte> references(const Bytes& file, u64 offset, u64 count) {
    std::vector<std::byte> list(static_cast<std::size_t>(count) * reference_bytes);
    const auto from = file.begin() + static_cast<std::ptrdiff_t>(offset);
    std::transform(from, from + static_cast<std::ptrdiff_t>(list.size()), list.begin(),
                   [](auto byte) { return static_cast<std::byte>(byte); });
    return list;
}

Output& put_text(Output& file, int number, const char* text) {
    const std::size_t length = std::strlen(text);
    file.put<u16>(static_cast<u16>(number)).put<u16>(1).put<u32>(0).put<u64>(length);
    for (std::size_t i = 0; i < (length + 7) / 8 * 8; ++i) {
        file.small(i < length ? text[i] : 0);
    }
    return file;
}

}  // namespace

std::vector<Bytes> seeds() {
    // A superblock of 48 bytes, a collection of two texts and what is free, and the list that refers to them
    Output heap;
    put_text(put_text(heap, 1, "gene"), 2, "another gene").put<u16>(0);
    const Bytes objects = heap.bytes();
    const u64 collection_bytes = 16 + objects.size() + 14;
    Output seed;
    seed.put<u16>(static_cast<u16>(48 + collection_bytes)).put<u16>(3);
    seed.small(0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n', 0, 0, 0, 0, 0, 8, 8);
    for (int i = 15; i < 48; ++i) {
        seed.small(0);
    }
    seed.small('G', 'C', 'O', 'L', 1, 0, 0, 0).put<u64>(collection_bytes);
    for (const std::uint8_t byte : objects) {
        seed.small(byte);
    }
    for (int i = 0; i < 14; ++i) {
        seed.small(0);
    }
    for (const auto& [length, number] : {std::pair{4U, 1U}, std::pair{12U, 2U}, std::pair{0U, 0U}}) {
        seed.put<u32>(length).put<u64>(48).put<u32>(number);
    }
    return {seed.bytes()};
}

}  // namespace tombola::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tombola;
    fuzz::Input input(data, size);
    u64 offset = input.take<u16>();
    u64 count = input.take<u16>();
    if (offset == 0xffff) {
        offset = input.take<u64>();
        count = input.take<u64>();
    }
    const fuzz::Bytes file = input.rest();
    const int descriptor = fuzz::shared_descriptor();
    fuzz::write(descriptor, file);
    const auto claim = overlong_text(descriptor, offset, count);
    fuzz::require(!claim || claim->text < count, "a text of the list");
    if (const auto places = heap_objects(descriptor, offset)) {
        fuzz::require(places->size() % 2 == 0, "a place and a size for each");
        for (std::size_t i = 0; i < places->size(); i += 2) {
            const auto at = static_cast<u64>((*places)[i]);
            fuzz::require(at <= file.size() && static_cast<u64>((*places)[i + 1]) <= file.size() - at,
                          "an object is in the file");
        }
    }
    if (const auto found = heap_texts(descriptor, offset, count)) {
        fuzz::check(*found, count, file);
        fuzz::require(!claim, "texts that are there have room in the file");
        const std::vector<std::byte> list = fuzz::references(file, offset, count);
        std::vector<index_t> bounds(static_cast<std::size_t>(count) + 1);
        const auto again = texts_at(descriptor, list, bounds);
        fuzz::require(again && *again == found->substr(static_cast<std::size_t>(count) * sizeof(u32)),
                      "the references alone lead to the same texts");
    }
    return 0;
}
