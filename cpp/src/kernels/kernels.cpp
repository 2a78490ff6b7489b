#include "tombola/kernels/kernels.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include "tombola/base/prefetch.hpp"

namespace tombola {

extern const Kernels kernels_baseline;
#if defined(TOMBOLA_X86)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
#endif

namespace {

template <typename Index>
void gather_all(const GatherAhead& ahead) {
    const Index* const array = static_cast<const Index*>(ahead.array);
    std::for_each_n(ahead.prefetch, ahead.prefetch_count, [&](u64 place) { prefetch_far(array + place); });
    std::for_each_n(ahead.load, ahead.load_count, [&](u64& place) { place = array[place]; });
}

std::atomic<std::size_t> left_out{0};  // how many of the best ones are

// Best first.
std::vector<const Kernels*> supported() {
    std::vector<const Kernels*> tables;
#if defined(TOMBOLA_X86)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd")) {
        tables.push_back(&kernels_avx512);
    }
    if (avx2) {
        tables.push_back(&kernels_avx2);
    }
#endif
    tables.push_back(&kernels_baseline);
    tables.erase(tables.begin(), tables.begin() + static_cast<std::ptrdiff_t>(left_out.load()));
    return tables;
}

std::string names_of(const std::vector<const Kernels*>& tables) {
    std::string names;
    for (const Kernels* table : tables) {
        names += (names.empty() ? "" : ", ") + std::string(table->name);
    }
    return names;
}

std::atomic<const Kernels*>& current() {
    static std::atomic<const Kernels*> table{supported().front()};
    return table;
}

}  // namespace

void gather_ahead(const GatherAhead& ahead) { ahead.shift == 2 ? gather_all<u32>(ahead) : gather_all<u64>(ahead); }

const Kernels& kernels() noexcept { return *current().load(std::memory_order_relaxed); }

std::vector<std::string_view> available_instruction_sets() {
    std::vector<std::string_view> names;
    for (const Kernels* table : supported()) {
        names.emplace_back(table->name);
    }
    return names;
}

void set_instruction_set(std::string_view name) {
    const std::vector<const Kernels*> tables = supported();
    const auto table = std::find_if(tables.begin(), tables.end(),
                                    [name](const Kernels* each) { return name == "auto" || name == each->name; });
    if (table == tables.end()) {
        throw std::invalid_argument("the instruction set must be one of auto, " + names_of(tables) + ", but is \"" +
                                    std::string(name) + "\"");
    }
    current() = *table;
}

void limit_instruction_sets(std::string_view name) {
    const std::vector<const Kernels*> tables = supported();
    const auto table =
        std::find_if(tables.begin(), tables.end(), [name](const Kernels* each) { return name == each->name; });
    if (table == tables.end()) {
        throw std::invalid_argument("TOMBOLA_INSTRUCTION_SET must be one of " + names_of(tables) +
                                    ", which this processor has, but is \"" + std::string(name) + "\"");
    }
    left_out += static_cast<std::size_t>(table - tables.begin());
    current() = *table;
}

}  // namespace tombola
