// The ways a kernel is run on the CPU: every schedule with copies that land late and early.
#pragma once

#include <string>
#include <vector>

#include "kernels/simt/simt.h"

namespace tests {

inline std::vector<simt::cpu::Mode> all_modes() {
    std::vector<simt::cpu::Mode> modes;
    for (const auto copies : {simt::cpu::Copies::lazy, simt::cpu::Copies::eager}) {
        for (const auto schedule : {simt::cpu::Schedule::forward, simt::cpu::Schedule::reverse,
                                    simt::cpu::Schedule::random, simt::cpu::Schedule::greedy}) {
            simt::cpu::Mode mode;
            mode.schedule = schedule;
            mode.copies = copies;
            modes.push_back(mode);
        }
    }
    return modes;
}

inline std::string name(const simt::cpu::Mode& mode) {
    constexpr const char* kSchedules[] = {"forward", "reverse", "random", "greedy"};
    return std::string(kSchedules[static_cast<int>(mode.schedule)]) +
           (mode.copies == simt::cpu::Copies::lazy ? ", lazy copies" : ", eager copies");
}

class WithMode {
public:
    explicit WithMode(const simt::cpu::Mode& mode) : before_(simt::cpu::mode()) {
        simt::cpu::set_mode(mode);
    }
    ~WithMode() { simt::cpu::set_mode(before_); }
    WithMode(const WithMode&) = delete;

private:
    simt::cpu::Mode before_;
};

}  // namespace tests
