#define ROUNDTRIP_TRAIN_KERNELS portable
#include "roundtrip/train/kernels_body.h"
