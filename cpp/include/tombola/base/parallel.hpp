// Threads for loops over independent tasks. Threads live for one call only, so a process that forks keeps nothing
// half-alive; the first exception stops the loop and reaches the caller; long loops ask a hook now and then whether
// the user wants to stop.
#pragma once

#include <functional>

#include "tombola/base/types.hpp"

namespace tombola {

// Threads that a call may use. At first TOMBOLA_NUM_THREADS, or the number of processors this process may run on.
int get_num_threads();
void set_num_threads(int threads);  // std::invalid_argument below 1

// The hook is called on the calling thread, between tasks, at most every 20 ms; it throws to stop the loop.
void set_interrupt_check(std::function<void()> check);

// body(task) for each task of [0, tasks), on up to `threads` threads (0: get_num_threads()), each task once. Results
// must not depend on which thread runs a task.
void parallel_for(index_t tasks, const std::function<void(index_t)>& body, int threads = 0);

}  // namespace tombola
