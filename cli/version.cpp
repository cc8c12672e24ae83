// Purpose: `roundtrip --version`: what a report of a problem needs to name.
#include <fmt/format.h>

#include "roundtrip/anna/dense/blas.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::cli {

std::string version_text() {
  return fmt::format("roundtrip {}\ncompiler: {} {}\nMPI: {}\nBLAS: {}, loaded for exact attention",
                     ROUNDTRIP_VERSION, ROUNDTRIP_COMPILER, __VERSION__, mpc::mpi_version(),
                     anna::kBlasLibrary);
}

}  // namespace roundtrip::cli
