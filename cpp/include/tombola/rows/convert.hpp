// Numbers of one type given as another, none of them changed but by rounding. O(values), one pass.
#pragma once

#include <string_view>

#include "tombola/base/types.hpp"

namespace tombola {

// Writes `count` values; false if one has become another: one beyond the range of the type. NaN and infinities stay.
using Convert = bool (*)(const std::byte* in, std::size_t count, std::byte* out);

// Types are named as NumPy does, "i4" or "f8", in the machine's byte order. nullptr where the pair is not known: to
// floats all are but from halves, to "i4" and "i8" integers.
Convert converter(std::string_view from, std::string_view to) noexcept;

}  // namespace tombola
