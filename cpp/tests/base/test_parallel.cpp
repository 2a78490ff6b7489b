// parallel_for: each task once, on as many threads as asked for; nested loops; exceptions of any thread reach the
// caller as they were; the interrupt hook stops a loop. ctest-label: threads
#include <chrono>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/base/parallel.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

struct Offence : std::runtime_error {
    explicit Offence(index_t where) : std::runtime_error("offence in task " + std::to_string(where)), task(where) {}
    index_t task;
};

// Waits for what another thread does; gives up after a minute, so that a failure does not hang.
template <typename Condition>
bool await(Condition condition) {
    const auto start = std::chrono::steady_clock::now();
    while (!condition()) {
        if (std::chrono::steady_clock::now() - start > std::chrono::minutes(1)) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

bool each_once(index_t tasks, int threads) {
    std::vector<std::atomic<int>> done(static_cast<std::size_t>(tasks));
    parallel_for(tasks, [&](index_t task) { ++done[static_cast<std::size_t>(task)]; }, threads);
    return std::all_of(done.begin(), done.end(), [](const std::atomic<int>& times) { return times == 1; });
}

}  // namespace

TEST(each_task_runs_once) {
    for (const int threads : thread_counts()) {
        for (const index_t tasks : {1, 2, 3, 6, 7, 8, 1000}) {
            CHECK(each_once(tasks, threads));
        }
    }
}

TEST(no_tasks_are_no_calls) {
    for (const index_t tasks : {index_t{0}, index_t{-1}}) {
        parallel_for(tasks, [](index_t) { CHECK(false); }, 4);
    }
    CHECK(true);
}

TEST(as_many_threads_as_set_work_at_the_same_time) {
    for (const int threads : {2, 5}) {
        set_num_threads(threads);
        CHECK_EQ(get_num_threads(), threads);
        std::atomic<int> here{0};
        parallel_for(threads, [&](index_t) {
            ++here;
            CHECK(await([&] { return here == threads; }));
        });
    }
}

TEST(no_more_threads_than_set_and_than_tasks) {
    set_num_threads(3);
    for (const index_t tasks : {index_t{2}, index_t{500}}) {
        std::mutex mutex;
        std::set<std::thread::id> seen;
        parallel_for(tasks, [&](index_t) {
            const std::lock_guard lock(mutex);
            seen.insert(std::this_thread::get_id());
        });
        CHECK(seen.size() <= static_cast<std::size_t>(std::min<index_t>(3, tasks)));
    }
}

TEST(one_thread_is_the_callers_and_takes_the_tasks_in_order) {
    std::vector<index_t> order;
    parallel_for(
        100,
        [&](index_t task) {
            CHECK(order.size() == static_cast<std::size_t>(task));
            order.push_back(task);
        },
        1);
    CHECK_EQ(order.size(), 100U);
}

TEST(loops_nest) {
    std::vector<std::atomic<int>> done(12 * 13);
    parallel_for(
        12,
        [&](index_t outer) {
            parallel_for(13, [&](index_t inner) { ++done[static_cast<std::size_t>(13 * outer + inner)]; }, 3);
        },
        4);
    CHECK(std::all_of(done.begin(), done.end(), [](const std::atomic<int>& times) { return times == 1; }));
}

TEST(a_loop_within_a_task_runs_on_its_thread_where_others_share_the_outer_one) {
    set_num_threads(3);
    for (const index_t tasks : {index_t{1}, index_t{6}}) {
        std::atomic<int> elsewhere{0};
        parallel_for(tasks, [&](index_t) {
            const std::thread::id here = std::this_thread::get_id();
            std::atomic<int> waiting{0};
            parallel_for(2, [&](index_t) {
                elsewhere += std::this_thread::get_id() != here;
                ++waiting;
                while (tasks == 1 && waiting < 2) {  // two threads have a task each
                    std::this_thread::yield();
                }
            });
        });
        CHECK_EQ(elsewhere.load(), tasks == 1 ? 1 : 0);
    }
}

TEST(an_exception_in_a_worker_thread_reaches_the_caller) {
    const std::thread::id caller = std::this_thread::get_id();
    for (const int threads : {2, 7}) {
        std::atomic<bool> thrown{false};
        index_t named = -1;
        try {
            parallel_for(
                index_t{1} << 40U,  // it must stop: the others would never end
                [&](index_t task) {
                    if (std::this_thread::get_id() == caller) {
                        CHECK(await([&] { return thrown.load(); }));
                    } else if (!thrown.exchange(true)) {
                        throw Offence(task);
                    }
                },
                threads);
            CHECK(false);
        } catch (const Offence& offence) {
            named = offence.task;
            CHECK_EQ(std::string(offence.what()), "offence in task " + std::to_string(named));
        }
        CHECK(named >= 0);
        CHECK(each_once(100, threads));
    }
}

TEST(an_exception_on_the_calling_thread_stops_the_others) {
    const std::thread::id caller = std::this_thread::get_id();
    std::atomic<bool> thrown{false};
    const auto body = [&](index_t) {
        if (std::this_thread::get_id() == caller) {
            thrown = true;
            throw std::out_of_range("on the caller's thread");
        }
        CHECK(await([&] { return thrown.load(); }));
    };
    CHECK_THROWS_WITH(std::out_of_range, "on the caller's thread", parallel_for(1'000'000'000, body, 4));
}

TEST(of_many_exceptions_one_comes) {
    for (int run = 0; run < 20; ++run) {
        CHECK_THROWS_WITH(Offence, "offence in task ",
                          parallel_for(1000, [](index_t task) { throw Offence(task); }, 7));
    }
}

TEST(exceptions_pass_through_nested_loops_and_need_not_be_standard) {
    const auto nested = [](index_t outer) {
        parallel_for(
            5,
            [outer](index_t inner) {
                if (outer == 3 && inner == 2) {
                    throw Offence(outer);
                }
            },
            2);
    };
    CHECK_THROWS_WITH(Offence, "offence in task 3", parallel_for(6, nested, 3));
    int caught = 0;
    try {
        parallel_for(10, [](index_t) { throw 17; }, 3);
    } catch (const int number) {
        caught = number;
    }
    CHECK_EQ(caught, 17);
}

TEST(the_interrupt_hook_stops_a_loop_from_the_calling_thread) {
    const std::thread::id caller = std::this_thread::get_id();
    for (const int threads : {1, 4}) {
        std::atomic<index_t> done{0};
        std::atomic<int> asked{0};
        set_interrupt_check([&] {
            CHECK(std::this_thread::get_id() == caller);
            if (++asked == 3) {
                throw std::runtime_error("interrupted");
            }
        });
        const auto body = [&](index_t) {
            ++done;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        };
        CHECK_THROWS_WITH(std::runtime_error, "interrupted", parallel_for(index_t{1} << 40U, body, threads));
        set_interrupt_check({});
        CHECK_EQ(asked.load(), 3);
        CHECK(done > 0);
    }
    CHECK(each_once(1000, 4));  // without a hook
}

TEST(hooks_are_left_out_where_a_lock_is_held) {
    std::atomic<int> asked{0};
    set_interrupt_check([&] { ++asked; });
    const auto slow = [](index_t) { std::this_thread::sleep_for(std::chrono::milliseconds(5)); };
    {
        const WithoutHooks quiet;
        const WithoutHooks more;
        parallel_for(10, slow, 1);
        check_interrupt();
    }
    CHECK_EQ(asked.load(), 0);
    check_interrupt();
    CHECK_EQ(asked.load(), 1);
    check_interrupt();  // too soon
    CHECK_EQ(asked.load(), 1);
    parallel_for(10, slow, 2);
    CHECK(asked > 1);
    set_interrupt_check({});
}

TEST(the_number_of_threads_is_at_least_one) {
    CHECK_THROWS_WITH(std::invalid_argument, "must be an integer >= 1, but is 0", set_num_threads(0));
    CHECK_THROWS_WITH(std::invalid_argument, "must be an integer >= 1, but is -4", set_num_threads(-4));
}
