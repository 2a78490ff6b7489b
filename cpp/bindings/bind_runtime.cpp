// Threads, instruction sets, Ctrl-C, hashes of arrays.
#include <pybind11/stl.h>

#include <cstdlib>
#include <optional>

#include "arrays.hpp"
#include "register.hpp"
#include "tombola/base/hash.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/kernels/kernels.hpp"

namespace tombola::bindings {
namespace {

// Signals are handled by Python, on its main thread: a core call that lasts asks now and then.
void check_signals() {
    const py::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) {
        throw py::error_already_set();
    }
}

// Torch gives a worker of a DataLoader one thread, and there are as many workers as the user has processors to spare.
int limit_threads() {
    const py::gil_scoped_acquire gil;
    try {
        return py::module_::import("tombola._base.workers").attr("most_threads")().cast<int>();
    } catch (py::error_already_set& error) {
        if (error.matches(PyExc_ImportError)) {  // the interpreter is about to end
            return 0;
        }
        throw;
    }
}

u64 hash_array(const py::array& array) {
    if ((array.flags() & py::array::c_style) == 0) {
        throw std::invalid_argument("the array must be contiguous");
    }
    const void* data = array.data();
    const std::size_t bytes = static_cast<std::size_t>(array.nbytes());
    const py::gil_scoped_release release;
    return hash_bytes(data, bytes);
}

// n: the number of rows, where it is known
void check_increasing(const py::array& array, std::optional<index_t> n) {
    const std::span<const index_t> indices = borrow<index_t>(array, "indices");
    const py::gil_scoped_release release;
    index_t previous = -1;
    for (std::size_t i = 0; i < indices.size(); ++i) {
        if (indices[i] < 0 || (n && indices[i] >= *n)) {
            const std::string range = n ? "lie in [0, " + std::to_string(*n) + ")" : "be >= 0";
            throw std::invalid_argument("indices must " + range + ", but indices[" + std::to_string(i) +
                                        "] = " + std::to_string(indices[i]));
        }
        if (indices[i] <= previous) {
            throw std::invalid_argument("indices must be strictly increasing, but indices[" + std::to_string(i) +
                                        "] = " + std::to_string(indices[i]) + " follows " + std::to_string(previous) +
                                        "; pass numpy.unique(indices)");
        }
        previous = indices[i];
    }
}

}  // namespace

void register_runtime(py::module_& m) {
    set_interrupt_check(check_signals);
    set_thread_limit(limit_threads);
    if (const char* const name = std::getenv("TOMBOLA_INSTRUCTION_SET"); name != nullptr && *name != '\0') {
        limit_instruction_sets(name);
    }
    m.def("set_num_threads", &set_num_threads, py::arg("n"));
    m.def("get_num_threads", &get_num_threads);
    m.def("instruction_set", [] { return std::string(kernels().name); });
    m.def("available_instruction_sets", &available_instruction_sets);
    m.def("set_instruction_set", [](const std::string& name) { set_instruction_set(name); }, py::arg("name"));
    m.def("hash_array", &hash_array, py::arg("a"));
    m.def("check_increasing", &check_increasing, py::arg("indices"), py::arg("n") = py::none());
}

}  // namespace tombola::bindings
