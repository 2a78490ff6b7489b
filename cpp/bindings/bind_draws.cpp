// Unsorted draws by weights that stay: the alias table, and the one over groups.
#include "arrays.hpp"
#include "register.hpp"
#include "tombola/replay/alias_table.hpp"
#include "tombola/replay/grouped_alias.hpp"
#include "weights.hpp"

namespace tombola::bindings {
namespace {

static_assert(sizeof(AliasTable::Column) == 2 * sizeof(u32));

AliasTable build_alias(const PyWeightTable& weights) {
    const std::shared_ptr<const WeightTable> table = weights.table;
    const py::gil_scoped_release release;
    return AliasTable(*table);
}

AliasTable alias_from_columns(const py::array& columns) {
    const std::span<const u32> words = borrow<u32>(columns, "columns");
    if (words.size() % 2 != 0) {
        throw std::invalid_argument("columns must hold two numbers each, but there are " +
                                    std::to_string(words.size()));
    }
    std::vector<AliasTable::Column> given(words.size() / 2);
    std::memcpy(given.data(), words.data(), words.size_bytes());
    return AliasTable(given);
}

py::array_t<u32> alias_columns(const AliasTable& table) {
    py::array_t<u32> out(static_cast<py::ssize_t>(2 * table.size()));
    std::memcpy(out.mutable_data(), table.columns().data(), table.columns().size_bytes());
    return out;
}

py::array_t<index_t> alias_draw(const AliasTable& table, index_t size, u64 seed, u64 epoch) {
    require_size("size", size, 0);
    py::array_t<index_t> out = new_indices(size);
    const std::span<index_t> rows = span_of(out);
    const py::gil_scoped_release release;
    table.draw(seed, epoch, 0, rows);
    return out;
}

GroupedAlias build_grouped(const py::array& offsets, const py::array& weights) {
    return {borrow<index_t>(offsets, "offsets"), borrow<double>(weights, "weights")};
}

py::array_t<index_t> grouped_draw(const GroupedAlias& table, index_t size, u64 seed, u64 epoch,
                                  const py::object& members) {
    require_size("size", size, 0);
    py::array_t<index_t> out = new_indices(size);
    const std::span<index_t> rows = span_of(out);
    const auto draw = [&](auto... from) {
        const py::gil_scoped_release release;
        table.draw(seed, epoch, 0, from..., rows);
    };
    if (members.is_none()) {
        draw();
    } else if (const py::array array = members.cast<py::array>(); holds<std::int32_t>(array)) {
        draw(borrow<std::int32_t>(array, "members"));
    } else {
        draw(borrow<index_t>(array, "members"));
    }
    return out;
}

}  // namespace

void register_draws(py::module_& m) {
    py::class_<AliasTable>(m, "AliasTable", "Unsorted weighted draws with replacement: O(1) a draw, 8 bytes a row.")
        .def(py::init(&build_alias), py::arg("weights"))
        .def_static("from_columns", &alias_from_columns, py::arg("columns"))
        .def_property_readonly("n", &AliasTable::size)
        .def("columns", &alias_columns)
        .def("draw", &alias_draw, py::arg("size"), py::arg("seed"), py::arg("epoch") = 0);
    py::class_<GroupedAlias>(m, "GroupedAlias", "Draws from groups of rows of equal weight: O(1) a draw, O(groups).")
        .def(py::init(&build_grouped), py::arg("offsets"), py::arg("weights"))
        .def_property_readonly("n", &GroupedAlias::size)
        .def_property_readonly("n_groups", &GroupedAlias::groups)
        .def("draw", &grouped_draw, py::arg("size"), py::arg("seed"), py::arg("epoch") = 0,
             py::arg("members") = py::none());
}

}  // namespace tombola::bindings
