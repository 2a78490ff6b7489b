// Runs a fuzz target where libFuzzer is not at hand: inputs made from its seeds by mutations that follow from a seed
// and a number, so that each can be made again alone.
//
//   fuzz_NAME [--runs N] [--seed S] [--first K]   inputs K to K + N - 1; a failure prints the command for its own
//   fuzz_NAME FILE...                             inputs as libFuzzer leaves them
//   fuzz_NAME --write FOLDER                      the seeds, as files for libFuzzer to begin with
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "fuzz.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

// The behaviour sanitizer leaves by a signal, too.
extern "C" const char* __ubsan_default_options();                                          // NOLINT: its name
extern "C" __attribute__((visibility("default"))) const char* __ubsan_default_options() {  // NOLINT
    return "abort_on_error=1:print_stacktrace=1";
}

namespace {

using tombola::fuzz::Bytes;
using u64 = std::uint64_t;

constexpr std::size_t longest = 1U << 13U;

struct Now {
    const char* program = "";
    u64 seed = 0;
    u64 number = 0;
    bool is_made = false;
};
Now now;

void say_how_again() {
    if (now.is_made) {
        std::fprintf(stderr, "again: %s --seed %llu --first %llu --runs 1\n", now.program,
                     static_cast<unsigned long long>(now.seed), static_cast<unsigned long long>(now.number));
    }
}

void on_abort(int) {
    say_how_again();
    std::signal(SIGABRT, SIG_DFL);
}

// splitmix64 (Steele, Lea, Flood 2014)
class Random {
  public:
    Random(u64 seed, u64 number) : state_((seed * 0x9E3779B97F4A7C15U) ^ ((number + 1) * 0xD1B54A32D192ED03U)) {
        next();
    }
    u64 next() {
        u64 z = state_ += 0x9E3779B97F4A7C15U;
        z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
        z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
        return z ^ (z >> 31U);
    }
    std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(next() % n); }

  private:
    u64 state_;
};

// Numbers at which sizes and counts go wrong
u64 odd_number(Random& random) {
    const u64 power = u64{1} << random.below(64);
    const std::array<u64, 6> numbers{0, power, power - 1, power + 1, ~u64{0} - random.below(3), random.next()};
    return numbers[random.below(numbers.size())];
}

void mutate(Bytes& input, const std::vector<Bytes>& seeds, Random& random) {
    const std::size_t size = input.size();
    const std::size_t at = random.below(size);
    const std::size_t count = std::min(size - at, 1 + random.below(std::size_t{1} << random.below(9)));
    const auto begin = input.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = begin + static_cast<std::ptrdiff_t>(count);
    switch (size == 0 ? 6 : random.below(9)) {
        case 0:
            input[at] ^= static_cast<std::uint8_t>(1U << random.below(8));
            return;
        case 1:
            input[at] = static_cast<std::uint8_t>(odd_number(random));
            return;
        case 2: {
            const u64 value = odd_number(random);
            std::memcpy(&*begin, &value, std::min(size - at, std::size_t{1} << random.below(4)));
            return;
        }
        case 3:
            input.erase(begin, end);
            return;
        case 4: {
            const Bytes part(begin, end);
            input.insert(input.begin() + static_cast<std::ptrdiff_t>(random.below(size + 1)), part.begin(), part.end());
            return;
        }
        case 5: {
            const Bytes part(begin, end);
            const std::size_t to = random.below(size);
            std::copy_n(part.begin(), std::min(part.size(), size - to),
                        input.begin() + static_cast<std::ptrdiff_t>(to));
            return;
        }
        case 6:
            for (std::size_t left = 1 + random.below(32); left > 0; --left) {
                input.push_back(static_cast<std::uint8_t>(random.next()));
            }
            return;
        case 7: {
            const Bytes& other = seeds[random.below(seeds.size())];
            const std::size_t from = std::min(at, other.size());
            input.erase(begin, input.end());
            input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
            return;
        }
        default:
            std::generate(begin, end, [&] { return static_cast<std::uint8_t>(random.next()); });
    }
}

Bytes made(u64 seed, u64 number, const std::vector<Bytes>& seeds) {
    Random random(seed, number);
    Bytes input = seeds[random.below(seeds.size())];
    for (std::size_t left = random.below(8); left > 0; --left) {
        mutate(input, seeds, random);
    }
    input.resize(std::min(input.size(), longest));
    return input;
}

int run_files(int count, char** paths) {
    for (int i = 0; i < count; ++i) {
        std::ifstream file(paths[i], std::ios::binary);
        if (!file) {
            std::fprintf(stderr, "%s: cannot be read\n", paths[i]);
            return 2;
        }
        const Bytes input{std::istreambuf_iterator<char>(file), {}};
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    std::printf("%d inputs of files\n", count);
    return 0;
}

int write_seeds(const std::string& folder, const std::vector<Bytes>& seeds) {
    for (std::size_t i = 0; i < seeds.size(); ++i) {
        std::ofstream file(folder + "/seed-" + std::to_string(i), std::ios::binary);
        file.write(reinterpret_cast<const char*>(seeds[i].data()), static_cast<std::streamsize>(seeds[i].size()));
        if (!file.flush()) {
            std::fprintf(stderr, "%s: cannot be written to\n", folder.c_str());
            return 2;
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<Bytes> seeds = tombola::fuzz::seeds();
    u64 runs = 10'000;
    u64 first = 0;
    now.program = argv[0];
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        const std::string_view option = argv[at];
        if (option == "--write") {
            return write_seeds(argv[at + 1], seeds);
        }
        u64* const value = option == "--runs"    ? &runs
                           : option == "--first" ? &first
                           : option == "--seed"  ? &now.seed
                                                 : nullptr;
        if (value == nullptr) {
            std::fprintf(stderr, "unknown option %s\n", argv[at]);
            return 2;
        }
        *value = std::stoull(argv[at + 1]);
    }
    if (at < argc) {
        return run_files(argc - at, argv + at);
    }
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_set_death_callback(say_how_again);
#endif
    std::signal(SIGABRT, on_abort);
    now.is_made = true;
    const auto start = std::chrono::steady_clock::now();
    for (u64 i = 0; i < runs; ++i) {
        now.number = first + i;
        const Bytes input = made(now.seed, now.number, seeds);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%llu inputs from %zu seeds in %.1f s\n", static_cast<unsigned long long>(runs), seeds.size(),
                took.count());
    return 0;
}
