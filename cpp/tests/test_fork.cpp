// A process that forked from one that used threads works: nothing of a loop outlives it.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/parallel.hpp"
#include "tombola/permutation.hpp"

using namespace tombola;
using namespace tombola::test;

namespace {

constexpr std::size_t size = 200001;

std::vector<index_t> make_permutation() {
    std::vector<index_t> rows(size);
    permutation(3, rows);
    return rows;
}

bool works_as_before(const std::vector<index_t>& expected) {
    std::atomic<int> done{0};
    parallel_for(1000, [&](index_t) { ++done; }, 4);
    bool carried = false;
    try {
        parallel_for(10, [](index_t) { throw std::out_of_range("carried"); }, 4);
    } catch (const std::out_of_range&) {
        carried = true;
    }
    return done == 1000 && carried && make_permutation() == expected;
}

// A child that hangs is ended by the alarm.
bool child_works(const std::vector<index_t>& expected) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(works_as_before(expected) ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST(a_child_forked_after_threads_were_used_works) {
    set_num_threads(4);
    const std::vector<index_t> expected = make_permutation();
    CHECK(is_permutation_of_iota(expected));
    for (int child = 0; child < 3; ++child) {
        CHECK(child_works(expected));
    }
    CHECK(works_as_before(expected));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their allocators may hang after such a fork
TEST(a_child_forked_while_other_threads_are_in_a_loop_works) {
    set_num_threads(4);
    const std::vector<index_t> expected = make_permutation();
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop) {
            CHECK(make_permutation() == expected);
        }
    });
    for (int child = 0; child < 10; ++child) {
        CHECK(child_works(expected));
    }
    stop = true;
    busy.join();
}
#endif
