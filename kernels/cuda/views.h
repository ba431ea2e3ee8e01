// How arrays of the backend look to its kernels.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/rows.h"

namespace kernels::cuda {

inline Rows rows_of(const TensorView& view) {
    return {view.f32(), view.rank > 1 ? view.stride_bytes[0] / 4 : 0, 0, 1};
}

// [T, H, C] as rows t * H + h.
inline Rows head_rows(const TensorView& view) {
    return {view.f32(), view.stride_bytes[0] / 4, view.stride_bytes[1] / 4,
            static_cast<int32_t>(view.size[1])};
}

inline Rows dense_rows(float* data, int64_t cols) {
    return {data, cols, 0, 1};
}

inline KRows k_rows(const KPages& pages) {
    const LatentRow parts(pages.latent, pages.rotary);
    return {pages.layer_offset_bytes,
            pages.row_bytes,
            pages.dtype,
            static_cast<int32_t>(pages.latent),
            static_cast<int32_t>(pages.rotary),
            pages.int8_latent,
            static_cast<int32_t>(parts.rotary_at),
            static_cast<int32_t>(parts.scales_at)};
}

}  // namespace kernels::cuda
