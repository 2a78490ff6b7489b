// What each bind_*.cpp adds to the module.
#pragma once

#include <pybind11/pybind11.h>

namespace tombola::bindings {

void register_runtime(pybind11::module_& m);
void register_permutations(pybind11::module_& m);
void register_weights(pybind11::module_& m);
void register_draws(pybind11::module_& m);
void register_sum_tree(pybind11::module_& m);
void register_plans(pybind11::module_& m);
void register_csr(pybind11::module_& m);
void register_transform(pybind11::module_& m);
void register_chunks(pybind11::module_& m);
void register_pointers(pybind11::module_& m);
void register_texts(pybind11::module_& m);
void register_contents(pybind11::module_& m);
void register_groups(pybind11::module_& m);
void register_composed(pybind11::module_& m);
void register_buffers(pybind11::module_& m);
void register_replay(pybind11::module_& m);

}  // namespace tombola::bindings
