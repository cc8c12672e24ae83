// A protocol of one's own, in a program of one's own, with run, compile, verify and list on it.
#include <algorithm>
#include <memory>

#include "cli/cli.h"
#include "mpc/registry.h"

namespace mpc = roundtrip::mpc;

/// Output i is input N-1-i: every word goes straight to its place. R = 1, s = b.
class Reverse : public mpc::Protocol {
 public:
  explicit Reverse(const mpc::Parameters& parameters) {
    shape_.kappa_s = parameters.kappa_s.value_or(1);
    shape_.n = shape_.outputs = parameters.n;
    shape_.block_words = mpc::block_words(parameters, shape_.kappa_s);
    shape_.memory_words = parameters.memory_words.value_or(shape_.kappa_s * shape_.block_words);
    shape_.machines = static_cast<std::uint32_t>(shape_.input_machines());
    shape_.rounds = 1;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    std::uint64_t position = step.machine * shape_.block_words;
    for (const mpc::Word word : inbox.words()) outbox.deliver(shape_.n - 1 - position++, word);
  }

 private:
  mpc::Shape shape_;
};

int main(int argc, char** argv) {
  mpc::register_protocol({
      .name = "reverse",
      .summary = "the input backwards",
      .card = {},
      .rounds_formula = "1",
      .kappa_s = 1,
      .options = {},
      .output_form = mpc::OutputForm::kSymbols,
      .make = [](const mpc::Parameters& parameters) { return std::make_unique<Reverse>(parameters); },
      .decode = [](const mpc::Protocol& protocol, std::uint64_t, mpc::Word word)
          -> std::optional<std::int64_t> { return mpc::decode_input(word, protocol.shape()); },
      .oracle = [](std::span<const std::int64_t> input,
                   const mpc::Parameters&) { return mpc::Outputs(input.rbegin(), input.rend()); },
      .generate = {},
  });
  return roundtrip::cli::main(argc, argv);
}
