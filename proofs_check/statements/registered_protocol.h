// Purpose: the statement of a registered protocol, on an instance that a user gives.
#pragma once

#include <memory>

#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/statement.h"
#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {

/// As make_registered_protocol(info) of statements.h, but on `given` in place of instances of its own.
std::unique_ptr<const Statement> make_registered_protocol(const mpc::ProtocolInfo& info,
                                                          const ProtocolInstance& given);

}  // namespace roundtrip::proofs_check
