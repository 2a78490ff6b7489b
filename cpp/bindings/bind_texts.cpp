// Text of variable length in HDF5 files, and texts that are counted.
#include <algorithm>

#include "arrays.hpp"
#include "register.hpp"
#include "tombola/rows/files.hpp"
#include "tombola/rows/text_keys.hpp"
#include "tombola/rows/texts.hpp"

namespace tombola::bindings {
namespace {

py::object texts(int descriptor, u64 offset, u64 count) {
    std::optional<std::string> found;
    {
        const py::gil_scoped_release release;
        found = heap_texts(descriptor, offset, count);
    }
    return found ? py::object(py::bytes(*found)) : py::none();
}

py::object overlong(int descriptor, u64 offset, u64 count) {
    std::optional<TextClaim> found;
    {
        const py::gil_scoped_release release;
        found = overlong_text(descriptor, offset, count);
    }
    return found ? py::object(py::make_tuple(found->text, found->bytes)) : py::none();
}

py::object texts_of_rows(const DataFile& file, const py::array& references) {
    const std::span<const std::uint8_t> given = borrow<std::uint8_t>(references, "references");
    if (given.size() % reference_bytes != 0) {
        throw std::invalid_argument("references must have 16 bytes each, but have " + std::to_string(given.size()));
    }
    py::array_t<index_t> bounds = new_indices(static_cast<index_t>(given.size() / reference_bytes) + 1);
    const std::span<index_t> ends = span_of(bounds);
    std::optional<std::string> found;
    {
        const py::gil_scoped_release release;
        const DataFile::Use use(file);
        found = texts_at(use.descriptor(), std::as_bytes(given), ends);
    }
    return found ? py::object(py::make_tuple(std::move(bounds), py::bytes(*found))) : py::none();
}

std::span<TextKey> keys_in(const py::array_t<u64>& keys) {
    if (keys.ndim() != 2 || keys.shape(1) != 2 || (keys.flags() & py::array::c_style) == 0) {
        throw std::invalid_argument("keys must be C-contiguous, two words each");
    }
    return {static_cast<TextKey*>(py::array(keys).mutable_data()), static_cast<std::size_t>(keys.shape(0))};
}

void keys_of_texts(const py::bytes& given, const py::array& bounds, const py::array_t<u64>& keys) {
    const std::string_view all = given;
    const std::span<const index_t> ends = borrow<index_t>(bounds, "bounds");
    const std::span<TextKey> room = keys_in(keys);
    if (ends.size() != room.size() + 1 || ends.front() < 0 || static_cast<u64>(ends.back()) > all.size() ||
        !std::ranges::is_sorted(ends)) {
        throw std::invalid_argument("bounds must rise inside the texts, with one entry more than there are keys");
    }
    const py::gil_scoped_release release;
    text_keys(all, ends, room);
}

u64 repeats(const py::array_t<u64>& keys) {
    const std::span<TextKey> all = keys_in(keys);
    const py::gil_scoped_release release;
    return count_repeats(all);
}

}  // namespace

void register_texts(py::module_& m) {
    m.def("heap_texts", &texts, py::arg("descriptor"), py::arg("offset"), py::arg("count"));
    m.def("overlong_text", &overlong, py::arg("descriptor"), py::arg("offset"), py::arg("count"));
    m.def("texts_at", &texts_of_rows, py::arg("file"), py::arg("references"));
    m.def("text_keys", &keys_of_texts, py::arg("texts"), py::arg("bounds"), py::arg("keys").noconvert());
    m.def("count_repeats", &repeats, py::arg("keys").noconvert());
}

}  // namespace tombola::bindings
