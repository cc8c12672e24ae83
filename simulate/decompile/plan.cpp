// The sizes of a transformer as a protocol: everything that follows from the model's shape, N, the exponents,
// s and p.
#include <algorithm>
#include <bit>
#include <optional>

#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/simulate/decompile/codec.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/decompile/layer_decompiler.h"

namespace roundtrip::simulate {
namespace {

constexpr std::uint64_t kDefaultKappa = 16;
constexpr std::uint32_t kIntegerBits = 54;  // of integers below 2^53 in magnitude, the sign included

std::uint32_t signed_bits(std::uint64_t magnitude) {
  return 1 + static_cast<std::uint32_t>(std::bit_width(magnitude));
}

const anna::WeightLayer* weights_of(const anna::Layer& layer) {
  return dynamic_cast<const anna::WeightLayer*>(&layer);
}

std::uint32_t value_bits(const anna::Layer& layer) {
  const anna::WeightLayer* const weights = weights_of(layer);
  if (weights == nullptr) return kIntegerBits;
  std::uint32_t bits = 1;
  for (const anna::HeadMaps& head : weights->weights().heads) {
    const anna::Limits& clamp = head.value.back().clamp;
    if (!clamp) return kIntegerBits;
    bits = std::max(bits, signed_bits(static_cast<std::uint64_t>(clamp.largest())));
  }
  return bits;
}

/// Of a number of the rows that a layer writes.
std::uint32_t row_bits(const anna::Layer& layer) {
  const anna::WeightLayer* const weights = weights_of(layer);
  if (weights == nullptr) return kIntegerBits;
  std::uint32_t bits = 1;
  for (const anna::Range& range : weights->output_ranges()) {
    bits = std::max(bits, signed_bits(static_cast<std::uint64_t>(std::max(-range.least, range.largest))));
  }
  return bits;
}

/// floor(base^exponent), 0 < exponent < 1: the ceiling if that is the power itself, else one less.
std::uint64_t floor_power(std::uint64_t base, const Rational& exponent) {
  const std::uint64_t up = ceil_power(base, exponent);
  try {
    if (ceil_power(up, Rational(exponent.denominator(), exponent.numerator())) == base) return up;
  } catch (const ContractError&) {  // leaves 63 bits, so it is above base
  }
  return up - 1;
}

/// Everything but the sizes that depend on s.
DecompilePlan facts_of(const anna::Model& model, const mpc::Parameters& parameters,
                       const DecompileOptions& options) {
  const anna::Transformer& transformer = model.transformer;
  require(options.word_bits >= 32 && options.word_bits <= 62, "{}: words of {} bits; allowed are 32 .. 62",
          options.name, options.word_bits);
  require(transformer.input_dimension == 2,
          "{}: input rows have {} numbers; a protocol's are (present, word)", options.name,
          transformer.input_dimension);
  require(parameters.n >= 1 && parameters.n <= transformer.tokens, "{}: N is {}; the model has {} tokens",
          options.name, parameters.n, transformer.tokens);
  DecompilePlan plan;
  plan.n = parameters.n;
  plan.tokens = transformer.tokens;
  plan.word_bits = options.word_bits;
  plan.input_bits = std::min(53u, options.word_bits);
  if (const anna::WeightLayer* first = weights_of(*transformer.layers.front())) {
    plan.input_bits =
        std::min(plan.input_bits, static_cast<std::uint32_t>(std::bit_width(
                                      static_cast<std::uint64_t>(first->weights().row_limit.largest()))));
  }
  if (options.input_bits) {
    require(*options.input_bits >= 1 && *options.input_bits <= std::min(53u, options.word_bits),
            "{}: input words of {} bits; allowed are 1 .. {}", options.name, *options.input_bits,
            std::min(53u, options.word_bits));
    plan.input_bits = *options.input_bits;
  }
  const auto words_of = [&](std::uint32_t bits) { return NumberCodec(plan.word_bits, bits).words(); };
  std::uint32_t row_number_bits = plan.input_bits + 1;
  std::uint32_t row_dimension = transformer.input_dimension;
  for (std::size_t l = 0; l < transformer.depth(); ++l) {
    const anna::Layer& layer = *transformer.layers[l];
    const anna::LayerShape shape = layer.shape();
    const anna::Mechanism& mechanism = model.mechanisms[l];
    DecompiledLayer facts;
    facts.heads = shape.heads;
    facts.value_dimension = shape.value_dimension;
    facts.value_words = words_of(value_bits(layer));
    facts.sum_dimension = shape.value_dimension;
    facts.decompiler = &decompiler_of(mechanism);
    if (options.softmax_ring && mechanism.get_if<anna::Softmax>() != nullptr)
      facts.decompiler = &softmax_ring_decompiler();
    const std::uint32_t sum_bits = value_bits(layer) + ceil_log(2, plan.tokens) + 1 +
                                   facts.decompiler->measure(layer, mechanism, plan.word_bits, facts);
    require(sum_bits <= 124, "{}: sums of layer {} have {} bits; at most 124 are carried", options.name, l,
            sum_bits);
    facts.sum_words = words_of(sum_bits);
    facts.row_dimension = row_dimension;
    facts.row_words = words_of(row_number_bits);
    plan.layers.push_back(facts);
    row_dimension = shape.output_dimension;
    row_number_bits = row_bits(layer);
  }
  plan.output_dimension = row_dimension;
  plan.output_words = words_of(row_number_bits);
  const std::uint32_t token_bits = ceil_log(2, plan.tokens);
  // A record's question to its block: position among 2 N', query or key, token. A result: token and count.
  require(2 * token_bits + 2 <= plan.word_bits,
          "{}: {} tokens; position and token do not fit a word of {} bits", options.name, plan.tokens,
          plan.word_bits);
  return plan;
}

/// The plan with memory s, if there is one.
std::optional<DecompilePlan> plan_with(DecompilePlan plan, std::uint64_t memory_words) {
  plan.memory_words = memory_words;
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    DecompiledLayer& layer = plan.layers[l];
    const bool last = l + 1 == plan.layers.size();
    const std::uint64_t next_row =
        last ? std::uint64_t{plan.output_dimension} * plan.output_words : plan.layers[l + 1].most_row_words();
    layer.decompiler->count_words(layer, next_row, plan.copies_a_round);
    plan.token_words = std::max(plan.token_words, layer.token_words);
    plan.state_words = std::max(plan.state_words, layer.state_words);
  }
  plan.block_tokens = std::min(memory_words / plan.token_words, seeded("block-of-a-token") ? 1 : plan.tokens);
  if (plan.block_tokens == 0) return {};
  plan.blocks = ceil_div(plan.tokens, plan.block_tokens);
  plan.rounds = 2;
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    DecompiledLayer& layer = plan.layers[l];
    if (!layer.decompiler->fit(plan, layer)) return {};
    plan.rounds += layer.rounds();
    plan.machines = std::max(plan.machines, plan.layer_machines(l));
  }
  const std::uint64_t outputs = plan.tokens * plan.output_dimension * plan.output_words;
  plan.machines = std::max(
      {plan.machines, ceil_div(plan.n, plan.block_words), ceil_div(outputs, plan.block_words), plan.blocks});
  return plan;
}

}  // namespace

std::uint32_t DecompiledLayer::rounds() const {
  return decompiler->rounds(*this);
}

std::uint64_t DecompilePlan::layer_machines(std::size_t l) const {
  std::uint64_t sum = 0;
  for (const MachineGroup& group : layers[l].decompiler->machines(*this, layers[l])) sum += group.count;
  if (seeded("machines-by-tables")) sum *= layers[l].tables;
  return sum;
}

DecompilePlan size_decompile(const anna::Model& model, const mpc::Parameters& parameters,
                             const DecompileOptions& options) {
  parameters.validate();
  model.validate();
  require(model.transformer.depth() > 0, "{}: the model has no layer", options.name);
  DecompilePlan facts = facts_of(model, parameters, options);
  facts.copies_a_round = static_cast<std::uint32_t>(
      std::max<std::uint64_t>(2, floor_power(parameters.n, parameters.delta * Rational(1, 2))));

  const std::uint64_t unit =
      parameters.memory_words ? 1 : ceil_power(parameters.n, parameters.epsilon + parameters.delta);
  facts.kappa_s = parameters.kappa_s.value_or(kDefaultKappa);
  const std::uint64_t asked = parameters.memory_words.value_or(facts.kappa_s * unit);
  const auto attempt = [&](std::uint64_t memory_words) {
    DecompilePlan plan = facts;
    plan.block_words = parameters.memory_words ? std::max<std::uint64_t>(1, memory_words / facts.kappa_s)
                                               : ceil_power(parameters.n, parameters.epsilon);
    return plan_with(std::move(plan), memory_words);
  };
  std::optional<DecompilePlan> plan = attempt(asked);
  std::uint64_t least = asked;
  while (!plan) {  // s grows by the unit until there is a plan: 2 N' rows and scans in one machine always are
                   // one
    least += unit;
    plan = attempt(least);
  }
  if (least > asked) {
    require(!parameters.memory_words && !parameters.kappa_s,
            "{}: {} words of memory are too few for blocks of its tokens; the least s that works is {}{}",
            options.name, asked, least,
            parameters.memory_words ? std::string() : fmt::format(" (kappa_s = {})", least / unit));
    plan->kappa_raised = true;
    plan->kappa_s = least / unit;
  }
  if (parameters.machines) {
    require(*parameters.machines >= plan->machines, "machines is {}, allowed is at least {}",
            *parameters.machines, plan->machines);
    plan->machines = *parameters.machines;
  } else if (parameters.gamma > Rational(0) &&
             plan->machines < (std::uint64_t{1} << 31)) {  // the others idle
    plan->machines =
        ceil_power(plan->n, parameters.gamma, Rational(static_cast<std::int64_t>(plan->machines)));
  }
  return *plan;
}

std::optional<DecompilePlan> size_contrast(const anna::Model& model, const mpc::Parameters& parameters,
                                           const DecompileOptions& options) {
  anna::Model contrast = model;
  DecompileOptions pairs = options;
  pairs.softmax_ring = false;
  contrast.mechanisms.assign(model.transformer.depth(), anna::Softmax{});
  mpc::Parameters own = parameters;
  own.machines.reset();
  own.gamma = Rational(0);
  if (!own.memory_words && !own.kappa_s) own.kappa_s = size_decompile(model, own, options).kappa_s;
  try {
    return size_decompile(contrast, own, pairs);
  } catch (const ContractError&) {  // the memory is too small; the rest was accepted above or by the caller
    return {};
  }
}

DecompilePlan plan_decompile(const anna::Model& model, const mpc::Parameters& parameters,
                             const DecompileOptions& options) {
  DecompilePlan plan = size_decompile(model, parameters, options);
  require(plan.machines < (std::uint64_t{1} << 31), "{}: {} machines are needed; allowed is below 2^31",
          options.name, plan.machines);
  require(plan.tokens * plan.output_dimension * plan.output_words < (std::uint64_t{1} << 32),
          "{}: its last rows hold {} x {} numbers; at most 2^32 outputs can be numbered", options.name,
          plan.tokens, plan.output_dimension);
  return plan;
}

std::vector<Pass> decompile_passes(const DecompilePlan& plan) {
  std::vector<Pass> passes = {
      {std::string(kInputToBlocks.id),
       fmt::format("1 round: N = {} words to C = {} owners of T_b = {} tokens (W = {} words each)", plan.n,
                   plan.blocks, plan.block_tokens, plan.token_words)}};
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    for (Pass& pass : plan.layers[l].decompiler->passes(plan, l)) {
      pass.name = fmt::format("layer {}: {}", l, pass.name);
      passes.push_back(std::move(pass));
    }
  }
  passes.push_back({std::string(kDeliver.id),
                    fmt::format("1 round: {} rows of {} numbers; R = {}, q = {}, s = {}", plan.tokens,
                                plan.output_dimension, plan.rounds, plan.machines, plan.memory_words)});
  return passes;
}

}  // namespace roundtrip::simulate
