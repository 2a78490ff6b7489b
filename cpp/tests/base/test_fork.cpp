// A process that forked from one that used threads works: nothing of a loop outlives it.
// ctest-label: threads
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "check.hpp"
#include "reference.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/orders/rounds.hpp"
#include "tombola/random/permutation.hpp"

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
template <typename Body>
bool works_in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(body() ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::vector<index_t> positions(const Order& order) {
    std::vector<index_t> rows(order.size());
    order.fill(0, rows.size(), rows.data());
    return rows;
}

}  // namespace

TEST(a_child_forked_after_threads_were_used_works) {
    set_num_threads(4);
    const std::vector<index_t> expected = make_permutation();
    CHECK(is_permutation_of_iota(expected));
    for (int child = 0; child < 3; ++child) {
        CHECK(works_in_child([&] { return works_as_before(expected); }));
    }
    CHECK(works_as_before(expected));
}

TEST(a_child_draws_rounds_of_its_own_as_its_parent_does) {
    const auto table = std::make_shared<const WeightTable>(WeightTable::uniform(1000));
    const RoundOrder order(table, 100, 30, 4, 1, 2);
    const std::vector<index_t> expected = positions(order);
    CHECK(works_in_child([&] { return positions(order) == expected && positions(order) == expected; }));
    CHECK(positions(order) == expected);
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
        CHECK(works_in_child([&] { return works_as_before(expected); }));
    }
    stop = true;
    busy.join();
}

TEST(a_child_forked_while_other_threads_look_rounds_up_works) {
    const auto table = std::make_shared<const WeightTable>(WeightTable::uniform(1000));
    const RoundOrder order(table, 4, 1, 1, 1, 2);
    const std::vector<index_t> expected = positions(order);
    std::atomic<bool> stop{false};
    const auto look_up = [&] {
        while (!stop) {
            positions(order);
        }
    };
    std::thread one(look_up);
    std::thread other(look_up);
    // In about one fork of seven the mutex is held.
    for (int child = 0; child < 60; ++child) {
        CHECK(works_in_child([&] { return positions(order) == expected; }));
    }
    stop = true;
    one.join();
    other.join();
}
#endif
