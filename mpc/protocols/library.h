// Purpose: the protocols that come with the project, and their round formulas as functions of the parameters
// alone, for checks that compare them with what a run took.
#pragma once

#include <cstdint>
#include <vector>

#include "mpc/registry.h"

namespace roundtrip::mpc {

/// All library protocols; the registry takes them in on first use.
std::vector<ProtocolInfo> library_protocols();

ProtocolInfo sum_protocol();
/// ceil(log_f ceil(N / b)) + 1 with f = s.
std::uint32_t sum_rounds(const Parameters& parameters);

ProtocolInfo sort_protocol();
/// 1 + T_sort(N, 3); if that is 1 but the input stands on several machines, 2.
std::uint32_t sort_rounds(const Parameters& parameters);

ProtocolInfo match2_protocol();
/// 2 ceil(log_f ceil(N / b)) + 1, or by sorting T_sort(2N, 3) + 2 ceil(log_f M_s) + 2: see the protocol's
/// card.
std::uint32_t match2_rounds(const Parameters& parameters);

ProtocolInfo k_hop_protocol();
/// T_sort(N, 3) + 3 + ceil(log2 k).
std::uint32_t k_hop_rounds(const Parameters& parameters);

}  // namespace roundtrip::mpc
