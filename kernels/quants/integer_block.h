// IntegerBlock: the form that the quantised formats share once their bits are unpacked.
//
//   w[i] = scale[i/32] * q[i] + minimum[i/32]
//   w[i] = scale[i/32] * sub_scale[i/16] * q[i] + minimum[i/32] * sub_minimum[i/16]
//
// The second line is for formats with kSubScales; the minimum is there for those with kMinimum.
// Every product is exact in float (at most 24 significant bits), so the sum is the one rounding, as
// in ggml. Each block struct says what it has:
//
//   kElements    weights in a block, 32 or 256
//   kSubScales   integer factors per 16 weights beside the float ones
//   kMinimum     an additive term
//
// and has unpack(const Block&, IntegerBlock<Block::kElements>&), which fills the fields that these
// name.
#pragma once

#include <cstdint>

namespace kernels {

template <int N>
struct IntegerBlock {
    static_assert(N % 32 == 0);
    int8_t q[N];
    float scale[N / 32];
    float minimum[N / 32];
    int8_t sub_scale[N / 16];
    int8_t sub_minimum[N / 16];
};

template <typename Block>
void dequantize(const Block& block, float* dst) {
    IntegerBlock<Block::kElements> w;
    unpack(block, w);
    for (int i = 0; i < Block::kElements; i++) {
        float scale = w.scale[i / 32];
        if constexpr (Block::kSubScales) {
            scale *= static_cast<float>(w.sub_scale[i / 16]);
        }
        dst[i] = scale * static_cast<float>(w.q[i]);
        if constexpr (Block::kMinimum) {
            float minimum = w.minimum[i / 32];
            if constexpr (Block::kSubScales) {
                minimum *= static_cast<float>(w.sub_minimum[i / 16]);
            }
            dst[i] += minimum;
        }
    }
}

}  // namespace kernels
