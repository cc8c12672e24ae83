// Purpose: a violation of the model with the name of the phase in which it happened.
#pragma once

#include <string>

#include "roundtrip/mpc/protocol.h"
#include "roundtrip/mpc/violation.h"

namespace roundtrip::mpc {

/// What `round` (1 .. R) of the protocol is for: "to the sort machines", "sort, 2 of 3"; empty unless the protocol is
/// a composition, whose phases have names.
std::string phase_of(const Protocol& protocol, std::uint32_t round);

/// The violation, whose message names the phase of `protocol` too, if it has one.
class ViolationInPhase final : public ModelViolation {
 public:
  ViolationInPhase(const ModelViolation& violation, const Protocol& protocol);
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

}  // namespace roundtrip::mpc
