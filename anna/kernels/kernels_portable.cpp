#define ROUNDTRIP_KERNELS portable
#include "anna/kernels/kernels_body.h"
