#include "tombola/h5ad/held_names.hpp"

#include <algorithm>
#include <utility>

#include "tombola/rows/texts.hpp"

namespace tombola {
namespace {

constexpr u64 most_held = u64{1} << 24U;        // bytes of collections that are kept
constexpr u64 end_of_low = u64{1} << 32U;       // addresses below take half a word
constexpr std::size_t piece_words = 1U << 13U;  // which stay in the cache
constexpr u64 header_bytes = 16;

u64 low_half(u64 word) { return word & (end_of_low - 1); }
u64 high_half(u64 word) { return word >> 32U; }

void read_words(const PlainFile& file, u64 address, std::span<u64> out) {
    file.read_into(address, std::as_writable_bytes(out));
}

// Whether all are equal, those of even places less `shift`
bool are_equal(std::span<const u64> found, std::span<const u64> held, u64 shift) {
    u64 differ = 0;
    for (std::size_t i = 0; i < found.size(); i += 2) {
        differ |= ((found[i] - shift) ^ held[i]) | (found[i + 1] ^ held[i + 1]);
    }
    return differ == 0;
}

}  // namespace

std::optional<HeldNames> HeldNames::make(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries) {
    HeldNames names;
    names.words_.resize(2 * static_cast<std::size_t>(count_texts(list)));
    read_references(file, list, libraries, std::as_writable_bytes(std::span(names.words_)));
    std::vector<u64> starts;
    for (std::size_t i = 0; i < names.words_.size(); i += 2) {
        if (low_half(names.words_[i]) == 0 || low_half(names.words_[i + 1]) != 0) {
            return std::nullopt;
        }
        if (starts.empty() || starts.back() != high_half(names.words_[i])) {
            starts.push_back(high_half(names.words_[i]));
        }
    }
    std::ranges::sort(starts);
    starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
    u64 end = 0;
    u64 total = 0;
    for (const u64 start : starts) {
        const u64 bytes = number_at<u64>(file.read(start, header_bytes), 8);
        if (bytes % 8 != 0 || start < end || bytes > most_held - total) {
            return std::nullopt;
        }
        const std::size_t words = static_cast<std::size_t>(bytes / 8);
        names.collections_.push_back({start, words, static_cast<std::size_t>(total / 8), {}, {}});
        if (!names.stretches_.empty() && start == end) {
            names.stretches_.back().words += words;
        } else {
            names.stretches_.push_back({start, words});
        }
        end = start + bytes;
        total += bytes;
    }
    names.held_.resize(static_cast<std::size_t>(total / 8));
    names.is_name_.resize(names.held_.size());
    std::size_t at = 0;
    for (const Stretch& stretch : names.stretches_) {
        read_words(file, stretch.start, std::span(names.held_).subspan(at, stretch.words));
        at += stretch.words;
    }
    names.find_collections(file);
    return names;
}

// Notes where the names lie in their collections.
void HeldNames::find_collections(PlainFile& file) {
    for (std::size_t i = 0; i < words_.size(); i += 2) {
        const u64 address = high_half(words_[i]);
        const std::size_t number = static_cast<std::size_t>(high_half(words_[i + 1]));
        Collection& mine = *std::ranges::lower_bound(collections_, address, {}, &Collection::start);
        const std::vector<index_t>& objects = file.objects(address);
        need(2 * number + 1 < objects.size());
        const index_t begin = objects[2 * number] - static_cast<index_t>(address);
        const index_t bytes = objects[2 * number + 1];
        need(begin >= 0 && begin % 8 == 0);
        const std::size_t first = static_cast<std::size_t>(begin) / 8;
        const std::size_t words = (static_cast<std::size_t>(bytes) + 7) / 8;
        need(first + words <= mine.words);
        mine.numbers.push_back(number);
        mine.places.insert(mine.places.end(), {begin, bytes});
        std::fill_n(is_name_.begin() + static_cast<std::ptrdiff_t>(mine.first + first), words, std::uint8_t{1});
    }
}

bool HeldNames::are_in(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries) const {
    u64 shift = 0;  // of addresses, modulo 2^64
    if (count_texts(list) != count() || !has_references(file, list, libraries, shift)) {
        return false;
    }
    const u64 first = stretches_.front().start + shift;
    const u64 end = stretches_.back().start + 8 * stretches_.back().words + shift;
    if (first > end || end > std::min(file.size(), end_of_low)) {
        return false;
    }
    std::vector<u64> piece(std::min(piece_words, held_.size()));
    std::vector<std::size_t> differing;  // collections
    std::size_t at = 0;
    for (const Stretch& stretch : stretches_) {
        for (std::size_t done = 0; done < stretch.words; done += piece.size()) {
            const std::span<u64> found = std::span(piece).first(std::min(piece.size(), stretch.words - done));
            const u64* const held = held_.data() + at + done;
            read_words(file, stretch.start + shift + 8 * done, found);
            if (std::memcmp(found.data(), held, found.size_bytes()) == 0) {
                continue;
            }
            for (std::size_t i = 0; i < found.size(); ++i) {
                if (found[i] == held[i]) {
                    continue;
                }
                const std::size_t word = at + done + i;
                if (is_name_[word] != 0) {
                    return false;
                }
                const auto after = std::ranges::upper_bound(collections_, word, {}, &Collection::first);
                const auto number = static_cast<std::size_t>(after - collections_.begin()) - 1;
                if (differing.empty() || differing.back() != number) {
                    differing.push_back(number);
                }
            }
        }
        at += stretch.words;
    }
    return std::ranges::all_of(differing,
                               [&](std::size_t number) { return has_places(file, collections_[number], shift); });
}

// Whether references are the same, but for a distance that addresses are shifted by
bool HeldNames::has_references(PlainFile& file, const PlainDataset& list, const CodecLibraries& libraries,
                               u64& shift) const {
    std::vector<u64> piece(list.address ? std::min(piece_words, words_.size()) : words_.size());
    for (std::size_t done = 0; done < words_.size(); done += piece.size()) {
        const std::span<u64> found = std::span(piece).first(std::min(piece.size(), words_.size() - done));
        if (list.address) {
            read_words(file, *list.address + 8 * done, found);
        } else {
            read_references(file, list, libraries, std::as_writable_bytes(found));
        }
        if (done == 0) {
            shift = high_half(found[0]) - high_half(words_[0]);
        }
        if (!are_equal(found, std::span(words_).subspan(done, found.size()), shift << 32U)) {
            return false;
        }
    }
    return true;
}

bool HeldNames::has_places(PlainFile& file, const Collection& collection, u64 shift) const {
    const u64 start = collection.start + shift;
    const std::vector<index_t>& objects = file.objects(start);
    for (std::size_t i = 0; i < collection.numbers.size(); ++i) {
        const std::size_t number = collection.numbers[i];
        if (2 * number + 1 >= objects.size() ||
            objects[2 * number] - static_cast<index_t>(start) != collection.places[2 * i] ||
            objects[2 * number + 1] != collection.places[2 * i + 1]) {
            return false;
        }
    }
    return true;
}

}  // namespace tombola
