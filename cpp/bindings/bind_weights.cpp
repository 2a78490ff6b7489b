// Prepared weights, class counts.
#include "arrays.hpp"
#include "register.hpp"
#include "weights.hpp"

namespace tombola::bindings {
namespace {

// Calls body with the codes as a span of their own integer type.
template <typename Body>
auto with_codes(const py::array& codes, Body body) {
    if (holds<std::int8_t>(codes)) {
        return body(borrow<std::int8_t>(codes, "codes"));
    }
    if (holds<std::int16_t>(codes)) {
        return body(borrow<std::int16_t>(codes, "codes"));
    }
    if (holds<std::int32_t>(codes)) {
        return body(borrow<std::int32_t>(codes, "codes"));
    }
    if (holds<std::int64_t>(codes)) {
        return body(borrow<std::int64_t>(codes, "codes"));
    }
    throw py::type_error("codes must have dtype int8, int16, int32 or int64, but have " + type_name(codes));
}

PyWeightTable finish(std::unique_ptr<MassSource> source, py::object arrays) {
    std::shared_ptr<const WeightTable> table;
    {
        const py::gil_scoped_release release;
        table = std::make_shared<const WeightTable>(std::move(source));
    }
    return {std::move(table), std::move(arrays)};
}

PyWeightTable from_values(const py::array& weights, const py::object& indices) {
    const Subset subset = borrow_indices(indices);
    if (holds<float>(weights)) {
        return finish(make_value_source(borrow<float>(weights, "weights"), subset), py::make_tuple(weights, indices));
    }
    if (holds<double>(weights)) {
        return finish(make_value_source(borrow<double>(weights, "weights"), subset), py::make_tuple(weights, indices));
    }
    throw py::type_error("weights must have dtype float32 or float64, but have " + type_name(weights));
}

PyWeightTable from_codes(const py::array& codes, const py::array& class_weights, const py::object& indices,
                         const py::object& counts) {
    const Subset subset = borrow_indices(indices);
    const std::span<const double> weights = borrow<double>(class_weights, "class_weights");
    std::span<const index_t> known;
    if (!counts.is_none()) {
        known = borrow<index_t>(counts.cast<py::array>(), "counts");
        if (known.size() != weights.size()) {
            throw std::invalid_argument("counts must have one entry for each of the " + std::to_string(weights.size()) +
                                        " classes, but have " + std::to_string(known.size()));
        }
    }
    return with_codes(codes, [&](auto span) {
        return finish(make_code_source(span, weights, subset, known), py::make_tuple(codes, indices));
    });
}

py::array_t<index_t> class_counts(const py::array& codes, index_t n_classes) {
    require_at_least("n_classes", n_classes, 0);
    py::array_t<index_t> out = new_indices(n_classes);
    const std::span<index_t> counts = span_of(out);
    std::fill(counts.begin(), counts.end(), 0);
    with_codes(codes, [&](auto span) {
        const py::gil_scoped_release release;
        count_codes(span, {}, counts);
    });
    return out;
}

}  // namespace

void register_weights(py::module_& m) {
    py::class_<PyWeightTable>(
        m, "WeightTable",
        "Weights prepared for drawing: O(n) to build, at most 9 bytes for 8 rows kept, borrows its arrays.")
        .def_static("from_values", &from_values, py::arg("weights"), py::arg("indices") = py::none())
        .def_static("from_codes", &from_codes, py::arg("codes"), py::arg("class_weights"),
                    py::arg("indices") = py::none(), py::arg("counts") = py::none())
        .def_static(
            "uniform",
            [](index_t n) {
                require_size("n", n, 1);
                return PyWeightTable{std::make_shared<const WeightTable>(WeightTable::uniform(static_cast<u64>(n))),
                                     py::none()};
            },
            py::arg("n"))
        .def_property_readonly("n", [](const PyWeightTable& t) { return t.table->size(); })
        .def_property_readonly("n_positive", [](const PyWeightTable& t) { return t.table->positive(); })
        .def_property_readonly("total", [](const PyWeightTable& t) { return t.table->total(); })
        .def_property_readonly("scale_exponent", [](const PyWeightTable& t) { return t.table->scale_exponent(); })
        .def_property_readonly("fingerprint", [](const PyWeightTable& t) { return t.table->fingerprint(); });
    m.def("class_counts", &class_counts, py::arg("codes"), py::arg("n_classes"));
}

}  // namespace tombola::bindings
