#include "roundtrip/simulate/compile/scattered.h"

#include <algorithm>
#include <memory>

#include "roundtrip/base/fault.h"
#include "roundtrip/simulate/compile/digits.h"
#include "roundtrip/simulate/compile/direct.h"

namespace roundtrip::simulate {

std::uint64_t scattered_load(const mpc::Shape& shape, const Rational& eta) {
  const std::uint64_t most = std::min<std::uint64_t>(shape.memory_words, shape.machines);
  const std::uint64_t routed = shape.rounds - 1;
  if (routed == 0 || seeded("load-of-one")) return 1;
  const std::uint64_t heads = seeded("load-of-one-head") ? 1 : routed * shape.machines * shape.memory_words;
  return std::min(most, poisson_capacity(1, 1, eta, heads));
}

const ConstructionInfo& scattered_construction() {
  static const ConstructionInfo info{
      .name = "scattered",
      .summary = "depth R + 1, less width",
      .card =
          R"(Problem:   the transformer of an R-round MPC protocol, in R + 1 layers whose width is N^eps polylog N for
           every eps.
Guarantee: for every fixed input the outputs are exact with probability >= 1 - eta over the shifts; never a wrong
           word: a head with more packets than its code tells apart is known by its count, and every output then
           reports an overflow; the rest as in the direct construction.
Cost:      L = R + 1; H = s + 1 heads; m = max(ids, b, D), D = 2q or 4XP of the code for lambda packets, lambda =
           scattered_load() = O(log N / log log N). With k digits X = (k - 1)(lambda - 1) + 1 and P >= max(X,
           q^(1/k)): k = log q gives D = O(log^4 N), so H m = O(s polylog N).
Source:    ours. Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.1, have O(N^(6 eps) log N) in their step of this depth.
Requires:  as direct.)",
      .version = "1",
      .options = {ids_option()},
      .make = [](const mpc::Shape& shape,
                 const CompileOptions& options) -> std::unique_ptr<const Construction> {
        const auto own = specific_options<DirectOptions>(options);
        return make_direct(shape, options, own.load.value_or(scattered_load(shape, options.eta)));
      }};
  return info;
}

}  // namespace roundtrip::simulate
