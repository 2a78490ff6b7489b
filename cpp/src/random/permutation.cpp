#include "tombola/random/permutation.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "tombola/base/line_scatter.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/base/scratch.hpp"
#include "tombola/base/stream.hpp"
#include "tombola/kernels/kernels.hpp"
#include "tombola/random/philox.hpp"
#include "tombola/random/shuffle.hpp"

namespace tombola {
namespace {

constexpr u64 exact_below = u64{1} << 16U;  // up to here one shuffle
constexpr u64 chunk = u64{1} << 20U;        // elements whose labels share a stream
constexpr std::size_t label_block = 4096;   // labels made at once; divides the chunk
constexpr u32 max_label_bits = 14;

u32 label_bits(u64 n) { return std::clamp<u32>(static_cast<u32>(std::bit_width((n - 1) >> 17U)), 1U, max_label_bits); }

// Words as pairs of labels, under another type.
using u16_in_words = u16 __attribute__((may_alias));

// Two labels a word: element e of the chunk takes half e & 1, the low one first, of word e >> 1. visit(first, n, label)
// for elements first, first + 1, ...: label(i) is that of element first + i.
template <typename Visit>
void visit_labels(const Stream& stream, u64 count, u32 mask, Visit visit) {
    alignas(64) u32 words[label_block / 2];
    constexpr u64 flip = std::endian::native == std::endian::little ? 0 : 1;
    const u16_in_words* const halves = reinterpret_cast<const u16_in_words*>(words);
    for (u64 start = 0; start < count; start += label_block) {
        const u64 n = std::min<u64>(label_block, count - start);
        kernels().lane_words(stream.key, stream.id, start / 128U, (n + 127U) / 128U, words);
        visit(start, n, [=](u64 i) { return std::size_t{halves[i ^ flip] & mask}; });
    }
}

// The scattered elements lie in the output's own memory, under another type.
using u32_in_output = u32 __attribute__((may_alias));

// Where the elements go: starts[c * buckets + b] for those of chunk c with label b, bucket_starts[b] for the bucket.
struct Layout {
    u64 n;
    u32 mask;
    std::size_t buckets;
    index_t chunks;
    std::vector<u64> starts;
    std::vector<u64> bucket_starts;

    u64 chunk_size(index_t c) const { return std::min(chunk, n - static_cast<u64>(c) * chunk); }
    u64* chunk_starts(index_t c) { return &starts[static_cast<std::size_t>(c) * buckets]; }
};

Layout count_labels(u64 n, u64 key) {
    const u32 bits = label_bits(n);
    Layout layout{.n = n,
                  .mask = (1U << bits) - 1U,
                  .buckets = std::size_t{1} << bits,
                  .chunks = static_cast<index_t>((n + chunk - 1) / chunk),
                  .starts = {},
                  .bucket_starts = {}};
    layout.starts.resize(static_cast<std::size_t>(layout.chunks) * layout.buckets);
    parallel_for(layout.chunks, [&](index_t c) {
        std::vector<u32> counts(2 * layout.buckets);  // two tables: equal neighbours do not wait for each other
        visit_labels(Stream{key, static_cast<u64>(c)}, layout.chunk_size(c), layout.mask,
                     [table = counts.data()](u64, u64 part, auto label) {
                         for (u64 i = 0; i < part; ++i) {
                             ++table[2 * label(i) + i % 2];
                         }
                     });
        for (std::size_t b = 0; b < layout.buckets; ++b) {
            layout.chunk_starts(c)[b] = u64{counts[2 * b]} + counts[2 * b + 1];
        }
    });
    u64 total = 0;
    for (std::size_t b = 0; b < layout.buckets; ++b) {
        layout.bucket_starts.push_back(total);
        for (index_t c = 0; c < layout.chunks; ++c) {
            total += std::exchange(layout.chunk_starts(c)[b], total);
        }
    }
    layout.bucket_starts.push_back(total);
    return layout;
}

template <typename T>
void scatter(Layout& layout, u64 key, T* out) {
    parallel_for(layout.chunks, [&](index_t c) {
        LineScatter<T> lines(out, layout.chunk_starts(c), layout.buckets, is_streamed(layout.n * sizeof(T)));
        const u64 first = static_cast<u64>(c) * chunk;
        visit_labels(Stream{key, static_cast<u64>(c)}, layout.chunk_size(c), layout.mask,
                     [&](u64 start, u64 part, auto label) {
                         lines.put(part, label, [from = first + start](u64 i) { return static_cast<T>(from + i); });
                     });
        lines.drain();
    });
}

// Buckets of 32-bit elements in the upper half of the output, each copied out, shuffled and written where it belongs.
// Writing bucket [s, e) covers the elements [2s - n, 2e - n): those are in front of e, and buckets are taken in order,
// so it waits at most for copies that other threads have begun.
void shuffle_out_of_upper_half(const Layout& layout, u64 key, std::span<index_t> out) {
    const u64 n = layout.n;
    const u32_in_output* const scattered = reinterpret_cast<const u32_in_output*>(out.data()) + n;
    std::vector<std::atomic<bool>> copied(layout.buckets);
    parallel_for(static_cast<index_t>(layout.buckets), [&](index_t task) {
        const std::size_t b = static_cast<std::size_t>(task);
        const u64 start = layout.bucket_starts[b];
        const u64 stop = layout.bucket_starts[b + 1];
        struct Mark {  // also when memory runs out, so that no thread waits for ever
            std::atomic<bool>& flag;
            ~Mark() { flag.store(true, std::memory_order_release); }
        };
        thread_local std::vector<u32> bucket;
        {
            const Mark mark{copied[b]};
            bucket.assign(scattered + start, scattered + stop);
        }
        shuffle(Stream{key, static_cast<u64>(b)}, std::span<u32>(bucket));
        for (std::size_t other = b; other-- > 0 && layout.bucket_starts[other + 1] + n > 2 * start;) {
            while (layout.bucket_starts[other] + n < 2 * stop && !copied[other].load(std::memory_order_acquire)) {
                std::this_thread::yield();
            }
        }
        if (is_streamed(out.size_bytes())) {
            stream_widened(out.data() + start, bucket.data(), bucket.size());
            end_stream();
        } else {
            std::copy(bucket.begin(), bucket.end(), out.begin() + static_cast<std::ptrdiff_t>(start));
        }
        keep_little(bucket);
    });
}

}  // namespace

void permutation(u64 seed, std::span<index_t> out) {
    const u64 n = out.size();  // part of the keys: permutations of two sizes have nothing in common
    const u64 label_key = derive_key(seed, n, Purpose::permutation);
    const u64 bucket_key = derive_key(seed, n, Purpose::permutation_bucket);
    if (n < exact_below) {
        shuffled_iota(Stream{label_key, 0}, out);
        return;
    }
    Layout layout = count_labels(n, label_key);
    if (n <= u64{1} << 32U) {
        scatter(layout, label_key, reinterpret_cast<u32_in_output*>(out.data()) + n);
        shuffle_out_of_upper_half(layout, bucket_key, out);
        return;
    }
    scatter(layout, label_key, out.data());
    parallel_for(static_cast<index_t>(layout.buckets), [&](index_t b) {
        const u64 start = layout.bucket_starts[static_cast<std::size_t>(b)];
        const u64 stop = layout.bucket_starts[static_cast<std::size_t>(b) + 1];
        shuffle(Stream{bucket_key, static_cast<u64>(b)}, out.subspan(start, stop - start));
    });
}

}  // namespace tombola
