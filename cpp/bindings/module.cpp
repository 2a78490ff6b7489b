// tombola._core: the core under Python.
#include "register.hpp"

PYBIND11_MODULE(_core, m) {
    m.doc() = "The C++ core of tombola.";
    tombola::bindings::register_runtime(m);
    tombola::bindings::register_permutations(m);
    tombola::bindings::register_weights(m);
    tombola::bindings::register_draws(m);
    tombola::bindings::register_sum_tree(m);
    tombola::bindings::register_plans(m);
    tombola::bindings::register_csr(m);
    tombola::bindings::register_transform(m);
    tombola::bindings::register_chunks(m);
    tombola::bindings::register_pointers(m);
    tombola::bindings::register_texts(m);
    tombola::bindings::register_contents(m);
    tombola::bindings::register_groups(m);
    tombola::bindings::register_composed(m);
    tombola::bindings::register_buffers(m);
    tombola::bindings::register_replay(m);
}
