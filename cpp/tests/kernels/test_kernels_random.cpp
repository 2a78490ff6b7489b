// The generator, scaling and Feistel kernels of every instruction set against plain code: odd counts, unaligned
// starts, counters that carry into the high word. Arrays are exactly as long as needed, so that the address sanitizer
// sees an access beyond them.
#include <algorithm>
#include <cstring>

#include "check.hpp"
#include "reference.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr Stream stream{0x0123456789ABCDEFU, 0xFEDCBA9876543210U};

// The rule of bijection.hpp, one index at a time.
u32 round_hash(u32 v, u32 first, u32 second) {
    u32 t = (v ^ first) * 0x9E3779B1U;
    t ^= t >> 15U;
    return t * (second | 1U);
}

u64 plain_feistel(const Feistel& f, u64 x, bool inverse) {
    const u64 a = u64{1} << f.low_bits;
    const u64 b = f.radix;
    do {
        u64 left = x % a;
        u64 right = x / a;
        for (u32 step = 0; step < feistel_rounds; ++step) {
            const u32 r = inverse ? feistel_rounds - 1 - step : step;
            const u64 from = r % 2 == 0 ? right : left;
            const u64 hash = round_hash(static_cast<u32>(from), f.keys[2 * r], f.keys[2 * r + 1]);
            if (r % 2 == 0) {
                const u64 shift = hash >> (32U - f.low_bits);
                left = (left + (inverse ? a - shift : shift)) % a;
            } else {
                const u64 shift = hash * b >> 32U;
                right = (right + (inverse ? b - shift : shift)) % b;
            }
        }
        x = right * a + left;
    } while (x >= f.n);
    return x;
}

Feistel make_feistel(u64 n) {
    Feistel f{};
    const u32 bits = static_cast<u32>(std::bit_width(n - 1));
    f.low_bits = bits / 2;
    f.radix = static_cast<u32>((n - 1) / (u64{1} << f.low_bits) + 1);
    f.n = n;
    for (u32 t = 0; t < 2 * feistel_rounds; ++t) {
        f.keys[t] = Stream{99, n}.word(t);
    }
    return f;
}

const std::vector<u64>& sizes() {
    static const std::vector<u64> all{3,
                                      4,
                                      5,
                                      63,
                                      64,
                                      65,
                                      1000,
                                      (1U << 16U) - 1,
                                      1U << 16U,
                                      (1U << 16U) + 1,
                                      1'000'000'000'000,
                                      (u64{1} << 61U) + 1,
                                      (u64{1} << 62U) - 1,
                                      u64{1} << 62U};
    return all;
}

}  // namespace

TEST(lane_words_are_the_streams) {
    with_each_instruction_set([](const std::string&) {
        for (const u64 first : {u64{0}, u64{1}, u64{7}, (u64{1} << 28U) - 2, (u64{1} << 57U) + 3}) {
            for (const std::size_t groups : {0U, 1U, 2U, 3U, 5U}) {
                for (std::size_t offset = 0; offset < 3; ++offset) {
                    std::vector<u32> words(offset + 64 * groups);
                    kernels().lane_words(stream.key, stream.id, first, groups, words.data() + offset);
                    bool equal = true;
                    for (std::size_t t = 0; t < 64 * groups; ++t) {
                        equal = equal && words[offset + t] == stream.lane_word(64 * first + t);
                    }
                    CHECK(equal);
                }
            }
        }
    });
}

TEST(serial_words_are_the_streams) {
    with_each_instruction_set([](const std::string&) {
        for (const u64 first : {u64{0}, u64{1}, (u64{1} << 32U) - 3, (u64{1} << 61U) + 5}) {
            for (const std::size_t count : {0U, 1U, 2U, 3U, 4U, 5U, 7U, 8U, 9U, 15U, 16U, 17U, 31U, 33U, 100U}) {
                const std::size_t offset = count % 3;
                std::vector<u32> words(offset + 4 * count);
                kernels().serial_words(stream.key, stream.id, first, count, words.data() + offset);
                bool equal = true;
                for (std::size_t t = 0; t < 4 * count; ++t) {
                    equal = equal && words[offset + t] == stream.word(4 * first + t);
                }
                CHECK(equal);
            }
        }
    });
}

TEST(serial_words_at_scattered_counters_are_the_streams) {
    with_each_instruction_set([](const std::string&) {
        for (const std::size_t count : {0U, 1U, 2U, 3U, 5U, 8U, 15U, 16U, 17U, 33U, 100U}) {
            std::vector<u64> counters(count);
            for (std::size_t c = 0; c < count; ++c) {
                counters[c] = noise(1, c) >> 2U;
            }
            std::vector<u32> words(1 + 4 * count);
            kernels().serial_words_at(stream.key, stream.id, counters.data(), count, words.data() + 1);
            bool equal = true;
            for (std::size_t t = 0; t < 4 * count; ++t) {
                equal = equal && words[1 + t] == stream.word(4 * counters[t / 4] + t % 4);
            }
            CHECK(equal);
        }
    });
}

TEST(words_of_many_streams_are_theirs) {
    with_each_instruction_set([](const std::string&) {
        for (const std::size_t count : {0U, 16U, 32U, 112U}) {
            std::vector<u64> ids(count);
            std::vector<u64> counters(count);
            for (std::size_t c = 0; c < count; ++c) {
                ids[c] = noise(2, c);
                counters[c] = noise(3, c) >> 2U;
            }
            std::vector<u32> words(4 * count);
            kernels().words_of(stream.key, ids.data(), counters.data(), count, words.data());
            bool equal = true;
            for (std::size_t t = 0; t < 4 * count; ++t) {
                equal = equal && words[t] == Stream{stream.key, ids[t / 4]}.word(4 * counters[t / 4] + t % 4);
            }
            CHECK(equal);
        }
    });
}

TEST(ones_are_counted_to_the_bit) {
    with_each_instruction_set([](const std::string&) {
        for (const u64 bits : {0U, 1U, 31U, 32U, 33U, 63U, 64U, 65U, 96U, 97U, 128U, 1000U}) {
            std::vector<u32> words((bits + 31) / 32);
            u64 ones = 0;
            for (u64 w = 0; w < words.size(); ++w) {
                words[w] = static_cast<u32>(noise(4, w));
            }
            for (u64 bit = 0; bit < bits; ++bit) {
                ones += words[bit / 32] >> bit % 32 & 1U;
            }
            CHECK_EQ(kernels().count_ones(words.data(), bits), ones);
        }
    });
}

template <typename Word>
ColumnSigns<Word> signs_of(const std::vector<Word>& columns, Word top) {
    if constexpr (sizeof(Word) == 4) {
        return kernels().column_signs_32(columns.data(), columns.size(), top);
    } else {
        return kernels().column_signs_64(columns.data(), columns.size(), top);
    }
}

template <typename Word>
void check_columns() {
    constexpr Word sign = ~(static_cast<Word>(~Word{0}) >> 1U);
    for (std::size_t count = 1; count < 40; ++count) {
        std::vector<Word> columns(count);
        for (std::size_t i = 0; i < count; ++i) {
            columns[i] = static_cast<Word>(2 * i + 1);
        }
        const Word top = columns.back();
        CHECK_EQ((signs_of(columns, top).outside | signs_of(columns, top).falls) & sign, Word{0});
        CHECK(signs_of(columns, Word(~Word{0})).outside & sign);
        for (std::size_t i = 0; i < count; ++i) {
            std::vector<Word> changed = columns;
            for (const Word wrong : {Word(top + 1), sign, Word(~Word{0})}) {
                changed[i] = wrong;
                CHECK(signs_of(changed, top).outside & sign);
            }
            if (i > 0) {
                changed[i] = columns[i - 1];
                CHECK_EQ(signs_of(changed, top).outside & sign, Word{0});
                CHECK(signs_of(changed, top).falls & sign);
            }
        }
    }
}

TEST(columns_of_a_row_are_checked_to_the_last) {
    with_each_instruction_set([](const std::string&) {
        check_columns<u32>();
        check_columns<u64>();
    });
}

TEST(what_is_selected_is_what_sorting_puts_there) {
    with_each_instruction_set([](const std::string&) {
        for (const std::size_t count : {1U, 2U, 7U, 8U, 9U, 16U, 17U, 40U}) {
            for (const u64 distinct : {1U, 3U, 1000U}) {
                std::vector<u64> numbers(count);
                for (std::size_t i = 0; i < count; ++i) {
                    const u64 which = noise(5, i) % distinct;
                    numbers[i] = which == 0 ? 0 : which == 1 ? ~u64{0} : noise(6, which);
                }
                std::vector<u32> words(2 * count);
                std::memcpy(words.data(), numbers.data(), 8 * count);
                std::sort(numbers.begin(), numbers.end());
                for (std::size_t rank = 0; rank < count; ++rank) {
                    CHECK_EQ(kernels().select(words.data(), count, rank), numbers[rank]);
                }
            }
        }
    });
}

TEST(scaled_words_and_the_sign_of_a_possible_rejection) {
    with_each_instruction_set([](const std::string&) {
        for (const u32 first : {1U, 2U, 1025U, 0x7FFFFF81U, 0xFFFFFF00U}) {
            for (const std::size_t count : {0U, 64U, 128U, 192U, 1024U}) {
                std::vector<u32> words(count + 1);
                std::vector<u32> expected(count + 1);
                bool below = false;
                for (std::size_t t = 0; t < count; ++t) {
                    words[t + 1] = stream.lane_word(t);
                    const u32 range = first + static_cast<u32>(t);
                    const u64 product = static_cast<u64>(words[t + 1]) * range;
                    expected[t + 1] = static_cast<u32>(product >> 32U);
                    below = below || static_cast<u32>(product) < range;
                }
                CHECK_EQ(kernels().scale_words(words.data() + 1, first, count), below);
                CHECK(words == expected);
            }
        }
        // A single word whose low half, 0, is below the range, wherever it stands; the others are far from that.
        bool found = true;
        for (std::size_t at = 0; at < 128; ++at) {
            std::vector<u32> words(128, 0xFFFFFFFFU);
            CHECK(!kernels().scale_words(words.data(), 1, words.size()));
            std::fill(words.begin(), words.end(), 0xFFFFFFFFU);
            words[at] = 0;
            found = found && kernels().scale_words(words.data(), 1, words.size());
        }
        CHECK(found);
    });
}

TEST(feistel_follows_the_plain_rule_over_ranges) {
    with_each_instruction_set([](const std::string&) {
        for (const u64 n : sizes()) {
            const Feistel f = make_feistel(n);
            for (const u64 wanted : {1U, 3U, 63U, 65U, 300U}) {
                const std::size_t count = static_cast<std::size_t>(std::min<u64>(n, wanted));
                for (const u64 first : {u64{0}, (n - count) / 2, n - count}) {
                    std::vector<u64> out(count + 1);
                    std::vector<u64> back(count + 1);
                    kernels().feistel(f, nullptr, first, count, out.data() + 1);
                    kernels().feistel_inverse(f, nullptr, first, count, back.data() + 1);
                    bool equal = true;
                    for (std::size_t t = 0; t < count; ++t) {
                        equal = equal && out[t + 1] == plain_feistel(f, first + t, false) &&
                                back[t + 1] == plain_feistel(f, first + t, true);
                    }
                    CHECK(equal);
                }
            }
        }
    });
}

TEST(feistel_follows_the_plain_rule_over_arrays_also_in_place) {
    with_each_instruction_set([](const std::string&) {
        for (const u64 n : sizes()) {
            const Feistel f = make_feistel(n);
            for (const std::size_t count : {0U, 1U, 15U, 64U, 65U, 257U}) {
                std::vector<u64> in(count + 1);
                for (u64& x : in) {
                    x = noise(2, static_cast<u64>(&x - in.data())) % n;
                }
                in[0] = n - 1;
                const std::vector<u64> given = in;
                std::vector<u64> out(count + 1);
                kernels().feistel(f, in.data() + 1, 0, count, out.data() + 1);
                kernels().feistel(f, in.data() + 1, 0, count, in.data() + 1);
                bool equal = true;
                for (std::size_t t = 1; t <= count; ++t) {
                    equal = equal && out[t] == plain_feistel(f, given[t], false) && in[t] == out[t];
                }
                CHECK(equal);
                kernels().feistel_inverse(f, in.data() + 1, 0, count, in.data() + 1);
                CHECK(in == given);
            }
        }
    });
}

TEST(instruction_sets_are_chosen_by_name) {
    CHECK_EQ(std::string(available_instruction_sets().back()), "baseline");
    with_each_instruction_set([](const std::string& name) { CHECK_EQ(std::string(kernels().name), name); });
    CHECK_EQ(std::string(kernels().name), std::string(available_instruction_sets().front()));
    CHECK_THROWS_WITH(std::invalid_argument, "must be one of auto, ", set_instruction_set("avx3"));
    CHECK_THROWS_WITH(std::invalid_argument, "baseline, but is \"avx3\"", set_instruction_set("avx3"));
}
