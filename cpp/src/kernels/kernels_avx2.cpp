// The vector loops for the AVX2 family.
#define TOMBOLA_KERNELS kernels_avx2
#define TOMBOLA_KERNELS_NAME "avx2"
#include "kernels.inc"
