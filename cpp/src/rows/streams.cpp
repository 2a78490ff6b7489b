#include "tombola/rows/streams.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace tombola {
namespace {

// Copies may write so many bytes beyond what is wanted, where there is room for them.
constexpr std::size_t slack = 32;

template <std::size_t bytes>
void copy_block(unsigned char* to, const unsigned char* from) noexcept {
    std::array<unsigned char, bytes> held;  // the two may overlap
    std::memcpy(held.data(), from, bytes);
    std::memcpy(to, held.data(), bytes);
}

// Both ends of what is still to be read
struct Input {
    const unsigned char* from;
    const unsigned char* end;

    Input(const std::byte* in, std::size_t bytes)
        : from(reinterpret_cast<const unsigned char*>(in)), end(from + bytes) {}
    std::size_t left() const noexcept { return static_cast<std::size_t>(end - from); }
};

// Where the next byte goes, and both ends of the room
struct Output {
    unsigned char* begin;
    unsigned char* to;
    unsigned char* end;

    Output(std::byte* out, std::size_t bytes)
        : begin(reinterpret_cast<unsigned char*>(out)), to(begin), end(begin + bytes) {}
    std::size_t given() const noexcept { return static_cast<std::size_t>(to - begin); }
    std::size_t room() const noexcept { return static_cast<std::size_t>(end - to); }
};

bool put_literals(Input& in, Output& out, std::size_t count) noexcept {
    if (in.left() < count || out.room() < count) {
        return false;
    }
    if (count <= slack && in.left() >= slack && out.room() >= slack) {
        copy_block<slack>(out.to, in.from);
    } else {
        std::copy_n(in.from, count, out.to);  // memcpy takes no nullptr, even for nothing
    }
    in.from += count;
    out.to += count;
    return true;
}

// Blocks from `back` bytes behind, which are at least as many, up to a block beyond `stop`
template <std::size_t bytes>
void put_blocks(unsigned char* to, std::size_t back, const unsigned char* stop) noexcept {
    do {
        copy_block<bytes>(to, to - back);
        to += bytes;
    } while (to < stop);
}

// A pattern of less than 8 bytes again and again, up to 8 bytes beyond `stop`
void put_pattern(unsigned char* to, std::size_t back, const unsigned char* stop) noexcept {
    constexpr std::size_t word_bytes = sizeof(u64);
    u64 word = 0;
    std::memcpy(&word, to - back, word_bytes);  // little-endian: the pattern is what is lowest
    word &= ~u64{0} >> (8 * (word_bytes - back));
    for (std::size_t known = back; known < word_bytes; known *= 2) {
        word |= word << (8 * known);
    }
    if (word_bytes % back == 0) {
        do {
            std::memcpy(to, &word, word_bytes);
            to += word_bytes;
        } while (to < stop);
        return;
    }
    std::memcpy(to, &word, word_bytes);
    to += word_bytes;
    if (to < stop) {  // a multiple of the pattern behind there are 8 bytes by now
        put_blocks<word_bytes>(to, 2 * back < word_bytes ? 3 * back : 2 * back, stop);
    }
}

// `count` bytes from `back` bytes behind, which may repeat what is just being written
bool put_copy(Output& out, std::size_t back, std::size_t count) noexcept {
    const std::size_t room = out.room();
    if (back == 0 || out.given() < back || room < count) {
        return false;
    }
    unsigned char* const stop = out.to + count;
    unsigned char* const fast_stop = room - count >= slack ? stop : stop - std::min(count, slack);
    if (out.to != fast_stop) {
        if (back >= 16) {
            put_blocks<16>(out.to, back, fast_stop);
        } else if (back >= 8) {
            put_blocks<8>(out.to, back, fast_stop);
        } else {
            put_pattern(out.to, back, fast_stop);
        }
    }
    for (out.to = fast_stop; out.to != stop; ++out.to) {
        *out.to = *(out.to - back);
    }
    return true;
}

// Adds bytes to `count` up to one that is not 255; false if there is none.
bool add_bytes(Input& in, std::size_t& count) noexcept {
    for (;;) {
        if (in.from == in.end) {
            return false;
        }
        const std::size_t more = *in.from++;
        count += more;
        if (more != 255) {
            return true;
        }
    }
}

std::size_t take_two_bytes(Input& in) noexcept {
    const std::size_t value = in.from[0] | std::size_t{in.from[1]} << 8U;
    in.from += 2;
    return value;
}

}  // namespace

std::size_t expand_lzf(const std::byte* stream, std::size_t bytes, std::byte* to, std::size_t room) noexcept {
    Input in(stream, bytes);
    Output out(to, room);
    constexpr std::size_t literals = 32;
    constexpr std::size_t longest = 7;  // lengths from here on have a byte of their own
    while (in.from != in.end) {
        const std::size_t control = *in.from++;
        if (control < literals) {
            if (!put_literals(in, out, control + 1)) {
                return 0;
            }
            continue;
        }
        std::size_t count = control >> 5U;
        if (in.left() < (count == longest ? 2U : 1U)) {
            return 0;
        }
        if (count == longest) {
            count += *in.from++;
        }
        const std::size_t back = ((control & 31U) << 8U) + *in.from++ + 1;
        if (!put_copy(out, back, count + 2)) {
            return 0;
        }
    }
    return out.given();
}

std::size_t expand_lz4(const std::byte* stream, std::size_t bytes, std::byte* to, std::size_t room) noexcept {
    Input in(stream, bytes);
    Output out(to, room);
    constexpr std::size_t longest = 15;  // lengths from here on have bytes of their own
    constexpr std::size_t shortest = 4;  // copy
    while (in.from != in.end) {
        const std::size_t token = *in.from++;
        std::size_t count = token >> 4U;
        if (count < longest && in.left() >= slack && out.room() >= 2 * slack) {
            copy_block<16>(out.to, in.from);
            in.from += count;
            out.to += count;
        } else {
            if ((count == longest && !add_bytes(in, count)) || !put_literals(in, out, count)) {
                return 0;
            }
            if (in.from == in.end) {
                return out.given();
            }
            if (in.left() < 2) {
                return 0;
            }
        }
        const std::size_t back = take_two_bytes(in);
        count = token & longest;
        if (count < longest && back >= 8 && back <= out.given() && out.room() >= slack) {
            copy_block<8>(out.to, out.to - back);
            copy_block<8>(out.to + 8, out.to + 8 - back);
            copy_block<2>(out.to + 16, out.to + 16 - back);
            out.to += count + shortest;
            continue;
        }
        if ((count == longest && !add_bytes(in, count)) || !put_copy(out, back, count + shortest)) {
            return 0;
        }
    }
    return 0;  // a stream ends with literals
}

std::size_t expand_blosclz(const std::byte* stream, std::size_t bytes, std::byte* to, std::size_t room) noexcept {
    Input in(stream, bytes);
    Output out(to, room);
    constexpr std::size_t literals = 32;
    constexpr std::size_t longest = 7;                    // lengths from here on have bytes of their own
    constexpr std::size_t farthest = (31U << 8U) + 255U;  // distances from here on have two bytes of their own
    std::size_t mask = literals - 1;                      // the first control byte holds the version above
    while (in.from != in.end) {
        const std::size_t control = *in.from++ & mask;
        mask = 255;
        if (control < literals) {
            if (!put_literals(in, out, control + 1)) {
                return 0;
            }
            continue;
        }
        std::size_t count = control >> 5U;
        if (count == longest && !add_bytes(in, count)) {
            return 0;
        }
        if (in.from == in.end) {
            return 0;
        }
        std::size_t back = ((control & 31U) << 8U) + *in.from++;
        if (back == farthest) {
            if (in.left() < 2) {
                return 0;
            }
            back += std::size_t{in.from[0]} << 8U | in.from[1];
            in.from += 2;
        }
        if (!put_copy(out, back + 1, count + 2)) {
            return 0;
        }
    }
    return out.given();
}

}  // namespace tombola
