// Any bytes as an h5ad file: nothing is read beyond it, what is found fits together, and names that are held are those
// that reading gives.
#include "fuzz.hpp"
#include "plain_h5ad.hpp"
#include "shared_file.hpp"
#include "tombola/h5ad/plain_contents.hpp"

namespace tombola::fuzz {
namespace {

std::optional<PlainContents> look(int descriptor, const Question& question) {
    try {
        return plain_contents(descriptor, question, true);
    } catch (const NotPlain&) {
        return std::nullopt;
    }
}

void check_texts(const std::string& texts, u64 count) {
    u64 total = count * sizeof(u32);
    for (u64 i = 0; i < count; ++i) {
        require(texts.size() >= (i + 1) * sizeof(u32), "a length for each text");
        u32 length = 0;
        std::memcpy(&length, texts.data() + i * sizeof(length), sizeof(length));
        total += length;
    }
    require(total == texts.size(), "the texts that the lengths say");
}

void check(const PlainContents& found, const Question& question) {
    if (found.pointers) {
        require(static_cast<u64>(found.pointers->n_rows()) == found.rows, "a pointer for each row");
        require(static_cast<u64>(found.pointers->n_values()) <= found.values, "rows within the values");
    }
    require(found.names == found.width, "a name for each column");
    require(found.has_held_names ? question.names != nullptr && found.names_text.empty() : true, "held or read");
    if (!found.has_held_names) {
        check_texts(found.names_text, found.names);
    }
    for (const PlainColumn& column : found.columns) {
        const u64 bytes = found.rows * column.type.bytes;
        if (column.address) {
            require(column.is_coded && column.values.empty() && *column.address <= found.stamp.bytes &&
                        bytes <= found.stamp.bytes - *column.address,
                    "codes lie in the file");
        } else {
            require(column.values.size() == bytes, "a value for each row");
        }
        check_texts(column.texts, column.count);
    }
}

Bytes seed(u16 choice, const std::string& file) {
    Output output;
    output.put<u16>(choice);
    for (const char byte : file) {
        output.small(byte);
    }
    return output.bytes();
}

}  // namespace

std::vector<Bytes> seeds() {
    return {seed(0, test::plain_h5ad()), seed(4, test::plain_h5ad()),
            seed(1, test::plain_h5ad(test::genes_of_file(), {}, true))};
}

}  // namespace tombola::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tombola;
    fuzz::Input input(data, size);
    const u16 choice = input.take<u16>();
    static const std::shared_ptr<const HeldNames> names = [] {
        const std::string whole = test::plain_h5ad();
        fuzz::write(fuzz::shared_descriptor(), fuzz::Bytes(whole.begin(), whole.end()));
        return fuzz::look(fuzz::shared_descriptor(), {"X", {}, 0, {}, nullptr}).value().now_held;
    }();
    const int descriptor = fuzz::shared_descriptor();
    fuzz::write(descriptor, input.rest());
    const Question asked{
        (choice & 2U) != 0 ? "raw/X" : "X", {"kind", "depth"}, (choice & 4U) != 0 ? 2 : 1'000, {}, nullptr};
    const std::optional<PlainContents> found = fuzz::look(descriptor, asked);
    if (found) {
        fuzz::check(*found, asked);
        if (found->now_held) {
            Question again = asked;
            again.names = found->now_held;
            const std::optional<PlainContents> held = fuzz::look(descriptor, again);
            fuzz::require(held && held->has_held_names, "names are in the file that they were read from");
        }
    }
    Question of_other = asked;
    of_other.names = names;
    if (const std::optional<PlainContents> other = fuzz::look(descriptor, of_other)) {
        fuzz::check(*other, of_other);
        fuzz::require(!other->has_held_names || !found || (found->names == 4), "names of the file before");
        if (other->has_held_names && found) {
            const std::string expected = [] {
                std::string texts;
                for (const std::string& gene : test::genes_of_file()) {
                    test::PlainWriter::put<u32>(texts, static_cast<u32>(gene.size()));
                }
                for (const std::string& gene : test::genes_of_file()) {
                    texts += gene;
                }
                return texts;
            }();
            fuzz::require(found->names_text == expected, "held names are those that reading gives");
        }
    }
    return 0;
}
