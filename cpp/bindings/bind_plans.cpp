// Plans: one class over the core's interface, and a function for each kind.
#include "plans.hpp"
#include "register.hpp"
#include "tombola/orders/bounded_order.hpp"
#include "tombola/orders/draws.hpp"
#include "tombola/orders/rounds.hpp"
#include "weights.hpp"

namespace tombola::bindings {
namespace {

Subset subset_of(const py::object& indices, index_t n) {
    require_size("n", n, 0);
    const Subset subset = borrow_indices(indices);
    if (subset && static_cast<index_t>(subset->size()) != n) {
        throw std::invalid_argument("n must be the number of indices, " + std::to_string(subset->size()) + ", but is " +
                                    std::to_string(n));
    }
    return subset;
}

PyPlan plan_streaming(index_t n, bool shuffle, const py::object& indices, index_t batch_size, index_t fetch_factor,
                      bool drop_last, u64 seed, u64 epoch) {
    const PlanOptions options = make_options(batch_size, fetch_factor, drop_last, seed, epoch);
    const Subset subset = subset_of(indices, n);
    auto order = std::make_unique<const StreamingOrder>(static_cast<u64>(n));
    return {std::make_unique<const WindowedPlan>(std::move(order), subset, shuffle, options), options, indices};
}

PyPlan plan_blocks(index_t n, index_t block_size, const py::object& indices, index_t batch_size, index_t fetch_factor,
                   bool drop_last, u64 seed, u64 epoch) {
    const PlanOptions options = make_options(batch_size, fetch_factor, drop_last, seed, epoch);
    require_size("block_size", block_size, 1);
    const Subset subset = subset_of(indices, n);
    auto order = std::make_unique<const BlockOrder>(std::make_shared<const CountingSequence>(static_cast<u64>(n)),
                                                    static_cast<u64>(block_size), seed, epoch);
    return {std::make_unique<const WindowedPlan>(std::move(order), subset, block_size > 1, options), options, indices};
}

std::shared_ptr<BlockBounds> make_bounds(const py::array& bounds, const py::object& indices) {
    const std::span<const index_t> rows = borrow<index_t>(bounds, "bounds");
    const Subset subset = borrow_indices(indices);
    const py::gil_scoped_release release;
    return std::make_shared<BlockBounds>(rows, subset);
}

PyPlan plan_bounded_blocks(const std::shared_ptr<BlockBounds>& bounds, const py::object& indices, index_t batch_size,
                           index_t fetch_factor, bool drop_last, u64 seed, u64 epoch) {
    const PlanOptions options = make_options(batch_size, fetch_factor, drop_last, seed, epoch);
    const Subset subset = subset_of(indices, static_cast<index_t>(bounds->size()));
    std::unique_ptr<const Plan> plan;
    {
        const py::gil_scoped_release release;
        plan = std::make_unique<const WindowedPlan>(std::make_unique<const BoundedOrder>(bounds, seed, epoch), subset,
                                                    bounds->largest() > 1, options);
    }
    return {std::move(plan), options, indices};
}

std::unique_ptr<const Order> weighted_order(std::shared_ptr<const WeightTable> table, u64 block_size, u64 draws,
                                            const std::string& draw, u64 sampling_size, u64 seed, u64 epoch) {
    if (sampling_size > 0) {
        return std::make_unique<const RoundOrder>(std::move(table), draws, sampling_size, block_size, seed, epoch);
    }
    std::shared_ptr<const Sequence> sequence;
    if (draw == "iid") {
        sequence = std::make_shared<const IidSequence>(std::move(table), draws, seed, epoch);
    } else if (draw == "stratified") {
        sequence = std::make_shared<const StratifiedSequence>(std::move(table), draws, seed, epoch);
    } else {
        throw std::invalid_argument("draw must be \"stratified\" or \"iid\", but is \"" + draw + "\"");
    }
    return std::make_unique<const BlockOrder>(std::move(sequence), block_size, seed, epoch);
}

PyPlan plan_weighted(const PyWeightTable& table, index_t block_size, index_t draws, const std::string& draw,
                     index_t sampling_size, const py::object& indices, index_t batch_size, index_t fetch_factor,
                     bool drop_last, u64 seed, u64 epoch) {
    const PlanOptions options = make_options(batch_size, fetch_factor, drop_last, seed, epoch);
    require_size("block_size", block_size, 1);
    require_size("draws", draws, 1);
    require_at_least("sampling_size", sampling_size, 0);
    const Subset subset = indices.is_none() ? Subset{} : subset_of(indices, static_cast<index_t>(table.table->size()));
    py::object arrays = py::make_tuple(table.arrays, indices);
    std::unique_ptr<const Plan> plan;
    {
        const py::gil_scoped_release release;
        plan = std::make_unique<const WindowedPlan>(
            weighted_order(table.table, static_cast<u64>(block_size), static_cast<u64>(draws), draw,
                           static_cast<u64>(sampling_size), seed, epoch),
            subset, block_size > 1, options);
    }
    return {std::move(plan), options, std::move(arrays)};
}

PyObject* new_int(index_t value) {
    if constexpr (sizeof(long) >= sizeof(index_t)) {
        return PyLong_FromLong(value);  // the faster one
    } else {
        return PyLong_FromLongLong(value);
    }
}

// Lists of the rows of batches first, first + step, ... below `stop`, of which offsets tell where each begins. Here and
// not by NumPy's tolist: an integer costs 8 ns, of which there is nothing to save, and that adds another 2.
py::list as_lists(const py::array& rows, const py::array& offsets, index_t first, index_t stop, index_t step) {
    const std::span<const index_t> row_span = borrow<index_t>(rows, "rows");
    const std::span<const index_t> bounds = borrow<index_t>(offsets, "offsets");
    require_at_least("first", first, 0);
    require_at_least("step", step, 1);
    if (stop >= static_cast<index_t>(bounds.size())) {
        throw std::invalid_argument("stop must be less than the number of offsets, " + std::to_string(bounds.size()) +
                                    ", but is " + std::to_string(stop));
    }
    const auto list_of = [&](std::size_t batch) {
        const index_t from = bounds[batch];
        const index_t to = bounds[batch + 1];
        if (from < 0 || from > to || to > static_cast<index_t>(row_span.size())) {
            throw std::invalid_argument("offsets must rise from 0 to the number of rows, " +
                                        std::to_string(row_span.size()));
        }
        py::list list(static_cast<std::size_t>(to - from));
        for (index_t i = from; i < to; ++i) {
            PyObject* const number = new_int(row_span[static_cast<std::size_t>(i)]);
            if (number == nullptr) {
                throw py::error_already_set();
            }
            PyList_SET_ITEM(list.ptr(), i - from, number);
        }
        return list;
    };
    py::list lists(static_cast<std::size_t>(first < stop ? (stop - first + step - 1) / step : 0));
    py::ssize_t at = 0;
    for (index_t batch = first; batch < stop; batch += step) {
        PyList_SET_ITEM(lists.ptr(), at++, list_of(static_cast<std::size_t>(batch)).release().ptr());
    }
    return lists;
}

}  // namespace

void register_plans(py::module_& m) {
    m.attr("PLAN_VERSION") = plan_version;
    py::class_<PyPlan>(m, "Plan", "The immutable batches of one epoch, with random access.")
        .def("__len__", &PyPlan::size)
        .def_property_readonly("n_rows", &PyPlan::n_rows)
        .def_property_readonly("batch_size", &PyPlan::batch_size)
        .def_property_readonly("fetch_factor", &PyPlan::fetch_factor)
        .def("offset", &PyPlan::offset, py::arg("k"))
        .def("batches", &PyPlan::batches, py::arg("start"), py::arg("stop"));
    m.def("as_lists", &as_lists, py::arg("rows"), py::arg("offsets"), py::arg("first"), py::arg("stop"),
          py::arg("step"));
    m.def("plan_streaming", &plan_streaming, py::arg("n"), py::kw_only(), py::arg("shuffle"),
          py::arg("indices") = py::none(), py::arg("batch_size"), py::arg("fetch_factor"), py::arg("drop_last"),
          py::arg("seed"), py::arg("epoch"));
    m.def("plan_blocks", &plan_blocks, py::arg("n"), py::kw_only(), py::arg("block_size"),
          py::arg("indices") = py::none(), py::arg("batch_size"), py::arg("fetch_factor"), py::arg("drop_last"),
          py::arg("seed"), py::arg("epoch"));
    py::class_<BlockBounds, std::shared_ptr<BlockBounds>>(
        m, "BlockBounds", "Where blocks begin: O(blocks) to build, 8 bytes a block, a copy.")
        .def(py::init(&make_bounds), py::arg("bounds"), py::arg("indices") = py::none())
        .def_property_readonly("n", &BlockBounds::size)
        .def_property_readonly("n_blocks", &BlockBounds::blocks)
        .def_property_readonly("largest", &BlockBounds::largest);
    m.def("plan_bounded_blocks", &plan_bounded_blocks, py::arg("bounds"), py::kw_only(),
          py::arg("indices") = py::none(), py::arg("batch_size"), py::arg("fetch_factor"), py::arg("drop_last"),
          py::arg("seed"), py::arg("epoch"));
    m.def("plan_weighted", &plan_weighted, py::arg("table"), py::kw_only(), py::arg("block_size"), py::arg("draws"),
          py::arg("draw"), py::arg("sampling_size"), py::arg("indices") = py::none(), py::arg("batch_size"),
          py::arg("fetch_factor"), py::arg("drop_last"), py::arg("seed"), py::arg("epoch"));
}

}  // namespace tombola::bindings
