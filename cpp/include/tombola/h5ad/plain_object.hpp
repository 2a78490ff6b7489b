// The structure of a plain HDF5 file: groups, attributes, where the values of data sets lie.
//
// Rule: the header of an object is parsed when it is made, a tree of symbols when a name is looked up; messages that
// are not known, shared ones, or any that is not as expected, are NotPlain. O(bytes of the headers looked at).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "tombola/base/types.hpp"
#include "tombola/h5ad/plain_file.hpp"

namespace tombola {

// Numbers of this machine's byte order, or text of variable length
struct ItemType {
    char kind = 0;  // 'i', 'u', 'f' as NumPy names them; 'T' for text
    std::uint8_t bytes = 0;

    bool is_text() const noexcept { return kind == 'T'; }
    bool is_integer() const noexcept { return kind == 'i' || kind == 'u'; }
};

struct PlainDataset {
    std::vector<u64> shape;
    ItemType type;
    std::optional<u64> address;  // where values that lie in one piece begin, `bytes` of them; of others nothing
    u64 bytes = 0;
    std::string_view layout;                  // the message
    std::optional<std::string_view> filters;  // nothing where values pass through none
};

// Nothing where there is none; a text, several, or integers
using Attribute = std::variant<std::monostate, std::string, std::vector<std::string>, std::vector<index_t>>;

class PlainObject {
  public:
    PlainObject(PlainFile& file, u64 address);

    PlainFile& file() const noexcept { return *file_; }
    bool is_group() const noexcept;
    // Of a group
    bool has(std::string_view name);
    PlainObject child(std::string_view name);
    Attribute attribute(std::string_view name);
    bool has_attribute(std::string_view name);
    // An attribute that is text, nothing where there is none
    std::optional<std::string> text(std::string_view name);
    // Of a data set
    PlainDataset dataset() const;

  private:
    struct Written {
        std::string_view name;
        std::string_view message;
        std::size_t value;  // where it begins
    };
    struct Block {
        u64 address;
        u64 bytes;
    };

    std::size_t read_block(std::string_view block, std::vector<Block>& blocks);
    const std::unordered_map<std::string_view, u64>& names();
    void list(u64 address, std::string_view texts, std::optional<unsigned> level, std::size_t& nodes);
    const Written* find_attribute(std::string_view name);

    static constexpr std::size_t kinds = 0x13;

    PlainFile* file_;
    std::array<std::optional<std::string_view>, kinds> messages_;
    std::vector<std::string_view> attributes_;
    std::vector<Written> written_;
    bool is_named_ = false;
    std::optional<std::unordered_map<std::string_view, u64>> members_;
    std::size_t named_bytes_ = 0;
};

}  // namespace tombola
