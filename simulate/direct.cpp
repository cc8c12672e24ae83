#include "simulate/direct.h"
