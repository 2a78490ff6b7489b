// The vector loops for the AVX512 family.
#define TOMBOLA_KERNELS kernels_avx512
#define TOMBOLA_KERNELS_NAME "avx512"
#include "kernels.inc"
