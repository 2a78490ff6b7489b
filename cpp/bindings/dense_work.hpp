// Work on dense rows as Python has it: with the arrays that it borrows, and what kind of rows it is for.
#pragma once

#include <optional>

#include "arrays.hpp"
#include "tombola/rows/row_work.hpp"

namespace tombola::bindings {

struct DenseWork {
    py::dtype dtype;
    std::optional<py::array> mean;
    std::optional<py::array> factor;
    RowWork work;
};

}  // namespace tombola::bindings
