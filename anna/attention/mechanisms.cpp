#include "roundtrip/anna/attention/mechanisms.h"

#include <algorithm>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/anna/attention/lstm.h"
#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/anna/attention/rnn.h"
#include "roundtrip/anna/attention/state_space.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {

std::span<const MechanismInfo* const> mechanisms() {
  static const MechanismInfo* const all[] = {&ExactMatch::info(), &Anna::info(),       &LowRank::info(),
                                             &Performer::info(),  &Polynomial::info(), &Softmax::info(),
                                             &StateSpace::info(), &Window::info(),     &Chunked::info(),
                                             &Rnn::info(),        &Lstm::info()};
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

const MechanismInfo& mechanism_for_equal_keys(std::string_view name) {
  const MechanismInfo* found = find_mechanism(name);
  std::string allowed;
  for (const MechanismInfo* mechanism : mechanisms())
    if (mechanism->for_equal_keys != nullptr) allowed += (allowed.empty() ? "" : " or ") + mechanism->name;
  require_field(found != nullptr && found->for_equal_keys != nullptr, "attention", "is '{}', allowed is {}",
                name, allowed);
  return *found;
}

}  // namespace roundtrip::anna
