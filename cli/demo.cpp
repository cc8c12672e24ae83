// Purpose: `roundtrip demo`: what this is about, on one sentence and without any input: k-hop on machines, the same as a
// transformer, and what happens with too little memory.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/cli/arguments.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/input.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/simulate/compile/compare.h"

namespace roundtrip::cli {
namespace {

struct Part {
  simulate::Compiled compiled;
  std::vector<mpc::Word> words;
  simulate::Comparison exact, hashed;
  mpc::Outputs outputs, expected;
  bool holds() const { return exact.equal && hashed.equal && outputs == expected; }
};

Part evaluate(const mpc::ProtocolInfo& info, const mpc::Parameters& parameters, const Input& input) {
  Part part;
  part.compiled = simulate::compile(info.name, parameters);
  part.words = input.encode(part.compiled.protocol->shape());
  const auto compare = [&](std::string_view mechanism) {
    return simulate::compare(part.compiled, part.words, *simulate::make_attention(part.compiled, mechanism));
  };
  part.exact = compare("ema");
  part.hashed = compare("anna");
  for (std::size_t t = 0; t < part.exact.outputs.words.size(); ++t)
    part.outputs.push_back(info.decode(*part.compiled.protocol, t, part.exact.outputs.words[t]));
  part.expected = info.oracle(input.values(), parameters);
  return part;
}

/// What a run with one word of memory less than it uses says.
std::string broken(const Part& part) {
  const auto transport = mpc::make_in_process_transport();
  const mpc::RoundFacts used = mpc::run(*part.compiled.protocol, part.words, *transport).ledger.overall();
  const std::uint64_t limit = std::max(used.max_words_sent, used.max_words_received) - 1;
  try {
    static_cast<void>(mpc::run(*part.compiled.protocol, part.words, *transport, {.limit_words = limit}));
  } catch (const mpc::ModelViolation& violation) {
    return fmt::format("With s = {} the run stops: {}.", limit, violation.what());
  }
  throw InternalError("a run went through with less memory than it used");
}

std::string sizes_text(const Part& part) {
  const mpc::Shape& shape = part.compiled.protocol->shape();
  return fmt::format(
      "  On machines:       {} machines with memory for s = {} words each; {} rounds of messages.\n"
      "  As a transformer:  {} layers, at most {} heads; a token plays a machine.\n",
      shape.machines, shape.memory_words, shape.rounds, part.exact.sizes.depth, part.exact.sizes.heads);
}

std::string verdict_text(const Part& part) {
  return fmt::format("  Both give the same {} words, also with hash tables (ANNA): {}.\n",
                     part.outputs.size(), part.holds() ? "yes" : "NO");
}

int demo(const OutputArguments& arguments, const Communicator& communicator) {
  int status = kDone;
  communicator.on_root([&] {
    const mpc::ProtocolInfo& walk = mpc::find_protocol("k_hop_walk");
    const Input sentence = Input::of_text(walk.example.text, Format::kWords);
    mpc::Parameters small{.n = sentence.size(), .epsilon = walk.example.epsilon, .options = {{"k", "1"}}};
    const Part first = evaluate(walk, small, sentence);
    std::string words, answers;
    for (std::size_t t = 0; t < sentence.size(); ++t) {
      const std::string word = sentence.text(sentence.values()[t]);
      const std::string answer = first.outputs[t] ? sentence.text(*first.outputs[t]) : "-";
      const std::size_t width = std::max(word.size(), answer.size()) + 1;
      words += fmt::format("{:<{}}", word, width);
      answers += fmt::format("{:<{}}", answer, width);
    }
    std::string text = fmt::format(
        "1. A sentence. For every word: which word came next, the last time?\n\n  word    {}\n  answer  {}\n\n",
        words, answers);
    text += sizes_text(first) + verdict_text(first) + "  " + broken(first) + "\n\n";

    const mpc::ProtocolInfo& hop = mpc::find_protocol("k_hop");
    constexpr std::uint64_t kWords = 4096;
    mpc::Parameters large{.n = kWords, .options = {{"k", "4"}}};
    const Part second = evaluate(hop, large, Input::generate(hop, large));
    text += fmt::format("2. {} words, and {} such steps back, one after the other.\n\n", kWords, 4);
    text += sizes_text(second) + verdict_text(second) + "\n";
    text +=
        "3. See it move, change the sentence, break it:\n\n"
        "  roundtrip explain k_hop_walk --html walk.html    # then open walk.html\n";
    const bool holds = first.holds() && second.holds();
    status = holds ? kDone : kRefuted;
    if (!arguments.json.empty()) {
      const auto part_json = [](const Part& part) {
        const mpc::Shape& shape = part.compiled.protocol->shape();
        return nlohmann::ordered_json{{"n", shape.n},
                                      {"machines", shape.machines},
                                      {"memory_words", shape.memory_words},
                                      {"rounds", shape.rounds},
                                      {"layers", part.exact.sizes.depth},
                                      {"heads", part.exact.sizes.heads},
                                      {"equal", part.holds()}};
      };
      write_whole(arguments.json, json_text({{"schema", "roundtrip/demo/1"},
                                             {"parts", {part_json(first), part_json(second)}},
                                             {"verdict", holds ? "verified" : "refuted"}}));
    }
    if (!arguments.quiet && arguments.json != "-") write_whole("-", text);
  });
  return communicator.from_root([&] { return status; });
}

}  // namespace

Command add_demo(CommandLine& line) {
  Flags& flags =
      line.add("demo", "See in a minute what this is about; needs no input", "Example:\n  roundtrip demo\n");
  auto arguments = std::make_shared<OutputArguments>();
  add_output_arguments(flags, *arguments);
  return {.name = "demo",
          .act = [arguments](const Communicator& communicator) { return demo(*arguments, communicator); }};
}

}  // namespace roundtrip::cli
