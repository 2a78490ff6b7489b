#include "tombola/rows/files.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "tombola/base/per_process.hpp"

namespace tombola {
namespace {

struct OpenDescriptor {
    int descriptor;
    std::size_t users = 0;
    u64 last_use = 0;
};

class OpenDescriptors {
  public:
    int take(const DataFile& file) {
        const std::lock_guard guard(lock_);
        auto found = open_.find(&file);
        if (found == open_.end()) {
            close_idle(limit_ - 1);
            found = open_.emplace(&file, OpenDescriptor{open(file.path())}).first;
        }
        OpenDescriptor& mine = found->second;
        FileStamp now;
        try {
            now = stamp_of(mine.descriptor);
        } catch (const FileFailure&) {
            forget(found);
            throw;
        }
        if (now != file.stamp()) {
            if (mine.users == 0) {
                forget(found);
            }
            throw FileFailure{"it was replaced or written to since it was opened"};
        }
        ++mine.users;
        mine.last_use = ++clock_;
        return mine.descriptor;
    }
    void give_back(const DataFile& file) noexcept {
        const std::lock_guard guard(lock_);
        const auto found = open_.find(&file);
        if (found != open_.end()) {
            --found->second.users;
        }
        close_idle(limit_);
    }
    void close_idle() noexcept {
        const std::lock_guard guard(lock_);
        close_idle(0);
    }
    void drop(const DataFile& file) noexcept {
        const std::lock_guard guard(lock_);
        const auto found = open_.find(&file);
        if (found != open_.end()) {
            forget(found);
        }
    }

  private:
    using Entries = std::unordered_map<const DataFile*, OpenDescriptor>;

    // More descriptors than the system gives are no failure as long as some of ours are idle.
    int open(const std::string& path) {
        for (;;) {
            const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
            if (descriptor >= 0) {
#if defined(POSIX_FADV_RANDOM)
                // Advice only. What is read ahead is asked for by name (segments.hpp), nothing else is to be read.
                ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM);
#endif
                return descriptor;
            }
            const int error = errno;
            if (error == EINTR) {
                continue;
            }
            const std::size_t before = open_.size();
            if (error == EMFILE || error == ENFILE) {
                close_idle(before / 2);
                if (open_.size() < before) {
                    continue;
                }
            }
            throw FileFailure{std::strerror(error)};
        }
    }
    // Closes the files that wait longest until `most` are open, or all that are in use.
    void close_idle(std::size_t most) noexcept {
        while (open_.size() > most) {
            auto oldest = open_.end();
            for (auto it = open_.begin(); it != open_.end(); ++it) {
                if (it->second.users == 0 && (oldest == open_.end() || it->second.last_use < oldest->second.last_use)) {
                    oldest = it;
                }
            }
            if (oldest == open_.end()) {
                return;
            }
            forget(oldest);
        }
    }
    void forget(Entries::iterator entry) noexcept {
        ::close(entry->second.descriptor);
        open_.erase(entry);
    }

    std::mutex lock_;
    Entries open_;
    u64 clock_ = 0;
    std::size_t limit_ = most_open_files();
};

OpenDescriptors& descriptors() {
    static const auto& mine = *new PerProcess<OpenDescriptors>;  // threads may read while the process ends
    return mine.get();
}

}  // namespace

FileStamp stamp_of(int descriptor) {
    struct stat about{};
    if (::fstat(descriptor, &about) != 0) {
        throw FileFailure{std::strerror(errno)};
    }
#if defined(__APPLE__)
    const timespec& changed = about.st_mtimespec;
#else
    const timespec& changed = about.st_mtim;
#endif
    return {static_cast<u64>(about.st_dev), static_cast<u64>(about.st_ino), static_cast<u64>(about.st_size),
            static_cast<std::int64_t>(changed.tv_sec), static_cast<std::int64_t>(changed.tv_nsec)};
}

std::size_t most_open_files() {
    constexpr std::size_t least = 16;
    constexpr std::size_t most = 256;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return most;
    }
    return std::clamp(static_cast<std::size_t>(limit.rlim_cur) / 4, least, most);
}

void close_idle_files() { descriptors().close_idle(); }

DataFile::DataFile(std::string path, FileStamp stamp) : path_(std::move(path)), stamp_(stamp) {}

DataFile::~DataFile() { descriptors().drop(*this); }

DataFile::Use::Use(const DataFile& file) : file_(file), descriptor_(descriptors().take(file)) {}

DataFile::Use::~Use() { descriptors().give_back(file_); }

}  // namespace tombola
