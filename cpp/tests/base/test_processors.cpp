// Quotas of control groups as files show them, of both versions and in containers.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"
#include "tombola/base/processors.hpp"

using namespace tombola;

namespace {

// A folder that looks like the root of a machine
class Root {
  public:
    Root() : path_(std::filesystem::temp_directory_path() / ("tombola_root_" + std::to_string(getpid()))) {
        std::filesystem::remove_all(path_);
    }
    Root(const Root&) = delete;
    Root& operator=(const Root&) = delete;
    ~Root() { std::filesystem::remove_all(path_); }
    void write(const std::string& name, const std::string& text) const {
        const std::filesystem::path file = path_ / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << text;
    }
    std::string path() const { return path_.string(); }

  private:
    std::filesystem::path path_;
};

using Files = std::vector<std::pair<std::string, std::string>>;

int quota(const std::string& groups, const Files& files) {
    const Root root;
    root.write("proc/self/cgroup", groups);
    for (const auto& [name, text] : files) {
        root.write("sys/fs/cgroup/" + name, text);
    }
    return quota_processors(root.path());
}

}  // namespace

TEST(quotas_of_version_2_are_rounded_up) {
    CHECK_EQ(quota("0::/a/b\n", {{"a/b/cpu.max", "200000 100000\n"}}), 2);
    CHECK_EQ(quota("0::/a/b\n", {{"a/b/cpu.max", "200001 100000\n"}}), 3);
    CHECK_EQ(quota("0::/a/b\n", {{"a/b/cpu.max", "10000 100000\n"}}), 1);
    CHECK_EQ(quota("0::/a/b\n", {{"a/b/cpu.max", "max 100000\n"}}), 0);
    CHECK_EQ(quota("0::/\n", {{"cpu.max", "350000 100000\n"}}), 4);
}

TEST(the_smallest_quota_of_a_group_and_those_above_holds) {
    const Files files{
        {"a/b/cpu.max", "800000 100000\n"}, {"a/cpu.max", "300000 100000\n"}, {"cpu.max", "max 100000\n"}};
    CHECK_EQ(quota("0::/a/b\n", files), 3);
    CHECK_EQ(quota("0::/a\n", files), 3);
    CHECK_EQ(quota("0::/\n", files), 0);
    CHECK_EQ(quota("0::/other\n", files), 0);
}

TEST(quotas_of_version_1) {
    const std::string groups = "5:memory:/m\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n0::/docker/x\n";
    const auto files = [](const std::string& folder, const std::string& most) {
        return Files{{folder + "/cpu.cfs_quota_us", most}, {folder + "/cpu.cfs_period_us", "50000\n"}};
    };
    CHECK_EQ(quota(groups, files("cpu,cpuacct/docker/x", "125000\n")), 3);
    CHECK_EQ(quota(groups, files("cpu/docker/x", "125000\n")), 3);
    CHECK_EQ(quota(groups, files("cpu/docker", "50000\n")), 1);
    CHECK_EQ(quota(groups, files("cpu", "100000\n")), 2);  // as inside a container, which has a name of its own
    CHECK_EQ(quota(groups, files("cpu/docker/x", "-1\n")), 0);
    CHECK_EQ(quota(groups, files("memory/m", "50000\n")), 0);
    CHECK_EQ(quota("3:cpuset:/docker/x\n", files("cpu/docker/x", "50000\n")), 0);
}

TEST(without_groups_or_with_odd_files_there_is_no_quota) {
    CHECK_EQ(quota("", {}), 0);
    CHECK_EQ(quota("nonsense\n1:2\n:\n", {}), 0);
    CHECK_EQ(quota("0::/a\n", {{"a/cpu.max", ""}}), 0);
    CHECK_EQ(quota("0::/a\n", {{"a/cpu.max", "100000 0\n"}}), 0);
    CHECK_EQ(quota("0::/a\n", {{"a/cpu.max", "nine 100000\n"}}), 0);
    CHECK_EQ(quota("0::/a\n", {{"a/cpu.max", "9000000000000000000 1\n"}}), 1 << 20);
    CHECK_EQ(quota("0::/../a\n", {{"cpu.max", "100000 100000\n"}}), 1);
    CHECK_EQ(quota_processors("/nowhere/at/all"), 0);
}

TEST(a_process_may_use_a_processor_or_more) {
    CHECK(processors() >= 1);
    CHECK(std::thread::hardware_concurrency() == 0 ||
          processors() <= static_cast<int>(std::thread::hardware_concurrency()));
}
