// The loops that gain from vector units, as a table of functions that one source file (src/kernels.inc) fills once
// for each instruction set. All of them compute with integers, or with doubles in a fixed order: every table gives
// the same bytes. The table is chosen at run time.
#pragma once

#include <string_view>
#include <vector>

#include "tombola/types.hpp"

namespace tombola {

inline constexpr int feistel_rounds = 12;

// A keyed bijection of [0, n): see bijection.hpp for the rule.
struct Feistel {
    u32 keys[2 * feistel_rounds];
    u32 low_bits;  // the left half has 2^low_bits values
    u32 radix;     // the right half has `radix` values; radix << low_bits >= n
    u64 n;
};

// What a validation pass learns of one run of weights.
struct WeightScan {
    double lane_sums[8];
    double largest;
    u64 positive;
    bool valid;  // false: some weight is negative, NaN or infinite
};

inline constexpr u64 group_undecided = ~u64{0};

inline constexpr std::size_t granule_rows = 32;    // rows whose masses are summed together
inline constexpr std::size_t locate_targets = 16;  // targets that are located together

struct Granule {
    mass_t start;  // the masses of all rows in front
    mass_t stop;   // and with its own
    index_t first_row;
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
    // words[t] = words[t] * (first_range + t) >> 32; true when a low half was below its range (a rejection is
    // possible). Count is a multiple of 64.
    bool (*scale_words)(u32* words, u32 first_range, std::size_t count);
    // p(first + t), or p(in[t]) where `in` is given. Count is free; in and out may be the same array.
    void (*feistel)(const Feistel& f, const u64* in, u64 first, std::size_t count, u64* out);
    void (*feistel_inverse)(const Feistel& f, const u64* in, u64 first, std::size_t count, u64* out);
    // Orders inside groups, one group an element, see group_shuffle.hpp. group_exact: counts of at most 64;
    // group_undecided where a word may have to be rejected. group_feistel: counts above 2; four words of its own each.
    void (*group_exact)(u64 key, const u64* ids, const u64* counts, const u64* ranks, std::size_t n, u64* out);
    void (*group_feistel)(const u32* keys, const u32* words, const u64* counts, const u64* ranks, std::size_t n,
                          u64* out);
    // out[t] = rows[table[t]]
    void (*gather)(const index_t* rows, const u16* table, std::size_t count, index_t* out);
    // Quantised weights, see weight_table.hpp.
    void (*quantise_f32)(const float* weights, std::size_t count, double scale, mass_t* out);
    void (*quantise_f64)(const double* weights, std::size_t count, double scale, mass_t* out);
    WeightScan (*scan_f32)(const float* weights, std::size_t count);
    WeightScan (*scan_f64)(const double* weights, std::size_t count);
    // out[i] = start + (words[i] * width >> 32) for the start and the width of stratum first + i.
    void (*stratify)(const Strata& strata, u64 first, const u32* words, std::size_t count, mass_t* out);
    // Of sorted targets, at least the first of which lies in the granule, those that do, but at most locate_targets:
    // writes the row that each falls on and returns their number. count <= granule_rows (quantised) masses are those of
    // the granule; locate_targets targets must be readable. locate_masses ignores the scale.
    std::size_t (*locate_f32)(const float* weights, std::size_t count, double scale, const Granule& at,
                              const mass_t* targets, std::size_t n_targets, index_t* out);
    std::size_t (*locate_f64)(const double* weights, std::size_t count, double scale, const Granule& at,
                              const mass_t* targets, std::size_t n_targets, index_t* out);
    std::size_t (*locate_masses)(const mass_t* masses, std::size_t count, double scale, const Granule& at,
                                 const mass_t* targets, std::size_t n_targets, index_t* out);
    // One level of a sum tree (sum_tree.hpp) for many targets: from a node and a target in it to a child and the target
    // in that. `below`: where the children lie, 64 bytes each; they are asked for.
    void (*descend)(const u64* nodes, const void* below, std::size_t count, u64* targets, u64* positions);
    // From a block of 8 weights to the slot, what is left of the target there, and the slot's mass.
    void (*find_slots)(const double* weights, double scale, std::size_t count, u64* targets, u64* positions,
                       mass_t* masses);
    // Adds deltas (modulo 2^64) to the sums behind entries of the level, inside their nodes.
    void (*add_deltas)(u64* nodes, std::size_t count, const u64* entries, const u64* deltas);
};

const Kernels& kernels() noexcept;  // the table in use
std::vector<std::string_view> available_instruction_sets();
void set_instruction_set(std::string_view name);  // "auto" or an available one; std::invalid_argument else

}  // namespace tombola
