// What usual h5ad files hold.
#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "arrays.hpp"
#include "libraries.hpp"
#include "register.hpp"
#include "tombola/h5ad/plain_contents.hpp"

namespace tombola::bindings {
namespace {

// Some texts are none.
struct NotText {};

py::dtype dtype_of(ItemType type) {
    constexpr int half = 23;  // NumPy's number of float16, which C++ has not
    const bool is_signed = type.kind == 'i';
    if (type.kind == 'f') {
        return type.bytes == 2 ? py::dtype(half) : type.bytes == 4 ? py::dtype::of<float>() : py::dtype::of<double>();
    }
    switch (type.bytes) {
        case 1:
            return is_signed ? py::dtype::of<std::int8_t>() : py::dtype::of<std::uint8_t>();
        case 2:
            return is_signed ? py::dtype::of<std::int16_t>() : py::dtype::of<u16>();
        case 4:
            return is_signed ? py::dtype::of<std::int32_t>() : py::dtype::of<u32>();
        default:
            return is_signed ? py::dtype::of<std::int64_t>() : py::dtype::of<u64>();
    }
}

py::object text_of(const std::string& bytes) {
    PyObject* const text = PyUnicode_DecodeUTF8(bytes.data(), static_cast<py::ssize_t>(bytes.size()), "strict");
    if (text == nullptr) {
        PyErr_Clear();
        throw NotText{};
    }
    return py::reinterpret_steal<py::object>(text);
}

py::object text_of(const std::optional<std::string>& bytes) { return bytes ? text_of(*bytes) : py::none(); }

py::tuple column_of(const PlainColumn& column) {
    py::object values = py::none();
    if (!column.address) {
        py::array read(dtype_of(column.type), static_cast<py::ssize_t>(column.values.size() / column.type.bytes));
        if (!column.values.empty()) {
            std::memcpy(read.mutable_data(), column.values.data(), column.values.size());
        }
        values = std::move(read);
    }
    py::object place = py::none();
    if (column.address) {
        place = py::make_tuple(*column.address, dtype_of(column.type));
    }
    py::object categories = py::none();
    if (column.is_coded) {
        const CodesRange range = column.range;
        categories = py::make_tuple(range.least, range.largest, column.count, py::bytes(column.texts));
    }
    return py::make_tuple(text_of(column.name), std::move(values), std::move(place), std::move(categories));
}

constexpr std::int64_t nanoseconds = 1'000'000'000;

py::object given(PlainContents& found) {
    const FileStamp& now = found.stamp;
    constexpr std::int64_t latest = 9'000'000'000;  // in the year 2255: nanoseconds are counted in 64 bits
    need(now.seconds > -latest && now.seconds < latest);
    py::object sparse = py::none();
    if (found.pointers) {
        sparse = py::make_tuple(found.values, dtype_of(found.index_type), std::move(*found.pointers));
    }
    py::object names = py::none();
    if (!found.has_held_names) {
        names = py::make_tuple(found.names, py::bytes(found.names_text));
    }
    py::list obs_columns;
    for (const std::string& name : found.obs_columns) {
        obs_columns.append(text_of(name));
    }
    py::list columns;
    for (const PlainColumn& column : found.columns) {
        columns.append(column_of(column));
    }
    return py::make_tuple(
        py::make_tuple(now.device, now.number, now.bytes, now.seconds * nanoseconds + now.nanoseconds),
        py::make_tuple(found.rows, found.width), dtype_of(found.type), std::move(sparse), std::move(names),
        std::move(obs_columns), py::make_tuple(text_of(found.version), text_of(found.obs_version)), std::move(columns),
        std::const_pointer_cast<HeldNames>(found.now_held));
}

// Paths are bytes: names of files need not be text.
py::list look(const std::vector<py::bytes>& paths, const std::string& x, const std::vector<std::string>& columns,
              index_t most_rows, const std::shared_ptr<HeldNames>& names, const std::optional<Addresses>& inflate) {
    const std::optional<Addresses> no_zstd;
    const Question question{x, columns, most_rows, libraries_at(inflate, no_zstd), names};
    const std::vector<std::string> files(paths.begin(), paths.end());
    std::vector<std::optional<PlainContents>> found;
    {
        const py::gil_scoped_release release;
        found = look_into(files, question);
    }
    py::list all;
    for (std::optional<PlainContents>& contents : found) {
        py::object one = py::none();
        try {
            one = contents ? given(*contents) : one;
        } catch (const NotText&) {  // HDF5 says so
            one = py::none();
        } catch (const NotPlain&) {
            one = py::none();
        }
        all.append(one);
        contents.reset();
    }
    return all;
}

using Stamp = std::tuple<u64, u64, u64, std::int64_t>;  // the last one: nanoseconds

FileStamp stamp_of_tuple(const Stamp& given) {
    const auto& [device, number, bytes, time] = given;
    std::int64_t seconds = time / nanoseconds;
    seconds -= time < seconds * nanoseconds ? 1 : 0;  // towards the past
    return {device, number, bytes, seconds, time - seconds * nanoseconds};
}

ItemType type_of_array(const py::array& codes) {
    const char kind = codes.dtype().kind();
    if ((kind != 'i' && kind != 'u') || codes.dtype().byteorder() == '>') {
        throw py::type_error("codes must be integers of this machine's byte order, but have dtype " + type_name(codes));
    }
    return {kind, static_cast<std::uint8_t>(codes.itemsize())};
}

py::list codes(const std::vector<std::tuple<py::bytes, Stamp, u64, py::array>>& given) {
    std::vector<CodesJob> jobs;
    for (const auto& [path, stamp, address, codes] : given) {
        require_vector(codes, "codes");
        auto* const room = static_cast<std::byte*>(py::array(codes).mutable_data());
        jobs.push_back({path,
                        stamp_of_tuple(stamp),
                        address,
                        type_of_array(codes),
                        {room, static_cast<std::size_t>(codes.nbytes())}});
    }
    std::vector<std::optional<CodesRange>> found;
    {
        const py::gil_scoped_release release;
        found = read_codes(jobs);
    }
    py::list all;
    for (const std::optional<CodesRange>& range : found) {
        all.append(range ? py::object(py::make_tuple(range->least, range->largest)) : py::none());
    }
    return all;
}

}  // namespace

void register_contents(py::module_& m) {
    py::class_<HeldNames, std::shared_ptr<HeldNames>>(m, "HeldNames", "Names of a file, as they lie in it.");
    m.def("look_into", &look, py::arg("paths"), py::kw_only(), py::arg("x"), py::arg("columns"), py::arg("most_rows"),
          py::arg("names"), py::arg("inflate"));
    m.def("read_codes", &codes, py::arg("jobs"));
}

}  // namespace tombola::bindings
