// Texts of a heap that is made here, and what damage does to it: nothing is read beyond the file.
// ctest-label: threads
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/rows/text_keys.hpp"
#include "tombola/rows/texts.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

// A file that lives as long as this, without a name
class File {
  public:
    explicit File(const std::string& bytes) : file_(std::tmpfile()) {
        if (file_ == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) {
            std::abort();
        }
        std::fflush(file_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { std::fclose(file_); }
    int descriptor() const { return ::fileno(file_); }

  private:
    std::FILE* file_;
};

template <typename T>
void put(std::string& to, T value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

struct Heap {
    std::string file;
    std::string expected;
    u64 list = 0;

    std::span<const std::byte> references(std::size_t n) const {
        return std::as_bytes(std::span(file)).subspan(static_cast<std::size_t>(list), n * reference_bytes);
    }
};

// Texts in collections of so many, which come in front of the list
Heap made(const std::vector<std::string>& texts, std::size_t in_collection) {
    Heap heap;
    heap.file.assign("\x89HDF\r\n\x1a\n", 8);
    heap.file.resize(48);
    heap.file[13] = heap.file[14] = 8;
    std::string list;
    for (std::size_t first = 0; first < texts.size(); first += in_collection) {
        const u64 address = heap.file.size();
        std::string collection("GCOL\x01\0\0\0", 8);
        put<u64>(collection, 0);
        for (std::size_t i = first; i < std::min(first + in_collection, texts.size()); ++i) {
            const std::size_t number = i - first + 1;
            put<std::uint16_t>(collection, static_cast<std::uint16_t>(number));
            put<std::uint16_t>(collection, 1);
            put<u32>(collection, 0);
            put<u64>(collection, texts[i].size());
            collection += texts[i];
            collection.resize((collection.size() + 7) / 8 * 8);
            put<u32>(list, static_cast<u32>(texts[i].size()));
            put<u64>(list, address);
            put<u32>(list, static_cast<u32>(number));
        }
        put<std::uint16_t>(collection, 0);  // what is free
        collection.resize(collection.size() + 30);
        const u64 size = collection.size();
        std::memcpy(collection.data() + 8, &size, sizeof(size));
        heap.file += collection;
    }
    heap.list = heap.file.size();
    heap.file += list;
    for (const std::string& text : texts) {
        put<u32>(heap.expected, static_cast<u32>(text.size()));
    }
    for (const std::string& text : texts) {
        heap.expected += text;
    }
    return heap;
}

std::vector<std::string> some_texts(std::size_t n) {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < n; ++i) {
        texts.emplace_back(noise(i, 0) % 40, static_cast<char>('a' + i % 26));
    }
    return texts;
}

}  // namespace

TEST(texts_come_back) {
    for (const std::size_t n : {std::size_t{1}, std::size_t{2}, std::size_t{100}, std::size_t{30'000}}) {
        const Heap heap = made(some_texts(n), 90);
        const File file(heap.file);
        CHECK(heap_texts(file.descriptor(), heap.list, n) == heap.expected);
        CHECK(!heap_texts(file.descriptor(), heap.list, n + 1));
        CHECK(!heap_texts(file.descriptor(), heap.list + 1, n));
    }
}

TEST(lengths_that_the_file_cannot_have) {
    for (const std::size_t n : {std::size_t{1}, std::size_t{100}, std::size_t{40'000}}) {
        Heap heap = made(some_texts(n), 90);
        {
            const File file(heap.file);
            CHECK(!overlong_text(file.descriptor(), heap.list, n));
            CHECK(!overlong_text(file.descriptor(), heap.list, n + 1));
            CHECK(!overlong_text(file.descriptor(), ~u64{0}, n));
        }
        const u32 length = static_cast<u32>(heap.file.size());
        const std::size_t last = n - 1;
        std::memcpy(heap.file.data() + heap.list + 16 * last, &length, sizeof(length));
        const File file(heap.file);
        const auto found = overlong_text(file.descriptor(), heap.list, n);
        CHECK(found.has_value() == (n > 1));  // with others in front of it there is no room
        CHECK(!found || (found->text == last && found->bytes == length));
    }
    CHECK(!overlong_text(-1, 0, 1));
    CHECK(!overlong_text(File("").descriptor(), 0, 0));
}

TEST(objects_of_a_collection) {
    const std::vector<std::string> texts = some_texts(5);
    Heap heap = made(texts, 5);
    const u64 address = heap.file.find("GCOL");
    {
        const File file(heap.file);
        const auto places = heap_objects(file.descriptor(), address);
        CHECK(places.has_value());
        CHECK_EQ((*places)[0], 0);
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const auto at = static_cast<std::size_t>((*places)[2 * i + 2]);
            const auto size = static_cast<std::size_t>((*places)[2 * i + 3]);
            CHECK_EQ(heap.file.substr(at, size), texts[i]);
        }
        CHECK(!heap_objects(file.descriptor(), address + 1));
        CHECK(!heap_objects(file.descriptor(), heap.file.size()));
        CHECK(!heap_objects(file.descriptor(), ~u64{0}));
        CHECK(!heap_objects(-1, address));
    }
    for (const u64 size : {u64{15}, heap.file.size(), ~u64{0}}) {
        std::memcpy(heap.file.data() + address + 8, &size, sizeof(size));
        CHECK(!heap_objects(File(heap.file).descriptor(), address));
    }
}

TEST(no_file) {
    CHECK(!heap_texts(-1, 0, 1));
    CHECK(!heap_texts(File("").descriptor(), 0, 0));
}

TEST(damage_is_found_or_gives_other_texts) {
    const std::size_t n = 200;
    const Heap heap = made(some_texts(n), 70);
    for (u64 turn = 0; turn < 3000; ++turn) {
        std::string damaged = heap.file;
        damaged[noise(turn, 1) % damaged.size()] = static_cast<char>(noise(turn, 2));
        if (turn % 3 == 0) {
            damaged.resize(noise(turn, 3) % damaged.size());
        }
        const File file(damaged);
        const auto found = heap_texts(file.descriptor(), heap.list, n);
        CHECK(!found || found->size() >= 4 * n);
    }
}

TEST(texts_of_some_rows) {
    std::vector<std::string> texts = some_texts(5'000);
    texts[17] = std::string(70'000, 'x');  // a collection of its own size
    texts[4'000] = "";
    const Heap heap = made(texts, 90);
    const File file(heap.file);
    for (const std::size_t step : {1U, 7U, 640U, 4'999U}) {
        std::vector<std::byte> references;
        std::string expected;
        std::vector<index_t> ends{0};
        for (std::size_t k = 0; k < 5'000 / step; ++k) {
            const std::size_t i = (k * step + 17) % 5'000;  // not in the order of the heap
            const auto one = heap.references(5'000).subspan(i * reference_bytes, reference_bytes);
            references.insert(references.end(), one.begin(), one.end());
            expected += texts[i];
            ends.push_back(static_cast<index_t>(expected.size()));
        }
        std::vector<index_t> bounds(ends.size());
        CHECK(texts_at(file.descriptor(), references, bounds) == expected);
        CHECK(bounds == ends);
    }
    std::vector<index_t> bounds(2);
    CHECK(!texts_at(-1, heap.references(1), bounds));
    std::vector<std::byte> wrong(heap.references(18).begin() + 17 * reference_bytes, heap.references(18).end());
    CHECK(texts_at(file.descriptor(), wrong, bounds).has_value());
    wrong[12] = std::byte{99};  // an object that is not there
    CHECK(!texts_at(file.descriptor(), wrong, bounds));
    std::vector<index_t> many(1'001);
    std::vector<std::byte> again;  // longer than the file together
    for (std::size_t i = 0; i < 1'000; ++i) {
        const auto one = heap.references(5'000).subspan(17 * reference_bytes, reference_bytes);
        again.insert(again.end(), one.begin(), one.end());
    }
    CHECK(!texts_at(file.descriptor(), again, many));
}

TEST(damaged_references_lead_nowhere) {
    const std::size_t n = 300;
    const Heap heap = made(some_texts(n), 70);
    const File file(heap.file);
    for (u64 turn = 0; turn < 3000; ++turn) {
        std::vector<std::byte> references(heap.references(n).begin(), heap.references(n).end());
        references[noise(turn, 4) % references.size()] = static_cast<std::byte>(noise(turn, 5));
        std::vector<index_t> bounds(n + 1);
        const auto found = texts_at(file.descriptor(), references, bounds);
        CHECK(!found || found->size() == static_cast<std::size_t>(bounds.back()));
    }
}

TEST(texts_that_come_again_are_counted) {
    std::string all;
    std::vector<index_t> bounds{0};
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 40'000; ++i) {
        // As long as one another, and different in few bits only; and the same with zeros behind
        texts.push_back("AAACCTGAGAAACCAT" + std::to_string(i % 30'000) + std::string(i % 2, '\0'));
        all += texts.back();
        bounds.push_back(static_cast<index_t>(all.size()));
    }
    std::ranges::sort(texts);
    const auto distinct = std::ranges::unique(texts);
    std::vector<TextKey> keys(40'000);
    text_keys(all, bounds, keys);
    CHECK_EQ(count_repeats(keys), distinct.size());
    CHECK_EQ(count_repeats({}), 0U);
    const std::vector<std::string> similar{"", std::string(1, '\0'), std::string(8, '\0'), std::string(16, '\0')};
    std::string joined;
    std::vector<index_t> ends{0};
    for (const std::string& text : similar) {
        joined += text;
        ends.push_back(static_cast<index_t>(joined.size()));
    }
    std::vector<TextKey> few(similar.size());
    text_keys(joined, ends, few);
    CHECK_EQ(count_repeats(few), 0U);
}
