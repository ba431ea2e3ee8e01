// What may go wrong with the device of the tests (device_emulated.cpp), set by them between calls.
#pragma once

#include <atomic>

namespace kernels::cuda {

struct EmulatedTrouble {
    // Copies and memory are refused, as when a card has fallen off the bus.
    std::atomic<bool> lost = false;
    bool no_recordings = false;  // recorded launches come to nothing
};
inline EmulatedTrouble emulated_trouble;

}  // namespace kernels::cuda
