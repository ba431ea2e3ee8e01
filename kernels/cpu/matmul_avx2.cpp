// Products with AVX2, FMA and F16C.
#include "kernels/cpu/avx2.h"

namespace kernels::cpu {

const MatmulVariant kMatmulAvx2 = {"AVX2", avx2_supported, pack_with_avx2,
                                   product_of<Avx2<Avx2Tile>>};

}  // namespace kernels::cpu
