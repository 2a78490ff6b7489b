// The one file whose content is an input, for targets that read files.
#pragma once

#include <unistd.h>

#include <cstdio>

#include "fuzz.hpp"

namespace tombola::fuzz {

inline int shared_descriptor() {
    static std::FILE* const file = std::tmpfile();
    require(file != nullptr, "a temporary file");
    return ::fileno(file);
}

inline void write(int descriptor, const Bytes& bytes) {
    require(::ftruncate(descriptor, 0) == 0, "a file can be emptied");
    require(::pwrite(descriptor, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()), "and written");
}

}  // namespace tombola::fuzz
