#include "anna/embedding.h"
