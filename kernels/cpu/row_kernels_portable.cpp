#define KERNELS_ROWS_NAME kRowKernelsPortable
#define KERNELS_ROWS_A 2
#define KERNELS_ROWS_B 1
#include "kernels/cpu/row_kernels.inl"
