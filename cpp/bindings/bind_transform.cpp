// Rows of a window transformed.
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "arrays.hpp"
#include "dense_work.hpp"
#include "register.hpp"
#include "tombola/rows/transform.hpp"

namespace tombola::bindings {
namespace {

// An array of int32, or the number of columns where all stay
ColumnMap map_of(const py::handle& given) {
    if (py::isinstance<py::int_>(given)) {
        const index_t n_columns = given.cast<index_t>();
        require_at_least("n_columns", n_columns, 0);
        return {{}, n_columns};
    }
    const std::span<const std::int32_t> to = borrow<std::int32_t>(given.cast<py::array>(), "maps");
    return {to, static_cast<index_t>(to.size())};
}

void require_columns(const ColumnMap& map, index_t n_columns) {
    const index_t most = map.to.empty() ? map.n_columns - 1 : *std::max_element(map.to.begin(), map.to.end());
    if (most >= n_columns) {
        throw std::invalid_argument("maps must lead to columns in [0, " + std::to_string(n_columns) +
                                    "), but one leads to " + std::to_string(most));
    }
}

std::span<const double> numbers(const std::optional<py::array>& given, const char* name, index_t n_columns) {
    if (!given) {
        return {};
    }
    const std::span<const double> values = borrow<double>(*given, name);
    if (static_cast<index_t>(values.size()) != n_columns) {
        throw std::invalid_argument(std::string(name) + " must have " + std::to_string(n_columns) +
                                    " entries, but has " + std::to_string(values.size()));
    }
    return values;
}

Arithmetic arithmetic_of(double target, bool log1p, const std::optional<py::array>& mean,
                         const std::optional<py::array>& factor, index_t n_columns) {
    return {target, log1p, numbers(mean, "mean", n_columns), numbers(factor, "factor", n_columns)};
}

void require_rising(std::span<const index_t> indptr, std::size_t values) {
    index_t before = 0;
    for (const index_t each : indptr) {
        if (each < before || static_cast<u64>(each) > values) {
            throw std::invalid_argument("indptr must rise from 0 to at most " + std::to_string(values) +
                                        ", but goes from " + std::to_string(before) + " to " + std::to_string(each));
        }
        before = each;
    }
    if (indptr.empty()) {
        throw std::invalid_argument("indptr must have at least one entry, but has none");
    }
}

// The array's own memory, as a type of its items' width where `T` is one
template <typename T>
std::span<T> room_of(const py::array& array) {
    return {static_cast<T*>(py::array(array).mutable_data()), static_cast<std::size_t>(array.size())};
}

// body(T{}) with the type of the items: floats as they are, others as words that are moved only
template <typename Body>
void with_values(const py::array& values, const char* name, bool needs_floats, Body body) {
    if (holds<float>(values)) {
        return body(float{});
    }
    if (holds<double>(values)) {
        return body(double{});
    }
    if (needs_floats) {
        throw py::type_error(std::string(name) + " must have dtype float32 or float64 to be worked on, but has " +
                             type_name(values));
    }
    switch (values.itemsize()) {
        case 1:
            return body(std::uint8_t{});
        case 2:
            return body(u16{});
        case 4:
            return body(u32{});
        case 8:
            return body(u64{});
        default:
            throw py::type_error(std::string(name) + " must have items of at most 8 bytes, but has dtype " +
                                 type_name(values));
    }
}

template <typename Body>
void with_columns(const py::array& columns, Body body) {
    if (holds<std::int32_t>(columns)) {
        borrow<std::int32_t>(columns, "indices");
        return body(std::int32_t{});
    }
    borrow<std::int64_t>(columns, "indices");
    body(std::int64_t{});
}

py::tuple transform_csr(const py::array& data, const py::array& columns, const py::array& indptr, const py::list& maps,
                        const std::optional<py::array>& map_of_row, index_t n_columns, double target, bool log1p,
                        const std::optional<py::array>& mean, const std::optional<py::array>& factor) {
    require_vector(data, "data");
    const std::span<const index_t> pointers = borrow<index_t>(indptr, "indptr");
    require_rising(pointers, static_cast<std::size_t>(std::min(data.size(), columns.size())));
    const Arithmetic work = arithmetic_of(target, log1p, mean, factor, n_columns);
    std::vector<ColumnMap> all;
    for (const py::handle& each : maps) {
        all.push_back(map_of(each));
        require_columns(all.back(), n_columns);
    }
    const std::span<const std::int32_t> numbers_of =
        map_of_row ? borrow<std::int32_t>(*map_of_row, "map_of_row") : std::span<const std::int32_t>{};
    if (all.empty() || (map_of_row && numbers_of.size() + 1 != pointers.size())) {
        throw std::invalid_argument("maps and map_of_row must say of each row where its columns go");
    }
    for (const std::int32_t number : numbers_of) {
        if (number < 0 || static_cast<std::size_t>(number) >= all.size()) {
            throw std::invalid_argument("map_of_row must lie in [0, " + std::to_string(all.size()) + "), but one is " +
                                        std::to_string(number));
        }
    }
    py::array_t<index_t> counts = new_indices(static_cast<index_t>(pointers.size()) - 1);
    const std::span<index_t> room = span_of(counts);
    CsrOutcome outcome;
    with_values(data, "data", work.is_any(), [&]<typename T>(T) {
        with_columns(columns, [&]<typename Column>(Column) {
            const std::span<T> values = room_of<T>(data);
            const std::span<Column> where = room_of<Column>(columns);
            const py::gil_scoped_release release;
            outcome = csr_transform(values, where, pointers, std::span<const ColumnMap>(all), numbers_of, work, room);
        });
    });
    return py::make_tuple(counts, outcome.bad_row, outcome.bad_column, outcome.ascending, outcome.as_stored);
}

void compact_csr(const py::array& data, const py::array& columns, const py::array& from, const py::array& to,
                 const py::array& out_data, const py::array& out_columns) {
    require_vector(data, "data");
    require_vector(out_data, "out_data");
    const std::span<const index_t> starts = borrow<index_t>(from, "from");
    const std::span<const index_t> places = borrow<index_t>(to, "to");
    require_rising(starts, static_cast<std::size_t>(std::min(data.size(), columns.size())));
    require_rising(places, static_cast<std::size_t>(std::min(out_data.size(), out_columns.size())));
    if (!out_data.dtype().equal(data.dtype()) || !out_columns.dtype().equal(columns.dtype()) ||
        starts.size() != places.size()) {
        throw std::invalid_argument("the arrays to fill must have the types and rows of those given");
    }
    for (std::size_t i = 0; i + 1 < places.size(); ++i) {
        if (places[i + 1] - places[i] > starts[i + 1] - starts[i]) {
            throw std::invalid_argument("rows must not become longer, but row " + std::to_string(i) + " does");
        }
    }
    with_values(data, "data", false, [&]<typename T>(T) {
        with_columns(columns, [&]<typename Column>(Column) {
            const std::span<const T> values = room_of<T>(data);
            const std::span<const Column> where = room_of<Column>(columns);
            const std::span<T> new_values = room_of<T>(out_data);
            const std::span<Column> new_where = room_of<Column>(out_columns);
            const py::gil_scoped_release release;
            csr_compact(values, where, starts, places, new_values, new_where);
        });
    });
}

std::unique_ptr<DenseWork> make_dense(const py::object& map, index_t n_columns, const py::dtype& dtype, double target,
                                      bool log1p, std::optional<py::array> mean, std::optional<py::array> factor) {
    const ColumnMap where = map_of(map);
    require_at_least("n_columns", n_columns, 0);
    require_columns(where, n_columns);
    if (where.to.empty() && where.n_columns != n_columns) {
        throw std::invalid_argument("columns that stay must be as many as those given");
    }
    const Arithmetic work = arithmetic_of(target, log1p, mean, factor, n_columns);
    auto made = std::make_unique<DenseWork>(DenseWork{dtype, std::move(mean), std::move(factor), {}});
    with_values(py::array(dtype, py::ssize_t{0}), "rows", work.is_any(),
                [&]<typename T>(T) { made->work = dense_work<T>(where, work, n_columns); });
    return made;
}

void apply_dense(const DenseWork& dense, const py::array& rows, const std::optional<py::array>& places,
                 const py::array& out) {
    const auto is_table = [&](const py::array& array, std::size_t row_bytes) {
        return array.ndim() == 2 && (array.flags() & py::array::c_style) != 0 && array.dtype().equal(dense.dtype) &&
               static_cast<std::size_t>(array.shape(1) * array.itemsize()) == row_bytes;
    };
    if (!is_table(rows, dense.work.row_bytes) || !is_table(out, dense.work.out_bytes)) {
        throw std::invalid_argument("rows and out must be C-contiguous tables of " +
                                    py::str(dense.dtype).cast<std::string>() + ", rows of " +
                                    std::to_string(dense.work.row_bytes) + " bytes and out of " +
                                    std::to_string(dense.work.out_bytes) + " bytes a row");
    }
    const std::span<const index_t> to = places ? borrow<index_t>(*places, "places") : std::span<const index_t>{};
    if (places ? static_cast<index_t>(to.size()) != rows.shape(0) : out.shape(0) < rows.shape(0)) {
        throw std::invalid_argument("there must be a place for each of " + std::to_string(rows.shape(0)) + " rows");
    }
    for (const index_t place : to) {
        if (place < 0 || place >= out.shape(0)) {
            throw std::invalid_argument("places must lie in [0, " + std::to_string(out.shape(0)) + "), but one is " +
                                        std::to_string(place));
        }
    }
    if (rows.shape(0) == 0) {
        return;
    }
    const std::span<const std::byte> from{static_cast<const std::byte*>(rows.data()),
                                          static_cast<std::size_t>(rows.nbytes())};
    const std::span<std::byte> room{static_cast<std::byte*>(py::array(out).mutable_data()),
                                    static_cast<std::size_t>(out.shape(0)) * dense.work.out_bytes};
    const py::gil_scoped_release release;
    work_on_rows(dense.work, from, to, room);
}

void bfloat16(const py::array& values, const py::array& words) {
    const std::span<const float> from = borrow<float>(values, "values");
    if (borrow<u16>(words, "words").size() != from.size()) {
        throw std::invalid_argument("words must be as many as values");
    }
    const std::span<u16> to = room_of<u16>(words);
    const py::gil_scoped_release release;
    round_to_bfloat16(from, to);
}

}  // namespace

void register_transform(py::module_& m) {
    const auto none = py::none();
    m.def("csr_transform", &transform_csr, py::arg("data"), py::arg("indices"), py::arg("indptr"), py::arg("maps"),
          py::arg("map_of_row"), py::kw_only(), py::arg("n_columns"), py::arg("target") = 0.0, py::arg("log1p") = false,
          py::arg("mean") = none, py::arg("factor") = none);
    m.def("round_to_bfloat16", &bfloat16, py::arg("values"), py::arg("words"));
    m.def("csr_compact", &compact_csr, py::arg("data"), py::arg("indices"), py::arg("starts"), py::arg("places"),
          py::arg("out"), py::arg("out_indices"));
    py::class_<DenseWork>(m, "DenseWork")
        .def(py::init(&make_dense), py::arg("map"), py::kw_only(), py::arg("n_columns"), py::arg("dtype"),
             py::arg("target") = 0.0, py::arg("log1p") = false, py::arg("mean") = none, py::arg("factor") = none)
        .def("apply", &apply_dense, py::arg("rows"), py::arg("places"), py::arg("out"));
}

}  // namespace tombola::bindings
