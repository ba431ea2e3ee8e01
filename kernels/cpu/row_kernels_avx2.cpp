#include <immintrin.h>

// A row of 16 lanes is two registers of 16 here: 2 x 2 sums take 8.
#define KERNELS_ROWS_NAME kRowKernelsAvx2
#define KERNELS_ROWS_A 2
#define KERNELS_ROWS_B 2
#define KERNELS_F16C
#include "kernels/cpu/row_kernels.inl"
