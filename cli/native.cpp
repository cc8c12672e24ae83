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
#include "roundtrip/simulate/native/match2_sides.h"
#include "roundtrip/simulate/native/recurrent_k_hop.h"
#include "roundtrip/simulate/native/sum.h"
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

std::vector<std::string> native_attentions(const std::string& task) {
  std::vector<std::string> names{"ema", "anna"};
  const auto add = [&names](const auto& more) { names.insert(names.end(), more.begin(), more.end()); };
  if (task == "k_hop") {
    add(simulate::recurrent_k_hop_mechanisms());
    add(simulate::hard_attention_k_hop_mechanisms());
    names.push_back(anna::Chunked::info().name);
  } else if (task == "match2") {
    add(simulate::match2_sides_mechanisms());
  } else if (task == "sum") {
    names = simulate::sum_mechanisms();
  } else {
    throw ContractError(
        fmt::format("--native: only k_hop, match2 and sum have such a transformer; {} has none", task));
  }
  return names;
}

NativeTask native_task(const Instance& instance, const anna::MechanismInfo& mechanism) {
  const mpc::Parameters& parameters = instance.parameters;
  const std::string& name = instance.info->name;
  const std::vector<std::string> names = native_attentions(name);
  require(std::ranges::find(names, mechanism.name) != names.end(),
          "--attention {}: there is no such network of {} with --native; known are {}", mechanism.name, name,
          fmt::join(names, ", "));
  const double eta = parameters.eta.to_double();
  NativeTask task;
  if (name == "match2") {
    const simulate::Match2Options options = match2_options(parameters);
    for (const std::int64_t value : instance.input->values()) {
      const auto modulus = static_cast<std::int64_t>(options.modulus);
      task.words.push_back(static_cast<mpc::Word>((value % modulus + modulus) % modulus));
    }
    if (one_of(mechanism, simulate::match2_sides_mechanisms())) {
      task.model = simulate::match2_sides_model(mechanism.name, options);
      task.bound = simulate::match2_sides_sizes(options);
      return task;
    }
    task.model = simulate::match2_model(
        options, mechanism.for_equal_keys([&] { return simulate::match2_tables(options, eta); }));
    task.bound = simulate::match2_sizes(options);
    return task;
  }
  if (name == "sum") {
    simulate::SumOptions options{.n = parameters.n, .seed = parameters.seed};
    for (const std::int64_t value : instance.input->values()) {
      require(value >= 0, "--native: the word {} is negative; allowed are 0 .. {}", value,
              simulate::SumOptions::kMaxWord);
      task.words.push_back(static_cast<mpc::Word>(value));
      options.largest = std::max(options.largest, task.words.back());
    }
    task.model = simulate::sum_model(mechanism.name, options);
    task.bound = simulate::sum_sizes();
    task.first_output = parameters.n - 1;  // a recurrence knows the sum there alone
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
  const std::uint64_t count = instance.shape().outputs;
  const simulate::OutputWords read = simulate::read_outputs(rows, task.first_output + count);
  mpc::Outputs outputs;
  for (std::uint64_t i = 0; i < count; ++i) {
    const mpc::Word word = read.words[task.first_output + i];
    if (task.symbols.empty()) {
      outputs.emplace_back(static_cast<std::int64_t>(word));
    } else if (word == simulate::kKHopNone || word > task.symbols.size()) {
      outputs.emplace_back();
    } else {
      outputs.emplace_back(task.symbols[word - 1]);
    }
  }
  for (const std::uint64_t faulty : read.faulty) {
    if (faulty >= task.first_output) outputs[faulty - task.first_output].reset();
  }
  return outputs;
}

nlohmann::ordered_json native_tables(const Instance& instance, const NativeTask& task,
                                     const mpc::Outputs& expected) {
  nlohmann::ordered_json json = {
      {"schema", "roundtrip/tables/1"},
      {"task", instance.info->name},
      {"tokens", task.model.transformer.tokens},
      {"input", "the first row of token t is (1, word t), of tokens without a word (0, 0)"},
      {"output", fmt::format("output t is in the last row of token t{}: (1, word) in its first two columns",
                             task.first_output == 0 ? "" : fmt::format(" + {}", task.first_output))}};
  const auto text = [&](const std::optional<std::int64_t>& value) {
    return value ? nlohmann::ordered_json(instance.input->text(*value)) : nlohmann::ordered_json();
  };
  nlohmann::ordered_json answers = nlohmann::ordered_json::array();
  if (instance.info->name == "sum") {
    json["words"] = "numbers from 0; the output is their sum";
    for (const auto& answer : expected) answers.push_back(answer ? *answer : 0);
  } else if (task.symbols.empty()) {
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
