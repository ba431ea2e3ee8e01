// What one decoding step has to read and to multiply at the least: the measure that `keyhole bench`
// holds its speeds against. Pure.
#pragma once

#include <cstdint>

#include "runtime/model/weights.h"

namespace runtime {

struct TokenWork {
    double weight_bytes = 0;   // read in the step
    double multiply_adds = 0;  // of all its tokens, attention to cached rows included
    double k_bytes = 0;        // K rows read, each once
};

// A step of `sequences` tokens, each behind `depth` cached ones. For several tokens the experts
// they choose are counted as if chosen at random: E (1 - (1 - K/E)^n) of E.
TokenWork token_work(const Weights& weights,
                     const ModelConfig& config,
                     int64_t k_bytes_per_token,
                     int64_t depth,
                     int64_t sequences);

}  // namespace runtime
