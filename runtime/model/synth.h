// A model file of GLM-4.7-Flash's shape with seeded random weights, to try a machine before an 18
// GB download: it loads, fills memory and computes exactly as a real one does, and its answers are
// noise. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/model/model.h"

namespace runtime {

struct SynthOptions {
    std::string preset = "small";  // tiny: 6 M weights; small: real layers, 4 of them, 2 G weights;
                                   // full: 30 G weights
    std::string type = "q4_k_m";   // f32 f16 q8_0 q4_k_m iq4_xs mxfp4
    uint64_t seed = 1;             // the same options give the same file
    bool words = false;            // see worded_vocabulary()
};

// Writes the file in one pass with a few MB of memory for each of up to 16 threads; `progress` is
// called by one of them at a time. Throws ModelError: an unknown preset or
// type, a file that exists already, too little room on the disk, or `progress` returned false; a
// file half written is removed.
void write_synthetic_model(const std::string& path,
                           const SynthOptions& options,
                           const LoadProgress& progress = {});

}  // namespace runtime
