// Threads for loops over independent tasks. Threads live for one call only, so a process that forks keeps nothing
// half-alive; the first exception stops the loop and reaches the caller; long loops ask a hook now and then whether
// the user wants to stop.
#pragma once

#include <functional>

#include "tombola/base/types.hpp"

namespace tombola {

// Threads that a call may use: what set_num_threads says, or TOMBOLA_NUM_THREADS, or else as many as there are
// processors for this process (processors.hpp), at most the limit below.
int get_num_threads();
void set_num_threads(int threads);  // std::invalid_argument below 1

// Asked where nobody says a number: the most threads that such a process should use, 0 for no limit. A limit is kept
// for the life of the process; until there is one the hook is asked again, at most once a second.
void set_thread_limit(std::function<int()> limit);

// The hook is called on the calling thread, between tasks, at most every 20 ms; it throws to stop the loop.
void set_interrupt_check(std::function<void()> check);
// Calls the hook as a loop does between tasks.
void check_interrupt();

// While one lives, this thread calls no hook. A hook may run any code, such as a signal handler: whoever holds a lock
// that such code could wait for makes one of these first. Whoever has much to do under it asks for the number of
// threads in front of it, so that the limit is known.
class WithoutHooks {
  public:
    WithoutHooks() noexcept;
    ~WithoutHooks();
    WithoutHooks(const WithoutHooks&) = delete;
    WithoutHooks& operator=(const WithoutHooks&) = delete;
};

// body(task) for each task of [0, tasks), each task once, on up to `threads` threads. 0 stands for get_num_threads(),
// or for 1 within a task of a loop on several threads. Results must not depend on which thread runs a task.
void parallel_for(index_t tasks, const std::function<void(index_t)>& body, int threads = 0);

}  // namespace tombola
