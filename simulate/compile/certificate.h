// Purpose: the certificate of a compiled protocol: all that a stranger's checker needs to see, without a line of this
// program, that the transformer moves the run's words. proofs_check/check_certificate.py is such a checker, and its
// head says what the lines mean.
#pragma once

#include <functional>
#include <span>
#include <string_view>

#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/compile.h"

namespace roundtrip::simulate {

/// Runs the protocol in process, evaluates the transformer layer by layer, and calls `write` with one JSON object
/// after the other, without line ends: the ids (vectors, and the codes that ANNA's one table gives them), the words
/// that each machine sent in each of the R rounds, and for each of the L layers its sizes, Q, K, V and averages of
/// every head, and the rows that it leaves. Judges nothing. ModelViolation as run() throws it. Cost: the evaluation,
/// and text of about 10 bytes for each number, query and key; memory one layer's text.
void write_certificate(const Compiled& compiled, std::string_view mechanism, std::span<const mpc::Word> input,
                       const std::function<void(std::string_view line)>& write);

}  // namespace roundtrip::simulate
