// Compiled with -mavx2. Includes nothing that defines inline functions: the linker could take their AVX2
// version for all.
#define ROUNDTRIP_KERNELS avx2
#include "roundtrip/anna/lsh/kernels/kernels_body.h"
