#include "roundtrip/cli/native.h"

#include <algorithm>
#include <bit>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/base/error.h"
#include "roundtrip/simulate/native/chunked_k_hop.h"
#include "roundtrip/simulate/native/hard_attention_k_hop.h"
#include "roundtrip/simulate/native/recurrent_k_hop.h"
#include "roundtrip/simulate/native/weights.h"

namespace roundtrip::cli {
namespace {

simulate::Match2Options match2_options(const mpc::Parameters& parameters) {
  const std::int64_t modulus =
      parameters.integer_option("M", 37, 1, std::int64_t{1} << simulate::kWeightWordBits);
  return {.n = parameters.n, .modulus = static_cast<std::uint64_t>(modulus), .seed = parameters.seed};
}

bool one_of(const anna::MechanismInfo& mechanism, std::span<const std::string_view> names) {
  return std::ranges::find(names, mechanism.name) != names.end();
}

}  // namespace

std::vector<std::string> native_attentions() {
  std::vector<std::string> names{"ema", "anna"};
  for (const auto more :
       {simulate::recurrent_k_hop_mechanisms(), simulate::hard_attention_k_hop_mechanisms()})
    names.insert(names.end(), more.begin(), more.end());
  names.push_back(anna::Chunked::info().name);
  return names;
}

NativeTask native_task(const Instance& instance, const anna::MechanismInfo& mechanism) {
  const mpc::Parameters& parameters = instance.parameters;
  const std::string& name = instance.info->name;
  require(name == "match2" || name == "k_hop",
          "--native: only match2 and k_hop have such a transformer; {} has none", name);
  require(mechanism.finds_equal_keys || name == "k_hop",
          "--attention {}: of {} with --native, ema and anna alone", mechanism.name, name);
  const double eta = parameters.eta.to_double();
  NativeTask task;
  if (name == "match2") {
    const simulate::Match2Options options = match2_options(parameters);
    for (const std::int64_t value : instance.input->values()) {
      const auto modulus = static_cast<std::int64_t>(options.modulus);
      task.words.push_back(static_cast<mpc::Word>((value % modulus + modulus) % modulus));
    }
    task.model = simulate::match2_model(
        options, mechanism.for_equal_keys([&] { return simulate::match2_tables(options, eta); }));
    task.bound = simulate::match2_sizes(options);
    return task;
  }
  std::map<std::int64_t, mpc::Word> numbers;  // of the values, by first occurrence
  for (const std::int64_t value : instance.input->values()) {
    const auto [known, fresh] = numbers.try_emplace(value, task.symbols.size());
    if (fresh) task.symbols.push_back(value);
    task.words.push_back(known->second);
  }
  const auto symbols = static_cast<std::uint32_t>(task.symbols.size());
  const auto hops = [&](std::int64_t most) {
    return static_cast<std::uint64_t>(parameters.integer_option("k", 2, 1, most));
  };
  if (one_of(mechanism, simulate::recurrent_k_hop_mechanisms())) {
    const simulate::RecurrentKHopOptions options{
        .n = parameters.n, .k = hops(simulate::RecurrentKHopOptions::kMaxK), .symbols = symbols};
    task.model = simulate::recurrent_k_hop_model(mechanism.name, options);
    task.bound = simulate::recurrent_k_hop_sizes(mechanism.name, options);
    return task;
  }
  if (&mechanism == &anna::Chunked::info()) {
    const simulate::ChunkedKHopOptions options{.n = parameters.n,
                                               .k = hops(simulate::ChunkedKHopOptions::kMaxK),
                                               .symbols = symbols,
                                               .seed = parameters.seed};
    task.model = simulate::chunked_k_hop_model(options);
    task.bound = simulate::chunked_k_hop_sizes(options);
    return task;
  }
  if (one_of(mechanism, simulate::hard_attention_k_hop_mechanisms())) {
    const simulate::HardAttentionKHopOptions options{
        .n = parameters.n, .k = hops(simulate::HardAttentionKHopOptions::kMaxK), .symbols = symbols};
    task.model = simulate::hard_attention_k_hop_model(mechanism.name, options);
    task.bound = simulate::hard_attention_k_hop_sizes(options);
    return task;
  }
  const auto word_bits = static_cast<std::uint32_t>(std::bit_width(task.symbols.size() - 1));
  const simulate::KHopOptions options{.n = parameters.n,
                                      .k = hops(std::int64_t{1} << 62),
                                      .word_bits = std::max(1u, word_bits),
                                      .seed = parameters.seed,
                                      .binary = true};
  task.model = simulate::k_hop_model(
      options, mechanism.for_equal_keys([&] { return simulate::k_hop_tables(options, eta); }));
  task.bound = simulate::k_hop_sizes(options);
  return task;
}

mpc::Outputs native_outputs(const Instance& instance, const NativeTask& task, const anna::Activations& rows) {
  const simulate::OutputWords read = simulate::read_outputs(rows, instance.shape().outputs);
  mpc::Outputs outputs;
  for (const mpc::Word word : read.words) {
    if (task.symbols.empty()) {
      outputs.emplace_back(static_cast<std::int64_t>(word));
    } else if (word == simulate::kKHopNone || word > task.symbols.size()) {
      outputs.emplace_back();
    } else {
      outputs.emplace_back(task.symbols[word - 1]);
    }
  }
  for (const std::uint64_t faulty : read.faulty) outputs[faulty].reset();
  return outputs;
}

nlohmann::ordered_json native_tables(const Instance& instance, const NativeTask& task,
                                     const mpc::Outputs& expected) {
  nlohmann::ordered_json json = {
      {"schema", "roundtrip/tables/1"},
      {"task", instance.info->name},
      {"tokens", task.model.transformer.tokens},
      {"input", "the first row of token t is (1, word t), of tokens without a word (0, 0)"},
      {"output", "output t is in the last row of token t: (1, word) in its first two columns"}};
  const auto text = [&](const std::optional<std::int64_t>& value) {
    return value ? nlohmann::ordered_json(instance.input->text(*value)) : nlohmann::ordered_json();
  };
  nlohmann::ordered_json answers = nlohmann::ordered_json::array();
  if (task.symbols.empty()) {
    json["modulus"] = match2_options(instance.parameters).modulus;
    json["words"] = "a number modulo the modulus; 1 where some number of the input adds up to 0 with it";
    for (const auto& answer : expected) answers.push_back(answer ? *answer : 0);
  } else {
    json["words"] = "number i of the symbols, from 0; of outputs i + 1, and 0 for none";
    for (const std::int64_t symbol : task.symbols) json["symbols"].push_back(text(symbol));
    for (const auto& answer : expected) answers.push_back(text(answer));
  }
  json["example"] = {{"words", task.words}, {"outputs", answers}};
  return json;
}

}  // namespace roundtrip::cli
