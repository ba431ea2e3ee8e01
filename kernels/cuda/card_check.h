// Whether a card can be used: what the driver says of it, judged. Arithmetic and words alone, so
// that it is tested where there is no driver.
#pragma once

#include <string>

namespace kernels::cuda {

// As the CUDA runtime numbers versions: 1000 * major + 10 * minor.
struct CardFacts {
    int driver = 0;           // what the driver supports; 0: there is none
    int runtime = 0;          // what the program was built with
    bool old_driver = false;  // too old for the program, as the runtime says
    int cards = 0;
    int index = 0;  // the one that is wanted
    std::string name;
    int capability = 0;       // 10 * major + minor
    bool has_kernels = true;  // the program holds code that this card runs
    int built_for = 0;        // the virtual architecture of that code, likewise
};

// false: no card of that number, and nothing is wrong. Throws DeviceError with what is wrong and
// what to do: a driver older than the program, a card that is too old, a program built for others.
bool card_is_usable(const CardFacts& facts);

// Launches may start early: the card can (compute capability 9.0), the code waits (built for 9.0),
// and the driver keeps such starts in graphs (12.3).
bool card_starts_early(const CardFacts& facts);

}  // namespace kernels::cuda
