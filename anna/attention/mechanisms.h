// Purpose: the mechanisms that there are.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/attention/exact_match.h"
#include "roundtrip/anna/attention/low_rank.h"
#include "roundtrip/anna/attention/mechanism.h"
#include "roundtrip/anna/attention/softmax.h"

namespace roundtrip::anna {

/// All of them, in the order in which users read them.
std::span<const MechanismInfo* const> mechanisms();
std::vector<std::string> mechanism_names();
/// Null if none has this name.
const MechanismInfo* find_mechanism(std::string_view name);
/// One by which tokens find each other by ids; ContractError naming those for another name.
const MechanismInfo& mechanism_for_equal_keys(std::string_view name);

}  // namespace roundtrip::anna
