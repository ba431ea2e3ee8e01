// All block formats, and BlockOf<type>: the struct of a DType.
#pragma once

#include "kernels/dtype.h"
#include "kernels/quants/bf16.h"
#include "kernels/quants/f16.h"
#include "kernels/quants/f32.h"
#include "kernels/quants/iq4_nl.h"
#include "kernels/quants/iq4_xs.h"
#include "kernels/quants/mxfp4.h"
#include "kernels/quants/q2_k.h"
#include "kernels/quants/q3_k.h"
#include "kernels/quants/q4_0.h"
#include "kernels/quants/q4_1.h"
#include "kernels/quants/q4_k.h"
#include "kernels/quants/q5_0.h"
#include "kernels/quants/q5_1.h"
#include "kernels/quants/q5_k.h"
#include "kernels/quants/q6_k.h"
#include "kernels/quants/q8_0.h"

namespace kernels {

// I32 is listed among the types for ids and indices; it is not a weight and has no arithmetic.
struct BlockI32 {
    static constexpr int kElements = 1;
    int32_t value;
};

template <DType type>
struct BlockOfType;

#define KERNELS_X(name, text, id, elements, bytes, block)                      \
    static_assert(block::kElements == (elements) && sizeof(block) == (bytes)); \
    template <>                                                                \
    struct BlockOfType<DType::name> {                                          \
        using type = block;                                                    \
    };
KERNELS_DTYPES(KERNELS_X)
#undef KERNELS_X

template <DType type>
using BlockOf = typename BlockOfType<type>::type;

}  // namespace kernels
