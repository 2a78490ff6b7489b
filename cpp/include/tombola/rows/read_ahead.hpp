// Telling the system what the next tasks of a ReadPlan read, so that a disk has many reads at once to do. Only once
// something was not in memory: what is there needs no advice.
#pragma once

#include <atomic>
#include <span>

#include "tombola/rows/read_plan.hpp"

namespace tombola {

class ReadAhead {
  public:
    ReadAhead(std::span<const ReadJob> jobs, const ReadPlan& plan) : jobs_(jobs), plan_(plan) {}

    // What task `number` reads is not in memory: asks for what follows it, from now on.
    void begin(std::size_t number);
    // Task `number` begins: asks for what is not asked for yet of the tasks behind it.
    void go_on(std::size_t number);

  private:
    void ask_for(const ReadTask& task) const;
    void ask_for(int descriptor, const ReadTask& task, std::size_t column) const;

    std::span<const ReadJob> jobs_;
    const ReadPlan& plan_;
    std::atomic<bool> is_cold_{false};
    std::atomic<std::size_t> asked_{0};  // tasks
};

}  // namespace tombola
