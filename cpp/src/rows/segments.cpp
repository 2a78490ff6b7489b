#include "tombola/rows/segments.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace tombola {
namespace {

constexpr std::size_t most_parts = 256;      // of one call; the system takes 1,024
constexpr std::size_t most_gap = 1U << 12U;  // what lies between is read and dropped up to here
constexpr std::size_t most_bytes = 1U << 24U;

#if defined(RWF_NOWAIT)
std::atomic<bool> knows_what_is_cached{true};  // until a file system says that it does not
#endif

// As preadv. Without `may_wait` only what is in memory, EAGAIN where that is nothing.
ssize_t read_vector(int descriptor, const iovec* parts, int count, u64 address, bool may_wait) {
#if defined(RWF_NOWAIT)
    if (!may_wait && knows_what_is_cached.load(std::memory_order_relaxed)) {
        const ssize_t got = ::preadv2(descriptor, parts, count, static_cast<off_t>(address), RWF_NOWAIT);
        if (got >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) {
            return got;
        }
        knows_what_is_cached.store(false, std::memory_order_relaxed);
    }
#else
    static_cast<void>(may_wait);
#endif
    return ::preadv(descriptor, parts, count, static_cast<off_t>(address));
}

// One call of the system for neighbouring segments, repeated until all of it is there
class Batch {
  public:
    bool takes(const Segment& segment) const noexcept {
        if (count_ == 0) {
            return true;
        }
        const u64 end = address_ + bytes_;
        return segment.address >= end && segment.address - end <= most_gap && count_ + 2 <= most_parts &&
               bytes_ < most_bytes;
    }
    void add(const Segment& segment) noexcept {
        if (count_ == 0) {
            address_ = segment.address;
        } else if (const u64 end = address_ + bytes_; segment.address > end) {
            part(gap_.data(), static_cast<std::size_t>(segment.address - end));
        }
        part(segment.out, segment.bytes);
    }
    void read(int descriptor, bool& may_wait, const std::function<void()>& is_cold) {
        iovec* next = parts_.data();
        iovec* const end = next + count_;
        while (next != end) {
            const ssize_t got = read_vector(descriptor, next, static_cast<int>(end - next), address_, may_wait);
            if (got < 0) {
                if (errno == EAGAIN && !may_wait) {
                    may_wait = true;
                    is_cold();
                } else if (errno != EINTR) {
                    throw FileFailure{std::strerror(errno), address_};
                }
                continue;
            }
            if (got == 0 && !may_wait) {  // Linux 5.9 and 5.10 say so of what is not in memory
                may_wait = true;
                is_cold();
                continue;
            }
            if (got == 0) {
                throw FileFailure{"the file ends in front of byte " + std::to_string(address_ + bytes_), address_};
            }
            address_ += static_cast<u64>(got);
            bytes_ -= static_cast<std::size_t>(got);
            for (std::size_t left = static_cast<std::size_t>(got); left > 0;) {
                const std::size_t step = std::min(left, next->iov_len);
                next->iov_base = static_cast<std::byte*>(next->iov_base) + step;
                next->iov_len -= step;
                left -= step;
                next += next->iov_len == 0;
            }
        }
        count_ = 0;
        bytes_ = 0;
    }
    bool is_empty() const noexcept { return count_ == 0; }

  private:
    void part(std::byte* out, std::size_t bytes) noexcept {
        if (count_ > 0) {  // what follows in memory, too, is one part
            iovec& last = parts_[count_ - 1];
            if (static_cast<std::byte*>(last.iov_base) + last.iov_len == out && out != gap_.data()) {
                last.iov_len += bytes;
                bytes_ += bytes;
                return;
            }
        }
        parts_[count_++] = {out, bytes};
        bytes_ += bytes;
    }

    std::array<iovec, most_parts> parts_;
    std::array<std::byte, most_gap> gap_;
    std::size_t count_ = 0;
    u64 address_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace

void read_segments(int descriptor, std::span<const Segment> segments, const std::function<void()>& is_cold) {
    Batch batch;
    bool may_wait = false;
    for (const Segment& segment : segments) {
        if (segment.bytes == 0) {
            continue;
        }
        if (!batch.takes(segment)) {
            batch.read(descriptor, may_wait, is_cold);
        }
        batch.add(segment);
    }
    batch.read(descriptor, may_wait, is_cold);
}

void advise(int descriptor, u64 address, std::size_t bytes) noexcept {
#if defined(POSIX_FADV_WILLNEED)
    ::posix_fadvise(descriptor, static_cast<off_t>(address), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
#else
    static_cast<void>(descriptor);
    static_cast<void>(address);
    static_cast<void>(bytes);
#endif
}

}  // namespace tombola
