// The loops that gain from vector units, as a table of functions that src/kernels/kernels.inc fills once for each
// instruction set. All of them compute with integers, or with doubles in a fixed order: every table gives
// the same bytes. The table is chosen at run time.
#pragma once

#include <string_view>
#include <vector>

#include "tombola/base/types.hpp"

namespace tombola {

inline constexpr int feistel_rounds = 12;

// A keyed bijection of [0, n): see bijection.hpp for the rule.
struct Feistel {
    u32 keys[2 * feistel_rounds];
    u32 low_bits;  // the left half has 2^low_bits values
    u32 radix;     // the right half has `radix` values; radix << low_bits >= n
    u64 n;
};

// A gather out of an array that no cache holds, in two halves: some places are prefetched (prefetch.hpp), others, which
// were prefetched long ago, are loaded. Kernels do it while they compute: the queue of misses then never runs dry, and
// the work costs next to nothing beside it.
struct GatherAhead {
    const void* array;
    u32 shift;  // of 2^shift bytes an element: 2 or 3
    const u64* prefetch;
    std::size_t prefetch_count;
    u64* load = nullptr;  // each place is replaced by its element
    std::size_t load_count = 0;
};

// Does it with nothing else to do.
void gather_ahead(const GatherAhead& ahead);

// 64 positions of a line of series, see series_order.hpp.
template <typename Index>
struct LineWord {
    u64 starts;           // bit b: a series starts at position 64w + b
    Index series_before;  // how many start in front of the word
    Index start_before;   // where the last of them starts
};

// What columns are, in the highest bits: whether any is above a top, and whether any, but the first, does not exceed
// the one before it. The second may be wrong where the first is set.
template <typename Word>
struct ColumnSigns {
    Word outside;
    Word falls;
};

// What a validation pass learns of one run of weights.
struct WeightScan {
    double lane_sums[8];
    double largest;
    u64 positive;
    bool valid;  // false: some weight is negative, NaN or infinite
};

inline constexpr u64 group_undecided = ~u64{0};

inline constexpr std::size_t granule_rows = 8;
inline constexpr std::size_t words_of_step = 16;
inline constexpr std::size_t locate_targets = 16;  // targets that are located together

// Masses as the kernels read them, see mass_source.hpp.
enum class MassKind : std::uint8_t { f32, f64, i8, i16, i32, i64 };  // weights, or codes of classes
struct MassArray {
    MassKind kind;
    const void* values;  // `size` of them
    u64 size;
    const index_t* indices;      // row i stands for value indices[i]; null: for value i
    double scale;                // of weights
    const mass_t* class_masses;  // of codes: one a class, and 0 for codes that have changed to something out of range
    u64 classes;
};

// Sums of masses by which the granule of a target is found, see weight_table.hpp.
struct Granules {
    const mass_t* before;  // count + 1 sums, and granule_padding entries larger than any target
    const u32* guide;
    u32 guide_shift;
    u64 count;
    u64 rows;
};
inline constexpr std::size_t granule_padding = 8;

// Runs of sorted targets that take a step together. Four groups are under way at once, each a step further than the
// next: of at[3] the guide is prefetched, of at[2] the sums, of at[1] the granules are found and the masses prefetched,
// of at[0] the rows are located.
struct RunGroup {
    const mass_t* targets;
    u64* granules;  // of the first target of each run; at first where to look for it
    std::size_t runs;
};
struct RunGroups {
    RunGroup at[4];
};

// Strata of equal mass: stratum i begins at (i * (step * 2^64 + step_fraction)) >> 64.
struct Strata {
    mass_t step;        // below 2^62
    u64 step_fraction;  // in units of 2^-64
};

struct Kernels {
    const char* name;
    // 64 * groups words of a stream in lane order, from word 64 * first_group on.
    void (*lane_words)(u64 key, u64 id, u64 first_group, std::size_t groups, u32* out);
    // 4 * count words in serial order, from word 4 * first_counter on.
    void (*serial_words)(u64 key, u64 id, u64 first_counter, std::size_t count, u32* out);
    // words 4c .. 4c + 3 for each counter c of the array.
    void (*serial_words_at)(u64 key, u64 id, const u64* counters, std::size_t count, u32* out);
    // Words 4c .. 4c + 3 of stream (key, ids[i]), c = counters[i]. Count is a multiple of words_of_step.
    void (*words_of)(u64 key, const u64* ids, const u64* counters, std::size_t count, u32* out);
    // Of the first `bits` bits, the lowest one of a word first.
    u64 (*count_ones)(const u32* words, u64 bits);
    // Of `count` numbers of 64 bits, two words each, one that `rank` others, at most, are below, and not fewer but for
    // equal ones: what stands there once they are sorted. rank < count. O(count^2).
    u64 (*select)(const u32* words, std::size_t count, u64 rank);
    // words[t] = words[t] * (first_range + t) >> 32; true when a low half was below its range (a rejection is
    // possible). Count is a multiple of 64.
    bool (*scale_words)(u32* words, u32 first_range, std::size_t count);
    // p(first + t), or p(in[t]) where `in` is given. Count is free; in and out may be the same array.
    void (*feistel)(const Feistel& f, const u64* in, u64 first, std::size_t count, u64* out);
    // base + p(first + t). Meanwhile it gathers ahead, spread over the work.
    void (*feistel_gathering)(const Feistel& f, u64 first, std::size_t count, u64 base, const GatherAhead& ahead,
                              u64* out);
    void (*feistel_inverse)(const Feistel& f, const u64* in, u64 first, std::size_t count, u64* out);
    // Orders inside groups, one group an element, see group_shuffle.hpp. group_exact: counts of at most 64; true where
    // some element is group_undecided, as a word may have to be rejected; it gathers ahead, as above.
    // group_feistel: counts above 2; four words of its own each; it gathers ahead too.
    bool (*group_exact)(u64 key, const u64* ids, const u64* counts, const u64* ranks, std::size_t n,
                        const GatherAhead& ahead, u64* out);
    void (*group_feistel)(const u32* keys, const u32* words, const u64* counts, const u64* ranks, std::size_t n,
                          const GatherAhead& ahead, u64* out);
    // For each position on a line of series: which one covers it, and the position inside it. Prefetches the
    // elements of `array`, of 2^shift bytes, that belong to those series. 32-bit and 64-bit words.
    void (*line_at_32)(const LineWord<u32>* words, const u64* positions, std::size_t n, const void* array, u32 shift,
                       u64* series, u64* ranks);
    void (*line_at_64)(const LineWord<u64>* words, const u64* positions, std::size_t n, const void* array, u32 shift,
                       u64* series, u64* ranks);
    // out[t] = rows[table[t]]
    void (*gather)(const index_t* rows, const u16* table, std::size_t count, index_t* out);
    // Of the columns of a row, `count` > 0 of them; `top` is below 2^31 or 2^63, or all ones: then all are above it.
    ColumnSigns<u32> (*column_signs_32)(const u32* columns, std::size_t count, u32 top);
    ColumnSigns<u64> (*column_signs_64)(const u64* columns, std::size_t count, u64 top);
    // Quantised weights, see weight_table.hpp.
    void (*quantise_f32)(const float* weights, std::size_t count, double scale, mass_t* out);
    void (*quantise_f64)(const double* weights, std::size_t count, double scale, mass_t* out);
    WeightScan (*scan_f32)(const float* weights, std::size_t count);
    WeightScan (*scan_f64)(const double* weights, std::size_t count);
    // Targets of runs of strata: start + (word * width >> 32) for the start and the width of each stratum of each run.
    // Stratum i takes word i of a stream; `words` holds for each run the counters, of four words, that it begins and
    // ends in and all between.
    void (*stratify)(const Strata& strata, const u64* starts, std::size_t runs, std::size_t length, const u32* words,
                     mass_t* out);
    // One kernel for each MassKind: the rows on which sorted targets fall, see RunGroups.
    void (*locate[6])(const MassArray& array, const Granules& table, const RunGroups& groups, std::size_t length,
                      index_t* out);
    // One level of a sum tree (sum_tree.hpp) for many targets: from a node and a target in it to a child and the target
    // in that, `last` at most. `below`: where the children lie, 64 bytes each; they are prefetched.
    void (*descend)(const u64* nodes, const void* below, u64 last, std::size_t count, u64* targets, u64* positions);
    // From a block of 8 weights to the slot, `last` at most, what is left of the target there, and the slot's mass.
    void (*find_slots)(const double* weights, double scale, u64 last, std::size_t count, u64* targets, u64* positions,
                       mass_t* masses);
    // Adds deltas (modulo 2^64) to the sums behind entries of the level, inside their nodes.
    void (*add_deltas)(u64* nodes, std::size_t count, const u64* entries, const u64* deltas);
    // The same for each of the 8 entries of `count` nodes; sums[i]: those of node i, may begin where deltas do.
    void (*add_all_deltas)(u64* nodes, std::size_t count, const u64* deltas, u64* sums);
};

const Kernels& kernels() noexcept;  // the table in use
std::vector<std::string_view> available_instruction_sets();
void set_instruction_set(std::string_view name);  // "auto" or an available one; std::invalid_argument else
// From now on none better than `name` is available, for the rest of the process; std::invalid_argument as above. To be
// called before there are threads.
void limit_instruction_sets(std::string_view name);

}  // namespace tombola
