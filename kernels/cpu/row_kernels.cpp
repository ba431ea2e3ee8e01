#include "kernels/cpu/row_kernels.h"

namespace kernels::cpu {

const RowKernels* row_kernels_variant(int index) {
    const RowKernels* list[3] = {};
    int n = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        list[n++] = &kRowKernelsAvx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        list[n++] = &kRowKernelsAvx2;
    }
#endif
    list[n++] = &kRowKernelsPortable;
    return index >= 0 && index < n ? list[index] : nullptr;
}

const RowKernels& row_kernels() {
    static const RowKernels& best = *row_kernels_variant(0);
    return best;
}

}  // namespace kernels::cpu
