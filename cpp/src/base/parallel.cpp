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
#include <utility>
#include <vector>

#include "tombola/base/per_process.hpp"
#include "tombola/base/processors.hpp"

namespace tombola {
namespace {

constexpr auto interrupt_interval = std::chrono::milliseconds(20);

constexpr auto limit_interval = std::chrono::seconds(1);

// What TOMBOLA_NUM_THREADS says, 0 for nothing
int threads_of_environment() {
    const char* text = std::getenv("TOMBOLA_NUM_THREADS");
    if (text == nullptr || *text == '\0') {
        return 0;
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

std::atomic<int> thread_setting{0};  // what the program or the environment says; 0: nothing
std::atomic<bool> environment_read{false};

std::function<void()>& interrupt_check() {
    static std::function<void()> check;
    return check;
}
std::function<int()>& thread_limit() {
    static std::function<int()> limit;
    return limit;
}

thread_local int without_hooks = 0;
thread_local bool in_shared_loop = false;  // whether this thread has a task of a loop that others have a part in

// What a process uses where nobody says a number. Threads may look at the same time: then the hook is asked twice.
struct DefaultThreads {
    std::atomic<int> threads{0};
    std::atomic<bool> limited{false};
    std::atomic<std::chrono::steady_clock::rep> asked{0};
};

int default_threads() {
    static const auto& defaults = *new PerProcess<DefaultThreads>;  // threads may ask while the process ends
    DefaultThreads& mine = defaults.get();
    if (mine.threads == 0) {
        mine.threads = processors();
    }
    if (without_hooks == 0 && !mine.limited && thread_limit()) {
        const auto now = std::chrono::steady_clock::now().time_since_epoch();
        const auto asked = std::chrono::steady_clock::duration(mine.asked);
        if (asked.count() == 0 || now - asked >= limit_interval) {
            mine.asked = now.count();
            if (const int limit = thread_limit()(); limit > 0) {
                mine.threads = std::min(limit, mine.threads.load());
                mine.limited = true;
            }
        }
    }
    return mine.threads;
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
    if (thread_setting == 0 && !environment_read) {
        int nothing = 0;  // where another thread set a number meanwhile, that one holds
        thread_setting.compare_exchange_strong(nothing, threads_of_environment());
        environment_read = true;
    }
    const int said = thread_setting;
    return said != 0 ? said : default_threads();
}

void set_num_threads(int threads) {
    if (threads < 1) {
        throw std::invalid_argument("the number of threads must be an integer >= 1, but is " + std::to_string(threads));
    }
    thread_setting = threads;
}

void set_thread_limit(std::function<int()> limit) { thread_limit() = std::move(limit); }

void set_interrupt_check(std::function<void()> check) { interrupt_check() = std::move(check); }

void check_interrupt() {
    thread_local auto last_check = std::chrono::steady_clock::now();  // a row of short loops asks as well
    if (without_hooks > 0) {
        return;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - last_check >= interrupt_interval) {
        last_check = now;
        if (interrupt_check()) {
            interrupt_check()();
        }
    }
}

WithoutHooks::WithoutHooks() noexcept { ++without_hooks; }

WithoutHooks::~WithoutHooks() { --without_hooks; }

void parallel_for(index_t tasks, const std::function<void(index_t)>& body, int threads) {
    if (tasks <= 0) {
        return;
    }
    if (threads == 0) {
        threads = tasks > 1 && !in_shared_loop ? get_num_threads() : 1;
    }
    Loop loop{.body = body, .tasks = tasks, .mutex = {}, .error = {}};
    std::vector<std::thread> helpers;
    const index_t n_helpers = std::min<index_t>(threads, tasks) - 1;
    helpers.reserve(static_cast<std::size_t>(n_helpers));
    try {
        for (index_t i = 0; i < n_helpers; ++i) {
            helpers.emplace_back([&loop] {
                in_shared_loop = true;
                loop.work([] {});
            });
        }
    } catch (const std::exception&) {
        // The system gives no more threads, or memory for them: those that started, and this one, do the work.
    }
    const bool was_in_one = std::exchange(in_shared_loop, in_shared_loop || !helpers.empty());
    loop.work(check_interrupt);
    in_shared_loop = was_in_one;
    for (std::thread& helper : helpers) {
        helper.join();
    }
    if (loop.error) {
        std::rethrow_exception(loop.error);
    }
}

}  // namespace tombola
