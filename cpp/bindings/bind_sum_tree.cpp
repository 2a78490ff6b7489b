// The sum tree behind a lock: draws run side by side, an update waits for them and they for it.
#include <mutex>
#include <shared_mutex>

#include "arrays.hpp"
#include "register.hpp"
#include "tombola/base/per_process.hpp"
#include "tombola/replay/sum_tree.hpp"

namespace tombola::bindings {
namespace {

using Mutex = PerProcess<std::shared_mutex>;

// The interpreter is let go of first: whoever holds the lock may wait for it.
template <typename Body>
auto reading(const Mutex& mutex, Body body) {
    const py::gil_scoped_release release;
    const std::shared_lock lock(mutex.get());
    return body();
}
template <typename Body>
void writing(const Mutex& mutex, Body body) {
    const py::gil_scoped_release release;
    const std::unique_lock lock(mutex.get());
    body();
}

class PySumTree {
  public:
    explicit PySumTree(index_t n) : tree_(checked(n)) {}

    index_t n() const { return static_cast<index_t>(tree_.size()); }
    u64 positive() const {
        return reading(mutex_, [&] { return tree_.positive(); });
    }
    // The sum of the masses, and the exponent of their scale
    std::pair<mass_t, int> scaled_total() const {
        return reading(mutex_, [&] { return std::pair{tree_.total(), tree_.fit().exponent}; });
    }

    void fill(const py::array& weights) {
        if (holds<float>(weights)) {
            writing(mutex_, [this, span = borrow<float>(weights, "weights")] { tree_.fill(span); });
        } else {
            writing(mutex_, [this, span = borrow<double>(weights, "weights")] { tree_.fill(span); });
        }
    }
    void update(const py::array& slots, const py::array& weights) {
        const std::span<const index_t> at = borrow<index_t>(slots, "slots");
        const std::span<const double> values = borrow<double>(weights, "weights");
        writing(mutex_, [&] { tree_.update(at, values); });
    }
    py::array_t<double> weights() const {
        py::array_t<double> out(static_cast<py::ssize_t>(n()));
        double* const to = out.mutable_data();
        reading(mutex_, [&] { std::copy(tree_.weights().begin(), tree_.weights().end(), to); });
        return out;
    }
    py::array_t<double> get(const py::array& slots) const {
        const std::span<const index_t> at = borrow<index_t>(slots, "slots");
        py::array_t<double> out(static_cast<py::ssize_t>(at.size()));
        const std::span<double> values(out.mutable_data(), at.size());
        reading(mutex_, [&] { tree_.get(at, values); });
        return out;
    }
    // Masses over the total
    py::array_t<double> probabilities(const py::array& slots) const {
        const std::span<const index_t> at = borrow<index_t>(slots, "slots");
        py::array_t<double> out(static_cast<py::ssize_t>(at.size()));
        double* const to = out.mutable_data();
        reading(mutex_, [&] {
            std::vector<mass_t> masses(at.size());
            tree_.masses(at, masses);
            divide(masses, tree_.total(), to);
        });
        return out;
    }
    // Slots, the probability that the first draw of all gives each, and how many slots can be drawn
    py::tuple draw(index_t size, u64 seed, u64 step, bool replace, bool stratified) const {
        require_size("size", size, 0);
        py::array_t<index_t> out = new_indices(size);
        py::array_t<double> probabilities(static_cast<py::ssize_t>(size));
        const std::span<index_t> slots = span_of(out);
        double* const to = probabilities.mutable_data();
        const u64 positive = reading(mutex_, [&] {
            std::vector<mass_t> masses(slots.size());
            if (replace) {
                tree_.draw(seed, step, stratified ? SumTree::Draws::stratified : SumTree::Draws::independent, slots,
                           masses);
            } else {
                tree_.draw_distinct(seed, step, slots, masses);
            }
            divide(masses, tree_.total(), to);
            return tree_.positive();
        });
        return py::make_tuple(out, probabilities, positive);
    }
    py::tuple state() const {
        py::array_t<double> out(static_cast<py::ssize_t>(n()));
        double* const to = out.mutable_data();
        const SumTree::Fit fit = reading(mutex_, [&] {
            std::copy(tree_.weights().begin(), tree_.weights().end(), to);
            return tree_.fit();
        });
        return py::make_tuple(out, fit.chosen, fit.exponent, fit.low);
    }
    void restore(const py::array& weights, bool chosen, int exponent, mass_t low) {
        const std::span<const double> values = borrow<double>(weights, "weights");
        writing(mutex_, [&] { tree_.restore(values, {.chosen = chosen, .exponent = exponent, .low = low}); });
    }

  private:
    SumTree tree_;
    Mutex mutex_;

    static u64 checked(index_t n) {
        require_at_least("n", n, 1);
        return static_cast<u64>(n);
    }
    static void divide(std::span<const mass_t> masses, mass_t total, double* out) {
        const double by = static_cast<double>(total);
        std::transform(masses.begin(), masses.end(), out, [by](mass_t m) { return static_cast<double>(m) / by; });
    }
};

}  // namespace

void register_sum_tree(py::module_& m) {
    py::class_<PySumTree>(m, "SumTree", "Weights that change, and draws in proportion to them: O(log n) each.")
        .def(py::init<index_t>(), py::arg("n"))
        .def_property_readonly("n", &PySumTree::n)
        .def_property_readonly("n_positive", &PySumTree::positive)
        .def_property_readonly("scaled_total", &PySumTree::scaled_total)
        .def("fill", &PySumTree::fill, py::arg("weights"))
        .def("update", &PySumTree::update, py::arg("slots"), py::arg("weights"))
        .def("weights", &PySumTree::weights)
        .def("get", &PySumTree::get, py::arg("slots"))
        .def("probabilities", &PySumTree::probabilities, py::arg("slots"))
        .def("draw", &PySumTree::draw, py::arg("size"), py::arg("seed"), py::arg("step") = 0, py::kw_only(),
             py::arg("replace") = true, py::arg("stratified") = false)
        .def("state", &PySumTree::state)
        .def("restore", &PySumTree::restore, py::arg("weights"), py::arg("chosen"), py::arg("exponent"),
             py::arg("low"));
}

}  // namespace tombola::bindings
