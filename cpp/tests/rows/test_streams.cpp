// Streams of literals and copies: what was put in comes out, and streams of any content touch nothing else.
#include <algorithm>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/rows/streams.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

using Bytes = std::vector<std::byte>;
using Expand = std::size_t (*)(const std::byte*, std::size_t, std::byte*, std::size_t);

// Literals, then a copy of `count` bytes from `back` bytes behind, if there is one
struct Step {
    std::size_t literals;
    std::size_t back;
    std::size_t count;
};

struct Format {
    Expand expand;
    std::size_t least;     // bytes that are copied
    std::size_t most;      // bytes that are copied
    std::size_t farthest;  // distance
    void (*put_literals)(Bytes& out, const Bytes& from, std::size_t first, std::size_t count, std::size_t next_copy);
    void (*put_copy)(Bytes& out, std::size_t back, std::size_t count);
};

void put(Bytes& out, std::size_t byte) { out.push_back(static_cast<std::byte>(byte)); }
void put_from(Bytes& out, const Bytes& from, std::size_t first, std::size_t count) {
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(first);
    out.insert(out.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
}
void put_rest(Bytes& out, std::size_t rest) {
    for (; rest >= 255; rest -= 255) {
        put(out, 255);
    }
    put(out, rest);
}

void put_runs(Bytes& out, const Bytes& from, std::size_t first, std::size_t count, std::size_t) {
    for (std::size_t done = 0; done < count; done += 32) {
        const std::size_t part = std::min<std::size_t>(32, count - done);
        put(out, part - 1);
        put_from(out, from, first + done, part);
    }
}
void put_lzf_copy(Bytes& out, std::size_t back, std::size_t count) {
    put(out, std::min<std::size_t>(7, count - 2) << 5U | (back - 1) >> 8U);
    if (count - 2 >= 7) {
        put(out, count - 2 - 7);
    }
    put(out, (back - 1) & 255U);
}
void put_blosclz_copy(Bytes& out, std::size_t back, std::size_t count) {
    const std::size_t near = std::min<std::size_t>(8'191, back - 1);
    put(out, std::min<std::size_t>(7, count - 2) << 5U | near >> 8U);
    if (count - 2 >= 7) {
        put_rest(out, count - 2 - 7);
    }
    put(out, near & 255U);
    if (near == 8'191) {
        put(out, (back - 1 - near) >> 8U);
        put(out, (back - 1 - near) & 255U);
    }
}
void put_lz4_literals(Bytes& out, const Bytes& from, std::size_t first, std::size_t count, std::size_t next_copy) {
    const std::size_t of_copy = next_copy == 0 ? 0 : std::min<std::size_t>(15, next_copy - 4);
    put(out, std::min<std::size_t>(15, count) << 4U | of_copy);
    if (count >= 15) {
        put_rest(out, count - 15);
    }
    put_from(out, from, first, count);
}
void put_lz4_copy(Bytes& out, std::size_t back, std::size_t count) {
    put(out, back & 255U);
    put(out, back >> 8U);
    if (count - 4 >= 15) {
        put_rest(out, count - 4 - 15);
    }
}

const std::vector<Format> formats{
    {expand_lzf, 3, 264, 8'192, put_runs, put_lzf_copy},
    {expand_lz4, 4, 100'000, 65'535, put_lz4_literals, put_lz4_copy},
    {expand_blosclz, 3, 100'000, 73'727, put_runs, put_blosclz_copy},
};

struct Made {
    Bytes stream;
    Bytes content;
};

Made make(const Format& format, const std::vector<Step>& steps, u64 seed) {
    Made made;
    for (const Step& step : steps) {
        const std::size_t first = made.content.size();
        for (std::size_t i = 0; i < step.literals; ++i) {
            put(made.content, noise(seed, first + i) % 256);
        }
        format.put_literals(made.stream, made.content, first, step.literals, step.count);
        if (step.count > 0) {
            format.put_copy(made.stream, step.back, step.count);
            for (std::size_t i = 0; i < step.count; ++i) {
                made.content.push_back(made.content[made.content.size() - step.back]);
            }
        }
    }
    return made;
}

// Steps that begin and end with literals
std::vector<Step> random_steps(const Format& format, u64 seed) {
    std::vector<Step> steps;
    std::size_t given = 0;
    const u64 n = noise(seed, 0) % 60;
    for (u64 i = 1; i <= n; ++i) {
        const auto draw = [&](u64 what, u64 below) {
            return static_cast<std::size_t>(noise(seed + 1, 8 * i + what) % below);
        };
        Step step{draw(0, 4) == 0 ? draw(1, 700) : draw(1, 20), 0, 0};
        step.literals += static_cast<std::size_t>(given == 0);
        given += step.literals;
        step.back = std::min({draw(2, 2) == 0 ? 1 + draw(3, 40) : 1 + draw(3, 90'000), given, format.farthest});
        step.count = std::min(format.least + (draw(4, 6) == 0 ? draw(5, 5'000) : draw(5, 40)), format.most);
        given += step.count;
        steps.push_back(step);
    }
    steps.push_back({1 + noise(seed, 1) % 50, 0, 0});
    return steps;
}

// As a copy on the heap, so that the address sanitizer sees an access beside it
std::size_t expand(const Format& format, const Bytes& stream, Bytes& out) {
    const Bytes in(stream);
    return format.expand(in.data(), in.size(), out.data(), out.size());
}

TEST(what_was_put_in_comes_out) {
    for (const Format& format : formats) {
        for (u64 seed = 0; seed < 600; ++seed) {
            const Made made = make(format, random_steps(format, 10 * seed), seed);
            Bytes out(made.content.size());
            CHECK_EQ(expand(format, made.stream, out), made.content.size());
            CHECK(out == made.content);
        }
    }
}

TEST(every_distance_and_length) {
    for (const Format& format : formats) {
        for (std::size_t back = 1; back <= 40; ++back) {
            for (std::size_t count = format.least; count <= 70; ++count) {
                for (const std::size_t behind : {1U, 5U, 31U, 40U}) {  // how far from the end of the room
                    const Made made = make(format, {{back, back, count}, {behind, 0, 0}}, count);
                    Bytes out(made.content.size());
                    CHECK_EQ(expand(format, made.stream, out), made.content.size());
                    CHECK(out == made.content);
                }
            }
        }
        for (const std::size_t back : {8'191U, 8'192U, 8'193U, 65'535U, 73'726U, 73'727U}) {
            if (back <= format.farthest) {
                const Made made = make(format, {{back, back, 100}, {5, 0, 0}}, back);
                Bytes out(made.content.size());
                CHECK_EQ(expand(format, made.stream, out), made.content.size());
                CHECK(out == made.content);
            }
        }
    }
}

TEST(room_that_does_not_fit) {
    for (const Format& format : formats) {
        for (u64 seed = 0; seed < 40; ++seed) {
            const Made made = make(format, random_steps(format, 10 * seed), seed);
            for (std::size_t less = 1; less <= std::min<std::size_t>(70, made.content.size()); ++less) {
                Bytes out(made.content.size() - less);
                CHECK_EQ(expand(format, made.stream, out), 0U);
            }
            Bytes out(made.content.size() + 1 + seed);
            CHECK_EQ(expand(format, made.stream, out), made.content.size());
        }
    }
}

TEST(streams_that_end_too_early_or_hold_other_bytes) {
    for (const Format& format : formats) {
        for (u64 seed = 0; seed < 150; ++seed) {
            const Made made = make(format, random_steps(format, 10 * seed), seed);
            const auto try_out = [&](const Bytes& stream) {
                Bytes first(made.content.size(), std::byte{1});
                Bytes second(made.content.size(), std::byte{2});
                const std::size_t given = expand(format, stream, first);
                CHECK(given <= first.size());
                CHECK_EQ(expand(format, stream, second), given);
                CHECK(std::equal(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(given), second.begin()));
                return given;
            };
            for (u64 i = 0; i < 60; ++i) {
                Bytes stream = made.stream;
                stream[static_cast<std::size_t>(noise(seed, 3 * i) % stream.size())] ^=
                    static_cast<std::byte>(1U << noise(seed, i) % 8);
                try_out(stream);
                stream = made.stream;
                stream.resize(noise(seed, 3 * i + 1) % stream.size());
                CHECK(try_out(stream) < made.content.size());
                for (std::byte& byte : stream) {
                    byte = static_cast<std::byte>(noise(seed, 3 * i + 2) >> (&byte - stream.data()) % 57);
                }
                try_out(stream);
            }
        }
    }
}

TEST(streams_by_hand) {
    const auto values = [](Expand expand_one, const std::vector<int>& stream, std::size_t room) {
        Bytes in;
        for (const int byte : stream) {
            in.push_back(static_cast<std::byte>(byte));
        }
        Bytes out(room);
        out.resize(expand_one(in.data(), in.size(), out.data(), room));
        std::vector<int> found;
        for (const std::byte byte : out) {
            found.push_back(std::to_integer<int>(byte));
        }
        return found;
    };
    using Values = std::vector<int>;
    const Values none;
    CHECK(values(expand_lzf, {2, 7, 8, 9}, 10) == (Values{7, 8, 9}));
    CHECK(values(expand_lzf, {1, 7, 8, 0x40, 1}, 10) == (Values{7, 8, 7, 8, 7, 8}));  // 4 bytes from 2 behind
    CHECK(values(expand_lzf, {0, 7, 0x20, 0}, 4) == (Values{7, 7, 7, 7}));
    CHECK_EQ(values(expand_lzf, {0, 7, 0xe0, 20, 0}, 100).size(), 1U + 20 + 9);
    CHECK(values(expand_lzf, {2, 7, 8}, 10) == none);        // literals that are not there
    CHECK(values(expand_lzf, {2, 7, 8, 9}, 2) == none);      // more than there is room for
    CHECK(values(expand_lzf, {0, 7, 0x20, 1}, 10) == none);  // from in front of the beginning
    CHECK(values(expand_lzf, {0, 7, 0x20}, 10) == none);     // no distance
    CHECK(values(expand_lzf, {0, 7, 0xe0, 20}, 100) == none);
    CHECK(values(expand_lzf, {0, 7, 0x20, 0}, 3) == none);
    CHECK(values(expand_lz4, {0x30, 7, 8, 9}, 10) == (Values{7, 8, 9}));
    CHECK(values(expand_lz4, {0x20, 7, 8, 2, 0, 0x10, 9}, 10) == (Values{7, 8, 7, 8, 7, 8, 9}));
    CHECK_EQ(values(expand_lz4, {0x1f, 7, 1, 0, 255, 1, 0x10, 9}, 400).size(), 1U + 19 + 255 + 1 + 1);
    CHECK(values(expand_lz4, {}, 10) == none);
    CHECK(values(expand_lz4, {0x10, 7, 0, 0, 0x10, 9}, 10) == none);  // a distance of 0
    CHECK(values(expand_lz4, {0x10, 7, 2, 0, 0x10, 9}, 10) == none);
    CHECK(values(expand_lz4, {0x10, 7, 1}, 10) == none);                      // half a distance
    CHECK(values(expand_lz4, {0x10, 7, 1, 0}, 10) == none);                   // no literals at its end
    CHECK(values(expand_lz4, {0xf0, 255}, 300) == none);                      // a length that does not end
    CHECK(values(expand_blosclz, {0x22, 7, 8, 9}, 10) == (Values{7, 8, 9}));  // the first byte holds the version, too
    CHECK(values(expand_blosclz, {0x21, 7, 8, 0x40, 1, 0, 9}, 10) == (Values{7, 8, 7, 8, 7, 8, 9}));
    CHECK_EQ(values(expand_blosclz, {0x20, 7, 0xe0, 255, 2, 0, 0, 9}, 400).size(), 1U + 9 + 255 + 2 + 1);
    CHECK(values(expand_blosclz, {0x20, 7, 0xff, 0, 255, 0}, 100) == none);  // half a distance
    CHECK(values(expand_blosclz, {0x20, 7, 0xe0, 255}, 400) == none);
    CHECK(values(expand_blosclz, {0x20, 7, 0x20, 1, 0, 9}, 10) == none);
}

}  // namespace
