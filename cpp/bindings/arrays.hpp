// The one place where NumPy arrays become spans and spans become NumPy arrays.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <span>
#include <string>

#include "tombola/base/types.hpp"

namespace tombola::bindings {

namespace py = pybind11;

inline std::string type_name(const py::array& array) { return py::str(array.dtype()).cast<std::string>(); }

inline void require_vector(const py::array& array, const char* name) {
    if (array.ndim() != 1) {
        throw std::invalid_argument(std::string(name) + " must have one dimension, but has " +
                                    std::to_string(array.ndim()));
    }
    if ((array.flags() & py::array::c_style) == 0) {
        throw std::invalid_argument(std::string(name) + " must be contiguous");
    }
}

template <typename T>
bool holds(const py::array& array) {
    return py::isinstance<py::array_t<T>>(array);
}

// The array's own memory; the caller keeps the array alive. No cast: another dtype is a TypeError.
template <typename T>
std::span<const T> borrow(const py::array& array, const char* name) {
    require_vector(array, name);
    if (!holds<T>(array)) {
        throw py::type_error(std::string(name) + " must have dtype " + py::str(py::dtype::of<T>()).cast<std::string>() +
                             ", but has " + type_name(array));
    }
    return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

// Whether an object is such an array, none of a subclass, and can be borrowed as it is
template <typename T>
bool is_borrowable(const py::object& object) {
    const auto& numpy = py::detail::npy_api::get();
    if (Py_TYPE(object.ptr()) != numpy.PyArray_Type_) {
        return false;
    }
    constexpr int plain = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    const auto array = py::reinterpret_borrow<py::array>(object);
    return array.ndim() == 1 && (array.flags() & plain) == plain && holds<T>(array);
}

inline Subset borrow_indices(const py::object& indices) {
    return indices.is_none() ? Subset{} : Subset{borrow<index_t>(indices.cast<py::array>(), "indices")};
}

inline void require_at_least(const char* name, index_t value, index_t least) {
    if (value < least) {
        throw std::invalid_argument(std::string(name) + " must be an integer >= " + std::to_string(least) +
                                    ", but is " + std::to_string(value));
    }
}

// A number of rows or draws: least <= value <= largest_size
inline void require_size(const char* name, index_t value, index_t least) {
    require_at_least(name, value, least);
    if (value > largest_size) {
        throw std::invalid_argument(std::string(name) + " must be at most 2**61, but is " + std::to_string(value));
    }
}

inline py::array_t<index_t> new_indices(index_t size) { return py::array_t<index_t>(static_cast<py::ssize_t>(size)); }

inline std::span<index_t> span_of(py::array_t<index_t>& array) {
    return {array.mutable_data(), static_cast<std::size_t>(array.size())};
}

}  // namespace tombola::bindings
