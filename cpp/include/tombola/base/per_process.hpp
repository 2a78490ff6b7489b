// A value that a forked child begins anew. A fork may find the parent's value half-changed, or its mutex held by a
// thread that the child does not have: the child never looks at it again. One system call an access; the parent's copy
// is not freed in the child.
#pragma once

#include <atomic>
#include <memory>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif

namespace tombola {

template <typename T>
class PerProcess {
  public:
    PerProcess() : current_(new Value) {}
    PerProcess(const PerProcess&) = delete;
    PerProcess& operator=(const PerProcess&) = delete;
    ~PerProcess() {
        if (Value* const mine = current_.load(); mine->process == this_process()) {
            delete mine;
        }
    }

    T& get() const {
        Value* found = current_.load(std::memory_order_acquire);
        if (found->process != this_process()) {
            auto fresh = std::make_unique<Value>();
            if (current_.compare_exchange_strong(found, fresh.get(), std::memory_order_acq_rel)) {
                found = fresh.release();
            }
        }
        return found->value;
    }

  private:
    static long this_process() noexcept {
#if __has_include(<unistd.h>)
        return static_cast<long>(getpid());
#else
        return 0;
#endif
    }

    struct Value {
        long process = this_process();
        T value{};
    };
    mutable std::atomic<Value*> current_;
};

}  // namespace tombola
