#include "roundtrip/mpc/stages/phase.h"

#include <fmt/format.h>

#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {

std::string phase_of(const Protocol& protocol, std::uint32_t round) {
  const auto* composition = dynamic_cast<const Composition*>(&protocol);
  if (composition == nullptr) return {};
  for (const Composition::Phase& phase : composition->phases()) {
    if (round < phase.first_round || round >= phase.first_round + phase.rounds) continue;
    return phase.rounds == 1
               ? phase.name
               : fmt::format("{}, {} of {}", phase.name, round - phase.first_round + 1, phase.rounds);
  }
  return {};
}

ViolationInPhase::ViolationInPhase(const ModelViolation& violation, const Protocol& protocol)
    : ModelViolation(violation), message_(violation.what()) {
  const std::string phase = phase_of(protocol, violation.facts().round);
  if (!phase.empty()) message_ += fmt::format(" (round {}: {})", violation.facts().round, phase);
}

}  // namespace roundtrip::mpc
