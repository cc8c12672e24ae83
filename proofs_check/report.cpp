#include "simulate/translation.h"
