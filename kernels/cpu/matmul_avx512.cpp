// Products with AVX-512 and its VNNI byte dot products.
#include "kernels/cpu/avx512.h"

namespace kernels::cpu {

const MatmulVariant kMatmulAvx512 = {"AVX-512 VNNI", avx512_supported, pack_with_avx2,
                                     product_of<Avx512>};

}  // namespace kernels::cpu
