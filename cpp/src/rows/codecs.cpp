#include "tombola/rows/codecs.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "tombola/rows/streams.hpp"

namespace tombola {
namespace {

[[noreturn]] void fail(std::string what) { throw ChunkDamage{std::move(what)}; }

[[noreturn]] void fail_short(const char* codec, std::size_t given, std::size_t wanted) {
    fail("its " + std::string(codec) + " stream gives " + std::to_string(given) + " bytes instead of " +
         std::to_string(wanted));
}

u64 big_endian(const std::byte* from, std::size_t bytes) noexcept {
    u64 value = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
        value = value << 8U | std::to_integer<u64>(from[i]);
    }
    return value;
}

template <typename Expand>
void expand(const char* codec, const Encoded& stream, Expand how) {
    const std::size_t given = how(stream.in, stream.in_bytes, stream.out, stream.wanted);
    if (given == 0) {
        fail("its " + std::string(codec) + " stream is damaged, or gives more than the " +
             std::to_string(stream.wanted) + " bytes that are wanted");
    }
    if (given != stream.wanted) {
        fail_short(codec, given, stream.wanted);
    }
}

void* required(void* made) {
    if (made == nullptr) {
        throw std::bad_alloc();
    }
    return made;
}

}  // namespace

Codecs::~Codecs() { use({}); }

void Codecs::use(const CodecLibraries& libraries) {
    if (inflater_ != nullptr && libraries.inflate.inflate != libraries_.inflate.inflate) {
        libraries_.inflate.destroy(std::exchange(inflater_, nullptr));
    }
    if (zstd_ != nullptr && libraries.zstd.decompress != libraries_.zstd.decompress) {
        libraries_.zstd.destroy(std::exchange(zstd_, nullptr));
    }
    libraries_ = libraries;
}

void Codecs::inflate(const Encoded& stream) {
    const InflateLibrary& library = libraries_.inflate;
    if (library.inflate == nullptr) {
        fail("its stream is by deflate, but libdeflate was not found");
    }
    if (inflater_ == nullptr) {
        inflater_ = required(library.make());
    }
    std::size_t used = 0;
    std::size_t given = 0;
    const int status = library.inflate(inflater_, stream.in, stream.in_bytes, stream.out, stream.wanted, &used, &given);
    if (status != 0) {
        constexpr int too_long = 3;
        fail(status == too_long
                 ? "its deflate stream gives more than the chunk's " + std::to_string(stream.wanted) + " bytes"
                 : "its deflate stream is damaged");
    }
    if (given != stream.wanted) {
        fail_short("deflate", given, stream.wanted);
    }
}

void Codecs::zstd(const Encoded& stream) {
    const ZstdLibrary& library = libraries_.zstd;
    if (library.decompress == nullptr) {
        fail("its stream is by zstd, but libzstd was not found");
    }
    if (zstd_ == nullptr) {
        zstd_ = required(library.make());
    }
    const std::size_t given = library.decompress(zstd_, stream.out, stream.wanted, stream.in, stream.in_bytes);
    if (given > stream.wanted) {  // an error's number, negative
        fail("its zstd stream is damaged, or gives more than the " + std::to_string(stream.wanted) +
             " bytes that are wanted");
    }
    if (given != stream.wanted) {
        fail_short("zstd", given, stream.wanted);
    }
}

void Codecs::lzf(const Encoded& stream) const { expand("lzf", stream, expand_lzf); }

void Codecs::blosclz(const Encoded& stream) const { expand("blosclz", stream, expand_blosclz); }

void Codecs::lz4(const Encoded& stream) const { expand("lz4", stream, expand_lz4); }

void Codecs::lz4_blocks(const Encoded& stream) const {
    constexpr std::size_t header = 12;
    constexpr std::size_t of_length = 4;
    if (stream.in_bytes < header) {
        fail("the chunk is too short for the header of its lz4 blocks");
    }
    const u64 all = big_endian(stream.in, 8);
    const u64 block = big_endian(stream.in + 8, of_length);
    if (all != stream.wanted) {
        fail("its lz4 blocks are to give " + std::to_string(all) + " bytes instead of " +
             std::to_string(stream.wanted));
    }
    if (block == 0) {
        fail("its lz4 blocks are to have 0 bytes each");
    }
    std::size_t at = header;
    for (std::size_t done = 0; done < stream.wanted;) {
        const std::size_t room = static_cast<std::size_t>(std::min<u64>(block, stream.wanted - done));
        std::size_t left = stream.in_bytes - at;
        if (left < of_length || left - of_length < big_endian(stream.in + at, of_length)) {
            fail("the chunk ends inside of its lz4 blocks");
        }
        const std::size_t bytes = static_cast<std::size_t>(big_endian(stream.in + at, of_length));
        at += of_length;
        if (bytes == room) {
            std::memcpy(stream.out + done, stream.in + at, room);
        } else {
            lz4({stream.in + at, bytes, stream.out + done, room});
        }
        at += bytes;
        done += room;
    }
}

}  // namespace tombola
