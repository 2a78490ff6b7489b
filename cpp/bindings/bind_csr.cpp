// Rows out of CSR matrices.
#include "arrays.hpp"
#include "register.hpp"
#include "tombola/rows/csr.hpp"

namespace tombola::bindings {
namespace {

// body(view) with the matrix in its own types
template <typename T, typename Body>
py::object with_columns(const py::array& data, const py::array& columns, std::span<const index_t> indptr,
                        index_t n_columns, Body body) {
    const std::span<const T> values = borrow<T>(data, "data");
    if (holds<std::int32_t>(columns)) {
        return body(CsrView<T, std::int32_t>{values, borrow<std::int32_t>(columns, "indices"), indptr, n_columns});
    }
    return body(CsrView<T, std::int64_t>{values, borrow<std::int64_t>(columns, "indices"), indptr, n_columns});
}

template <typename Body>
py::object with_csr(const py::array& data, const py::array& columns, const py::array& indptr, index_t n_columns,
                    Body body) {
    require_at_least("n_columns", n_columns, 0);
    const std::span<const index_t> pointers = borrow<index_t>(indptr, "indptr");
    if (pointers.empty()) {
        throw std::invalid_argument("indptr must have at least one entry, but has none");
    }
    if (holds<float>(data)) {
        return with_columns<float>(data, columns, pointers, n_columns, body);
    }
    return with_columns<double>(data, columns, pointers, n_columns, body);
}

py::object take(const py::array& data, const py::array& columns, const py::array& indptr, const py::array& rows) {
    const std::span<const index_t> wanted = borrow<index_t>(rows, "rows");
    return with_csr(data, columns, indptr, 0, [&]<typename T, typename Column>(const CsrView<T, Column>& csr) {
        py::array_t<index_t> new_indptr = new_indices(static_cast<index_t>(wanted.size()) + 1);
        const std::span<index_t> pointers = span_of(new_indptr);
        csr_take_indptr(csr, wanted, pointers);
        py::array_t<T> new_data(pointers.back());
        py::array_t<Column> new_columns(pointers.back());
        const std::span<T> values{new_data.mutable_data(), static_cast<std::size_t>(new_data.size())};
        const std::span<Column> where{new_columns.mutable_data(), static_cast<std::size_t>(new_columns.size())};
        {
            const py::gil_scoped_release release;
            csr_take(csr, wanted, pointers, values, where);
        }
        return py::object(py::make_tuple(std::move(new_data), std::move(new_columns), std::move(new_indptr)));
    });
}

py::object take_dense(const py::array& data, const py::array& columns, const py::array& indptr, const py::array& rows,
                      index_t n_columns) {
    const std::span<const index_t> wanted = borrow<index_t>(rows, "rows");
    return with_csr(
        data, columns, indptr, n_columns,
        [&]<typename T, typename Column>(const CsrView<T, Column>& csr) -> py::object {
            py::array_t<T> out({static_cast<py::ssize_t>(wanted.size()), static_cast<py::ssize_t>(n_columns)});
            const std::span<T> values{out.mutable_data(), static_cast<std::size_t>(out.size())};
            {
                const py::gil_scoped_release release;
                csr_take_dense(csr, wanted, values);
            }
            return out;
        });
}

// Only copies values, so that a type of their width stands for theirs
template <typename Word>
void dense_words(const py::array& data, const py::array& columns, std::span<const index_t> indptr, index_t n_columns,
                 index_t first, const py::array& out) {
    const std::span<const Word> values{static_cast<const Word*>(data.data()), static_cast<std::size_t>(data.size())};
    const std::span<Word> room{static_cast<Word*>(py::array(out).mutable_data()),
                               static_cast<std::size_t>(out.size())};
    const auto fill = [&](auto all) {
        const py::gil_scoped_release release;
        csr_dense(CsrView<Word, typename decltype(all)::value_type>{values, all, indptr, n_columns}, first, room);
    };
    if (holds<std::int32_t>(columns)) {
        fill(borrow<std::int32_t>(columns, "indices"));
    } else {
        fill(borrow<std::int64_t>(columns, "indices"));
    }
}

void dense(const py::array& data, const py::array& columns, const py::array& indptr, index_t n_columns, index_t first,
           const py::array& out) {
    require_at_least("n_columns", n_columns, 0);
    require_vector(data, "data");
    if (!out.dtype().equal(data.dtype()) || (out.flags() & py::array::c_style) == 0 || out.ndim() != 2 ||
        out.shape(1) != n_columns) {
        throw std::invalid_argument("out must be C-contiguous, as wide as the matrix, and of its dtype");
    }
    const std::span<const index_t> pointers = borrow<index_t>(indptr, "indptr");
    switch (data.itemsize()) {
        case 1:
            return dense_words<std::uint8_t>(data, columns, pointers, n_columns, first, out);
        case 2:
            return dense_words<u16>(data, columns, pointers, n_columns, first, out);
        case 4:
            return dense_words<u32>(data, columns, pointers, n_columns, first, out);
        case 8:
            return dense_words<u64>(data, columns, pointers, n_columns, first, out);
        default:
            throw py::type_error("data must have items of at most 8 bytes, but has dtype " + type_name(data));
    }
}

py::tuple check_columns(const py::array& columns, const py::array& indptr, index_t n_columns, index_t first,
                        index_t last) {
    require_at_least("n_columns", n_columns, 0);
    const std::span<const index_t> pointers = borrow<index_t>(indptr, "indptr");
    const auto check = [&](auto all) {
        const py::gil_scoped_release release;
        return csr_check_columns(all, pointers, n_columns, first, last);
    };
    const ColumnCheck found = holds<std::int32_t>(columns) ? check(borrow<std::int32_t>(columns, "indices"))
                                                           : check(borrow<std::int64_t>(columns, "indices"));
    return py::make_tuple(found.in_range, found.ascending);
}

}  // namespace

void register_csr(py::module_& m) {
    m.def("csr_take", &take, py::arg("data"), py::arg("indices"), py::arg("indptr"), py::arg("rows"));
    m.def("csr_take_dense", &take_dense, py::arg("data"), py::arg("indices"), py::arg("indptr"), py::arg("rows"),
          py::arg("n_columns"));
    m.def("csr_dense", &dense, py::arg("data"), py::arg("indices"), py::arg("indptr"), py::arg("n_columns"),
          py::arg("first"), py::arg("out"));
    m.def("csr_check_columns", &check_columns, py::arg("indices"), py::arg("indptr"), py::arg("n_columns"),
          py::arg("first"), py::arg("last"));
}

}  // namespace tombola::bindings
