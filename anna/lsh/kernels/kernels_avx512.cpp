// Compiled with -mavx512f and its parts bw, dq and vl. Includes nothing that defines inline functions, as kernels_avx2.cpp.
#define ROUNDTRIP_KERNELS avx512
#include "roundtrip/anna/lsh/kernels/kernels_body.h"
