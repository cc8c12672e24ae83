#define ROUNDTRIP_KERNELS portable
#include "roundtrip/anna/lsh/kernels/kernels_body.h"
