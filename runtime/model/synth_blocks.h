// Random packed rows of weights for `keyhole synth`: every block is a valid one, and its values
// have mean about 0 and a chosen standard deviation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernels/dtype.h"

namespace runtime {

// xoshiro256** (Blackman and Vigna, public domain), seeded through splitmix64.
class SynthRandom {
public:
    SynthRandom(uint64_t seed, std::string_view name);
    uint64_t next();
    float normal();  // mean 0, variance 1: the sum of four uniforms

private:
    uint64_t state_[4];
};

class SynthBlocks {
public:
    // Types: f32, f16, q8_0, q4_k, q5_k, q6_k, q5_0, iq4_nl, iq4_xs, mxfp4. std: standard deviation
    // of the values.
    SynthBlocks(kernels::DType type, float std);

    // `blocks` blocks to `out`, of block_bytes each.
    void write(std::byte* out, int64_t blocks, SynthRandom& random) const;

private:
    void set_scales(std::byte* block, float d, SynthRandom& random) const;

    kernels::DType type_;
    float scale_;  // of a block: std over the standard deviation of blocks whose scale is 1
};

}  // namespace runtime
