#include "roundtrip/cli/model_source.h"

#include <algorithm>
#include <bit>

#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/anna/transformer/weights.h"
#include "roundtrip/base/ensure.h"
#include "roundtrip/base/error.h"
#include "roundtrip/simulate/compile/export.h"
#include "roundtrip/simulate/decompile/layer_decompiler.h"

namespace roundtrip::cli {
namespace {

simulate::DecompileOptions decompile_options(const ConstructionArguments& construction,
                                             const ModelSource& model_source) {
  simulate::DecompileOptions options;
  if (construction.round_trip) options.word_bits = 48;  // what section 4's translators take
  if (model_source.compiled) options.input_bits = model_source.compiled->protocol->shape().input_bits;
  // A file whose maps are a protocol's takes that protocol's words.
  if (model_source.is_file() && model_source.model.protocol)
    options.input_bits = simulate::compile(*model_source.model.protocol).protocol->shape().input_bits;
  options.name = model_source.name;
  options.softmax_ring = construction.softmax_ring;
  return options;
}

/// Of a random model; its default is ANNA.
const anna::MechanismInfo& random_attention(const ConstructionArguments& construction) {
  if (construction.attention.empty()) return anna::Anna::info();
  const anna::MechanismInfo* const found = anna::find_mechanism(construction.attention);
  ensure(found != nullptr, "--attention takes the names of mechanisms");
  return *found;
}

/// --param of the mechanism that --attention names, for a model of these sizes.
anna::Mechanism drawn_attention(const anna::MechanismInfo& mechanism, const anna::RandomModel& model,
                                std::uint64_t tokens, const mpc::Parameters& parameters) {
  std::vector<std::uint64_t> options;
  for (const anna::MechanismOption& option : mechanism.options)
    options.push_back(parameters.integer_option(option.name, option.value, option.least, option.largest));
  return mechanism.draw({model, tokens, parameters.eta.to_double(), options});
}

void make_model(const ConstructionArguments& construction, const mpc::Parameters& parameters,
                ModelSource& model_source) {
  const std::string& name = model_source.name;
  if (name.starts_with("random:")) {
    const anna::RandomModel random = anna::RandomModel::parse(name);
    model_source.model = anna::make_random_model(
        random, parameters.n,
        drawn_attention(random_attention(construction), random, parameters.n, parameters));
  } else if (model_source.compiled_info != nullptr) {
    require_of_protocols(construction);
    // Memory and machines are those of the protocol that the transformer becomes; the one compiled has its
    // defaults.
    mpc::Parameters own = parameters;
    own.kappa_s.reset();
    own.memory_words.reset();
    own.machines.reset();
    model_source.compiled = simulate::compile(name, own, construction.protocol_options(parameters, name));
    model_source.model = simulate::as_model(*model_source.compiled, construction.mechanism().name);
  } else if (!construction.attention.empty()) {  // the file's weights with another attention
    anna::Model& model = model_source.model;     // read by as_protocol()
    require(!model.protocol, "--attention: the maps of {} are a protocol's, which has its own", name);
    for (std::size_t l = 0; l < model.mechanisms.size(); ++l) {
      anna::RandomModel sizes;
      sizes.dimension = model.transformer.layers[l]->shape().query_dimension;
      sizes.value_dimension = model.transformer.layers[l]->shape().value_dimension;
      model.mechanisms[l] =
          drawn_attention(random_attention(construction), sizes, model.transformer.tokens, parameters);
    }
    model.validate();
  }
}

/// The largest word that the first rows (1, word) of a model may have; without weights any that fits is
/// taken.
std::uint64_t largest_word(const ModelSource& model_source) {
  const auto* first =
      dynamic_cast<const anna::WeightLayer*>(model_source.model.transformer.layers.front().get());
  const std::uint64_t fits = (std::uint64_t{1} << model_source.plan.input_bits) - 1;
  return first == nullptr ? fits
                          : std::min(fits, static_cast<std::uint64_t>(first->weights().row_limit.largest()));
}

}  // namespace

void require_of_protocols(const ConstructionArguments& construction) {
  const anna::MechanismInfo* const given = anna::find_mechanism(construction.attention);
  require(given == nullptr || given->for_equal_keys != nullptr, "--attention {}: of random models only",
          construction.attention);
}

std::string attention_names(bool of_protocols, std::string_view separator) {
  std::vector<std::string> names;
  for (const anna::MechanismInfo* mechanism : anna::mechanisms()) {
    if (of_protocols ? mechanism->for_equal_keys != nullptr : !mechanism->finds_equal_keys)
      names.push_back(mechanism->name);
  }
  return fmt::format("{}", fmt::join(names, separator));
}

bool names_model(const std::string& name) {
  return name.starts_with("random:") || name.find_first_of("/.") != std::string::npos;
}

ModelSource make_model_source(const std::string& name) {
  ModelSource model_source;
  model_source.name = name;
  if (names_model(name)) return model_source;
  try {
    model_source.compiled_info = &mpc::find_protocol(name);
  } catch (const ContractError& error) {
    throw ContractError(fmt::format(
        "{}; a model is a file with a / or a . in its name, or begins with random:", error.what()));
  }
  return model_source;
}

mpc::ProtocolInfo as_protocol(const ConstructionArguments& construction, ModelSource& model_source) {
  mpc::ProtocolInfo info;
  info.name = model_source.name;
  const bool file = model_source.is_file();
  if (file) {
    model_source.model = anna::load_model(model_source.name).model;
    info.example.n = std::min<std::uint64_t>(info.example.n, model_source.model.transformer.tokens);
  }
  std::vector<const simulate::LayerDecompiler*> decompilers;
  std::vector<const anna::MechanismInfo*> kinds;
  for (const anna::Mechanism& mechanism : model_source.model.mechanisms) {
    decompilers.push_back(&simulate::decompiler_of(mechanism));
    kinds.push_back(&mechanism.info());
  }
  if (!file || !construction.attention.empty()) {
    kinds = {&random_attention(construction)};
    decompilers = {&simulate::decompiler_of(*kinds.front())};
  }
  if (construction.softmax_ring) {
    require(std::ranges::find(kinds, &anna::Softmax::info()) != kinds.end(),
            "--softmax ring: no layer of {} has softmax attention", model_source.name);
    for (std::size_t l = 0; l < kinds.size(); ++l) {
      if (kinds[l] == &anna::Softmax::info()) decompilers[l] = &simulate::softmax_ring_decompiler();
    }
  }
  info.rounds_formula = simulate::rounds_formula(decompilers);
  if (model_source.compiled_info != nullptr) info.options = model_source.compiled_info->options;
  if (model_source.compiled_info == nullptr && (!file || !construction.attention.empty())) {
    for (const anna::MechanismInfo* mechanism : anna::mechanisms()) {
      for (const anna::MechanismOption& option :
           mechanism->options) {  // several may have one of the same name
        if (std::ranges::find(info.options, option.name, [](const auto& known) { return known.name; }) ==
            info.options.end())
          info.options.push_back({option.name, fmt::format("{}", option.value), option.meaning});
      }
    }
  }
  info.make = [&](const mpc::Parameters& parameters) {
    make_model(construction, parameters, model_source);
    mpc::Parameters own = parameters;
    own.options.clear();
    const simulate::DecompileOptions options = decompile_options(construction, model_source);
    model_source.plan = simulate::plan_decompile(model_source.model, own, options);
    model_source.contrast = simulate::size_contrast(model_source.model, own, options);
    return simulate::decompile(model_source.model, own, options);
  };
  info.accept = [&](std::span<const std::int64_t> values, const mpc::Parameters&) {
    const std::int64_t half = std::int64_t{1} << (model_source.plan.input_bits - 1);
    const auto most = static_cast<std::int64_t>(largest_word(model_source));
    for (std::size_t i = 0; i < values.size(); ++i) {
      require(
          values[i] + half <= most,
          "value {} of the input is {}; allowed is {} to {}: it enters as {} more, and {} takes at most {}",
          i + 1, values[i], -half, most - half, half, model_source.name, most);
    }
  };
  info.decode = [](const mpc::Protocol&, std::uint64_t, mpc::Word word) {
    return std::optional<std::int64_t>(static_cast<std::int64_t>(word));
  };
  if (model_source.compiled_info != nullptr) {
    info.generate = model_source.compiled_info->generate;
    return info;
  }
  info.generate = [&](const mpc::Parameters& parameters) {
    mpc::Values values;
    anna::RandomModel words;
    if (model_source.name.starts_with("random:")) words = anna::RandomModel::parse(model_source.name);
    const auto all_taken = static_cast<std::uint32_t>(std::bit_width(largest_word(model_source) + 1) - 1);
    words.word_bits = std::min({words.word_bits, all_taken, 24u});
    for (const std::uint64_t word : anna::random_words(words, parameters.n)) {
      values.push_back(static_cast<std::int64_t>(word) -
                       (std::int64_t{1} << (model_source.plan.input_bits - 1)));
    }
    return values;
  };
  return info;
}

}  // namespace roundtrip::cli
