#include <immintrin.h>

// 16 and 20 of 32 registers are sums; 64 rows and 20 heads are whole blocks.
#define KERNELS_ROWS_NAME kRowKernelsAvx512
#define KERNELS_REGISTER_BYTES 64
#define KERNELS_DOT_A 4
#define KERNELS_DOT_B 4
#define KERNELS_MIX_A 5
#define KERNELS_MIX_C 4
#define KERNELS_F16C
#include "kernels/cpu/row_kernels.inl"
