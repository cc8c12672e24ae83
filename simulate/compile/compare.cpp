#include "roundtrip/simulate/compile/compare.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"

namespace roundtrip::simulate {
namespace {

// Of a draw of ANNA's one table; the draw is verified, so this bounds only how often it is repeated.
constexpr double kDrawFailure = 1e-6;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

DirectOptions direct_options(const CompileOptions& options) {
  return {.code = options.code,
          .variance_test = options.variance_test,
          .seed = options.seed,
          .name = options.name};
}

}  // namespace

RoutedOptions routed_options(const CompileOptions& options) {
  return {.delta = options.delta,
          .digits = options.digits,
          .eta = options.eta,
          .seed = options.seed,
          .capacities = options.capacities,
          .name = options.name};
}

Compiled compile(std::shared_ptr<const mpc::Protocol> protocol, const CompileOptions& options) {
  const mpc::Shape& shape = protocol->shape();
  Compiled compiled;
  if (options.construction == Construction::kDirect) {
    compiled.transformer = compile_direct(protocol, direct_options(options));
    compiled.bound = direct_sizes(shape, options.code);
    compiled.passes = direct_passes(shape, direct_options(options));
  } else {
    compiled.transformer = compile_routed(protocol, routed_options(options));
    compiled.bound = routed_sizes(shape, routed_options(options));
    compiled.passes = routed_passes(shape, routed_options(options));
  }
  compiled.protocol = std::move(protocol);
  compiled.options = options;
  return compiled;
}

anna::Mechanism mechanism_for(const anna::Codebook& codebook, Mechanism mechanism, std::uint64_t seed) {
  if (mechanism == Mechanism::kExactMatch) return anna::ExactMatch{};
  const std::uint32_t functions = anna::choose_functions(codebook.size(), codebook.dimension(), kDrawFailure);
  return anna::Anna{anna::verified_draw(codebook, functions, seed).parameters, {}, {}};
}

std::unique_ptr<anna::Attention> make_attention(const anna::Codebook& codebook, Mechanism mechanism,
                                                std::uint64_t seed) {
  return mechanism_for(codebook, mechanism, seed).make();
}

std::unique_ptr<anna::Attention> make_attention(const Compiled& compiled, Mechanism mechanism) {
  return make_attention(compiled.transformer.layers.front()->codebook(), mechanism, compiled.options.seed);
}

EvaluationPlan plan(const mpc::Shape& shape, const CompileOptions& options) {
  EvaluationPlan plan;
  const std::uint64_t sent = std::uint64_t{shape.machines} * shape.memory_words;
  std::uint64_t tokens = std::max({shape.n, std::uint64_t{shape.machines}, shape.outputs});
  std::uint64_t array_entries = 0;
  plan.words_a_layer = std::max({sent, shape.n, shape.outputs});
  if (options.construction == Construction::kDirect) {
    const PacketCoder coder(options.code, shape.machines, shape.memory_words);
    plan.sizes = direct_sizes(shape, options.code);
    // A layer of "route" holds every packet twice, as values and as head outputs; "deliver" 4 numbers an
    // output word.
    const std::uint64_t route = shape.rounds > 1 ? 2 * sent * coder.entries_a_packet() : 0;
    plan.entries_a_layer = std::max({route, 2 * 4 * std::min(sent, shape.outputs), 2 * shape.n});
    plan.points_a_layer = std::max({2 * sent, shape.outputs * (shape.memory_words + 1) + sent, 2 * shape.n});
    array_entries = 2 * sent + 3 * shape.machines;
  } else {
    const DigitRouting routing = plan_routing(shape, routed_options(options));
    plan.sizes = routed_sizes(shape, routed_options(options));
    tokens = std::max(tokens, routing.nodes());
    // All words in flight, whichever node holds them: code and word, in values and in head outputs.
    plan.entries_a_layer = std::max({2 * 2 * sent, 2 * 2 * shape.outputs, 2 * shape.n});
    plan.points_a_layer =
        std::max({2 * routing.nodes() * plan.sizes.heads, shape.outputs + shape.machines, 2 * shape.n});
    array_entries = 2 * sent + 4 * routing.nodes();
  }
  plan.peak_bytes = 16 * (plan.entries_a_layer + plan.points_a_layer) + 2 * (16 * array_entries + 8 * tokens);
  return plan;
}

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
