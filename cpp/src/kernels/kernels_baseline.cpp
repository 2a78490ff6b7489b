// The vector loops for the instruction set that every processor of the platform has (SSE2 or NEON).
#define TOMBOLA_KERNELS kernels_baseline
#define TOMBOLA_KERNELS_NAME "baseline"
#include "kernels.inc"
