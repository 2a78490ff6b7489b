// Exact and random-access permutations.
#include "arrays.hpp"
#include "register.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/random/bijection.hpp"
#include "tombola/random/permutation.hpp"

namespace tombola::bindings {
namespace {

constexpr u64 exact_below = 65;
constexpr index_t part = index_t{1} << 17U;  // indices a task

class RandomPermutation {
  public:
    RandomPermutation(index_t n, u64 key) : key_(key), bijection_(checked(n), stream_key(key), exact_below) {}

    index_t n() const { return static_cast<index_t>(bijection_.size()); }
    u64 key() const { return key_; }
    index_t at(index_t i) const { return static_cast<index_t>(bijection_(checked_index(i))); }
    index_t inverse_at(index_t x) const { return static_cast<index_t>(bijection_.inverse(checked_index(x))); }

    py::array_t<index_t> fill(index_t start, index_t stop) const {
        if (start < 0 || start > stop || stop > n()) {
            throw py::index_error("the range must lie in [0, " + std::to_string(n()) + "], but is [" +
                                  std::to_string(start) + ", " + std::to_string(stop) + ")");
        }
        py::array_t<index_t> out = new_indices(stop - start);
        const std::span<index_t> rows = span_of(out);
        const py::gil_scoped_release release;
        in_parts(rows.size(), [&](std::size_t first, std::size_t count) {
            bijection_.fill(static_cast<u64>(start) + first, count, reinterpret_cast<u64*>(rows.data() + first));
        });
        return out;
    }
    template <bool inverse>
    py::array_t<index_t> take(const py::array& positions) const {
        const std::span<const index_t> in = borrow<index_t>(positions, inverse ? "values" : "positions");
        py::array_t<index_t> out = new_indices(static_cast<index_t>(in.size()));
        const std::span<index_t> rows = span_of(out);
        const py::gil_scoped_release release;
        in_parts(rows.size(), [&](std::size_t first, std::size_t count) {
            for (std::size_t i = first; i < first + count; ++i) {
                rows[i] =
                    static_cast<index_t>(checked_index(in[i]));  // a copy: the caller's array may change meanwhile
            }
            u64* const mine = reinterpret_cast<u64*>(rows.data() + first);
            if constexpr (inverse) {
                bijection_.inverse_at(mine, count, mine);
            } else {
                bijection_.at(mine, count, mine);
            }
        });
        return out;
    }

  private:
    u64 key_;
    Bijection bijection_;

    static u64 checked(index_t n) {
        require_size("n", n, 0);
        return static_cast<u64>(n);
    }
    static u64 stream_key(u64 key) { return derive_key(key, 0, Purpose::random_permutation); }
    u64 checked_index(index_t i) const {
        if (i < 0 || i >= n()) {
            throw py::index_error("the index must lie in [0, " + std::to_string(n()) + "), but is " +
                                  std::to_string(i));
        }
        return static_cast<u64>(i);
    }
    template <typename Body>
    static void in_parts(std::size_t size, Body body) {
        parallel_for((static_cast<index_t>(size) + part - 1) / part, [&](index_t task) {
            const std::size_t first = static_cast<std::size_t>(task * part);
            body(first, std::min(static_cast<std::size_t>(part), size - first));
        });
    }
};

py::array_t<index_t> exact_permutation(index_t n, u64 seed) {
    require_size("n", n, 0);
    py::array_t<index_t> out = new_indices(n);
    const std::span<index_t> rows = span_of(out);
    const py::gil_scoped_release release;
    permutation(seed, rows);
    return out;
}

}  // namespace

void register_permutations(py::module_& m) {
    m.def("permutation", &exact_permutation, py::arg("n"), py::arg("seed"));
    py::class_<RandomPermutation>(m, "RandomPermutation", "A keyed bijection of [0, n): O(1) an element, O(1) memory.")
        .def(py::init<index_t, u64>(), py::arg("n"), py::arg("key"))
        .def_property_readonly("n", &RandomPermutation::n)
        .def_property_readonly("key", &RandomPermutation::key)
        .def("__len__", &RandomPermutation::n)
        .def("at", &RandomPermutation::at, py::arg("i"))
        .def("inverse_at", &RandomPermutation::inverse_at, py::arg("x"))
        .def("fill", &RandomPermutation::fill, py::arg("start"), py::arg("stop"))
        .def("take", &RandomPermutation::take<false>, py::arg("positions"))
        .def("inverse_take", &RandomPermutation::take<true>, py::arg("values"));
}

}  // namespace tombola::bindings
