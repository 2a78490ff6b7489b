// Plans of composed batches: tuples of classes, mixtures of strata.
#include <pybind11/functional.h>

#include "plans.hpp"
#include "register.hpp"
#include "tombola/plans/mixture_plan.hpp"
#include "tombola/plans/per_class_plan.hpp"

namespace tombola::bindings {
namespace {

std::shared_ptr<Tuples> make_tuples(const std::shared_ptr<Groups>& classes, index_t rows_per_class, bool repeat) {
    require_size("rows_per_class", rows_per_class, 1);
    const py::gil_scoped_release release;
    return std::make_shared<Tuples>(classes, static_cast<u64>(rows_per_class), repeat);
}

PyPlan plan_per_class(const std::shared_ptr<Tuples>& tuples, index_t batch_size, index_t fetch_factor, bool drop_last,
                      u64 seed, u64 epoch) {
    const PlanOptions options = make_options(batch_size, fetch_factor, drop_last, seed, epoch);
    std::unique_ptr<const Plan> plan;
    {
        const py::gil_scoped_release release;
        plan = make_per_class_plan(tuples, options);
    }
    return {std::move(plan), options, py::none()};
}

std::vector<u64> numbers(const py::array& array, const char* name) {
    const std::span<const index_t> values = borrow<index_t>(array, name);
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (values[i] < 0) {
            throw std::invalid_argument(std::string(name) + " must be >= 0, but " + name + "[" + std::to_string(i) +
                                        "] = " + std::to_string(values[i]));
        }
    }
    return {values.begin(), values.end()};
}

// A plan that Python made, kept alive with what it borrows.
std::shared_ptr<const Plan> share(py::object made) {
    const Plan* const plan = &made.cast<const PyPlan&>().core();
    const std::shared_ptr<py::object> keep(new py::object(std::move(made)), [](const py::object* object) {
        const py::gil_scoped_acquire acquire;
        delete object;
    });
    return {keep, plan};
}

// Three numbers a split: its first part, the rest, and the share of the first part.
std::vector<Split> splits_of(const py::array& array) {
    const std::vector<u64> values = numbers(array, "amounts");
    if (values.empty() || values.size() % 3 != 0) {
        throw std::invalid_argument("amounts must be three numbers a split, but are " + std::to_string(values.size()));
    }
    std::vector<Split> splits;
    for (std::size_t i = 0; i < values.size(); i += 3) {
        splits.push_back({values[i], values[i + 1], values[i + 2]});
    }
    return splits;
}

Portions make_portions(const std::string& kind, const py::array& amounts) {
    if (kind == "counts") {
        return {numbers(amounts, "amounts"), {}, {}};
    }
    if (kind == "splits") {
        return {{}, splits_of(amounts), {}};
    }
    if (kind == "positions") {
        return {{}, {}, borrow<index_t>(amounts, "amounts")};
    }
    throw std::invalid_argument("portions must be \"counts\", \"splits\" or \"positions\", but is \"" + kind + "\"");
}

PyPlan plan_mixture(const std::shared_ptr<Groups>& groups, const std::string& portions, const py::array& amounts,
                    const py::array& context_firsts, const py::array& context_groups, index_t batches,
                    const py::object& pass_rows, const py::object& make_pass, index_t batch_size, index_t fetch_factor,
                    bool drop_last, u64 seed, u64 epoch) {
    const PlanOptions options = make_options(batch_size, fetch_factor, drop_last, seed, epoch);
    require_size("batches", batches, 1);
    std::vector<u64> firsts = numbers(context_firsts, "context_firsts");
    std::vector<u64> used = numbers(context_groups, "context_groups");
    const u64 strata = firsts.empty() ? 0 : used.size() / firsts.size();
    Mixture mixture{
        groups, strata, make_portions(portions, amounts), static_cast<u64>(batches), std::move(firsts), std::move(used),
        {},     {}};
    if (!pass_rows.is_none()) {
        const std::span<const index_t> rows = borrow<index_t>(pass_rows.cast<py::array>(), "pass_rows");
        mixture.pass_rows.assign(rows.begin(), rows.end());
        mixture.make_pass = [make_pass](index_t group, index_t pass) {
            const py::gil_scoped_acquire acquire;
            return share(make_pass(group, pass));
        };
    }
    return {make_mixture_plan(std::move(mixture), options), options, py::make_tuple(groups, amounts)};
}

}  // namespace

void register_composed(py::module_& m) {
    py::class_<Tuples, std::shared_ptr<Tuples>>(m, "Tuples", "Rows of each class in tuples of equally many.")
        .def(py::init(&make_tuples), py::arg("classes"), py::arg("rows_per_class"), py::arg("repeat"))
        .def_property_readonly("n_tuples", [](const Tuples& t) { return t.tuples()->size(); })
        .def_property_readonly("n_classes", [](const Tuples& t) { return t.tuples()->groups(); });
    m.def("plan_per_class", &plan_per_class, py::arg("tuples"), py::kw_only(), py::arg("batch_size"),
          py::arg("fetch_factor"), py::arg("drop_last"), py::arg("seed"), py::arg("epoch"));
    m.def("plan_mixture", &plan_mixture, py::arg("groups"), py::kw_only(), py::arg("portions"), py::arg("amounts"),
          py::arg("context_firsts"), py::arg("context_groups"), py::arg("batches"), py::arg("pass_rows") = py::none(),
          py::arg("make_pass") = py::none(), py::arg("batch_size"), py::arg("fetch_factor"), py::arg("drop_last"),
          py::arg("seed"), py::arg("epoch"));
}

}  // namespace tombola::bindings
