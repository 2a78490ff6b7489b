// Files that rows are read from: a path and what the file was when it was first seen. A descriptor is opened when it is
// used, and at most so many stay open in a process, so that ten thousand files are no more than ten thousand names.
//
// Safe to use from several threads; a forked child opens its own. A file that was replaced or written to since is found
// out by its device, number, size and time, once a use (one system call).
#pragma once

#include <string>

#include "tombola/base/types.hpp"

namespace tombola {

struct FileStamp {
    u64 device = 0;
    u64 number = 0;
    u64 bytes = 0;
    std::int64_t seconds = 0;  // of the last change of its content
    std::int64_t nanoseconds = 0;

    friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

// Why bytes of a file cannot be had. `address` is where, or nowhere.
struct FileFailure {
    static constexpr u64 nowhere = ~u64{0};

    std::string what;
    u64 address = nowhere;
};

// FileFailure if the descriptor is none
FileStamp stamp_of(int descriptor);

// Files that stay open in a process: a quarter of what the system allows it, between 16 and 256
std::size_t most_open_files();

// Closes those that nobody reads at the moment, for others that need descriptors.
void close_idle_files();

class DataFile {
  public:
    // `path` should be absolute
    DataFile(std::string path, FileStamp stamp);
    ~DataFile();
    DataFile(const DataFile&) = delete;
    DataFile& operator=(const DataFile&) = delete;

    // An open descriptor, which stays open as long as this lives. FileFailure if the file is not there, cannot be
    // opened, or is not what it was.
    class Use {
      public:
        explicit Use(const DataFile& file);
        ~Use();
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        int descriptor() const noexcept { return descriptor_; }

      private:
        const DataFile& file_;
        int descriptor_;
    };

    const std::string& path() const noexcept { return path_; }
    const FileStamp& stamp() const noexcept { return stamp_; }

  private:
    std::string path_;
    FileStamp stamp_;
};

}  // namespace tombola
