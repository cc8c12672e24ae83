#include "roundtrip/simulate/compile/counterexample.h"

#include <algorithm>
#include <map>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"

namespace roundtrip::simulate {
namespace {

using Sent = std::pair<std::uint64_t, double>;         // destination, word
using From = std::pair<std::uint64_t, std::uint64_t>;  // source, sequence

/// What the machines send in every round.
class Recorder final : public mpc::Observer {
 public:
  explicit Recorder(std::uint32_t rounds) : rounds_(rounds) {}
  void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox&,
               const mpc::Outbox& outbox) override {
    std::uint64_t next = 0;
    outbox.for_each_word([&](std::uint64_t destination, mpc::Word word) {
      rounds_[round - 1][{machine, next++}] = {destination, static_cast<double>(word)};
    });
  }
  const std::map<From, Sent>& round(std::uint32_t number) const { return rounds_[number - 1]; }

 private:
  std::vector<std::map<From, Sent>> rounds_;
};

struct Held {
  Sent sent;
  std::uint64_t token;
};

std::string line(const char* side, const From& from, const Sent& sent) {
  return fmt::format("{}: word {} of machine {} to {}: {}", side, from.second, from.first, sent.first,
                     sent.second);
}

std::optional<Divergence> first_difference(const std::map<From, Sent>& run,
                                           const std::map<From, Held>& held) {
  std::optional<From> first;
  for (const auto& [from, sent] : run) {
    const auto found = held.find(from);
    if (found != held.end() && found->second.sent == sent) continue;
    first = from;
    break;
  }
  for (const auto& [from, word] : held) {
    if (first && !(from < *first)) break;
    if (run.contains(from)) continue;
    first = from;
    break;
  }
  if (!first) return std::nullopt;
  Divergence result;
  std::tie(result.source, result.sequence) = *first;
  if (const auto found = run.find(*first); found != run.end()) result.run = found->second;
  if (const auto found = held.find(*first); found != held.end()) {
    result.transformer = found->second.sent;
    result.token = found->second.token;
  }
  const std::uint64_t low = first->second < 2 ? 0 : first->second - 2;
  for (std::uint64_t sequence = low; sequence <= first->second + 2; ++sequence) {
    const From from{first->first, sequence};
    if (const auto found = run.find(from); found != run.end())
      result.around.push_back(line("run", from, found->second));
    if (const auto found = held.find(from); found != held.end()) {
      result.around.push_back(line("transformer", from, found->second.sent));
    }
  }
  return result;
}

}  // namespace

std::optional<Divergence> find_divergence(const Compiled& compiled, std::span<const mpc::Word> input,
                                          anna::Attention& attention) {
  const mpc::Shape& shape = compiled.protocol->shape();
  const std::vector<LayerRole> roles = compiled.construction->layers();
  Recorder recorder(shape.rounds);
  std::vector<mpc::Word> outputs;
  try {
    const auto transport = mpc::make_in_process_transport();
    mpc::RunOptions options;
    options.observer = &recorder;
    outputs = mpc::run(*compiled.protocol, input, *transport, options).outputs;
  } catch (const mpc::ModelViolation&) {
    return std::nullopt;  // there is no run to compare with; the faults in the rows say what happened
  }
  anna::Activations array = input_activations(input, compiled.transformer.tokens);
  for (std::uint64_t l = 0; l < compiled.transformer.depth(); ++l) {
    array = anna::evaluate(*compiled.transformer.layers[l], attention, array);
    if (roles[l].arrival == Arrival::kOutput) break;
    // At the machines, the step has run: what its row holds is sent in the next round.
    const std::uint32_t round = roles[l].round + (roles[l].arrival == Arrival::kMachine ? 1 : 0);
    if (round > shape.rounds) continue;  // only outputs are left
    std::map<From, Held> held;
    for (std::uint64_t token = 0; token < array.tokens(); ++token) {
      for (const WordInRow& word : compiled.construction->words(array.row(token)))
        held[{word.source, word.sequence}] = {{word.destination, word.word}, token};
    }
    if (auto found = first_difference(recorder.round(round), held)) {
      found->layer = l;
      found->round = round;
      return found;
    }
  }
  const OutputWords last = read_outputs(array, shape.outputs);
  for (std::uint64_t t = 0; t < shape.outputs; ++t) {
    const bool faulty = std::ranges::binary_search(last.faulty, t);
    if (!faulty && last.words[t] == outputs[t]) continue;
    Divergence result;
    result.layer = compiled.transformer.depth() - 1;
    result.round = shape.rounds;
    result.source = shape.output_machine(t);
    result.sequence = t;
    result.token = t;
    result.run = Sent(t, static_cast<double>(outputs[t]));
    if (!faulty) result.transformer = Sent(t, static_cast<double>(last.words[t]));
    return result;
  }
  return std::nullopt;
}

std::optional<Counterexample> find_counterexample(
    const std::function<std::optional<Compiled>(std::uint64_t n)>& compile_at,
    std::span<const mpc::Word> input, mpc::Word plain, anna::Attention& attention,
    std::uint64_t most_evaluations) {
  std::optional<Counterexample> best;
  std::uint64_t evaluations = 0;
  const auto differs = [&](const Compiled& compiled, std::vector<mpc::Word> candidate) {
    if (evaluations >= most_evaluations) return false;
    ++evaluations;
    const auto divergence = find_divergence(compiled, candidate, attention);
    if (!divergence) return false;
    best = Counterexample{std::move(candidate), *divergence, evaluations};
    return true;
  };
  std::optional<Compiled> compiled = compile_at(input.size());
  if (!compiled || !differs(*compiled, {input.begin(), input.end()})) return std::nullopt;
  // The shortest prefix by halving steps: n - n/2, n - n/4, ..
  for (std::uint64_t step = input.size() / 2; step >= 1;) {
    const std::uint64_t n = best->input.size();
    auto smaller = step < n ? compile_at(n - step) : std::nullopt;
    if (smaller &&
        differs(*smaller, {best->input.begin(), best->input.end() - static_cast<std::ptrdiff_t>(step)})) {
      compiled = std::move(smaller);
    } else {
      step /= 2;
    }
  }
  for (std::uint64_t width = best->input.size(); width >= 1; width /= 2) {
    for (std::uint64_t begin = 0; begin < best->input.size(); begin += width) {
      std::vector<mpc::Word> candidate = best->input;
      const auto from = candidate.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto to = candidate.begin() +
                      static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(begin + width, candidate.size()));
      if (std::all_of(from, to, [&](mpc::Word word) { return word == plain; })) continue;
      std::fill(from, to, plain);
      differs(*compiled, std::move(candidate));
    }
  }
  best->evaluations = evaluations;
  return best;
}

std::string describe(const Counterexample& counterexample) {
  const Divergence& at = counterexample.divergence;
  const auto value = [](const auto& sent) {
    return sent ? fmt::format("{} to {}", sent->second, sent->first) : std::string("nothing");
  };
  std::string text = fmt::format("smallest input found ({} evaluations): N = {}, words",
                                 counterexample.evaluations, counterexample.input.size());
  for (std::size_t i = 0; i < std::min<std::size_t>(counterexample.input.size(), 16); ++i) {
    text += fmt::format(" {}", counterexample.input[i]);
  }
  if (counterexample.input.size() > 16) text += " ..";
  text += fmt::format(
      "\nthey part after layer {} (round {}), word {} of machine {}{}\n  run: {}\n  transformer: {}\n",
      at.layer, at.round, at.sequence, at.source,
      at.token ? fmt::format(", in the row of token {}", *at.token) : "", value(at.run),
      value(at.transformer));
  for (const std::string& around : at.around) text += "    " + around + "\n";
  return text;
}

}  // namespace roundtrip::simulate
