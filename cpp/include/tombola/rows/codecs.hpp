// Codecs of HDF5's filters: bytes as a filter wrote them to as many as it was given. deflate and zstd are inflated by
// the functions of a library, wherever they come from; the others are expanded here (streams.hpp).
//
// What lies behind the end of a stream is not looked at, as by HDF5's own filters; zstd refuses it.
#pragma once

#include <string>

#include "tombola/base/types.hpp"

namespace tombola {

// libdeflate's functions
struct InflateLibrary {
    void* (*make)() = nullptr;
    void (*destroy)(void*) = nullptr;
    // 0 where the stream ended well, with what it gave
    int (*inflate)(void* made, const void* in, std::size_t in_bytes, void* out, std::size_t room, std::size_t* in_used,
                   std::size_t* given) = nullptr;
};

// libzstd's functions
struct ZstdLibrary {
    void* (*make)() = nullptr;
    std::size_t (*destroy)(void*) = nullptr;
    // How many bytes the frames gave; more than there can be where they are damaged
    std::size_t (*decompress)(void* made, void* out, std::size_t room, const void* in, std::size_t in_bytes) = nullptr;
};

struct CodecLibraries {
    InflateLibrary inflate;
    ZstdLibrary zstd;
};

// Why a chunk's bytes are not what they should be
struct ChunkDamage {
    std::string what;
};

// A stream, and the room for what it has to give, neither more nor less
struct Encoded {
    const std::byte* in;
    std::size_t in_bytes;
    std::byte* out;
    std::size_t wanted;
};

// What one thread decompresses with: made when it is first needed, and kept. All of it throws ChunkDamage where a
// stream does not give what is wanted; `out` may be half filled then.
class Codecs {
  public:
    Codecs() = default;
    ~Codecs();
    Codecs(const Codecs&) = delete;
    Codecs& operator=(const Codecs&) = delete;

    // Goes on with these libraries.
    void use(const CodecLibraries& libraries);

    // A stream in zlib's frame (RFC 1950), whose checksum is compared
    void inflate(const Encoded& stream);
    // Frames of zstd (RFC 8878), whose checksums are compared where they have one
    void zstd(const Encoded& stream);
    void lzf(const Encoded& stream) const;
    void blosclz(const Encoded& stream) const;
    // A block of LZ4
    void lz4(const Encoded& stream) const;
    // Blocks of LZ4 as the registered filter 32004 writes them: how long all are and each is, then each with its
    // length before it, as it is where that is its whole length. All numbers are big-endian.
    void lz4_blocks(const Encoded& stream) const;

  private:
    CodecLibraries libraries_;
    void* inflater_ = nullptr;
    void* zstd_ = nullptr;
};

}  // namespace tombola
