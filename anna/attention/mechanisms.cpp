#include "roundtrip/anna/attention/mechanisms.h"

#include <algorithm>

#include "roundtrip/anna/attention/state_space.h"

namespace roundtrip::anna {

std::span<const MechanismInfo* const> mechanisms() {
  static const MechanismInfo* const all[] = {&ExactMatch::info(), &Anna::info(), &LowRank::info(),
                                             &Softmax::info(), &StateSpace::info()};
  return all;
}

std::vector<std::string> mechanism_names() {
  std::vector<std::string> names;
  for (const MechanismInfo* mechanism : mechanisms()) names.push_back(mechanism->name);
  return names;
}

const MechanismInfo* find_mechanism(std::string_view name) {
  const auto found = std::ranges::find(mechanisms(), name, &MechanismInfo::name);
  return found == mechanisms().end() ? nullptr : *found;
}

}  // namespace roundtrip::anna
