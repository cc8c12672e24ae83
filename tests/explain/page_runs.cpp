// Runs of protocols, one a line: what tests/browser/engine_test.py compares the page's engine with. Each line of
// standard input is "protocol numerator denominator k limit value..", with eps = numerator / denominator and limit 0 for
// s; each line of output is one run: its shape, every word that was sent, the outputs; or why it is not allowed.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"

namespace {

using namespace roundtrip;

class Recorder final : public mpc::Observer {
 public:
  explicit Recorder(const mpc::Shape& shape) : rounds(shape.rounds, Machines(shape.machines)) {}
  void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox&,
               const mpc::Outbox& outbox) override {
    outbox.for_each_word([&](std::uint32_t destination, mpc::Word word) {
      rounds[round - 1][machine] += fmt::format(" {}>{}:{}", machine, destination, word);
    });
  }
  using Machines = std::vector<std::string>;
  std::vector<Machines> rounds;
};

std::string run_line(const std::string& line) {
  std::istringstream fields(line);
  std::string name, k;
  std::int64_t numerator = 0, denominator = 1;
  std::uint64_t limit = 0;
  fields >> name >> numerator >> denominator >> k >> limit;
  mpc::Values values;
  for (std::int64_t value = 0; fields >> value;) values.push_back(value);
  try {
    const mpc::ProtocolInfo& info = mpc::find_protocol(name);
    mpc::Parameters parameters{.n = values.size(), .epsilon = {numerator, denominator}};
    if (!info.options.empty()) parameters.options = {{"k", k}};
    const auto protocol = info.make(parameters);
    const mpc::Shape& shape = protocol->shape();
    std::vector<mpc::Word> input;
    for (std::size_t i = 0; i < values.size(); ++i)
      input.push_back(mpc::encode_input(values[i], shape, fmt::format("word {}", i)));
    if (info.accept) info.accept(values, parameters);
    std::string text = fmt::format("b={} s={} q={} R={}", shape.block_words, shape.memory_words,
                                   shape.machines, shape.rounds);
    Recorder recorder(shape);
    const auto transport = mpc::make_in_process_transport();
    std::uint32_t whole = shape.rounds;
    std::string end = " outputs";
    try {
      const mpc::RunResult result =
          mpc::run(*protocol, input, *transport, {.limit_words = limit, .observer = &recorder});
      for (std::size_t t = 0; t < result.outputs.size(); ++t) {
        const auto value = info.decode(*protocol, t, result.outputs[t]);
        end += value ? fmt::format(" {}", *value) : " none";
      }
    } catch (const mpc::ModelViolation& violation) {
      whole = violation.facts().round - 1;
      end = fmt::format(" violation {}", violation.what());
    }
    for (std::uint32_t r = 0; r < whole; ++r) text += fmt::format(" |{}", fmt::join(recorder.rounds[r], ""));
    return text + end;
  } catch (const ContractError& error) {
    return fmt::format("refused {}", error.what());
  }
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) std::cout << run_line(line) << '\n';
}
