// How many processors this process may use: those that its affinity allows, and no more than the CPU quotas of its
// control groups (cgroups) grant, rounded up. A container shows all processors of its machine but may use a few:
// threads beyond the quota are stopped for the rest of each period. A few small files are read.
#pragma once

#include <string>

namespace tombola {

int processors();  // 1 or more

// By the quotas alone, 0 where there is none: cpu.max (version 2) or cpu.cfs_quota_us (version 1), of the groups that
// `root`/proc/self/cgroup names and of all above them, below `root`/sys/fs/cgroup.
int quota_processors(const std::string& root);

}  // namespace tombola
