#include "tombola/replay/replay.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>

#include "tombola/base/parallel.hpp"
#include "tombola/random/draw_words.hpp"
#include "tombola/random/philox.hpp"

namespace tombola {
namespace {

constexpr std::size_t words_a_task = std::size_t{1} << 14U;

// Calls body(i, word i) for the words of a stream from `first` on; tasks run side by side.
template <typename Body>
void each_word(u64 key, u64 first, std::size_t count, const Body& body) {
    const index_t tasks = static_cast<index_t>((count + words_a_task - 1) / words_a_task);
    parallel_for(tasks, [&](index_t task) {
        DrawWords words;
        const std::size_t start = static_cast<std::size_t>(task) * words_a_task;
        const std::size_t stop = std::min(count, start + words_a_task);
        for (std::size_t at = start; at < stop; at += draws_at_once) {
            const std::span<const u64> part = words.fill(key, first + at, std::min(draws_at_once, stop - at));
            for (std::size_t i = 0; i < part.size(); ++i) {
                body(at + i, part[i]);
            }
        }
    });
}

// What a shuffle of 0, 1, .. has swapped so far, held sparsely: most places still hold themselves.
class Swapped {
  public:
    explicit Swapped(std::size_t draws) { moved_.reserve(draws); }
    // The value at `place`, which then gets the value at `front`, a place that is not read again.
    u64 take(u64 place, u64 front) {
        const u64 value = at(place);
        moved_[place] = at(front);
        moved_.erase(front);
        return value;
    }

  private:
    std::unordered_map<u64, u64> moved_;

    u64 at(u64 place) const {
        const auto found = moved_.find(place);
        return found == moved_.end() ? place : found->second;
    }
};

}  // namespace

void reservoir_slots(u64 seed, u64 first, u64 slots, std::span<index_t> out) {
    if (slots == 0) {
        throw std::invalid_argument("a reservoir must have a slot or more, but has 0");
    }
    if (slots > static_cast<u64>(largest_size) || first > static_cast<u64>(largest_size) ||
        out.size() > static_cast<u64>(largest_size) - first) {
        throw std::invalid_argument("slots, and items of a stream, must be at most 2**61");
    }
    each_word(derive_key(seed, 0, Purpose::reservoir), first, out.size(), [&](std::size_t i, u64 word) {
        const u64 item = first + i;
        const u64 slot = item < slots ? item : multiply_high(word, item + 1);
        out[i] = slot < slots ? static_cast<index_t>(slot) : index_t{-1};
    });
}

void uniform_draws(u64 seed, u64 step, u64 stored, bool replace, std::span<index_t> out) {
    if (replace ? stored == 0 && !out.empty() : out.size() > stored) {
        throw std::invalid_argument("there must be " + std::string(replace ? "an item" : "as many items as draws") +
                                    " to draw from, but there are " + std::to_string(stored));
    }
    const u64 key = derive_key(seed, step, Purpose::uniform_draws);
    each_word(key, 0, out.size(), [&](std::size_t i, u64 word) {
        out[i] = static_cast<index_t>(replace ? multiply_high(word, stored) : i + multiply_high(word, stored - i));
    });
    if (!replace) {
        Swapped swapped(out.size());
        for (std::size_t i = 0; i < out.size(); ++i) {
            out[i] = static_cast<index_t>(swapped.take(static_cast<u64>(out[i]), i));
        }
    }
}

void unit_draws(u64 seed, u64 step, std::span<double> out) {
    each_word(derive_key(seed, step, Purpose::thinning), 0, out.size(),
              [&](std::size_t i, u64 word) { out[i] = static_cast<double>(word >> 11U) * 0x1p-53; });
}

}  // namespace tombola
