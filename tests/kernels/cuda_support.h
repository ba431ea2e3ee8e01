// What the tests of CUDA kernels share: the modes to run in, and planted faults that must be
// caught.
#pragma once

#include <functional>
#include <stdexcept>

#include "tests/support/child.h"
#include "tests/support/simt_modes.h"

namespace tests {

// All modes; in the checker build, whose verdict hangs on no schedule, two.
inline std::vector<simt::cpu::Mode> test_modes() {
    const std::vector<simt::cpu::Mode> all = all_modes();
    return simt::cpu::checking() ? std::vector{all.at(0), all.at(7)} : all;
}

// Is the fault noticed (a report, or `right` says no) in at least one mode?
inline bool fault_is_caught(const simt::cpu::Site& site, const std::function<bool()>& right) {
    for (const simt::cpu::Mode& mode : test_modes()) {
        const ChildOutcome outcome = in_child([&] {
            const WithMode with(mode);
            simt::cpu::plant(site);
            if (!right()) {
                throw std::runtime_error("wrong result");
            }
        });
        if (outcome.status != 0) {
            return true;
        }
    }
    return false;
}

}  // namespace tests
