#include "tombola/base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace tombola {
namespace {

constexpr auto interrupt_interval = std::chrono::milliseconds(20);

int processors() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        return std::max(1, CPU_COUNT(&set));
    }
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int initial_threads() {
    const char* text = std::getenv("TOMBOLA_NUM_THREADS");
    if (text == nullptr || *text == '\0') {
        return processors();
    }
    int value = 0;
    const char* end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, value);
    if (error != std::errc() || stop != end || value < 1) {
        throw std::invalid_argument("TOMBOLA_NUM_THREADS must be an integer >= 1, but is \"" + std::string(text) +
                                    "\"");
    }
    return value;
}

std::atomic<int> thread_setting{0};  // 0: not asked for yet

std::function<void()>& interrupt_check() {
    static std::function<void()> check;
    return check;
}

// What the threads of one call share.
struct Loop {
    const std::function<void(index_t)>& body;
    index_t tasks;
    std::atomic<index_t> next{0};
    std::atomic<bool> stopped{false};
    std::mutex mutex;
    std::exception_ptr error;

    void fail() noexcept {
        const std::lock_guard lock(mutex);
        if (!error) {
            error = std::current_exception();
        }
        stopped = true;
    }

    template <typename BetweenTasks>
    void work(BetweenTasks between) noexcept {
        try {
            while (!stopped.load(std::memory_order_relaxed)) {
                const index_t task = next.fetch_add(1, std::memory_order_relaxed);
                if (task >= tasks) {
                    return;
                }
                body(task);
                between();
            }
        } catch (...) {
            fail();
        }
    }
};

}  // namespace

int get_num_threads() {
    int threads = thread_setting.load();
    if (threads == 0) {
        const int initial = initial_threads();
        // Where another thread set a number meanwhile, that one holds.
        if (thread_setting.compare_exchange_strong(threads, initial)) {
            threads = initial;
        }
    }
    return threads;
}

void set_num_threads(int threads) {
    if (threads < 1) {
        throw std::invalid_argument("the number of threads must be an integer >= 1, but is " + std::to_string(threads));
    }
    thread_setting = threads;
}

void set_interrupt_check(std::function<void()> check) { interrupt_check() = std::move(check); }

void parallel_for(index_t tasks, const std::function<void(index_t)>& body, int threads) {
    if (tasks <= 0) {
        return;
    }
    if (threads == 0) {
        threads = get_num_threads();
    }
    Loop loop{.body = body, .tasks = tasks, .mutex = {}, .error = {}};
    std::vector<std::thread> helpers;
    const index_t n_helpers = std::min<index_t>(threads, tasks) - 1;
    helpers.reserve(static_cast<std::size_t>(n_helpers));
    try {
        for (index_t i = 0; i < n_helpers; ++i) {
            helpers.emplace_back([&loop] { loop.work([] {}); });
        }
    } catch (const std::exception&) {
        // The system gives no more threads, or memory for them: those that started, and this one, do the work.
    }
    thread_local auto last_check = std::chrono::steady_clock::now();  // a row of short loops asks as well
    loop.work([] {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_check >= interrupt_interval) {
            last_check = now;
            if (interrupt_check()) {
                interrupt_check()();
            }
        }
    });
    for (std::thread& helper : helpers) {
        helper.join();
    }
    if (loop.error) {
        std::rethrow_exception(loop.error);
    }
}

}  // namespace tombola
