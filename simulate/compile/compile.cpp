#include "roundtrip/simulate/compile/compile.h"

#include <algorithm>
#include <utility>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/registry.h"

namespace roundtrip::simulate {
namespace {

// Of a draw of ANNA's one table; the draw is verified, so this bounds only how often it is repeated.
constexpr double kDrawFailure = 1e-6;

}  // namespace

Ids ids_for(std::string_view mechanism) {
  return anna::mechanism_for_equal_keys(mechanism).needs_fallback ? Ids::kFallback : CompileOptions{}.ids;
}

Compiled compile(std::shared_ptr<const mpc::Protocol> protocol, const CompileOptions& options) {
  Compiled compiled;
  compiled.construction = find_construction(options.construction).make(protocol->shape(), options);
  compiled.transformer = compiled.construction->compile(protocol);
  compiled.bound = compiled.construction->sizes();
  compiled.passes = compiled.construction->passes();
  std::erase_if(compiled.passes, [](const Pass& pass) { return pass.effect.empty(); });
  compiled.protocol = std::move(protocol);
  compiled.options = options;
  return compiled;
}

Compiled compile(std::string_view name, const mpc::Parameters& parameters, CompileOptions options) {
  options.name = name;
  options.eta = parameters.eta;
  if (parameters.delta_given) options.delta = parameters.delta;
  Compiled compiled =
      compile(std::shared_ptr<const mpc::Protocol>(mpc::find_protocol(name).make(parameters)), options);
  compiled.parameters = parameters;
  return compiled;
}

std::shared_ptr<const anna::Layer> compile_layer(std::string_view name, const mpc::Parameters& parameters,
                                                 std::uint32_t number, const CompileOptions& options) {
  const Compiled compiled = compile(name, parameters, options);
  require(number < compiled.transformer.depth(), "{}: layer is {}, allowed is 0 to {}", name, number,
          compiled.transformer.depth() - 1);
  return compiled.transformer.layers[number];
}

anna::Mechanism mechanism_for(const anna::Codebook& codebook, std::string_view mechanism,
                              std::uint64_t seed) {
  const anna::MechanismInfo& info = anna::mechanism_for_equal_keys(mechanism);
  require_field(!info.needs_fallback || codebook.fallback().has_value(), "ids",
                "are without a fallback, which {} needs for queries that no key equals", info.name);
  return info.for_equal_keys([&] {
    const std::uint32_t functions =
        anna::choose_functions(codebook.size(), codebook.dimension(), kDrawFailure);
    return anna::verified_draw(codebook, functions, seed).parameters;
  });
}

std::unique_ptr<anna::Attention> make_attention(const anna::Codebook& codebook, std::string_view mechanism,
                                                std::uint64_t seed) {
  return mechanism_for(codebook, mechanism, seed).make();
}

std::unique_ptr<anna::Attention> make_attention(const Compiled& compiled, std::string_view mechanism) {
  return make_attention(compiled.transformer.layers.front()->codebook(), mechanism, compiled.options.seed);
}

EvaluationPlan plan(const mpc::Shape& shape, const CompileOptions& options) {
  const auto construction = find_construction(options.construction).make(shape, options);
  const LayerLoad load = construction->load();
  EvaluationPlan plan;
  plan.sizes = construction->sizes();
  plan.words_a_layer = std::max({std::uint64_t{shape.machines} * shape.memory_words, shape.n, shape.outputs});
  plan.entries_a_layer = load.entries;
  plan.points_a_layer = load.points;
  // An entry or point takes 16 bytes, a row 8; the array before a layer and the one after it live together.
  plan.peak_bytes = 16 * (load.entries + load.points) + 2 * (16 * load.array_entries + 8 * load.tokens);
  return plan;
}

}  // namespace roundtrip::simulate
