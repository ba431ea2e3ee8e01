// The last block of a launch: the one place where blocks of a launch meet each other's results.
#pragma once
#include "kernels/simt/simt.h"

namespace simt {

// In a kernel, by all threads of every block, when what it writes is written: true in the one block
// that comes last, which then sees what all others wrote (past the first-level cache, which knows
// nothing of other processors: __ldcg). *ticket is 0 before the launch, and again behind it.
__device__ inline bool last_block(unsigned* ticket) {
    SIMT_SHARED(unsigned, before);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        before = atomicAdd(ticket, 1U);
    }
    __syncthreads();
    if (before + 1 != gridDim.x * gridDim.y * gridDim.z) {
        return false;
    }
    __threadfence();
    if (threadIdx.x == 0) {
        *ticket = 0;
    }
    return true;
}

}  // namespace simt
