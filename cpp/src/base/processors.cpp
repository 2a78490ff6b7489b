#include "tombola/base/processors.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "tombola/base/types.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

namespace tombola {
namespace {

constexpr index_t most_processors = 1 << 20;

// The smaller of two limits, of which 0 is none
int smaller(int a, int b) { return a == 0 || b == 0 ? std::max(a, b) : std::min(a, b); }

// Of so many microseconds in each period
int limit_of(index_t quota, index_t period) {
    if (quota <= 0 || period <= 0) {
        return 0;
    }
    return static_cast<int>(std::min((quota - 1) / period + 1, most_processors));
}

index_t read_number(const std::string& path) {
    std::ifstream file(path);
    index_t number = 0;
    return file >> number ? number : 0;
}

int limit_of_group(const std::string& folder) {
    std::ifstream file(folder + "/cpu.max");  // "max 100000" where there is no quota
    index_t quota = 0;
    index_t period = 0;
    const int limit = file >> quota >> period ? limit_of(quota, period) : 0;
    return smaller(limit,
                   limit_of(read_number(folder + "/cpu.cfs_quota_us"), read_number(folder + "/cpu.cfs_period_us")));
}

// Of a group and all above it. A container may not see its own group by the name that the machine has for it; the
// topmost folder is then its group.
int limit_of_groups(const std::string& top, std::string group) {
    if (group.find("..") != std::string::npos) {
        group.clear();
    }
    int limit = 0;
    while (!group.empty() && group != "/") {
        limit = smaller(limit, limit_of_group(top + group));
        group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
    }
    return smaller(limit, limit_of_group(top));
}

bool has_processors(const std::string& controllers) {
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
        if (name == "cpu") {
            return true;
        }
    }
    return false;
}

}  // namespace

int quota_processors(const std::string& root) {
    const std::string groups = root + "/sys/fs/cgroup";
    std::ifstream file(root + "/proc/self/cgroup");
    int limit = 0;
    for (std::string line; std::getline(file, line);) {  // number:controllers:group
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) {
            continue;
        }
        const std::string controllers = line.substr(first + 1, second - first - 1);
        const std::string group = line.substr(second + 1);
        if (controllers.empty()) {
            limit = smaller(limit, limit_of_groups(groups, group));
        } else if (has_processors(controllers)) {
            limit = smaller(limit, limit_of_groups(groups + "/cpu", group));
            limit = smaller(limit, limit_of_groups(groups + '/' + controllers, group));
        }
    }
    return limit;
}

int processors() {
    int allowed = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        allowed = CPU_COUNT(&set);
    }
    allowed = smaller(allowed, quota_processors(""));
#endif
    return std::max(1, allowed);
}

}  // namespace tombola
