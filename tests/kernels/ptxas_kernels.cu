// The decode kernels as ptxas_test.sh looks at them: the widest instantiations of each row form.
#include "kernels/cuda/mla_decode.cuh"

namespace kernels::cuda::mla {

template __global__ void mla_decode_kernel<DType::f16, 24>(Attend);
template __global__ void mla_decode_kernel<DType::f16, 40>(Attend);
template __global__ void mla_decode_kernel<DType::q8_0, 40>(Attend);

}  // namespace kernels::cuda::mla
