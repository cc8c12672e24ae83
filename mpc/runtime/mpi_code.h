// Purpose: the return codes of MPI's calls. Boost.MPI has errors returned, not fatal, so that a code which nobody looks
// at is an error that nobody sees.
#pragma once

namespace roundtrip::mpc {

/// Throws InternalError with the name of the call and MPI's words unless `code` is MPI_SUCCESS, which is 0 (every MPI
/// library says so: MPI 3.1, section 8.4).
void require_mpi(int code, const char* call);

}  // namespace roundtrip::mpc
