// What is found in an h5ad file that is made here, and what damage does to it: nothing is read beyond the file.
// ctest-label: threads
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "check.hpp"
#include "plain_h5ad.hpp"
#include "reference.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/h5ad/plain_contents.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

// A file that lives as long as this
class File {
  public:
    explicit File(const std::string& bytes) {
        const int descriptor = ::mkstemp(path_.data());
        if (descriptor < 0 || ::write(descriptor, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
            std::abort();
        }
        ::close(descriptor);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { ::unlink(path_.c_str()); }
    const std::string& path() const { return path_; }

  private:
    std::string path_ = "/tmp/tombola-plain-XXXXXX";
};

Question question(std::shared_ptr<const HeldNames> names = nullptr) {
    return {"X", {"kind", "depth", "other"}, 100, {}, std::move(names)};
}

std::optional<PlainContents> look(const std::string& bytes, const Question& asked = question()) {
    const File file(bytes);
    std::vector<std::optional<PlainContents>> found = look_into(std::vector<std::string>{file.path()}, asked);
    return std::move(found.front());
}

std::vector<std::string> split(const std::string& texts, std::size_t count) {
    std::vector<std::string> found;
    std::size_t at = count * sizeof(u32);
    for (std::size_t i = 0; i < count; ++i) {
        u32 length = 0;
        std::memcpy(&length, texts.data() + i * sizeof(length), sizeof(length));
        found.push_back(texts.substr(at, length));
        at += length;
    }
    return found;
}

void check_contents(const PlainContents& found, bool is_held = false) {
    CHECK_EQ(found.rows, 5U);
    CHECK_EQ(found.width, 4U);
    CHECK(found.type.kind == 'f' && found.type.bytes == 4);
    CHECK(found.index_type.kind == 'i' && found.index_type.bytes == 4);
    CHECK_EQ(found.values, 6U);
    std::vector<index_t> indptr(6);
    found.pointers.value().unpack(indptr);
    CHECK(indptr == (std::vector<index_t>{0, 2, 2, 3, 5, 6}));
    CHECK(found.obs_columns == (std::vector<std::string>{"kind", "depth"}));
    CHECK(found.version == "0.1.0" && found.obs_version == "0.2.0");
    CHECK_EQ(found.has_held_names, is_held);
    CHECK_EQ(found.names, 4U);
    CHECK(is_held || split(found.names_text, 4) == genes_of_file());
    CHECK_EQ(found.columns.size(), 2U);
    const PlainColumn& kind = found.columns.at(0);
    CHECK(kind.is_coded && kind.type.kind == 'i' && kind.type.bytes == 1 && kind.values.size() == 5);
    CHECK(kind.range.least == -1 && kind.range.largest == 1 && kind.count == 2);
    CHECK(split(kind.texts, 2) == (std::vector<std::string>{"b", "a"}));
    const PlainColumn& depth = found.columns.at(1);
    CHECK(!depth.is_coded && depth.type.kind == 'f' && depth.values.size() == 20);
}

}  // namespace

TEST(a_plain_file) {
    for (const bool in_chunks : {false, true}) {
        const std::optional<PlainContents> found = look(plain_h5ad(genes_of_file(), {}, in_chunks));
        CHECK(found.has_value());
        if (found) {
            check_contents(*found);
        }
    }
}

TEST(codes_of_large_files_are_read_later) {
    const std::string whole = plain_h5ad();
    Question asked = question();
    asked.most_rows = 4;
    const File file(whole);
    const std::vector<std::string> paths{file.path()};
    const PlainContents found = look_into(paths, asked).front().value();
    CHECK_EQ(found.columns.size(), 1U);
    const PlainColumn& kind = found.columns.at(0);
    CHECK(kind.name == "kind" && kind.is_coded && kind.address.has_value() && kind.values.empty() && kind.count == 2);
    std::vector<std::byte> codes(5);
    const auto read = [&](FileStamp stamp, u64 address) {
        const std::vector<CodesJob> jobs{{file.path(), stamp, address, kind.type, codes}};
        return read_codes(jobs).front();
    };
    const std::optional<CodesRange> range = read(found.stamp, *kind.address);
    CHECK(range && range->least == -1 && range->largest == 1);
    CHECK(std::memcmp(codes.data(), "\0\1\xff\1\0", 5) == 0);
    CHECK(!read(found.stamp, whole.size() - 4));
    CHECK(!read(found.stamp, ~u64{0}));
    FileStamp other = found.stamp;
    ++other.nanoseconds;
    CHECK(!read(other, *kind.address));
    CHECK(look(plain_h5ad(genes_of_file(), {}, true), asked).value().columns.empty());  // in chunks: HDF5 reads them
}

TEST(ranges_of_codes) {
    set_num_threads(3);
    std::string values(20'000'000, '\3');
    values[11'000'000] = '\x0b';
    values[19'999'999] = '\2';
    PlainWriter writer;
    const u64 address = writer.add(values);
    const File file(writer.file(96));
    const SharedDescriptor descriptor(file.path());
    std::vector<std::byte> codes(values.size());
    const std::vector<CodesJob> jobs{{file.path(), stamp_of(descriptor.get()), address, {'u', 1}, codes},
                                     {file.path(), stamp_of(descriptor.get()), address, {'i', 2}, {}}};
    const std::vector<std::optional<CodesRange>> found = read_codes(jobs);
    CHECK(found[0] && found[0]->least == 2 && found[0]->largest == 11);
    CHECK(found[1] && found[1]->least == 0 && found[1]->largest == -1);
    CHECK(std::memcmp(codes.data(), values.data(), values.size()) == 0);
}

TEST(text_is_utf8) {
    for (const char* const text :
         {"", "gene", "\xc2\x80", "\xc3\xbc", "\xe2\x82\xac", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
        CHECK(is_utf8(text));
    }
    for (const char* const text : {"\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80",
                                   "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
        CHECK(!is_utf8(text));
    }
}

TEST(names_that_are_held) {
    for (const bool in_chunks : {false, true}) {
        const std::string whole = plain_h5ad(genes_of_file(), {}, in_chunks);
        const std::shared_ptr<const HeldNames> held = look(whole).value().now_held;
        CHECK(held != nullptr && held->count() == 4);
        check_contents(look(whole, question(held)).value(), true);
        const std::string shifted = plain_h5ad(genes_of_file(), std::string(1'000, 'x'), in_chunks);
        check_contents(look(shifted, question(held)).value(), true);
        std::vector<std::string> others = genes_of_file();
        others[1] = "CD8B";
        const PlainContents found = look(plain_h5ad(others, {}, in_chunks), question(held)).value();
        CHECK(!found.has_held_names && split(found.names_text, 4) == others);
        CHECK(found.now_held != nullptr);
    }
}

TEST(several_files_at_once) {
    const File one(plain_h5ad());
    const File other(plain_h5ad(genes_of_file(), "shifted by this"));
    const File damaged(plain_h5ad().substr(0, 2'000));
    const std::vector<std::string> paths{one.path(), other.path(), damaged.path(), one.path() + ".none", one.path()};
    for (const int threads : {1, 4}) {
        set_num_threads(threads);
        const std::vector<std::optional<PlainContents>> found = look_into(paths, question());
        CHECK(found[0] && found[1] && !found[2] && !found[3] && found[4]);
        check_contents(found[0].value());
        check_contents(found[1].value());
        CHECK(found[0].value().now_held != nullptr && found[1].value().now_held == nullptr);
        const auto held = look_into(paths, question(found[0].value().now_held));
        check_contents(held[1].value(), true);
    }
}

TEST(damage_is_refused_or_does_no_harm) {
    const std::string whole = plain_h5ad();
    const std::shared_ptr<const HeldNames> held = look(whole).value().now_held;
    for (std::size_t bytes = 0; bytes < whole.size(); bytes += 61) {
        CHECK(!look(whole.substr(0, bytes)));
    }
    std::size_t refused = 0;
    for (std::size_t at = 0; at < whole.size(); at += 3) {
        std::string damaged = whole;
        damaged[at] = static_cast<char>(damaged[at] ^ (at % 2 == 0 ? 1 : 0x80));
        const std::optional<PlainContents> found = look(damaged, question(held));
        refused += found ? 0 : 1;
        if (found && found->has_held_names) {  // then they are those that reading gives
            CHECK(split(look(damaged).value().names_text, 4) == genes_of_file());
        }
    }
    CHECK(refused > whole.size() / 30 && refused < whole.size() / 3);
}
