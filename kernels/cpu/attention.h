// What the files of CPU attention share: the arguments of one call, and K pages as rows of floats.
#pragma once

#include "kernels/cpu/cpu_backend.h"

namespace kernels::cpu {

// From this many tokens of one sequence in a pass on, keys and values are expanded per head; below,
// attention is done on the cached rows themselves. The two round differently, so this must lie above the
// usual pass of 512 tokens: a prompt in chunks of 512 or less gives the same bits however it is cut.
//
// Measured on Zen 4 (AVX-512), processor time of one core for one layer of GLM-4.7-Flash's shape, f16 rows, q8_0 k_b and
// v_b by the portable products; "absorbed" in chunks of at most 512:
//     chunk   cached    absorbed   expanded
//       512     8192      2.66 s     2.27 s    too little to give up the same bits for
//      1024     8192      6.34 s     4.63 s
//      2048     2048      5.43 s     2.43 s
// Decoding one token, absorbed: 5.8 ms at 4,096 cached tokens, 13.2 ms at 16,384 (36 billion multiply-adds a second in
// between; with 20 heads to a row the cores' arithmetic is the limit, at 0.8 to 1.4 GB/s a core).
inline constexpr int64_t kExpandFromTokens = 1024;

struct CpuBackend::Attention {
    const TensorView& heads;  // [T, H, V]
    const TensorView& q;      // [T, H, N+R]
    const TensorView& k_b;    // [H, L, N]
    const TensorView& v_b;    // [H, V, L]
    const KPages& pages;
    float scale;

    int64_t n_heads() const { return q.size[1]; }
    int64_t nope() const { return k_b.size[2]; }
    int64_t value() const { return v_b.size[1]; }
    int64_t latent() const { return pages.latent; }
    int64_t rotary() const { return pages.rotary; }
    int64_t row() const {
        return padded(latent() + rotary());
    }  // floats from one K row to the next in a tile

    const float* query(int64_t token, int64_t head) const {
        return reinterpret_cast<const float*>(q.data + token * q.stride_bytes[0] +
                                              head * q.stride_bytes[1]);
    }
    float* result(int64_t token, int64_t head) const {
        return reinterpret_cast<float*>(heads.data + token * heads.stride_bytes[0] +
                                        head * heads.stride_bytes[1]);
    }

    // tile[r] = row r of page `page` of the sequence, as floats, for r < count; the padding of each
    // row is zero.
    void read_page(const RowKernels& rows,
                   const SequenceSpan& span,
                   int64_t page,
                   int64_t count,
                   float* tile) const;
};

}  // namespace kernels::cpu
