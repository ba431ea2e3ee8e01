// What the tests of CUDA kernels share. The comparisons run wherever the kernels do: on the CPU's
// execution layer in every schedule, on a card once. Planted faults, schedules and counters exist
// on that layer alone.
#pragma once

#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/simt/simt.h"

#if !SIMT_GPU
#    include "tests/support/child.h"
#    include "tests/support/sanitized.h"
#    include "tests/support/simt_modes.h"
#endif

namespace tests {

#if SIMT_GPU

struct OnCard {};

inline std::vector<OnCard> test_modes() {
    return {OnCard{}};
}

inline std::string name(const OnCard&) {
    return "on the card";
}

struct WithMode {
    explicit WithMode(const OnCard&) {}
    WithMode(const WithMode&) = delete;
    ~WithMode() {}
};

// Small shapes must do: each access is looked at by a tool outside (compute-sanitizer).
inline bool small_shapes() {
    return std::getenv("KEYHOLE_SMALL_TESTS") != nullptr;
}

#else

// Small shapes must do where each access is looked at: by the access checker, or by a sanitizer.
inline bool small_shapes() {
    return simt::cpu::checking() || kSanitized;
}

// All modes; two where each access is looked at: what is found then hangs on no schedule.
inline std::vector<simt::cpu::Mode> test_modes() {
    const std::vector<simt::cpu::Mode> all = all_modes();
    return small_shapes() ? std::vector{all.at(0), all.at(7)} : all;
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

#endif

}  // namespace tests
