// Purpose: tests under mpirun. Every rank runs every test; a test fails on all ranks if it fails on any, and
// only rank 0 speaks, but for failures. Verdicts are reduced after each test. A fatal failure (ASSERT_, an
// exception) on one rank would leave the others in a collective, so it ends all of them at once; an EXPECT_
// lets the tests go on.
#pragma once

#include "roundtrip/mpc/transport.h"

namespace roundtrip::tests {

/// The session that main() opened.
mpc::MpiSession& session();

/// Collective: whether `mine` holds on every rank. For decisions that steer what is called next.
bool on_all_ranks(bool mine);

}  // namespace roundtrip::tests
