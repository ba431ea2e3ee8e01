#define KERNELS_ROWS_NAME kRowKernelsPortable
#define KERNELS_REGISTER_BYTES 16
#define KERNELS_DOT_A 2
#define KERNELS_DOT_B 1
#define KERNELS_MIX_A 2
#define KERNELS_MIX_C 1
#include "kernels/cpu/row_kernels.inl"
