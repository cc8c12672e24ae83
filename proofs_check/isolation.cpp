#include "roundtrip/proofs_check/isolation.h"

#include "roundtrip/base/fault.h"
#include "roundtrip/simulate/compile/counterexample.h"

namespace roundtrip::proofs_check {

Isolation isolate(const simulate::Compiled& compiled, const NetworkMutant& mutant,
                  const std::function<std::unique_ptr<anna::Attention>()>& make_attention,
                  const Instance& instance) {
  const Network network = mutated(compiled.transformer, mutant);
  Isolation result;
  // First the processes: they must be forked from one in which no layer has seen this instance.
  result.wrong = wrong_in_own_processes(network, *make_attention(), mutated(instance, mutant));
  simulate::Compiled changed = compiled;
  changed.transformer.layers = network.layers;
  if (seeded("blind-processes")) result.wrong = 0;
  result.diverges = simulate::find_divergence(changed, instance.input, *make_attention()).has_value();
  if (seeded("blind-divergence")) result.diverges = 0;
  return result;
}

std::vector<Check> isolation_checks(const Configuration& configuration, const std::string& start,
                                    const Isolation& isolation) {
  return {compare(configuration, start + "outputs wrong, a process a layer",
                  static_cast<double>(isolation.wrong), Relation::kEqual, 0),
          compare(configuration, start + "rows unlike the run's messages",
                  static_cast<double>(isolation.diverges), Relation::kEqual, 0)};
}

}  // namespace roundtrip::proofs_check
