// Checks for the C++ tests: CHECK, CHECK_EQ, CHECK_THROWS, CHECK_THROWS_WITH and TEST(name).
//
// Every test_*.cpp is one executable; this header gives it main(). A failed check is printed and counted
// and the test goes on; an exception that escapes a test fails it; a file without a check fails as well.
// Checks may be made from several threads. A file whose tests start threads holds the line
// "// ctest-label: threads", which is how the thread sanitizer's run finds it.
#pragma once

#include <atomic>
#include <exception>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace tombola::test {

struct Case {
    const char* name;
    void (*run)();
};

inline std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

struct Register {
    Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline std::atomic<long> checks{0};
inline std::atomic<long> failures{0};

inline void report(bool passed, const char* file, int line, const std::string& what) {
    ++checks;
    if (passed) return;
    ++failures;
    static std::mutex output;
    const std::lock_guard lock(output);
    std::cerr << file << ':' << line << ": failed: " << what << '\n';
}

template <class T>
std::string show(const T& value) {
    std::ostringstream text;
    if constexpr (sizeof(T) == 1 && std::is_integral_v<T>) {
        text << static_cast<int>(value);
    } else {
        text << value;
    }
    return text.str();
}

template <class A, class B>
void check_equal(const A& a, const B& b, const char* file, int line, const char* what) {
    const bool equal = a == b;
    report(equal, file, line, equal ? what : std::string(what) + " (" + show(a) + " against " + show(b) + ")");
}

// The exception's message must hold `part`; an empty part accepts any message.
template <class Exception, class Function>
void check_throws(Function&& function, const std::string& part, const char* file, int line, const char* what) {
    try {
        function();
    } catch (const Exception& error) {
        const std::string message = error.what();
        report(message.find(part) != std::string::npos, file, line,
               std::string(what) + ": message \"" + message + "\" lacks \"" + part + '"');
        return;
    } catch (...) {
        report(false, file, line, std::string(what) + ": another exception came");
        return;
    }
    report(false, file, line, std::string(what) + ": nothing was thrown");
}

inline int run_all() {
    for (const Case& test : cases()) {
        try {
            test.run();
        } catch (const std::exception& error) {
            report(false, test.name, 0, std::string("escaped exception: ") + error.what());
        } catch (...) {
            report(false, test.name, 0, "escaped exception of unknown type");
        }
    }
    std::cout << cases().size() << " tests, " << checks << " checks, " << failures << " failures\n";
    return failures == 0 && checks > 0 ? 0 : 1;
}

}  // namespace tombola::test

#define CHECK(...) ::tombola::test::report(static_cast<bool>(__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)
#define CHECK_EQ(a, b) ::tombola::test::check_equal((a), (b), __FILE__, __LINE__, #a " == " #b)
#define CHECK_THROWS(Exception, ...) CHECK_THROWS_WITH(Exception, "", __VA_ARGS__)
#define CHECK_THROWS_WITH(Exception, part, ...)                                                                 \
    ::tombola::test::check_throws<Exception>([&] { static_cast<void>(__VA_ARGS__); }, part, __FILE__, __LINE__, \
                                             #__VA_ARGS__)

// TEST(name) { ... } defines and registers a test.
#define TEST(name)                                                           \
    static void name();                                                      \
    static const ::tombola::test::Register name##_registration{#name, name}; \
    static void name()

int main() { return tombola::test::run_all(); }
