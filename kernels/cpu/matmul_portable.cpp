// Products in plain C++, for any processor: the clear form of the order that matmul_variants.h
// fixes. A weight block is unpacked once for up to 16 activation rows.
#include <algorithm>
#include <cstring>

#include "kernels/cpu/matmul_variants.h"
#include "kernels/cpu/pack_activation.h"
#include "kernels/quants/blocks.h"

namespace kernels::cpu {
namespace {

constexpr int kTileRows = 16;
constexpr int kLanes = 8;

float sum_of_lanes(const float* l) {
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
}

int32_t dot_16(const int8_t* a, const int8_t* b) {
    int32_t sum = 0;
    for (int i = 0; i < 16; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

// Part p of an unpacked block is part `at` of the row.
template <typename Block>
void add_part(
    float& lane, const IntegerBlock<Block::kElements>& w, int p, const PackedRow& x, int64_t at) {
    const int32_t low = dot_16(w.q + 32 * p, x.q + 32 * at);
    const int32_t high = dot_16(w.q + 32 * p + 16, x.q + 32 * at + 16);
    if constexpr (Block::kSubScales) {
        const int32_t dot = w.sub_scale[2 * p] * low + w.sub_scale[2 * p + 1] * high;
        lane += static_cast<float>(dot) * (w.scale[p] * x.scale[at]);
        if constexpr (Block::kMinimum) {
            const int32_t least =
                w.sub_minimum[2 * p] * x.sum[2 * at] + w.sub_minimum[2 * p + 1] * x.sum[2 * at + 1];
            lane += static_cast<float>(least) * (w.minimum[p] * x.scale[at]);
        }
    } else {
        lane += static_cast<float>(low + high) * (w.scale[p] * x.scale[at]);
        if constexpr (Block::kMinimum) {
            lane += w.minimum[p] * x.weighted_sum[at];
        }
    }
}

template <typename Block>
void quantised_row(const MatmulJob& job, int64_t m, int64_t first_row, int rows) {
    constexpr int kParts = Block::kElements / 32;
    float lanes[kTileRows][kLanes] = {};
    const std::byte* src = job.weight + m * job.weight_stride_bytes;
    for (int64_t b = 0; b < job.cols / Block::kElements; b++) {
        Block block;
        std::memcpy(&block, src + b * static_cast<int64_t>(sizeof(Block)), sizeof(Block));
        IntegerBlock<Block::kElements> w;
        unpack(block, w);
        for (int t = 0; t < rows; t++) {
            const PackedRow x = packed_row(job.x[first_row + t], job.cols);
            for (int p = 0; p < kParts; p++) {
                const int64_t at = b * kParts + p;
                add_part<Block>(lanes[t][at % kLanes], w, p, x, at);
            }
        }
    }
    for (int t = 0; t < rows; t++) {
        job.out[(first_row + t) * job.out_stride + m - job.m_begin] = sum_of_lanes(lanes[t]);
    }
}

template <typename Block>
void float_row(const MatmulJob& job, int64_t m, int64_t first_row, int rows) {
    constexpr int kChunk = 256;
    float lanes[kTileRows][kLanes] = {};
    const std::byte* src = job.weight + m * job.weight_stride_bytes;
    for (int64_t begin = 0; begin < job.cols; begin += kChunk) {
        const auto n = static_cast<int>(std::min<int64_t>(kChunk, job.cols - begin));
        float w[kChunk];
        for (int k = 0; k < n; k++) {
            Block block;
            std::memcpy(&block, src + (begin + k) * static_cast<int64_t>(sizeof(Block)),
                        sizeof(Block));
            dequantize(block, w + k);
        }
        for (int t = 0; t < rows; t++) {
            const float* x = reinterpret_cast<const float*>(job.x[first_row + t]) + begin;
            for (int k = 0; k < n; k++) {
                lanes[t][k % kLanes] += w[k] * x[k];
            }
        }
    }
    for (int t = 0; t < rows; t++) {
        job.out[(first_row + t) * job.out_stride + m - job.m_begin] = sum_of_lanes(lanes[t]);
    }
}

template <typename Block>
void product(const MatmulJob& job) {
    for (int64_t t = 0; t < job.n_rows; t += kTileRows) {
        const auto rows = static_cast<int>(std::min<int64_t>(kTileRows, job.n_rows - t));
        for (int64_t m = job.m_begin; m < job.m_end; m++) {
            if constexpr (Block::kElements == 1) {
                float_row<Block>(job, m, t, rows);
            } else {
                quantised_row<Block>(job, m, t, rows);
            }
        }
    }
}

MatmulFunction product_of(DType type) {
    switch (type) {
#define KERNELS_X(enumerator, ...)                       \
    case DType::enumerator:                              \
        if constexpr (DType::enumerator != DType::i32) { \
            return product<BlockOf<DType::enumerator>>;  \
        }                                                \
        break;
        KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X
    }
    return nullptr;
}

}  // namespace

const MatmulVariant kMatmulPortable = {
    "portable",
    [] { return true; },
    pack_q8_32,
    product_of,
};

}  // namespace kernels::cpu
