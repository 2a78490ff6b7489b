// Chunks of Blosc 1 and of the filter lz4: what was put in comes out, and what lies about its size is refused.
#include <memory>
#include <string>
#include <vector>

#include "check.hpp"
#include "encoders.hpp"
#include "reference.hpp"
#include "tombola/rows/blosc.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

Bytes content(std::size_t bytes) {
    Bytes out(bytes);
    for (std::size_t i = 0; i < bytes; ++i) {
        out[i] = static_cast<std::byte>(noise(i / 5, bytes) % 7);
    }
    return out;
}

// As a copy on the heap, so that the address sanitizer sees an access beside it
void decode(const Bytes& chunk, Bytes& out, const std::vector<ByteRange>& ranges) {
    const Bytes in(chunk);
    Codecs codecs;
    codecs.use(stand_ins);
    BloscDecoder(codecs).decode({in.data(), in.size(), out.data(), out.size()}, ranges);
}

std::string fault_of(const Bytes& chunk, std::size_t wanted) {
    Bytes out(wanted);
    try {
        decode(chunk, out, {{0, wanted}});
    } catch (const ChunkDamage& damage) {
        return damage.what;
    }
    return {};
}

bool says(const std::string& what, const std::string& part) { return what.find(part) != std::string::npos; }

TEST(chunks_give_what_was_put_in) {
    for (const std::size_t item : {1U, 2U, 3U, 4U, 8U, 16U, 17U, 255U}) {
        for (const std::size_t items : {1U, 7U, 8U, 128U, 200U, 1'000U}) {
            for (const std::size_t extra : {0U, 4U}) {  // bytes of a checksum, for one
                const Bytes raw = content(item * items + extra);
                for (const std::size_t block : {std::size_t{8}, std::size_t{128}, std::size_t{203}, items}) {
                    for (const unsigned shuffled : {0U, 1U, 2U}) {
                        for (const unsigned codec : {0U, 1U, 3U, 4U}) {
                            for (const bool splits : {false, true}) {
                                const Bytes chunk = blosc_chunk(
                                    raw, {item, block * item, static_cast<BloscCodec>(codec), shuffled, splits});
                                Bytes out(raw.size());
                                decode(chunk, out, {{0, out.size()}});
                                CHECK(out == raw);
                            }
                        }
                    }
                }
                Bytes out(raw.size());
                decode(blosc_chunk(raw, {.item = item, .block = 64, .shuffle = 1, .is_copy = true}), out,
                       {{0, out.size()}});
                CHECK(out == raw);
            }
        }
    }
}

TEST(only_blocks_that_are_wanted_are_decoded) {
    const Bytes raw = content(4'000);
    for (const bool is_copy : {false, true}) {
        const Bytes chunk = blosc_chunk(raw, {.item = 4, .block = 400, .shuffle = 1, .is_copy = is_copy});
        const auto check_blocks = [&](const std::vector<ByteRange>& ranges, const std::vector<bool>& wanted) {
            Bytes out(raw.size(), std::byte{99});
            decode(chunk, out, ranges);
            for (std::size_t i = 0; i < out.size(); ++i) {
                CHECK(out[i] == (wanted[i / 400] ? raw[i] : std::byte{99}));
            }
        };
        check_blocks({}, std::vector<bool>(10));
        check_blocks({{0, 1}}, {true, false, false, false, false, false, false, false, false, false});
        check_blocks({{399, 401}, {400, 800}, {3'999, 4'000}},
                     {true, true, false, false, false, false, false, false, false, true});
        check_blocks({{300, 300}, {800, 1'600}, {1'000, 1'100}, {1'500, 2'001}},
                     {false, false, true, true, true, true, false, false, false, false});
    }
}

TEST(bits_are_put_back) {
    for (const std::size_t item : {1U, 2U, 3U, 4U, 8U, 100U, 255U}) {
        for (const std::size_t items : {8U, 16U, 1'024U, 4'104U}) {
            const Bytes raw = content(item * items);
            const Bytes moved = shuffle_bits(raw, item);
            Bytes out(raw.size());
            unshuffle_bits(moved.data(), items, item, out.data());
            CHECK(out == raw);
        }
    }
}

TEST(headers_that_lie) {
    const Bytes raw = content(4'000);
    const Bytes chunk = blosc_chunk(raw, {.item = 4, .block = 1'000, .codec = BloscCodec::lz4, .shuffle = 1});
    const auto with = [&](std::size_t at, std::size_t number, std::size_t bytes) {
        Bytes changed = chunk;
        for (std::size_t i = 0; i < bytes; ++i) {
            changed[at + i] = static_cast<std::byte>(number >> 8 * i);
        }
        return fault_of(changed, raw.size());
    };
    CHECK_EQ(fault_of(chunk, raw.size()), std::string());
    CHECK(says(with(0, 3, 1), "of versions 3 and 1 with flags"));
    CHECK(says(with(1, 2, 1), "of versions 2 and 2 with flags"));
    CHECK(says(with(2, 1U | 8U | 32U, 1), "with flags 41, not of versions 2 and 1 with known flags"));
    CHECK(says(with(2, 1U | 2U << 5U, 1), "number 2, which is none of blosclz, lz4, zlib and zstd"));
    CHECK(says(with(2, 1U | 7U << 5U, 1), "number 7, which is none of"));
    CHECK(says(with(2, 2, 1), "too few for its content"));
    CHECK(says(with(3, 0, 1), "has items of 0 and blocks of 1000 bytes"));
    CHECK(says(with(3, 7, 1), "blocks of 1000 bytes do not hold whole items of 7"));
    CHECK(says(with(4, 3'999, 4), "gives 3999 bytes instead of 4000"));
    CHECK(says(with(4, ~0U, 4), "gives 4294967295 bytes instead of 4000"));
    CHECK(says(with(8, 0, 4), "blocks of 0 bytes"));
    CHECK(says(with(8, 4'001, 4), "blocks of 4001 bytes"));
    CHECK(says(with(8, 1, 4), "too few for its content"));
    CHECK(says(with(12, chunk.size() + 1, 4), "bytes, but there are"));
    CHECK(says(with(12, 15, 4), "it has 15 bytes, but there are"));
    CHECK(says(with(12, 31, 4), "it has 31 bytes, too few for its content"));
    CHECK(says(with(20, chunk.size(), 4), "block 1 of its blosc chunk ends beyond it"));
    CHECK(says(with(20, chunk.size() - 3, 4), "block 1 of its blosc chunk ends beyond it"));
    CHECK(says(with(20, ~0U, 4), "block 1 of its blosc chunk ends beyond it"));
    CHECK(says(with(32, ~0U, 4), "block 0 of its blosc chunk ends beyond it"));
    for (std::size_t bytes = 0; bytes < chunk.size(); ++bytes) {
        CHECK(says(fault_of(part(chunk, 0, bytes), raw.size()), bytes < 16 ? "too short" : "but there are"));
    }
}

TEST(libraries_that_are_not_there) {
    const Bytes raw = content(400);
    Bytes out(400);
    const ByteRange all{0, 400};
    for (const auto& [codec, what] : {std::pair{BloscCodec::zlib, "by deflate, but libdeflate was not found"},
                                      std::pair{BloscCodec::zstd, "by zstd, but libzstd was not found"}}) {
        const Bytes chunk = blosc_chunk(raw, {.item = 4, .block = 400, .codec = codec, .shuffle = 1});
        Codecs codecs;
        try {
            BloscDecoder(codecs).decode({chunk.data(), chunk.size(), out.data(), 400}, {&all, 1});
            CHECK(false);
        } catch (const ChunkDamage& damage) {
            CHECK(says(damage.what, what));
        }
    }
}

TEST(bytes_that_changed) {
    for (u64 seed = 0; seed < 400; ++seed) {
        const auto draw = [&](u64 what, std::size_t below) {
            return static_cast<std::size_t>(noise(seed, what) % below);
        };
        const std::size_t item = 1 + draw(0, 9);
        const Bytes raw = content(item * (1 + draw(1, 900)));
        constexpr std::array codecs{BloscCodec::blosclz, BloscCodec::lz4, BloscCodec::zlib, BloscCodec::zstd};
        const Bytes chunk = blosc_chunk(raw, {item, item * (1 + draw(2, 300)), codecs[draw(3, 4)],
                                              static_cast<unsigned>(draw(4, 3)), draw(5, 2) == 0});
        for (u64 i = 0; i < 60; ++i) {
            Bytes changed = chunk;
            changed[draw(10 + 3 * i, i % 3 == 0 ? std::min<std::size_t>(40, chunk.size()) : chunk.size())] ^=
                static_cast<std::byte>(1U << draw(11 + 3 * i, 8));
            Bytes first(raw.size(), std::byte{1});
            Bytes second(raw.size(), std::byte{2});
            const auto try_out = [&](Bytes& out) {
                try {
                    decode(changed, out, {{0, out.size()}});
                    return true;
                } catch (const ChunkDamage&) {
                    return false;
                }
            };
            const bool is_decoded = try_out(first);
            CHECK_EQ(try_out(second), is_decoded);
            CHECK(!is_decoded || first == second);  // every byte was written
        }
    }
}

TEST(lz4_blocks_that_lie) {
    const Bytes raw = content(230);
    const Bytes chunk = lz4_blocks(raw, 50);
    const auto fault = [](const Bytes& stored, std::size_t wanted) {
        const Bytes in(stored);
        Bytes out(wanted);
        try {
            Codecs().lz4_blocks({in.data(), in.size(), out.data(), wanted});
        } catch (const ChunkDamage& damage) {
            return damage.what;
        }
        return std::string();
    };
    const auto with = [&](std::size_t at, std::size_t number, std::size_t bytes) {
        Bytes changed = chunk;
        for (std::size_t i = 0; i < bytes; ++i) {
            changed[at + bytes - 1 - i] = static_cast<std::byte>(number >> 8 * i);
        }
        return fault(changed, raw.size());
    };
    CHECK_EQ(fault(chunk, raw.size()), std::string());
    CHECK_EQ(with(8, 50, 4), std::string());
    CHECK(says(fault(chunk, 231), "its lz4 blocks are to give 230 bytes instead of 231"));
    CHECK(says(with(0, ~std::size_t{0}, 8), "are to give 18446744073709551615 bytes instead of 230"));
    CHECK(says(with(8, 0, 4), "its lz4 blocks are to have 0 bytes each"));
    CHECK(says(with(8, 49, 4), "its lz4 stream is damaged, or gives more than the 49 bytes that are wanted"));
    CHECK(says(with(8, 51, 4), "its lz4 stream gives 50 bytes instead of 51"));
    CHECK(says(with(12, ~0U, 4), "the chunk ends inside of its lz4 blocks"));
    for (std::size_t bytes = 0; bytes < chunk.size(); ++bytes) {
        CHECK(says(fault(part(chunk, 0, bytes), raw.size()), bytes < 12 ? "too short" : "ends inside of"));
    }
}

}  // namespace
