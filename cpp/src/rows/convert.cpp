#include "tombola/rows/convert.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace tombola {
namespace {

template <typename From, typename To>
bool convert_values(const std::byte* in, std::size_t count, std::byte* out) {
    bool fits = true;
    for (std::size_t i = 0; i < count; ++i) {
        From value;
        std::memcpy(&value, in + i * sizeof(From), sizeof(From));
        const To given = static_cast<To>(value);
        if constexpr (std::is_same_v<From, double> && std::is_same_v<To, float>) {
            fits &= !std::isinf(given) || std::isinf(value);
        } else if constexpr (std::is_integral_v<To>) {
            // Of the same value and sign: a value out of range has wrapped
            fits &= static_cast<From>(given) == value && (given < 0) == (value < From{0});
        }
        std::memcpy(out + i * sizeof(To), &given, sizeof(To));
    }
    return fits;
}

template <typename From>
Convert to_type(std::string_view to) noexcept {
    if (to == "f4") {
        return convert_values<From, float>;
    }
    if (to == "f8") {
        return convert_values<From, double>;
    }
    if constexpr (std::is_integral_v<From>) {
        if (to == "i4") {
            return convert_values<From, std::int32_t>;
        }
        if (to == "i8") {
            return convert_values<From, std::int64_t>;
        }
    }
    return nullptr;
}

}  // namespace

Convert converter(std::string_view from, std::string_view to) noexcept {
    if (from == "i1") {
        return to_type<std::int8_t>(to);
    }
    if (from == "i2") {
        return to_type<std::int16_t>(to);
    }
    if (from == "i4") {
        return to_type<std::int32_t>(to);
    }
    if (from == "i8") {
        return to_type<std::int64_t>(to);
    }
    if (from == "u1") {
        return to_type<std::uint8_t>(to);
    }
    if (from == "u2") {
        return to_type<u16>(to);
    }
    if (from == "u4") {
        return to_type<u32>(to);
    }
    if (from == "u8") {
        return to_type<u64>(to);
    }
    if (from == "f4") {
        return to_type<float>(to);
    }
    return from == "f8" ? to_type<double>(to) : nullptr;
}

}  // namespace tombola
