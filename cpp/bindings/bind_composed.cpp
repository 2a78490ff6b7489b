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

std::vector<Context> make_contexts(const std::vector<u64>& firsts, const std::vector<u64>& groups,
                                   const std::vector<u64>& use_firsts, const std::vector<u64>& use_batches) {
    if (firsts.empty() || groups.size() % firsts.size() != 0 || use_firsts.size() != groups.size() ||
        use_batches.size() != groups.size()) {
        throw std::invalid_argument(
            "groups, use_firsts and use_batches must have one entry for each context and "
            "stratum");
    }
    const std::size_t strata = groups.size() / firsts.size();
    std::vector<Context> contexts;
    for (std::size_t c = 0; c < firsts.size(); ++c) {
        Context context{firsts[c], {}};
        for (std::size_t i = c * strata; i < (c + 1) * strata; ++i) {
            context.uses.push_back({groups[i], use_firsts[i], use_batches[i]});
        }
        contexts.push_back(std::move(context));
    }
    return contexts;
}

PyPlan plan_mixture(const std::shared_ptr<Groups>& groups, const std::string& portions, const py::array& amounts,
                    const py::array& context_firsts, const py::array& context_groups, const py::array& use_firsts,
                    const py::array& use_batches, index_t batches, const py::object& pass_rows,
                    const py::object& make_pass, index_t batch_size, index_t fetch_factor, bool drop_last, u64 seed,
                    u64 epoch) {
    const PlanOptions options = make_options(batch_size, fetch_factor, drop_last, seed, epoch);
    require_size("batches", batches, 1);
    Mixture mixture{groups, {}, {}, static_cast<u64>(batches), {}, {}};
    if (portions == "counts") {
        mixture.portions.counts = numbers(amounts, "amounts");
    } else if (portions == "shares") {
        mixture.portions.shares = numbers(amounts, "amounts");
    } else if (portions == "positions") {
        mixture.portions.positions = borrow<index_t>(amounts, "amounts");
    } else {
        throw std::invalid_argument("portions must be \"counts\", \"shares\" or \"positions\", but is \"" + portions +
                                    "\"");
    }
    mixture.contexts =
        make_contexts(numbers(context_firsts, "context_firsts"), numbers(context_groups, "context_groups"),
                      numbers(use_firsts, "use_firsts"), numbers(use_batches, "use_batches"));
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
          py::arg("context_firsts"), py::arg("context_groups"), py::arg("use_firsts"), py::arg("use_batches"),
          py::arg("batches"), py::arg("pass_rows") = py::none(), py::arg("make_pass") = py::none(),
          py::arg("batch_size"), py::arg("fetch_factor"), py::arg("drop_last"), py::arg("seed"), py::arg("epoch"));
}

}  // namespace tombola::bindings
