#include "tombola/h5ad/codes.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "tombola/base/parallel.hpp"

namespace tombola {
namespace {

constexpr std::size_t task_bytes = std::size_t{1} << 23U;
constexpr std::size_t piece_bytes = std::size_t{1} << 18U;  // which stays in the cache

template <typename T>
CodesRange range_of(std::span<const std::byte> codes) {
    const auto* const items = reinterpret_cast<const T*>(codes.data());
    T least = std::numeric_limits<T>::max();
    T largest = std::numeric_limits<T>::min();
    const std::size_t count = codes.size() / sizeof(T);
    for (std::size_t i = 0; i < count; ++i) {
        least = std::min(least, items[i]);
        largest = std::max(largest, items[i]);
    }
    if (count == 0) {
        return {};
    }
    need(std::in_range<index_t>(largest));
    return {static_cast<index_t>(least), static_cast<index_t>(largest)};
}

CodesRange both(CodesRange one, CodesRange other) {
    if (one.largest < one.least) {
        return other;
    }
    return {std::min(one.least, other.least), std::max(one.largest, other.largest)};
}

struct Part {
    std::size_t job;
    std::size_t start;
    std::size_t bytes;
};

CodesRange read_part(const CodesJob& job, const Part& part) {
    const SharedDescriptor descriptor(job.path);
    const PlainFile file(descriptor.get());
    need(file.stamp() == job.stamp);
    need(job.address <= file.size() && job.out.size() <= file.size() - job.address);
    CodesRange found;
    for (std::size_t done = 0; done < part.bytes; done += piece_bytes) {
        const std::size_t bytes = std::min(piece_bytes, part.bytes - done);
        const std::span<std::byte> out = job.out.subspan(part.start + done, bytes);
        file.read_into(job.address + part.start + done, out);
        found = both(found, range_of(job.type, out));
    }
    return found;
}

}  // namespace

CodesRange range_of(ItemType type, std::span<const std::byte> codes) {
    need(type.is_integer());
    const bool is_signed = type.kind == 'i';
    switch (type.bytes) {
        case 1:
            return is_signed ? range_of<std::int8_t>(codes) : range_of<std::uint8_t>(codes);
        case 2:
            return is_signed ? range_of<std::int16_t>(codes) : range_of<u16>(codes);
        case 4:
            return is_signed ? range_of<std::int32_t>(codes) : range_of<u32>(codes);
        default:
            return is_signed ? range_of<std::int64_t>(codes) : range_of<u64>(codes);
    }
}

std::vector<std::optional<CodesRange>> read_codes(std::span<const CodesJob> jobs) {
    std::vector<Part> parts;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        for (std::size_t start = 0; start < jobs[i].out.size(); start += task_bytes) {
            parts.push_back({i, start, std::min(task_bytes, jobs[i].out.size() - start)});
        }
    }
    std::vector<std::optional<CodesRange>> of_parts(parts.size());
    parallel_for(static_cast<index_t>(parts.size()), [&](index_t task) {
        const std::size_t number = static_cast<std::size_t>(task);
        try {
            of_parts[number] = read_part(jobs[parts[number].job], parts[number]);
        } catch (const NotPlain&) {  // HDF5 says what is wrong
            return;
        }
    });
    std::vector<std::optional<CodesRange>> found(jobs.size(), CodesRange{});
    for (std::size_t i = 0; i < parts.size(); ++i) {
        std::optional<CodesRange>& mine = found[parts[i].job];
        mine = mine && of_parts[i] ? std::optional(both(*mine, *of_parts[i])) : std::nullopt;
    }
    return found;
}

}  // namespace tombola
