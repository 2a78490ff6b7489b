// TOMBOLA_NUM_THREADS: what it may be, and that it is read once. Each case is a process of its own, since the number is
// kept.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "check.hpp"
#include "tombola/base/parallel.hpp"

using namespace tombola;

namespace {

// Runs body in a child process; true if it returned true.
template <typename Body>
bool in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) {
        bool good = false;
        try {
            good = body();
        } catch (const std::exception& error) {
            std::cerr << "in the child: " << error.what() << '\n';
        }
        _exit(good ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void set_variable(const char* value) { setenv("TOMBOLA_NUM_THREADS", value, 1); }

}  // namespace

TEST(what_is_no_positive_integer_is_refused_each_time) {
    for (const std::string text : {"0", "-1", "four", "4x", " 4", "4 ", "+4", "2.5", "0x4", "99999999999999999999"}) {
        set_variable(text.c_str());
        const std::string message = "TOMBOLA_NUM_THREADS must be an integer >= 1, but is \"" + text + '"';
        CHECK_THROWS_WITH(std::invalid_argument, message, get_num_threads());
        CHECK_THROWS_WITH(std::invalid_argument, message, parallel_for(3, [](index_t) {}));
    }
}

TEST(a_number_given_by_the_program_needs_no_variable) {
    CHECK(in_child([] {
        set_variable("nonsense");
        set_num_threads(2);
        return get_num_threads() == 2;
    }));
}

TEST(it_is_read_once) {
    CHECK(in_child([] {
        set_variable("3");
        const int first = get_num_threads();
        set_variable("5");
        return first == 3 && get_num_threads() == 3;
    }));
    CHECK(in_child([] {
        set_variable("1");
        return get_num_threads() == 1;
    }));
}

TEST(without_it_there_is_a_thread_for_each_processor_allowed) {
    for (const bool empty : {true, false}) {
        CHECK(in_child([empty] {
            if (empty) {
                set_variable("");
            } else {
                unsetenv("TOMBOLA_NUM_THREADS");
            }
            const int threads = get_num_threads();
            return threads >= 1 && threads <= sysconf(_SC_NPROCESSORS_CONF);
        }));
    }
}
