// Packed row pointers of CSR matrices.
#include <string>

#include "arrays.hpp"
#include "register.hpp"
#include "tombola/rows/pointers.hpp"

namespace tombola::bindings {
namespace {

template <typename... Types>
void append(RowPointers& pointers, const py::array& entries, const char* unit) {
    const bool known = ((holds<Types>(entries) &&
                         [&] {
                             const std::span<const Types> piece = borrow<Types>(entries, "entries");
                             const py::gil_scoped_release release;
                             pointers.append(piece, unit);
                             return true;
                         }()) ||
                        ...);
    if (!known) {
        throw py::type_error("entries must be integers of this machine's byte order, but have dtype " +
                             type_name(entries));
    }
}

RowPointers from_pieces(const py::iterable& pieces, index_t expected, const std::string& unit) {
    RowPointers pointers(expected);
    for (const py::handle piece : pieces) {
        append<std::int64_t, std::int32_t, std::uint64_t, std::uint32_t, std::int16_t, std::uint16_t, std::int8_t,
               std::uint8_t>(pointers, piece.cast<py::array>(), unit.c_str());
    }
    pointers.finish();
    return pointers;
}

py::tuple ranges(const RowPointers& pointers, const py::array& rows) {
    const std::span<const index_t> wanted = borrow<index_t>(rows, "rows");
    py::array_t<index_t> starts = new_indices(static_cast<index_t>(wanted.size()));
    py::array_t<index_t> stops = new_indices(static_cast<index_t>(wanted.size()));
    {
        const std::span<index_t> first = span_of(starts);
        const std::span<index_t> last = span_of(stops);
        const py::gil_scoped_release release;
        pointers.ranges(wanted, first, last);
    }
    return py::make_tuple(std::move(starts), std::move(stops));
}

py::array_t<index_t> lengths(const RowPointers& pointers, const py::array& rows) {
    const std::span<const index_t> wanted = borrow<index_t>(rows, "rows");
    py::array_t<index_t> out = new_indices(static_cast<index_t>(wanted.size()));
    const std::span<index_t> counts = span_of(out);
    {
        const py::gil_scoped_release release;
        pointers.lengths(wanted, counts);
    }
    return out;
}

py::array_t<index_t> unpack(const RowPointers& pointers) {
    py::array_t<index_t> out = new_indices(pointers.n_rows() + 1);
    const std::span<index_t> entries = span_of(out);
    {
        const py::gil_scoped_release release;
        pointers.unpack(entries);
    }
    return out;
}

}  // namespace

void register_pointers(py::module_& m) {
    py::class_<RowPointers>(m, "RowPointers")
        .def_static("from_pieces", &from_pieces, py::arg("pieces"), py::arg("expected") = 0, py::arg("unit") = "row")
        .def_property_readonly("n_values", &RowPointers::n_values)
        .def_property_readonly("nbytes", &RowPointers::memory)
        .def("__len__", [](const RowPointers& pointers) { return pointers.n_rows(); })
        .def("ranges", &ranges, py::arg("rows"))
        .def("lengths", &lengths, py::arg("rows"))
        .def("row_of", &RowPointers::row_of, py::arg("position"))
        .def("unpack", &unpack);
}

}  // namespace tombola::bindings
