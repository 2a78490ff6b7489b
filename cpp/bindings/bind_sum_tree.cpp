// The sum tree behind a lock: draws run side by side, an update waits for them and they for it.
//
// No Python code runs under the lock, so whatever a signal handler does with a tree, it waits for nothing that its own
// thread holds. Many draws are made in slices, and signals are looked for between them; where the tree was changed
// meanwhile, all are made anew in one go: they are always those of one tree.
//
// A child that is forked while another thread changes a tree has a tree that is half changed, and a lock that is open
// (per_process.hpp). It is told so, until it sets all weights.
#include <atomic>
#include <mutex>
#include <shared_mutex>

#include "arrays.hpp"
#include "register.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/base/per_process.hpp"
#include "tombola/replay/sum_tree.hpp"

namespace tombola::bindings {
namespace {

constexpr std::size_t little_work = 4096;
constexpr std::size_t draws_a_slice = std::size_t{1} << 20U;  // some 50 ms

class LockedSumTree {
  public:
    explicit LockedSumTree(u64 n) : tree_(n) {}

    u64 size() const noexcept { return tree_.size(); }

    // body(tree, number of changes so far)
    template <typename Body>
    auto read(Body body) const {
        const py::gil_scoped_release release;  // first: whoever holds the lock may wait for the interpreter
        const WithoutHooks quiet;
        const std::shared_lock lock(mutex_.get());
        check();
        return body(tree_, changes_);
    }
    template <typename Body>
    void change(std::size_t work, Body body) {
        const py::gil_scoped_release release;
        expect(work);
        const WithoutHooks quiet;
        const std::unique_lock lock(mutex_.get());
        check();
        const Mark mark(*this);
        body(tree_);
    }
    // For so many slots: where threads will be used their number is asked for in front of the lock.
    static void expect(std::size_t work) {
        if (work > little_work) {
            get_num_threads();
        }
    }
    // A change that sets all there is
    template <typename Body>
    void renew(Body body) {
        const py::gil_scoped_release release;
        expect(static_cast<std::size_t>(size()));
        const WithoutHooks quiet;
        const std::unique_lock lock(mutex_.get());
        const bool was_half_changed = changing_;
        Mark mark(*this);
        try {
            body(tree_);
        } catch (...) {
            mark.keep = was_half_changed;  // wrong input: nothing has changed
            throw;
        }
    }

  private:
    SumTree tree_;
    PerProcess<std::shared_mutex> mutex_;
    std::atomic<bool> changing_{false};  // seen by whoever holds the lock, it is what a parent's thread left
    u64 changes_ = 0;

    struct Mark {
        explicit Mark(LockedSumTree& owner_) : owner(owner_) {
            owner.changing_ = true;
            ++owner.changes_;
        }
        ~Mark() { owner.changing_ = keep; }
        Mark(const Mark&) = delete;
        Mark& operator=(const Mark&) = delete;
        LockedSumTree& owner;
        bool keep = false;
    };

    void check() const {
        if (changing_) {
            throw std::runtime_error(
                "another thread was changing the sum tree when this process was forked: fill it, or load a state, "
                "before using it here");
        }
    }
};

class PySumTree {
  public:
    explicit PySumTree(index_t n) : tree_(checked(n)) {}

    index_t n() const { return static_cast<index_t>(tree_.size()); }
    u64 positive() const {
        return tree_.read([](const SumTree& tree, u64) { return tree.positive(); });
    }
    // The sum of the masses, and the exponent of their scale
    std::pair<mass_t, int> scaled_total() const {
        return tree_.read([](const SumTree& tree, u64) { return std::pair{tree.total(), tree.fit().exponent}; });
    }

    void fill(const py::array& weights) {
        if (holds<float>(weights)) {
            tree_.renew([span = borrow<float>(weights, "weights")](SumTree& tree) { tree.fill(span); });
        } else {
            tree_.renew([span = borrow<double>(weights, "weights")](SumTree& tree) { tree.fill(span); });
        }
    }
    void update(const py::array& slots, const py::array& weights) {
        const std::span<const index_t> at = borrow<index_t>(slots, "slots");
        const std::span<const double> values = borrow<double>(weights, "weights");
        tree_.change(at.size(), [&](SumTree& tree) { tree.update(at, values); });
    }
    // Whether both are arrays that `update` takes as they are: then it was called.
    bool try_update(const py::object& slots, const py::object& weights) {
        const bool are_ready = is_borrowable<index_t>(slots) && is_borrowable<double>(weights);
        if (are_ready) {
            update(py::reinterpret_borrow<py::array>(slots), py::reinterpret_borrow<py::array>(weights));
        }
        return are_ready;
    }
    py::array_t<double> weights() const {
        py::array_t<double> out(static_cast<py::ssize_t>(n()));
        double* const to = out.mutable_data();
        tree_.read([to](const SumTree& tree, u64) { return std::ranges::copy(tree.weights(), to).out; });
        return out;
    }
    py::array_t<double> get(const py::array& slots) const {
        const std::span<const index_t> at = borrow<index_t>(slots, "slots");
        py::array_t<double> out(static_cast<py::ssize_t>(at.size()));
        const std::span<double> values(out.mutable_data(), at.size());
        tree_.read([&](const SumTree& tree, u64) { tree.get(at, values); });
        return out;
    }
    // Masses over the total
    py::array_t<double> probabilities(const py::array& slots) const {
        const std::span<const index_t> at = borrow<index_t>(slots, "slots");
        py::array_t<double> out(static_cast<py::ssize_t>(at.size()));
        double* const to = out.mutable_data();
        tree_.read([&](const SumTree& tree, u64) {
            std::vector<mass_t> masses(at.size());
            tree.masses(at, masses);
            divide(masses, tree.total(), to);
        });
        return out;
    }
    // Slots, the probability that the first draw of all gives each, and how many slots can be drawn
    py::tuple draw(index_t size, u64 seed, u64 step, bool replace, bool stratified) const {
        require_size("size", size, 0);
        py::array_t<index_t> out = new_indices(size);
        py::array_t<double> probabilities(static_cast<py::ssize_t>(size));
        const std::span<index_t> slots = span_of(out);
        const std::span<double> p(probabilities.mutable_data(), slots.size());
        u64 positive = 0;
        if (replace) {
            positive = draw_in_slices(seed, step, stratified ? SumTree::Draws::stratified : SumTree::Draws::independent,
                                      slots, p);
        } else {
            positive = tree_.read([&](const SumTree& tree, u64) {
                std::vector<mass_t> masses(slots.size());
                tree.draw_distinct(seed, step, slots, masses);
                divide(masses, tree.total(), p.data());
                return tree.positive();
            });
        }
        return py::make_tuple(out, probabilities, positive);
    }
    py::tuple state() const {
        py::array_t<double> out(static_cast<py::ssize_t>(n()));
        double* const to = out.mutable_data();
        const SumTree::Fit fit = tree_.read([to](const SumTree& tree, u64) {
            std::ranges::copy(tree.weights(), to);
            return tree.fit();
        });
        return py::make_tuple(out, fit.chosen, fit.exponent, fit.low);
    }
    void restore(const py::array& weights, bool chosen, int exponent, mass_t low) {
        const std::span<const double> values = borrow<double>(weights, "weights");
        tree_.renew([&](SumTree& tree) { tree.restore(values, {.chosen = chosen, .exponent = exponent, .low = low}); });
    }

  private:
    LockedSumTree tree_;

    static u64 checked(index_t n) {
        require_at_least("n", n, 1);
        return static_cast<u64>(n);
    }
    static void divide(std::span<const mass_t> masses, mass_t total, double* out) {
        const double by = static_cast<double>(total);
        std::transform(masses.begin(), masses.end(), out, [by](mass_t m) { return static_cast<double>(m) / by; });
    }

    u64 draw_in_slices(u64 seed, u64 step, SumTree::Draws draws, std::span<index_t> slots,
                       std::span<double> probabilities) const {
        LockedSumTree::expect(slots.size());
        std::vector<mass_t> masses(std::min(slots.size(), draws_a_slice));
        u64 changes = 0;
        u64 positive = 0;
        const auto slice = [&](std::size_t first, std::size_t count) {
            return tree_.read([&](const SumTree& tree, u64 changes_now) {
                if (first == 0) {
                    changes = changes_now;
                    positive = tree.positive();
                } else if (changes != changes_now) {
                    return false;
                }
                tree.draw_part(seed, step, draws, first, slots.size(), slots.subspan(first, count),
                               std::span(masses).first(count));
                divide(std::span(masses).first(count), tree.total(), probabilities.data() + first);
                return true;
            });
        };
        std::size_t done = 0;
        do {
            const std::size_t count = std::min(slots.size() - done, draws_a_slice);
            if (!slice(done, count)) {
                masses.resize(slots.size());
                slice(0, slots.size());
                return positive;
            }
            done += count;
            if (done < slots.size()) {
                check_interrupt();
            }
        } while (done < slots.size());
        return positive;
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
        .def("try_update", &PySumTree::try_update, py::arg("slots"), py::arg("weights"))
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
