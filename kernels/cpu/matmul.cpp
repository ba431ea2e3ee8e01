#include "kernels/cpu/matmul.h"

#include <algorithm>

#include "kernels/check.h"
#include "kernels/cpu/matmul_variants.h"

namespace kernels::cpu {
namespace {

bool quantised(DType type) {
    return type != DType::f32 && type != DType::f16 && type != DType::bf16;
}

}  // namespace

const MatmulVariant* const* matmul_variants() {
    struct Usable {
        const MatmulVariant* of[6] = {};
        Usable() {
            int n = 0;
            for (const MatmulVariant* variant : {
#ifdef KERNELS_X86_64
                     &kMatmulAmx, &kMatmulAvx512, &kMatmulAvxVnni, &kMatmulAvx2,
#endif
                     &kMatmulPortable}) {
                if (variant->supported()) {
                    of[n++] = variant;
                }
            }
        }
    };
    static const Usable usable;
    return usable.of;
}

std::string_view simd_name() {
    return matmul_variants()[0]->name;
}

ActivationFormat activation_format(DType weight) {
    ENSURE(weight != DType::i32, "I32 is not a weight type");
    return quantised(weight) ? ActivationFormat::q8_32 : ActivationFormat::f32;
}

int64_t activation_row_bytes(ActivationFormat format, int64_t cols) {
    ENSURE(cols >= 0, "cols ", cols);
    if (format == ActivationFormat::f32) {
        return (cols * 4 + 63) / 64 * 64;
    }
    const int64_t padded = (cols + 255) / 256 * 256;
    return (padded + 3 * (padded / 8) + 63) / 64 * 64;
}

void pack_activation(ActivationFormat format, const float* src, int64_t cols, std::byte* dst) {
    if (format == ActivationFormat::f32) {
        std::copy_n(src, cols, reinterpret_cast<float*>(dst));  // a row of none may be null
        return;
    }
    ENSURE(cols >= 0 && cols % 32 == 0, "row of ", cols);
    matmul_variants()[0]->pack_q8_32(src, cols, dst);
}

void matmul_rows_with(const MatmulVariant& variant, const MatmulJob& job, DType weight) {
    ENSURE(weight != DType::i32 && job.cols % info(weight).block_elements == 0, name(weight),
           " row of ", job.cols);
    if (job.n_rows > 0 && job.m_end > job.m_begin) {
        variant.product(weight)(job);
    }
}

void matmul_rows(float* out,
                 int64_t out_stride,
                 const TensorView& weight,
                 int64_t m_begin,
                 int64_t m_end,
                 const std::byte* const* x,
                 int64_t n_rows) {
    ENSURE(weight.rank == 2 && 0 <= m_begin && m_begin <= m_end && m_end <= weight.size[0],
           weight.describe(), " rows ", m_begin, "..", m_end);
    const MatmulJob job = {out,           out_stride, weight.data, weight.stride_bytes[0],
                           weight.cols(), m_begin,    m_end,       x,
                           n_rows};
    matmul_rows_with(*matmul_variants()[0], job, weight.dtype);
}

}  // namespace kernels::cpu
