#include "tombola/permutation.hpp"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "tombola/buffer.hpp"
#include "tombola/kernels.hpp"
#include "tombola/parallel.hpp"
#include "tombola/philox.hpp"
#include "tombola/shuffle.hpp"

namespace tombola {
namespace {

constexpr u64 exact_below = u64{1} << 16U;  // up to here one shuffle
constexpr u64 chunk = u64{1} << 20U;        // elements whose labels share a stream
constexpr std::size_t label_block = 4096;   // labels made at once; divides the chunk
constexpr u32 max_label_bits = 14;

u32 label_bits(u64 n) { return std::clamp<u32>(static_cast<u32>(std::bit_width((n - 1) >> 16U)), 1U, max_label_bits); }

// Two labels a word: element e of the chunk takes half e & 1 of word e >> 1.
template <typename Visit>
void visit_labels(const Stream& stream, u64 count, u32 mask, Visit visit) {
    alignas(64) u32 words[label_block / 2];
    for (u64 start = 0; start < count; start += label_block) {
        const u64 n = std::min<u64>(label_block, count - start);
        kernels().lane_words(stream.key, stream.id, start / 128U, (n + 127U) / 128U, words);
        for (u64 e = 0; e < n; ++e) {
            visit(start + e, words[e / 2U] >> (16U * (e % 2U)) & mask);
        }
    }
}

// Scatters into the buckets through one cache line of pending elements for each: memory sees whole lines, and the many
// write streams cost no page walk an element.
template <typename T>
class LineScatter {
  public:
    // first[b]: where this scatter's part of bucket b begins
    LineScatter(T* out, const u64* first, std::size_t buckets)
        : out_(out), first_(first, first + buckets), next_(first_), lines_(buckets * line) {}

    void put(u32 bucket, T value) {
        const u64 at = next_[bucket]++;
        lines_[bucket * line + at % line] = value;
        if (at % line == line - 1) {
            write(bucket, at / line * line, at + 1);
        }
    }
    void drain() {
        for (u32 bucket = 0; bucket < next_.size(); ++bucket) {
            write(bucket, next_[bucket] / line * line, next_[bucket]);
        }
    }

  private:
    static constexpr u64 line = 64 / sizeof(T);

    void write(u32 bucket, u64 line_start, u64 stop) {
        const u64 start = std::max(line_start, first_[bucket]);
        if (start < stop) {
            std::copy(&lines_[bucket * line + start % line], &lines_[bucket * line] + (stop - line_start),
                      out_ + start);
        }
    }

    T* out_;
    std::vector<u64> first_;
    std::vector<u64> next_;
    std::vector<T> lines_;
};

template <typename T>
void scattered_permutation(u64 seed, std::span<index_t> out) {
    const u64 n = out.size();
    const u32 bits = label_bits(n);
    const u32 mask = (1U << bits) - 1U;
    const std::size_t buckets = std::size_t{1} << bits;
    const u64 label_key = derive_key(seed, 0, Purpose::permutation);
    const u64 bucket_key = derive_key(seed, 0, Purpose::permutation_bucket);
    const index_t chunks = static_cast<index_t>((n + chunk - 1) / chunk);
    const auto chunk_size = [n](index_t c) { return std::min(chunk, n - static_cast<u64>(c) * chunk); };

    // starts[c * buckets + b]: where the elements of chunk c begin in bucket b
    std::vector<u64> starts(static_cast<std::size_t>(chunks) * buckets);
    parallel_for(chunks, [&](index_t c) {
        std::vector<u32> counts(2 * buckets);  // two tables, so that equal neighbours do not wait for each other
        visit_labels(Stream{label_key, static_cast<u64>(c)}, chunk_size(c), mask,
                     [&](u64 e, u32 label) { ++counts[2 * label + e % 2U]; });
        for (std::size_t b = 0; b < buckets; ++b) {
            starts[static_cast<std::size_t>(c) * buckets + b] = u64{counts[2 * b]} + counts[2 * b + 1];
        }
    });
    std::vector<u64> bucket_starts(buckets + 1);
    u64 total = 0;
    for (std::size_t b = 0; b < buckets; ++b) {
        bucket_starts[b] = total;
        for (index_t c = 0; c < chunks; ++c) {
            u64& start = starts[static_cast<std::size_t>(c) * buckets + b];
            total += std::exchange(start, total);
        }
    }
    bucket_starts[buckets] = total;

    Buffer<T> scattered(n);
    parallel_for(chunks, [&](index_t c) {
        LineScatter<T> scatter(scattered.data(), &starts[static_cast<std::size_t>(c) * buckets], buckets);
        const u64 first = static_cast<u64>(c) * chunk;
        visit_labels(Stream{label_key, static_cast<u64>(c)}, chunk_size(c), mask,
                     [&](u64 e, u32 label) { scatter.put(label, static_cast<T>(first + e)); });
        scatter.drain();
    });
    parallel_for(static_cast<index_t>(buckets), [&](index_t b) {
        const u64 start = bucket_starts[static_cast<std::size_t>(b)];
        const u64 stop = bucket_starts[static_cast<std::size_t>(b) + 1];
        const std::span<T> bucket = scattered.span().subspan(start, stop - start);
        shuffle(Stream{bucket_key, static_cast<u64>(b)}, bucket);
        std::copy(bucket.begin(), bucket.end(), out.begin() + static_cast<std::ptrdiff_t>(start));
    });
}

}  // namespace

void permutation(u64 seed, std::span<index_t> out) {
    if (out.size() < exact_below) {
        shuffled_iota(Stream{derive_key(seed, 0, Purpose::permutation), 0}, out);
    } else if (out.size() <= u64{1} << 32U) {
        scattered_permutation<u32>(seed, out);
    } else {
        scattered_permutation<u64>(seed, out);
    }
}

}  // namespace tombola
