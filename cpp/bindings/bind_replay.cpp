// What a replay buffer asks the core for: slots of incoming items, and uniform draws.
#include "arrays.hpp"
#include "register.hpp"
#include "tombola/replay/replay.hpp"

namespace tombola::bindings {
namespace {

py::array_t<index_t> slots_of(u64 seed, index_t first, index_t count, index_t slots) {
    require_size("first", first, 0);
    require_size("count", count, 0);
    require_size("slots", slots, 1);
    py::array_t<index_t> out = new_indices(count);
    const std::span<index_t> span = span_of(out);
    const py::gil_scoped_release release;
    reservoir_slots(seed, static_cast<u64>(first), static_cast<u64>(slots), span);
    return out;
}

py::array_t<index_t> uniform(u64 seed, u64 step, index_t stored, index_t size, bool replace) {
    require_size("stored", stored, 0);
    require_size("size", size, 0);
    py::array_t<index_t> out = new_indices(size);
    const std::span<index_t> span = span_of(out);
    const py::gil_scoped_release release;
    uniform_draws(seed, step, static_cast<u64>(stored), replace, span);
    return out;
}

py::array_t<double> units(u64 seed, u64 step, index_t size) {
    require_size("size", size, 0);
    py::array_t<double> out(static_cast<py::ssize_t>(size));
    const std::span<double> span(out.mutable_data(), static_cast<std::size_t>(size));
    const py::gil_scoped_release release;
    unit_draws(seed, step, span);
    return out;
}

}  // namespace

void register_replay(py::module_& m) {
    m.def("reservoir_slots", &slots_of, py::arg("seed"), py::arg("first"), py::arg("count"), py::arg("slots"));
    m.def("uniform_draws", &uniform, py::arg("seed"), py::arg("step"), py::arg("stored"), py::arg("size"),
          py::kw_only(), py::arg("replace"));
    m.def("unit_draws", &units, py::arg("seed"), py::arg("step"), py::arg("size"));
}

}  // namespace tombola::bindings
