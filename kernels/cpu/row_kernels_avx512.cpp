#include <immintrin.h>

#define KERNELS_ROWS_NAME kRowKernelsAvx512
#define KERNELS_ROWS_A 4
#define KERNELS_ROWS_B 4
#define KERNELS_F16C
#include "kernels/cpu/row_kernels.inl"
