// Random bytes as plans use them, without end, for test suites that read them: `random_bytes KIND | RNG_test stdin32`.
// benchmarks/results/randomness.md has the commands and what came of them. Without an argument: the kinds.
//
// Seeds, epochs, streams and positions are small numbers, as users give them, and neighbours: where a generator that is
// keyed by a counter is weakest.
#include <unistd.h>

#include <cstdio>
#include <string_view>
#include <vector>

#include "tombola/kernels/kernels.hpp"
#include "tombola/orders/order.hpp"
#include "tombola/random/bijection.hpp"
#include "tombola/random/philox.hpp"

namespace tombola {
namespace {

using Words = std::vector<u32>;

constexpr std::size_t words_at_once = std::size_t{1} << 16U;  // a multiple of 64

// Fills the words of step `step`.
using Fill = void (*)(u64 step, Words& words);

void lane(u64 step, Words& words) {
    const u64 groups = words.size() / 64;
    kernels().lane_words(derive_key(0, 0, Purpose::window), 0, step * groups, groups, words.data());
}

void serial(u64 step, Words& words) {
    const u64 count = words.size() / 4;
    kernels().serial_words(derive_key(0, 0, Purpose::alias), 0, step * count, count, words.data());
}

// One counter, four words, of each.
template <typename StreamAt>
void of_each(u64 step, Words& words, StreamAt stream_at) {
    const u64 first = step * (words.size() / 4);
    for (std::size_t i = 0; i < words.size() / 4; ++i) {
        const auto [stream, counter] = stream_at(first + i);
        const PhiloxBlock block = stream.block(counter, 0);
        std::copy(block.begin(), block.end(), words.begin() + static_cast<std::ptrdiff_t>(4 * i));
    }
}

struct At {
    Stream stream;
    u32 counter = 0;
};

void seeds(u64 step, Words& words) {
    of_each(step, words, [](u64 i) { return At{{derive_key(i, 0, Purpose::window), 0}}; });
}

void epochs(u64 step, Words& words) {
    of_each(step, words, [](u64 i) { return At{{derive_key(0, i, Purpose::window), 0}}; });
}

void streams(u64 step, Words& words) {
    of_each(step, words, [](u64 i) { return At{{derive_key(0, 0, Purpose::window), i}}; });
}

// Every fourth bit of i, from bit `from` on
u64 fourth_bits(u64 i, u32 from) {
    u64 bits = 0;
    for (u32 bit = 0; bit < 16; ++bit) {
        bits |= (i >> (4 * bit + from) & 1U) << bit;
    }
    return bits;
}

// Seed, epoch, stream and position at once: a cube that grows on all sides.
void cube(u64 step, Words& words) {
    of_each(step, words, [](u64 i) {
        return At{{derive_key(fourth_bits(i, 3), fourth_bits(i, 2), Purpose::window), fourth_bits(i, 1)},
                  static_cast<u32>(fourth_bits(i, 0))};
    });
}

// The keys of neighbouring epochs
void keys(u64 step, Words& words) {
    const u64 count = words.size() / 2;
    for (u64 i = 0; i < count; ++i) {
        const u64 key = derive_key(0, step * count + i, Purpose::window);
        words[2 * i] = static_cast<u32>(key);
        words[2 * i + 1] = static_cast<u32>(key >> 32U);
    }
}

// Bits [shift, shift + 16) of each value
void put_bits(const std::vector<u64>& values, u32 shift, Words& words, std::size_t first_word) {
    for (std::size_t i = 0; i < values.size(); i += 2) {
        const u64 low = values[i] >> shift & 0xFFFFU;
        const u64 high = values[i + 1] >> shift & 0xFFFFU;
        words[first_word + i / 2] = static_cast<u32>(low | high << 16U);
    }
}

// One permutation of 10^12 blocks, as BlockShuffling makes it: far more than are looked at, so that it matters for no
// test that nothing comes twice.
void permutation(u64 step, Words& words, u32 shift) {
    static const Bijection blocks(1'000'000'000'000, derive_key(0, 0, Purpose::blocks), exact_blocks_below);
    std::vector<u64> values(2 * words.size());
    blocks.fill(step * values.size(), values.size(), values.data());
    put_bits(values, shift, words, 0);
}
void permutation_low(u64 step, Words& words) { permutation(step, words, 0); }
void permutation_middle(u64 step, Words& words) { permutation(step, words, 12); }  // where its halves meet

// The beginning of the permutation of 10^8 blocks of each epoch
void permutations(u64 step, Words& words) {
    constexpr std::size_t of_each_epoch = 1024;
    std::vector<u64> values(of_each_epoch);
    const u64 count = 2 * words.size() / of_each_epoch;
    for (u64 i = 0; i < count; ++i) {
        const Bijection blocks(100'000'000, derive_key(0, step * count + i, Purpose::blocks), exact_blocks_below);
        blocks.fill(0, values.size(), values.data());
        put_bits(values, 0, words, i * of_each_epoch / 2);
    }
}

struct Kind {
    std::string_view name;
    std::string_view what;
    Fill fill;
};

constexpr Kind kinds[] = {
    {"lane", "words of one stream in lane order, as shuffles take them", lane},
    {"serial", "words of one stream in serial order, as draws take them", serial},
    {"seeds", "the first four words of seeds 0, 1, 2, ...", seeds},
    {"epochs", "the first four words of epochs 0, 1, 2, ...", epochs},
    {"streams", "the first four words of streams 0, 1, 2, ... of one key", streams},
    {"cube", "four words of each small seed, epoch, stream and position", cube},
    {"keys", "the keys of epochs 0, 1, 2, ...", keys},
    {"permutation-low", "bits 0 to 15 of a permutation of 10^12", permutation_low},
    {"permutation-middle", "bits 12 to 27 of a permutation of 10^12", permutation_middle},
    {"permutations", "bits 0 to 15 of the first 1,024 of a permutation of 10^8, for epochs 0, 1, 2, ...", permutations},
};

bool write_all(const Words& words) {
    const char* from = reinterpret_cast<const char*>(words.data());
    for (std::size_t left = words.size() * sizeof(u32); left > 0;) {
        const ssize_t written = ::write(STDOUT_FILENO, from, left);
        if (written <= 0) {
            return false;
        }
        from += written;
        left -= static_cast<std::size_t>(written);
    }
    return true;
}

}  // namespace
}  // namespace tombola

int main(int argc, char** argv) {
    using namespace tombola;
    for (const Kind& kind : kinds) {
        if (argc == 1) {
            std::printf("%-20.*s %.*s\n", static_cast<int>(kind.name.size()), kind.name.data(),
                        static_cast<int>(kind.what.size()), kind.what.data());
        } else if (argc == 2 && kind.name == argv[1]) {
            Words words(words_at_once);
            for (u64 step = 0;; ++step) {
                kind.fill(step, words);
                if (!write_all(words)) {
                    return 0;
                }
            }
        }
    }
    return argc == 1 ? 0 : 2;
}
