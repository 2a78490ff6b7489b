// The generator against the known answers of Random123 (kat_vectors, philox4x32-10), the two word orders against
// their formulas, and bounded integers against Lemire's rule written out, rejections included.
#include "check.hpp"
#include "tombola/random/philox.hpp"

using namespace tombola;

namespace {

constexpr u64 key_of(u32 low, u32 high) { return low | static_cast<u64>(high) << 32U; }

constexpr Stream stream{0x0123456789ABCDEFU, 0xFEDCBA9876543210U};

u32 philox_word(u64 counter, std::size_t word) {
    return philox({static_cast<u32>(counter), static_cast<u32>(counter >> 32U), static_cast<u32>(stream.id),
                   static_cast<u32>(stream.id >> 32U)},
                  stream.key)[word];
}

}  // namespace

TEST(known_answers) {
    CHECK(philox({0, 0, 0, 0}, 0) == PhiloxBlock{0x6627E8D5U, 0xE169C58DU, 0xBC57AC4CU, 0x9B00DBD8U});
    CHECK(philox({~0U, ~0U, ~0U, ~0U}, ~u64{0}) == PhiloxBlock{0x408F276DU, 0x41C83B0EU, 0xA20BC7C6U, 0x6D5451FDU});
    CHECK(philox({0x243F6A88U, 0x85A308D3U, 0x13198A2EU, 0x03707344U}, key_of(0xA4093822U, 0x299F31D0U)) ==
          PhiloxBlock{0xD16CFE09U, 0x94FDCCEBU, 0x5001E420U, 0x24126EA1U});
}

TEST(serial_order_takes_the_words_of_a_counter_in_turn) {
    for (const u64 t : {u64{0}, u64{1}, u64{2}, u64{3}, u64{4}, u64{4093}, (u64{1} << 34U) - 1, u64{1} << 34U,
                        (u64{1} << 34U) + 7, (u64{1} << 60U) + 2}) {
        CHECK_EQ(stream.word(t), philox_word(t / 4, t % 4));
        CHECK_EQ(stream.word64(t), stream.word(2 * t) | static_cast<u64>(stream.word(2 * t + 1)) << 32U);
    }
}

TEST(lane_order_takes_the_same_word_of_sixteen_counters_in_turn) {
    for (u64 t = 0; t < 64; ++t) {
        CHECK_EQ(stream.lane_word(t), philox_word(t % 16, t / 16));
    }
    for (const u64 t : {u64{64}, u64{65}, u64{127}, u64{128}, u64{6400}, (u64{1} << 34U) - 1, u64{1} << 34U,
                        (u64{1} << 34U) + 77, (u64{1} << 60U) + 33}) {
        CHECK_EQ(stream.lane_word(t), philox_word(16 * (t / 64) + t % 16, t / 16 % 4));
    }
}

TEST(retries_have_counters_of_their_own) {
    for (const u32 t : {0U, 1U, 0xFFFFFFFFU}) {
        for (const u32 attempt : {0U, 1U, 5U}) {
            CHECK_EQ(stream.retry(t, attempt), philox_word(t | static_cast<u64>(0x80000000U | attempt) << 32U, 0));
        }
    }
}

TEST(keys_are_hashes_of_seed_epoch_and_purpose) {
    constexpr u64 seed = 0x1122334455667788U;
    constexpr u64 epoch = 0x99AABBCCDDEEFF00U;
    const PhiloxBlock out = philox({0xDDEEFF00U, 0x99AABBCCU, static_cast<u32>(Purpose::strata), 0}, seed);
    CHECK_EQ(derive_key(seed, epoch, Purpose::strata), key_of(out[0], out[1]));
    // Peers that add seed and epoch collide here.
    CHECK(derive_key(1, 2, Purpose::blocks) != derive_key(2, 1, Purpose::blocks));
    CHECK(derive_key(1, 2, Purpose::blocks) != derive_key(1, 2, Purpose::window));
}

TEST(bounded_scales_a_word_that_is_not_rejected) {
    CHECK_EQ(stream.bounded(0xFFFFFFFFU, 0, 10), 9U);
    CHECK_EQ(stream.bounded(0x80000001U, 0, 10), 5U);
    CHECK_EQ(stream.bounded(0x12345678U, 3, 1), 0U);
    CHECK_EQ(stream.bounded(0, 3, 1), 0U);
    CHECK_EQ(stream.bounded(0, 3, u32{1} << 31U), 0U);  // powers of two reject nothing
    CHECK_EQ(stream.bounded(0xFFFFFFFFU, 3, 0xFFFFFFFFU), 0xFFFFFFFEU);
}

TEST(bounded_replaces_rejected_words_by_retries) {
    // 2^32 mod 3 = 1: exactly the word 0 is rejected. 2^32 mod (2^31 + 1) = 2^31 - 1: half of all words are.
    for (u32 t = 0; t < 50; ++t) {
        CHECK_EQ(stream.bounded(0, t, 3), static_cast<u32>(static_cast<u64>(stream.retry(t, 0)) * 3 >> 32U));
    }
    constexpr u32 range = (u32{1} << 31U) + 1;
    constexpr u32 threshold = (u32{1} << 31U) - 1;
    u32 longest = 0;
    for (u32 t = 0; t < 2000; ++t) {
        u64 product = static_cast<u64>(stream.lane_word(t)) * range;
        u32 attempt = 0;
        while (static_cast<u32>(product) < threshold) {
            product = static_cast<u64>(stream.retry(t, attempt++)) * range;
        }
        longest = attempt > longest ? attempt : longest;
        CHECK_EQ(stream.bounded(stream.lane_word(t), t, range), static_cast<u32>(product >> 32U));
    }
    CHECK(longest > 5);  // several rejections in a row were met
}

TEST(bounded_rejects_below_the_threshold_and_no_more) {
    for (const u32 range : {3U, 7U, 1001U, 39999U, 0x7FFFFFFFU, 0x80000001U, 0xFFFFFFFDU}) {
        const u32 threshold = static_cast<u32>((u64{1} << 32U) % range);
        u32 inverse = range;  // of an odd number modulo 2^32, by Newton's steps
        for (int step = 0; step < 5; ++step) {
            inverse *= 2U - range * inverse;
        }
        // The word of low half L is inverse * L.
        const u32 last_rejected = inverse * (threshold - 1U);
        const u32 first_accepted = inverse * threshold;
        const u32 t = 12;
        CHECK_EQ(stream.bounded(first_accepted, t, range),
                 static_cast<u32>(static_cast<u64>(first_accepted) * range >> 32U));
        CHECK_EQ(stream.bounded(last_rejected, t, range), stream.bounded(stream.retry(t, 0), t, range));
    }
}
