// A weight table and the Python arrays that it borrows.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "tombola/weights/weight_table.hpp"

namespace tombola::bindings {

struct PyWeightTable {
    std::shared_ptr<const WeightTable> table;
    pybind11::object arrays;  // kept alive
};

}  // namespace tombola::bindings
