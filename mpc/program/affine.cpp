#include "roundtrip/mpc/program/affine.h"

namespace roundtrip::mpc {

Affine Affine::of_wire(std::uint32_t wire) {
  Affine result;
  result.terms_[wire] = 1;
  return result;
}

Affine& Affine::operator+=(const Affine& other) {
  constant_ += other.constant_;
  for (const auto& [wire, weight] : other.terms_) {
    if ((terms_[wire] += weight) == 0) terms_.erase(wire);
  }
  return *this;
}

Affine& Affine::operator*=(std::int64_t factor) {
  constant_ *= factor;
  if (factor == 0) terms_.clear();
  for (auto& [wire, weight] : terms_) weight *= factor;
  return *this;
}

}  // namespace roundtrip::mpc
