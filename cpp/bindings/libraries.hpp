// Libraries of codecs, by the addresses of their functions.
#pragma once

#include <cstdint>
#include <optional>
#include <tuple>
#include <type_traits>

#include "tombola/rows/codecs.hpp"

namespace tombola::bindings {

// Of what makes a decompressor, what frees it and what uses it
using Addresses = std::tuple<std::uintptr_t, std::uintptr_t, std::uintptr_t>;

inline CodecLibraries libraries_at(const std::optional<Addresses>& inflate, const std::optional<Addresses>& zstd) {
    CodecLibraries libraries;
    const auto fill = [](const Addresses& addresses, auto& make, auto& destroy, auto& decode) {
        make = reinterpret_cast<std::remove_reference_t<decltype(make)>>(std::get<0>(addresses));
        destroy = reinterpret_cast<std::remove_reference_t<decltype(destroy)>>(std::get<1>(addresses));
        decode = reinterpret_cast<std::remove_reference_t<decltype(decode)>>(std::get<2>(addresses));
    };
    if (inflate) {
        fill(*inflate, libraries.inflate.make, libraries.inflate.destroy, libraries.inflate.inflate);
    }
    if (zstd) {
        fill(*zstd, libraries.zstd.make, libraries.zstd.destroy, libraries.zstd.decompress);
    }
    return libraries;
}

}  // namespace tombola::bindings
