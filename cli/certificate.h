// Purpose: the file that `roundtrip compile --certificate` writes, for a checker that has nothing of this program.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "roundtrip/cli/execution.h"
#include "roundtrip/simulate/compile/compile.h"

namespace roundtrip::cli {

/// The certificate as JSON Lines, compressed by gzip, without a time: equal runs give equal bytes. Its first line
/// holds what is claimed: protocol, shape, the sizes that rank 0 found, input and `outputs`; write_certificate() has
/// the others.
std::string certificate_bytes(const simulate::Compiled& compiled, std::string_view mechanism,
                              const Instance& instance, const Execution& execution,
                              const nlohmann::ordered_json& claims, const mpc::Outputs& outputs);

}  // namespace roundtrip::cli
