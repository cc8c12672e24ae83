#include "cli/cli.h"
int roundtrip::cli::main(int, char**) { return 70; }
