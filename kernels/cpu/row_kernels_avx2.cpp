#include <immintrin.h>

// Of 16 registers 12 are sums, 3 rows of b and one of a: 7 loads for 12 operations. In `mix` 10 are
// sums: 20 heads are four blocks.
#define KERNELS_ROWS_NAME kRowKernelsAvx2
#define KERNELS_REGISTER_BYTES 32
#define KERNELS_DOT_A 4
#define KERNELS_DOT_B 3
#define KERNELS_MIX_A 5
#define KERNELS_MIX_C 2
#define KERNELS_F16C
#include "kernels/cpu/row_kernels.inl"
