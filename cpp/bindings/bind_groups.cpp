// Groups of rows, and the plans over them: series and buckets.
#include "plans.hpp"
#include "register.hpp"
#include "tombola/groups/groups.hpp"
#include "tombola/plans/bucket_plan.hpp"
#include "tombola/plans/series_plan.hpp"

namespace tombola::bindings {
namespace {

using SharedGroups = std::shared_ptr<Groups>;

template <typename Key>
SharedGroups group(const py::array& keys, const Subset& rows, bool wide) {
    const std::span<const Key> values = borrow<Key>(keys, "keys");
    const py::gil_scoped_release release;
    return std::make_shared<Groups>(Groups::from_keys(values, rows, wide));
}

SharedGroups from_keys(const py::array& keys, const py::object& indices, bool wide) {
    const Subset rows = borrow_indices(indices);
    if (holds<std::int8_t>(keys)) {
        return group<std::int8_t>(keys, rows, wide);
    }
    if (holds<std::int16_t>(keys)) {
        return group<std::int16_t>(keys, rows, wide);
    }
    if (holds<std::int32_t>(keys)) {
        return group<std::int32_t>(keys, rows, wide);
    }
    if (holds<std::int64_t>(keys)) {
        return group<std::int64_t>(keys, rows, wide);
    }
    throw py::type_error("keys must have dtype int8, int16, int32 or int64, but have " + type_name(keys));
}

py::array_t<index_t> offsets(const Groups& groups) {
    py::array_t<index_t> out = new_indices(static_cast<index_t>(groups.groups() + 1));
    const std::span<index_t> values = span_of(out);
    const py::gil_scoped_release release;
    groups.visit([&](const auto& a) { std::copy_n(a.offsets.data(), a.offsets.size(), values.data()); });
    return out;
}

py::array_t<index_t> members(const Groups& groups) {
    py::array_t<index_t> out = new_indices(static_cast<index_t>(groups.size()));
    const std::span<index_t> values = span_of(out);
    const py::gil_scoped_release release;
    groups.visit([&](const auto& a) { std::copy_n(a.members.data(), a.members.size(), values.data()); });
    return out;
}

py::array_t<index_t> members_of(const Groups& groups, index_t group) {
    if (group < 0 || group >= static_cast<index_t>(groups.groups())) {
        throw py::index_error("the group must lie in [0, " + std::to_string(groups.groups()) + "), but is " +
                              std::to_string(group));
    }
    const std::size_t g = static_cast<std::size_t>(group);
    return groups.visit([g](const auto& a) {
        const std::size_t count = static_cast<std::size_t>(a.offsets[g + 1] - a.offsets[g]);
        py::array_t<index_t> out = new_indices(static_cast<index_t>(count));
        std::copy_n(a.members.data() + a.offsets[g], count, span_of(out).data());
        return out;
    });
}

py::array_t<index_t> firsts(const Groups& groups) {
    py::array_t<index_t> out = new_indices(static_cast<index_t>(groups.groups()));
    const std::span<index_t> rows = span_of(out);
    const py::gil_scoped_release release;
    groups.visit([&](const auto& a) {
        for (std::size_t g = 0; g < rows.size(); ++g) {
            rows[g] = static_cast<index_t>(a.members[a.offsets[g]]);
        }
    });
    return out;
}

u64 fingerprint(const Groups& groups) {
    const py::gil_scoped_release release;
    return groups.fingerprint();
}

PyPlan plan_series(const SharedGroups& groups, const std::string& schedule, index_t per_series, bool shuffle,
                   index_t batch_size, index_t fetch_factor, bool drop_last, u64 seed, u64 epoch) {
    const PlanOptions options = make_options(batch_size, fetch_factor, drop_last, seed, epoch);
    std::unique_ptr<const Plan> plan;
    {
        const py::gil_scoped_release release;
        if (schedule == "balanced") {
            plan = make_balanced_plan(groups, {per_series, shuffle}, options);
        } else if (schedule == "round_robin") {
            plan = make_round_robin_plan(groups, shuffle, options);
        } else {
            throw std::invalid_argument("schedule must be \"balanced\" or \"round_robin\", but is \"" + schedule +
                                        "\"");
        }
    }
    return {std::move(plan), options, py::none()};
}

PyPlan plan_buckets(const SharedGroups& groups, const py::object& batch_sizes, bool shuffle, index_t batch_size,
                    index_t fetch_factor, bool drop_last, u64 seed, u64 epoch) {
    const PlanOptions options = make_options(batch_size, fetch_factor, drop_last, seed, epoch);
    const std::span<const index_t> sizes = batch_sizes.is_none()
                                               ? std::span<const index_t>{}
                                               : borrow<index_t>(batch_sizes.cast<py::array>(), "batch_sizes");
    if (!batch_sizes.is_none() && sizes.empty()) {
        throw std::invalid_argument("batch_sizes must have one entry for each of the " +
                                    std::to_string(groups->groups()) + " buckets, but have 0");
    }
    std::unique_ptr<const Plan> plan;
    {
        const py::gil_scoped_release release;
        plan = make_bucket_plan(groups, sizes, shuffle, options);
    }
    return {std::move(plan), options, py::none()};
}

}  // namespace

void register_groups(py::module_& m) {
    py::class_<Groups, SharedGroups>(m, "Groups", "Rows grouped by an integer key, as CSR.")
        .def_static("from_keys", &from_keys, py::arg("keys"), py::arg("indices") = py::none(), py::arg("wide") = false)
        .def_property_readonly("n", &Groups::size)
        .def_property_readonly("n_groups", &Groups::groups)
        .def_property_readonly("largest", &Groups::largest)
        .def_property_readonly("fingerprint", &fingerprint)
        .def("offsets", &offsets)
        .def("members", &members)
        .def("members_of", &members_of, py::arg("group"))
        .def("firsts", &firsts);
    m.def("plan_series", &plan_series, py::arg("groups"), py::kw_only(), py::arg("schedule"), py::arg("per_series"),
          py::arg("shuffle"), py::arg("batch_size"), py::arg("fetch_factor"), py::arg("drop_last"), py::arg("seed"),
          py::arg("epoch"));
    m.def("plan_buckets", &plan_buckets, py::arg("groups"), py::kw_only(), py::arg("batch_sizes") = py::none(),
          py::arg("shuffle"), py::arg("batch_size"), py::arg("fetch_factor"), py::arg("drop_last"), py::arg("seed"),
          py::arg("epoch"));
}

}  // namespace tombola::bindings
