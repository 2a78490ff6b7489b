// How many threads there are: what TOMBOLA_NUM_THREADS may be, that it is read once, and the default. Each case is a
// process of its own, since the number is kept.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "check.hpp"
#include "tombola/base/parallel.hpp"
#include "tombola/base/processors.hpp"

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
            return threads >= 1 && threads <= sysconf(_SC_NPROCESSORS_CONF) && threads == processors();
        }));
    }
}

TEST(a_limit_holds_where_nobody_says_a_number) {
    unsetenv("TOMBOLA_NUM_THREADS");
    int asked = 0;
    set_thread_limit([&] {
        ++asked;
        return 1;
    });
    CHECK(in_child([&] {
        const bool limited = get_num_threads() == 1 && get_num_threads() == 1 && asked == 1;
        // Each process asks for itself, and a number that is said needs no question.
        return limited && in_child([&] { return get_num_threads() == 1 && asked == 2; }) && in_child([&] {
                   set_num_threads(3);
                   return get_num_threads() == 3 && asked == 1;
               });
    }));
    CHECK(in_child([&] {
        set_variable("5");
        return get_num_threads() == 5 && asked == 0;
    }));
    set_thread_limit({});
}

TEST(without_a_limit_the_question_is_put_again_after_a_while) {
    unsetenv("TOMBOLA_NUM_THREADS");
    CHECK(in_child([] {
        int asked = 0;
        set_thread_limit([&] { return ++asked < 2 ? 0 : 1; });
        bool good = get_num_threads() == processors() && get_num_threads() == processors() && asked == 1;
        {
            const WithoutHooks quiet;
            usleep(1'100'000);
            good = good && get_num_threads() == processors() && asked == 1;
        }
        return good && get_num_threads() == 1 && asked == 2;
    }));
}

TEST(a_limit_above_the_processors_changes_nothing) {
    unsetenv("TOMBOLA_NUM_THREADS");
    CHECK(in_child([] {
        set_thread_limit([] { return 100'000; });
        return get_num_threads() == processors();
    }));
}
