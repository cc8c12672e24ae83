#include "roundtrip/simulate/compile/compare.h"

#include <chrono>
#include <utility>

#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"

namespace roundtrip::simulate {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Comparison compare(const Compiled& compiled, std::span<const mpc::Word> input, anna::Attention& attention,
                   const anna::EvaluateOptions& options) {
  const mpc::Protocol& protocol = *compiled.protocol;
  Comparison result;
  result.sizes = measure(compiled.transformer);
  auto start = std::chrono::steady_clock::now();
  try {
    const auto transport = mpc::make_in_process_transport();
    const mpc::RunResult run = mpc::run(protocol, input, *transport);
    result.run_words = run.outputs;
    result.rounds = static_cast<std::uint32_t>(run.ledger.rounds.size());
  } catch (const mpc::ModelViolation& violation) {
    result.run_violation = violation.what();
    result.rounds = violation.facts().round;
  }
  result.run_seconds = seconds_since(start);

  start = std::chrono::steady_clock::now();
  const std::uint64_t outputs = protocol.shape().outputs;
  const anna::Activations last = anna::evaluate(
      compiled.transformer, attention, input_activations(input, compiled.transformer.tokens), options);
  result.outputs = read_outputs(last, outputs);
  result.evaluate_seconds = seconds_since(start);

  result.fault = !result.outputs.faulty.empty();
  for (const FaultKind kind : result.outputs.reasons) result.overflow |= kind == FaultKind::kOverflow;
  const bool ran = result.run_violation.empty();
  for (std::uint64_t t = 0, next = 0; t < outputs && !result.first_difference; ++t) {
    const bool faulty = next < result.outputs.faulty.size() && result.outputs.faulty[next] == t;
    next += faulty;
    if (ran && !faulty && result.outputs.words[t] == result.run_words[t]) continue;
    result.first_difference.emplace();
    result.first_difference->output = t;
    if (ran) result.first_difference->run = result.run_words[t];
    if (!faulty) result.first_difference->transformer = result.outputs.words[t];
  }
  result.equal = ran && result.run_words.size() == outputs && !result.first_difference;
  return result;
}

}  // namespace roundtrip::simulate
