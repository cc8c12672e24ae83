// The program with protocols that fail in every way that a step or its surroundings can, on one machine, in one round,
// on one rank alone, or that are wrong; and with the seeded defect on that ROUNDTRIP_FAULT names, if it is set.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
#include "roundtrip/cli/cli.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/stages/composition.h"

namespace mpc = roundtrip::mpc;

namespace {

constexpr mpc::MachineId kMachine = 9;  // of 12, on the last of 2 or 3 ranks
constexpr std::uint32_t kRound = 3;

/// Memory ends here: what the process has stays, nothing can be added.
void limit_memory(rlim_t bytes) {
  const rlimit limit = {bytes, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) throw std::runtime_error("setrlimit");
}

/// Words go round in a ring; those of kMachine fail it in kRound.
class Faulty : public mpc::Protocol {
 public:
  explicit Faulty(const mpc::Parameters& parameters, const std::string& unless_given = "not") {
    const auto how = parameters.options.find("how");
    how_ = how == parameters.options.end() ? unless_given : how->second;
    shape_ = {.n = parameters.n, .outputs = 0, .block_words = 1, .memory_words = 1 << 20};
    shape_.machines = static_cast<std::uint32_t>(parameters.n);
    shape_.rounds = 5;
    shape_.heap_words = 64;
    const char* const rank = std::getenv("OMPI_COMM_WORLD_RANK");
    if (how_ == "make" && (rank == nullptr || std::string(rank) == "1")) throw std::logic_error("made badly");
  }
  const mpc::Shape& shape() const override { return shape_; }

  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    if (step.round == shape_.rounds) return;
    const bool now = step.round == kRound && step.machine == kMachine;
    outbox.send((step.machine + 1) % shape_.machines, inbox.words());
    const std::vector<mpc::Word> held(now && how_ == "heap" ? 65 : 64, step.machine);
    if (!now || held.front() != step.machine) return;
    if (how_ == "throw") throw std::runtime_error("thrown\nin two lines");
    if (how_ == "internal") throw roundtrip::InternalError("a fault of ours");
    if (how_ == "contract") throw roundtrip::ContractError("no contract");
    if (how_ == "alien") throw 42;
    if (how_ == "memory") throw std::bad_alloc();
    if (how_ == "greedy") outbox.send(0, std::vector<mpc::Word>(shape_.memory_words, 1));
    if (how_ == "send" || how_ == "swallow") {  // the protocol does nothing wrong: the runtime lacks memory
      limit_memory(1 << 20);
      for (mpc::MachineId i = 0; i < 1 << 14; ++i) {
        try {
          outbox.send(i / 2 % 3, mpc::Word{1});
        } catch (const std::bad_alloc&) {
          if (how_ == "send") throw;
        }
      }
      limit_memory(RLIM_INFINITY);  // what was lost meanwhile must end the run all the same
    }
  }

 private:
  std::string how_;
  mpc::Shape shape_;
};

/// Words go home, one a machine; where a word is 7 the step counts its calls, which no pure function could.
/// Run and transformer then differ.
class Counting : public mpc::Protocol {
 public:
  explicit Counting(const mpc::Parameters& parameters) {
    shape_ = {.n = parameters.n, .outputs = parameters.n, .block_words = 1, .memory_words = 1};
    shape_.machines = static_cast<std::uint32_t>(parameters.n);
    shape_.rounds = 2;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    static mpc::Word calls = 0;
    for (const mpc::Word word : inbox.words()) {
      if (step.round == 1) outbox.send(step.machine, word);
      if (step.round == 2)
        outbox.deliver(step.machine, mpc::decode_input(word, shape_) == 7 ? ++calls : word);
    }
  }

 private:
  mpc::Shape shape_;
};

/// Sends its words home in round 1 and delivers them in round 2; `change` alters a word that is delivered.
class Copy : public mpc::Protocol {
 public:
  using Change = std::function<mpc::Word(mpc::Word, const mpc::Parameters&)>;
  Copy(const mpc::Parameters& parameters, Change change, std::uint64_t shift)
      : parameters_(parameters), change_(std::move(change)), shift_(shift) {
    shape_ = mpc::declare_shape(parameters,
                                {1, mpc::block_words(parameters, 1), mpc::block_words(parameters, 1), false},
                                parameters.n, 1);
    shape_.rounds = 2;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    std::uint64_t output = step.machine * shape_.block_words + shift_;
    for (const mpc::Word word : inbox.words()) {
      if (step.round == 1) outbox.send(step.machine, word);
      if (step.round == 2) outbox.deliver(output++, change_(word, parameters_));
    }
  }

 private:
  mpc::Parameters parameters_;
  Change change_;
  std::uint64_t shift_;
  mpc::Shape shape_;
};

mpc::ProtocolInfo copy(const std::string& name, const Copy::Change& change, std::uint64_t shift = 0) {
  mpc::ProtocolInfo info;
  info.name = name;
  info.summary = "copies its input, in some way";
  info.rounds_formula = "2";
  info.kappa_s = 1;
  info.make = [change, shift](const mpc::Parameters& parameters) {
    return std::make_unique<Copy>(parameters, change, shift);
  };
  info.decode = [](const mpc::Protocol& protocol, std::uint64_t, mpc::Word word) {
    return std::optional<std::int64_t>(mpc::decode_input(word, protocol.shape()));
  };
  info.oracle = [](std::span<const std::int64_t> values, const mpc::Parameters&) {
    return mpc::Outputs(values.begin(), values.end());
  };
  return info;
}

mpc::ProtocolInfo always(const std::string& name, const std::string& how) {
  mpc::ProtocolInfo info;
  info.name = name;
  info.summary = "fails";
  info.rounds_formula = "5";
  info.kappa_s = 1;
  info.make = [how](const mpc::Parameters& parameters) { return std::make_unique<Faulty>(parameters, how); };
  info.decode = [](const mpc::Protocol&, std::uint64_t, mpc::Word) { return std::optional<std::int64_t>(); };
  return info;
}

void register_wrong_ones() {
  const auto same = [](mpc::Word word, const mpc::Parameters&) { return word; };
  mpc::register_protocol(copy("copy", same));
  mpc::register_protocol(copy("wrong", [](mpc::Word word, const mpc::Parameters&) { return word ^ 1; }));
  mpc::register_protocol(copy("shifted", same, 1));
  mpc::register_protocol(always("greedy", "greedy"));
  mpc::register_protocol(always("throwing", "throw"));
  // Its answers are judged by a check, and wrong for seeds that 3 divides.
  mpc::ProtocolInfo unlucky = copy("unlucky", [](mpc::Word word, const mpc::Parameters& parameters) {
    return parameters.seed % 3 == 0 ? word ^ 1 : word;
  });
  unlucky.check = [oracle = std::exchange(unlucky.oracle, nullptr)](std::span<const std::int64_t> values,
                                                                    const mpc::Outputs& outputs,
                                                                    const mpc::Parameters& parameters) {
    return outputs == oracle(values, parameters) ? "" : "an unlucky\nseed";
  };
  unlucky.failure_probability = 0.5;
  mpc::register_protocol(unlucky);
  mpc::ProtocolInfo choosy = copy("choosy", same);
  choosy.make = [](const mpc::Parameters&) -> std::unique_ptr<const mpc::Protocol> {
    throw roundtrip::ContractError("no N will do");
  };
  mpc::register_protocol(choosy);
}

}  // namespace

int main(int argc, char** argv) {
  mpc::register_protocol({
      .name = "faulty",
      .summary = "fails",
      .card = {},
      .rounds_formula = "5",
      .kappa_s = 1,
      .options = {{"how", "not",
                   "throw, internal, contract, alien, memory, greedy, heap, send, swallow, make or not"}},
      .output_form = mpc::OutputForm::kNumbers,
      .make = [](const mpc::Parameters& parameters) { return std::make_unique<Faulty>(parameters); },
      .decode = [](const mpc::Protocol&, std::uint64_t, mpc::Word) { return std::optional<std::int64_t>(); },
      .oracle = {},
      .accept = {},
      .generate = {},
  });
  mpc::register_protocol({
      .name = "counting",
      .summary = "keeps what it must not",
      .card = {},
      .rounds_formula = "2",
      .kappa_s = 1,
      .options = {},
      .output_form = mpc::OutputForm::kNumbers,
      .make = [](const mpc::Parameters& parameters) { return std::make_unique<Counting>(parameters); },
      .decode =
          [](const mpc::Protocol& protocol, std::uint64_t, mpc::Word word) {
            return std::optional<std::int64_t>(mpc::decode_input(word, protocol.shape()));
          },
      .oracle = {},
      .accept = {},
      .generate = {},
  });
  register_wrong_ones();
  std::optional<roundtrip::FaultSwitch> fault;
  if (const char* const name = std::getenv("ROUNDTRIP_FAULT")) fault.emplace(name);
  return roundtrip::cli::main(argc, argv);
}
