// lzf streams, shuffled bytes and checksums, each against a plain version of its rule; lz4 and blosclz stay in their
// arrays.
#include "fuzz.hpp"
#include "tombola/rows/filters.hpp"
#include "tombola/rows/streams.hpp"

namespace tombola::fuzz {
namespace {

// A byte at a time; nothing where the stream is damaged
Bytes expanded(const Bytes& in, std::size_t room) {
    Bytes out;
    for (std::size_t at = 0; at < in.size();) {
        const std::size_t control = in[at++];
        std::size_t count = control + 1;
        std::size_t back = 0;
        if (control >= 32) {
            count = (control >> 5U) + 2;
            if (count == 9) {
                if (at == in.size()) {
                    return {};
                }
                count += in[at++];
            }
            if (at == in.size()) {
                return {};
            }
            back = (control % 32) * 256 + in[at++] + 1;
        } else if (in.size() - at < count) {
            return {};
        }
        if (count > room - out.size() || back > out.size()) {
            return {};
        }
        for (; count > 0; --count) {
            out.push_back(back == 0 ? in[at++] : out[out.size() - back]);
        }
    }
    return out;
}

void check_lzf(const Bytes& in, std::size_t room) {
    Bytes out(room);
    out.resize(expand_lzf(reinterpret_cast<const std::byte*>(in.data()), in.size(),
                          reinterpret_cast<std::byte*>(out.data()), room));
    require(out == expanded(in, room), "lzf gives what its stream says, or nothing");
}

void check_others(const Bytes& in, std::size_t room) {
    for (const auto expand : {expand_lz4, expand_blosclz}) {
        Bytes out(room);
        const std::size_t given = expand(reinterpret_cast<const std::byte*>(in.data()), in.size(),
                                         reinterpret_cast<std::byte*>(out.data()), room);
        require(given <= room, "streams give no more than there is room for");
    }
}

void check_shuffle(const Bytes& in, std::size_t item, std::size_t from) {
    const std::size_t items = in.size() / item;
    const std::size_t first = items == 0 ? 0 : from % items;
    Bytes out((items - first) * item);
    unshuffle(reinterpret_cast<const std::byte*>(in.data()), items, item, first, items - first,
              reinterpret_cast<std::byte*>(out.data()));
    for (std::size_t i = 0; i < out.size(); ++i) {
        require(out[i] == in[i % item * items + first + i / item], "items have their bytes together again");
    }
}

void check_sum(const Bytes& in) {
    u64 low = 0;
    u64 high = 0;
    for (std::size_t i = 0; i < in.size(); i += 2) {
        low += in[i] * 256U + (i + 1 < in.size() ? in[i + 1] : 0U);
        high += low;
    }
    const u64 made = fletcher32(reinterpret_cast<const std::byte*>(in.data()), in.size());
    require((made & 0xffffU) % 0xffffU == low % 0xffffU && (made >> 16U) % 0xffffU == high % 0xffffU,
            "the checksum is Fletcher's");
}

}  // namespace

std::vector<Bytes> seeds() {
    Output literals;
    literals.put<u16>(100).small(4).small(0);
    Output copies = literals;
    literals.small(4, 1, 2, 3, 4, 5, 31);
    for (int i = 0; i < 32; ++i) {
        literals.small(i);
    }
    copies.small(2, 7, 8, 9, 0x40, 2, 0xe0, 60, 0, 0x21, 0);
    return {literals.bytes(), copies.bytes()};
}

}  // namespace tombola::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace tombola;
    fuzz::Input input(data, size);
    const std::size_t room = input.take<u16>() % 4096U;
    const std::size_t item = input.within(1, 9);
    const std::size_t first = input.take<std::uint8_t>();
    const fuzz::Bytes stored = input.rest();
    fuzz::check_lzf(stored, room);
    fuzz::check_others(stored, room);
    fuzz::check_shuffle(stored, item, first);
    fuzz::check_sum(stored);
    return 0;
}
