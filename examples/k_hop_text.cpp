// Induction heads on a sentence: where did this word last stand, and which word came next? And again from
// there, k times over. Machines that see two words of the sentence each find out for every word at once.
#include <fmt/core.h>

#include <map>
#include <string>

#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
using namespace roundtrip;

int main() {
  const std::vector<std::string> text = {"the", "cat", "saw", "the", "dog", "and", "the", "dog",
                                         "saw", "the", "cat", "so",  "the", "cat", "ran", "home"};
  std::map<std::string, std::int64_t> numbers;  // a word's number: how many different ones stand before it
  mpc::Values values;
  for (const std::string& word : text)
    values.push_back(numbers.try_emplace(word, std::ssize(numbers)).first->second);
  std::vector<std::string> names(numbers.size());
  for (const auto& [word, number] : numbers) names[static_cast<std::size_t>(number)] = word;

  const mpc::ProtocolInfo& k_hop = mpc::find_protocol("k_hop");
  std::vector<mpc::Outputs> hops;
  bool right = true;
  for (const char* k : {"1", "2"}) {
    const mpc::Parameters parameters{.n = text.size(), .epsilon = {1, 4}, .options = {{"k", k}}};
    const auto protocol = k_hop.make(parameters);
    std::vector<mpc::Word> input;
    for (const std::int64_t value : values)
      input.push_back(mpc::encode_input(value, protocol->shape(), "a word"));
    const auto machines = mpc::make_in_process_transport();
    const mpc::RunResult run = mpc::run(*protocol, input, *machines);
    mpc::Outputs& found = hops.emplace_back();
    for (std::size_t t = 0; t < text.size(); ++t) found.push_back(k_hop.decode(*protocol, t, run.outputs[t]));
    fmt::print("k = {}: {} machines, {} rounds\n", k, protocol->shape().machines, run.ledger.rounds.size());
    right = right && found == k_hop.oracle(values, parameters);
  }
  const auto name = [&](const std::optional<std::int64_t>& word) {
    return word ? names[static_cast<std::size_t>(*word)] : "-";
  };
  fmt::print("{:<6} {:<6} {}\n", "word", "1 hop", "2 hops");
  for (std::size_t t = 0; t < text.size(); ++t)
    fmt::print("{:<6} {:<6} {}\n", text[t], name(hops[0][t]), name(hops[1][t]));
  fmt::print("as the definition says: {}\n", right);
  return right ? 0 : 1;
}
