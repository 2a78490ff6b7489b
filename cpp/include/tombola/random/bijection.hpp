// A keyed bijection of [0, n) with random access: p(i) without the others, and its inverse.
//
// Small domains (n < exact_below) hold a table made by the exact shuffle. Larger ones are a generalised Feistel
// network (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002) over the mixed-radix domain 2^h * b >= n
// with both halves near sqrt(n); fewer than 2^h points lie outside [0, n), so that walking a cycle back into it is
// rare. One radix is a power of two: an index is split and joined by shifts. O(1) a point; the table O(n).
#pragma once

#include <memory>
#include <vector>

#include "tombola/kernels/kernels.hpp"
#include "tombola/random/philox.hpp"

namespace tombola {

class Bijection {
  public:
    // exact_below >= 3 or n >= 3; std::invalid_argument for n above 2^62
    Bijection(u64 n, u64 key, u64 exact_below);

    u64 size() const noexcept { return n_; }
    bool exact() const noexcept { return !table_.empty(); }

    // p(first), p(first + 1), ...; first + out.size() <= n
    void fill(u64 first, std::size_t count, u64* out) const;
    // The same; meanwhile it gathers ahead (kernels.hpp).
    void fill(u64 first, std::size_t count, u64* out, const GatherAhead& ahead) const;
    // p(in[t]); every in[t] < n. `in` may be `out`.
    void at(const u64* in, std::size_t count, u64* out) const;
    void inverse_at(const u64* in, std::size_t count, u64* out) const;

    u64 operator()(u64 i) const {
        at(&i, 1, &i);
        return i;
    }
    u64 inverse(u64 x) const {
        inverse_at(&x, 1, &x);
        return x;
    }

  private:
    u64 n_;
    std::vector<u32> table_;    // exact: p
    std::vector<u32> inverse_;  // exact: its inverse
    Feistel feistel_{};
};

}  // namespace tombola
