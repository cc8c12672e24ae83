// Compiled with -mavx2 -mfma. Includes nothing that defines inline functions: the linker could take their AVX2
// version for all.
#define ROUNDTRIP_TRAIN_KERNELS avx2
#include "roundtrip/train/kernels_body.h"
