// A small h5ad file in the oldest form of HDF5, put together here: what tests and fuzz targets begin with.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "tombola/base/types.hpp"

namespace tombola::test {

class PlainWriter {
  public:
    using Members = std::vector<std::pair<std::string, u64>>;

    PlainWriter() : bytes_(96, '\0') {}

    template <typename T>
    static void put(std::string& to, T value) {
        to.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
    static std::string padded(std::string bytes) {
        bytes.resize((bytes.size() + 7) / 8 * 8);
        return bytes;
    }
    template <typename T>
    static std::string numbers(const std::vector<T>& values) {
        return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
    }
    // Types as HDF5 writes them
    static std::string integers(int size) {
        std::string type("\x10\x08\0\0", 4);
        put<u32>(type, static_cast<u32>(size));
        put<u16>(type, 0);
        put<u16>(type, static_cast<u16>(8 * size));
        return type;
    }
    static std::string floats() { return {"\x11\x20\x1f\0\x04\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0", 20}; }
    static std::string texts() { return {"\x19\x01\x01\0\x10\0\0\0\x10\0\0\0\x01\0\0\0\0\0\x08\0", 20}; }
    static std::string space(const std::vector<u64>& shape) {
        std::string message{1, static_cast<char>(shape.size())};
        message.resize(8);
        for (const u64 axis : shape) {
            put<u64>(message, axis);
        }
        return message;
    }

    u64 add(const std::string& part) {
        bytes_ = padded(std::move(bytes_));
        const u64 address = bytes_.size();
        bytes_ += part;
        return address;
    }
    // References to texts, which go into a collection of their own
    std::string references(const std::vector<std::string>& all) {
        std::string collection("GCOL\x01\0\0\0\0\0\0\0\0\0\0\0", 16);
        std::string list;
        bytes_ = padded(std::move(bytes_));
        for (std::size_t i = 0; i < all.size(); ++i) {
            put<u16>(collection, static_cast<u16>(i + 1));
            put<u16>(collection, 1);
            put<u32>(collection, 0);
            put<u64>(collection, all[i].size());
            collection += padded(all[i]);
            put<u32>(list, static_cast<u32>(all[i].size()));
            put<u64>(list, bytes_.size());
            put<u32>(list, static_cast<u32>(i + 1));
        }
        collection.resize(collection.size() + 32);  // what is free
        const u64 size = collection.size();
        std::memcpy(collection.data() + 8, &size, sizeof(size));
        add(collection);
        return list;
    }
    static std::string message(int kind, const std::string& content) {
        std::string made;
        put<u16>(made, static_cast<u16>(kind));
        put<u16>(made, static_cast<u16>(padded(content).size()));
        put<u32>(made, 0);
        return made + padded(content);
    }
    static std::string attribute(const std::string& name, const std::string& type, const std::string& shape,
                                 const std::string& value) {
        std::string made("\x01\0", 2);
        put<u16>(made, static_cast<u16>(name.size() + 1));
        put<u16>(made, static_cast<u16>(type.size()));
        put<u16>(made, static_cast<u16>(shape.size()));
        return message(0xc, made + padded(name + '\0') + padded(type) + padded(shape) + value);
    }
    std::string text_attribute(const std::string& name, const std::string& value) {
        return attribute(name, texts(), space({}), references({value}));
    }
    // An object of so many messages
    u64 object(const std::vector<std::string>& messages) {
        std::string made("\x01\0", 2);
        put<u16>(made, static_cast<u16>(messages.size()));
        put<u32>(made, 1);
        std::string content;
        for (const std::string& each : messages) {
            content += each;
        }
        put<u32>(made, static_cast<u32>(content.size()));
        put<u32>(made, 0);
        return add(made + content);
    }
    u64 group(const Members& members, std::vector<std::string> attributes = {}) {
        std::string texts(8, '\0');
        std::string symbols("SNOD\x01\0", 6);
        put<u16>(symbols, static_cast<u16>(members.size()));
        for (const auto& [name, address] : members) {
            put<u64>(symbols, texts.size());
            put<u64>(symbols, address);
            symbols.resize(symbols.size() + 24);
            texts += padded(name + '\0');
        }
        std::string heap("HEAP\0\0\0\0", 8);
        put<u64>(heap, texts.size());
        put<u64>(heap, ~u64{0});
        put<u64>(heap, add(texts));
        std::string tree("TREE\0\0", 6);
        put<u16>(tree, 1);
        put<u64>(tree, ~u64{0});
        put<u64>(tree, ~u64{0});
        put<u64>(tree, 0);
        put<u64>(tree, add(symbols));
        put<u64>(tree, 0);
        std::string where;
        put<u64>(where, add(tree));
        put<u64>(where, add(heap));
        attributes.insert(attributes.begin(), message(0x11, where));
        return object(attributes);
    }
    u64 dataset(const std::string& type, const std::vector<u64>& shape, const std::string& values,
                std::vector<std::string> attributes = {}) {
        std::string layout("\x03\x01", 2);
        put<u64>(layout, add(values));
        put<u64>(layout, values.size());
        attributes.insert(attributes.begin(), {message(0x1, space(shape)), message(0x3, type), message(0x8, layout)});
        return object(attributes);
    }
    // Of items of so many bytes, in chunks of so many, not filtered
    u64 chunked(const std::string& type, std::size_t item, std::size_t length, std::string values) {
        const std::size_t count = values.size() / item;
        const std::size_t chunk = length * item;
        std::string tree("TREE\x01\0", 6);
        put<u16>(tree, static_cast<u16>((count + length - 1) / length));
        put<u64>(tree, ~u64{0});
        put<u64>(tree, ~u64{0});
        values.resize((values.size() + chunk - 1) / chunk * chunk);
        for (std::size_t at = 0; at < values.size(); at += chunk) {
            put<u32>(tree, static_cast<u32>(chunk));
            put<u32>(tree, 0);
            put<u64>(tree, at / item);
            put<u64>(tree, 0);
            put<u64>(tree, add(values.substr(at, chunk)));
        }
        tree.resize(tree.size() + 24);
        std::string layout("\x03\x02\x02", 3);
        put<u64>(layout, add(tree));
        put<u32>(layout, static_cast<u32>(length));
        put<u32>(layout, static_cast<u32>(item));
        return object({message(0x1, space({count})), message(0x3, type), message(0x8, layout)});
    }
    // The file, whose root group has its header there
    std::string file(u64 root) {
        std::string block("\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0", 16);
        put<u64>(block, 0);
        put<u64>(block, 0);
        put<u64>(block, ~u64{0});
        put<u64>(block, bytes_.size());
        put<u64>(block, ~u64{0});
        put<u64>(block, 0);
        put<u64>(block, root);
        block.resize(96);
        return block + bytes_.substr(96);
    }

  private:
    std::string bytes_;
};

// What the file below holds
inline const std::vector<std::string>& genes_of_file() {
    static const std::vector<std::string> genes{"CD4", "CD8A", "a longer name", "X"};
    return genes;
}

// Five rows, four columns, a column of obs of each kind; `before` comes in front of all, so that all is shifted.
inline std::string plain_h5ad(const std::vector<std::string>& genes = genes_of_file(), const std::string& before = {},
                              bool in_chunks = false) {
    PlainWriter w;
    w.add(before);
    const auto list = [&](const std::string& type, std::size_t item, const std::string& values) {
        return in_chunks ? w.chunked(type, item, 3, values) : w.dataset(type, {values.size() / item}, values);
    };
    const u64 var =
        w.group({{"names", list(w.texts(), 16, w.references(genes))}}, {w.text_attribute("_index", "names")});
    const u64 kind = w.group({{"codes", list(w.integers(1), 1, w.numbers<std::int8_t>({0, 1, -1, 1, 0}))},
                              {"categories", list(w.texts(), 16, w.references({"b", "a"}))}},
                             {w.text_attribute("encoding-type", "categorical")});
    const u64 depth = list(w.floats(), 4, w.numbers<float>({1, 2, 3, 4, 5}));
    const u64 index = w.dataset(w.texts(), {5}, w.references({"1", "2", "3", "4", "5"}));
    const u64 obs = w.group({{"_index", index}, {"depth", depth}, {"kind", kind}},
                            {w.attribute("column-order", w.texts(), w.space({2}), w.references({"kind", "depth"})),
                             w.text_attribute("encoding-version", "0.2.0")});
    const u64 x = w.group({{"data", w.dataset(w.floats(), {6}, w.numbers<float>({1, 1, 1, 1, 1, 1}))},
                           {"indices", w.dataset(w.integers(4), {6}, w.numbers<std::int32_t>({0, 1, 2, 3, 0, 1}))},
                           {"indptr", list(w.integers(4), 4, w.numbers<std::int32_t>({0, 2, 2, 3, 5, 6}))}},
                          {w.attribute("shape", w.integers(8), w.space({2}),
                                       w.numbers<std::int64_t>({5, static_cast<std::int64_t>(genes.size())})),
                           w.text_attribute("encoding-type", "csr_matrix")});
    const u64 root = w.group({{"X", x}, {"obs", obs}, {"var", var}}, {w.text_attribute("encoding-version", "0.1.0")});
    return w.file(root);
}

}  // namespace tombola::test
