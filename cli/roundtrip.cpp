#include "roundtrip/cli/cli.h"

int main(int argc, char** argv) {
  return roundtrip::cli::main(argc, argv);
}
