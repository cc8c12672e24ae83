// Purpose: that nothing but the array goes from layer to layer of a compiled protocol: each layer evaluated in a
// process of its own, and every array compared with the words that the run sends in that round.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "roundtrip/proofs_check/check.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/simulate/compile/compare.h"

namespace roundtrip::proofs_check {

struct Isolation {
  std::uint64_t wrong = 0;     ///< outputs, each layer in a process of its own
  std::uint64_t diverges = 0;  ///< 1 if some array holds other words than the run sends, else 0

  template <typename Archive>
  void serialize(Archive& archive, unsigned) {
    archive& wrong& diverges;
  }
};

/// `instance`: on which nothing of the mutant was evaluated before. Attention is made for each evaluation.
Isolation isolate(const simulate::Compiled& compiled, const NetworkMutant& mutant,
                  const std::function<std::unique_ptr<anna::Attention>()>& make_attention,
                  const Instance& instance);

/// The two checks, "<start>outputs wrong, a process a layer" and "<start>rows unlike the run's messages".
std::vector<Check> isolation_checks(const Configuration& configuration, const std::string& start,
                                    const Isolation& isolation);

}  // namespace roundtrip::proofs_check
