#include "tombola/h5ad/plain_contents.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <unordered_set>
#include <utility>

#include "tombola/base/parallel.hpp"
#include "tombola/h5ad/plain_lists.hpp"

namespace tombola {
namespace {

constexpr u64 most_bytes = u64{1} << 22U;  // of a list of numbers that is read here
constexpr u64 piece_bytes = u64{1} << 18U;
constexpr u64 large_bytes = u64{1} << 26U;  // lists below may claim any size, see `check_scale` in Python
constexpr u64 most_size = u64{1} << 60U;

// Calls with items of a list as numbers of their type; NotPlain of those that are no integers
template <typename Body>
void with_integers(ItemType type, std::span<const std::byte> bytes, Body body) {
    const auto as = [&]<typename T>(T) {
        std::vector<T> items(bytes.size() / sizeof(T));
        std::memcpy(items.data(), bytes.data(), items.size() * sizeof(T));
        body(std::span<const T>(items));
    };
    need(type.is_integer());
    const bool is_signed = type.kind == 'i';
    switch (type.bytes) {
        case 1:
            return is_signed ? as(std::int8_t{}) : as(std::uint8_t{});
        case 2:
            return is_signed ? as(std::int16_t{}) : as(u16{});
        case 4:
            return is_signed ? as(std::int32_t{}) : as(u32{});
        default:
            return is_signed ? as(std::int64_t{}) : as(u64{});
    }
}

class Look {
  public:
    Look(PlainFile& file, const Question& question, bool holds_names)
        : file_(file), question_(question), holds_names_(holds_names), root_(file, file.root_address()) {}

    PlainContents contents() {
        need(!root_.has("mod"));
        found_.stamp = file_.stamp();
        PlainObject obs = root_.child("obs");
        find_matrix();
        const std::string index = index_name(obs);
        const std::vector<u64> shape = obs.child(index).dataset().shape;
        need(shape.size() == 1 && shape[0] == found_.rows);
        find_column_names(obs);
        PlainObject var = question_.x == "raw/X" ? root_.child("raw").child("var") : root_.child("var");
        find_names(var);
        found_.version = root_.text("encoding-version");
        found_.obs_version = obs.text("encoding-version");
        for (const std::string& name : question_.columns) {
            if (std::ranges::find(found_.obs_columns, name) != found_.obs_columns.end()) {
                find_column(obs, name);
            }
        }
        return std::move(found_);
    }

  private:
    void find_matrix() {
        PlainObject element = root_;
        std::size_t start = 0;
        for (bool is_last = false; !is_last;) {
            const std::size_t end = question_.x.find('/', start);
            is_last = end == std::string::npos;
            const std::string part = question_.x.substr(start, is_last ? end : end - start);
            need(start > 0 || part == "X" || part == "layers" || part == "raw");
            element = element.child(part);
            start = end + 1;
        }
        const std::optional<std::string> kind = element.text("encoding-type");
        if (!element.is_group()) {
            const PlainDataset stored = element.dataset();
            need(kind == "array" && stored.shape.size() == 2 && !stored.type.is_text());
            found_.rows = stored.shape[0];
            found_.width = stored.shape[1];
            found_.type = stored.type;
            need(found_.rows < most_size && found_.width < most_size);
            return;
        }
        need(kind == "csr_matrix");
        find_sparse(element);
    }

    void find_sparse(PlainObject& element) {
        const Attribute attribute = element.attribute("shape");
        const auto* const shape = std::get_if<std::vector<index_t>>(&attribute);
        need(shape != nullptr && shape->size() == 2 && (*shape)[0] >= 0 && (*shape)[1] >= 0);
        found_.rows = static_cast<u64>((*shape)[0]);
        found_.width = static_cast<u64>((*shape)[1]);
        need(found_.rows < most_size && found_.width < most_size);
        const PlainDataset data = element.child("data").dataset();
        const PlainDataset indices = element.child("indices").dataset();
        found_.values = count_of(data);
        need(count_of(indices) == found_.values && found_.values < most_size);
        need(!data.type.is_text() && indices.type.is_integer());
        for (const PlainDataset* const list : {&data, &indices}) {
            const u64 bytes = found_.values * list->type.bytes;
            need(bytes <= large_bytes || (bytes <= file_.stamp().bytes && !list->filters));
        }
        found_.type = data.type;
        found_.index_type = indices.type;
        const PlainDataset list = element.child("indptr").dataset();
        need(!list.type.is_text() && count_of(list) == found_.rows + 1);
        RowPointers pointers(static_cast<index_t>(found_.rows));
        each_piece(list, [&](std::span<const std::byte> piece) {
            try {
                with_integers(list.type, piece, [&](auto entries) { pointers.append(entries, "row"); });
            } catch (const std::invalid_argument&) {
                throw NotPlain{};
            }
        });
        pointers.finish();
        need(static_cast<u64>(pointers.n_values()) <= found_.values);
        found_.pointers = std::move(pointers);
    }

    // Calls with the bytes of a list, in pieces where it lies in one and may be long
    template <typename Body>
    void each_piece(const PlainDataset& list, Body body) {
        const u64 bytes = count_of(list) * list.type.bytes;
        if (!list.address) {
            return body(content_of(file_, list, list.type.bytes, most_bytes, question_.libraries));
        }
        need(list.bytes == bytes && !list.filters);
        std::vector<std::byte> piece(static_cast<std::size_t>(std::min(bytes, piece_bytes)));
        for (u64 done = 0; done < bytes; done += piece.size()) {
            piece.resize(static_cast<std::size_t>(std::min<u64>(piece.size(), bytes - done)));
            file_.read_into(*list.address + done, piece);
            body(piece);
        }
    }

    static std::string index_name(PlainObject& frame) {
        Attribute said = frame.attribute("_index");
        if (auto* const name = std::get_if<std::string>(&said); name != nullptr && frame.has(*name)) {
            return std::move(*name);
        }
        const bool has_usual = frame.has("_index");
        need(has_usual || frame.has("index"));
        return has_usual ? "_index" : "index";
    }

    void find_column_names(PlainObject& obs) {
        Attribute order = obs.attribute("column-order");
        std::vector<std::string> names;
        if (auto* const one = std::get_if<std::string>(&order)) {
            names.push_back(std::move(*one));
        } else {
            auto* const several = std::get_if<std::vector<std::string>>(&order);
            need(several != nullptr);
            names = std::move(*several);
        }
        std::unordered_set<std::string> seen;
        for (std::string& name : names) {
            if (obs.has(name) && seen.insert(name).second) {
                found_.obs_columns.push_back(std::move(name));
            }
        }
    }

    void find_names(PlainObject& var) {
        const PlainDataset list = var.child(index_name(var)).dataset();
        found_.names = count_texts(list);
        need(found_.names == found_.width);
        if (question_.names && question_.names->are_in(file_, list, question_.libraries)) {
            found_.has_held_names = true;
            return;
        }
        found_.names_text = texts_of(file_, list, question_.libraries);
        if (holds_names_) {
            if (std::optional<HeldNames> held = HeldNames::make(file_, list, question_.libraries)) {
                found_.now_held = std::make_shared<const HeldNames>(std::move(*held));
            }
        }
    }

    // Reads a column of numbers or of categories of text; no other, which HDF5 reads.
    void find_column(PlainObject& obs, const std::string& name) {
        try {
            PlainColumn column;
            column.name = name;
            PlainObject element = obs.child(name);
            const bool are_few = static_cast<index_t>(found_.rows) <= question_.most_rows;
            if (!element.is_group()) {
                need(are_few && !obs.has("__categories") && !element.has_attribute("categories"));
                read_numbers(element.dataset(), column);
            } else {
                need(element.text("encoding-type") == "categorical");
                const PlainDataset codes = element.child("codes").dataset();
                column.is_coded = true;
                if (are_few) {
                    read_numbers(codes, column);
                    column.range = range_of(column.type, column.values);
                } else {
                    find_codes(codes, column);
                }
                const PlainDataset list = element.child("categories").dataset();
                column.count = count_texts(list);
                column.texts = texts_of(file_, list, question_.libraries);
            }
            found_.columns.push_back(std::move(column));
        } catch (const NotPlain&) {  // of this column alone
            return;
        }
    }

    void read_numbers(const PlainDataset& list, PlainColumn& column) {
        need(!list.type.is_text() && count_of(list) == found_.rows);
        column.type = list.type;
        column.values = content_of(file_, list, list.type.bytes, most_bytes, question_.libraries);
    }

    // Where codes lie that are read later
    void find_codes(const PlainDataset& list, PlainColumn& column) {
        const u64 bytes = found_.rows * list.type.bytes;
        need(list.type.is_integer() && count_of(list) == found_.rows);
        need(list.address && list.bytes == bytes && !list.filters);
        need(*list.address <= file_.size() && bytes <= file_.size() - *list.address);
        column.type = list.type;
        column.address = list.address;
    }

    PlainFile& file_;
    const Question& question_;
    bool holds_names_;
    PlainObject root_;
    PlainContents found_;
};

}  // namespace

PlainContents plain_contents(int descriptor, const Question& question, bool holds_names) {
    PlainFile file(descriptor);
    return Look(file, question, holds_names).contents();
}

std::vector<std::optional<PlainContents>> look_into(std::span<const std::string> paths, const Question& question) {
    std::vector<std::optional<PlainContents>> found(paths.size());
    static_cast<void>(get_num_threads());  // so that its limit is known within
    parallel_for(static_cast<index_t>(paths.size()), [&](index_t task) {
        const WithoutHooks quiet;  // loops within ask the user from this one alone
        const std::size_t number = static_cast<std::size_t>(task);
        try {
            const SharedDescriptor file(paths[number]);
            found[number] = plain_contents(file.get(), question, number == 0);
        } catch (const NotPlain&) {
            return;
        } catch (const std::bad_alloc&) {
            return;
        }
    });
    return found;
}

}  // namespace tombola
