// Text of variable length in HDF5 files.
#include "register.hpp"
#include "tombola/rows/texts.hpp"

namespace tombola::bindings {
namespace {

namespace py = pybind11;

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

}  // namespace

void register_texts(py::module_& m) {
    m.def("heap_texts", &texts, py::arg("descriptor"), py::arg("offset"), py::arg("count"));
    m.def("overlong_text", &overlong, py::arg("descriptor"), py::arg("offset"), py::arg("count"));
}

}  // namespace tombola::bindings
