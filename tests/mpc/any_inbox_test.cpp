// A step is defined on any inbox: a compiled transformer that overflowed hands over what is left of one.
// Steps of every registered protocol run on inboxes of real runs with words lost, changed and moved. Each
// block of scratch is one of its own, so that the sanitizers see both its ends; what is read before it is
// written shows as a difference between two runs on differently filled blocks.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {
namespace {

struct Message {
  MachineId source;
  std::uint32_t sequence;
  Word word;
};
using Messages = std::vector<Message>;

class Blocks final : public std::pmr::memory_resource {
 public:
  Blocks(std::uint64_t words, int fill) : left_(words * sizeof(Word)), fill_(fill) {}

 private:
  void* do_allocate(std::size_t bytes, std::size_t) override {
    if (bytes > left_) throw std::bad_alloc();
    left_ -= bytes;
    blocks_.emplace_back(new std::byte[bytes]);
    std::memset(blocks_.back().get(), fill_, bytes);
    return blocks_.back().get();
  }
  void do_deallocate(void* block, std::size_t bytes, std::size_t) override {
    if (blocks_.back().get() != block) return;
    blocks_.pop_back();
    left_ += bytes;
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::size_t left_;
  int fill_;
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
};

/// What a step did, in words that can be compared.
struct Outcome {
  std::vector<std::uint64_t> sent;  // destinations, lengths, words, fault
  std::string thrown;
  bool malformed = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome step(const Protocol& protocol, std::uint32_t round, MachineId machine, Messages messages, int fill) {
  const Shape& shape = protocol.shape();
  std::ranges::stable_sort(messages, {}, [](const Message& m) { return std::pair(m.source, m.sequence); });
  if (messages.size() > shape.memory_words) messages.resize(shape.memory_words);
  std::vector<RunHeader> headers;
  const std::unique_ptr<Word[]> words(new Word[messages.size()]);  // exactly as long as it is
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i == 0 || messages[i].source != messages[i - 1].source ||
        messages[i].sequence != messages[i - 1].sequence + 1) {
      headers.push_back({messages[i].source, messages[i].sequence, static_cast<std::uint32_t>(i)});
    }
    words[i] = messages[i].word;
  }
  const bool last = round == shape.rounds;
  Outbox outbox;
  outbox.reset({.words = shape.memory_words,
                .word_bits = shape.word_bits,
                .destinations = static_cast<std::uint32_t>(last ? shape.outputs : shape.machines),
                .last_round = last});
  Blocks scratch(shape.scratch_words, fill);
  Outcome outcome;
  try {
    protocol.step({round, machine, &scratch}, Inbox(headers, {words.get(), messages.size()}), outbox);
  } catch (const std::exception& error) {
    outcome.thrown = error.what();
    outcome.malformed = dynamic_cast<const MalformedInbox*>(&error) != nullptr;
    return outcome;
  }
  outcome.sent = {static_cast<std::uint64_t>(outbox.fault()), outbox.fault_value()};
  for (const Sending& sending : outbox.sendings())
    outcome.sent.insert(outcome.sent.end(), {sending.destination, sending.length});
  outcome.sent.insert(outcome.sent.end(), outbox.words().begin(), outbox.words().end());
  return outcome;
}

/// The inboxes of a whole run.
struct Recorder final : Observer {
  std::map<std::pair<std::uint32_t, MachineId>, Messages> inboxes;
  void stepped(std::uint32_t round, MachineId machine, const Inbox& inbox, const Outbox&) override {
    Messages& messages = inboxes[{round, machine}];
    for (const Run run : inbox) {
      for (std::uint32_t i = 0; i < run.words.size(); ++i)
        messages.push_back({run.source, run.sequence + i, run.words[i]});
    }
  }
};

/// One thing that goes wrong.
void damage(Messages& messages, const std::vector<Messages>& others, const Shape& shape, RandomStream& dice) {
  const auto any = [&](const auto& list) { return static_cast<std::ptrdiff_t>(dice.below(list.size())); };
  const auto some_word = [&] { return dice() >> dice.below(64); };
  if (messages.empty()) {
    messages = others[dice.below(others.size())];
    return;
  }
  Message& one = messages[dice.below(messages.size())];
  switch (dice.below(9)) {
    case 0:
      messages.resize(dice.below(messages.size()));
      break;
    case 1: {
      const MachineId gone = one.source;
      std::erase_if(messages, [gone](const Message& message) { return message.source == gone; });
      break;
    }
    case 2:
      messages.erase(messages.begin() + any(messages));
      break;
    case 3:
      one.word = some_word();
      break;
    case 4:
      one.word += dice.below(3) - 1;
      break;
    case 5:
      one.source = static_cast<MachineId>(dice.below(shape.machines));
      break;
    case 6:
      messages.insert(messages.begin() + any(messages), one);
      break;
    case 7:
      for (Message& message : messages) message.word = some_word();
      break;
    default:
      messages = others[dice.below(others.size())];
  }
}

struct Made {
  std::string name;
  Parameters parameters;
};

std::vector<Made> everything() {
  const std::map<std::string, std::map<std::string, std::string>> variants = {{"match2", {{"M", "1000003"}}},
                                                                              {"k_hop", {{"k", "5"}}}};
  std::vector<Made> made;
  for (const ProtocolInfo* info : all_protocols()) {
    for (const std::uint64_t n : {2, 8, 128, 300}) {
      for (const Rational epsilon : {Rational(1, 2), Rational(1, 3)}) {
        made.push_back({info->name, testing::parameters_of(n, epsilon)});
        const auto variant = variants.find(info->name);
        if (variant == variants.end()) continue;
        made.push_back(made.back());
        made.back().parameters.options = variant->second;
      }
    }
  }
  return made;
}

TEST(AnyInbox, NoStepLeavesItsBounds) {
  std::map<std::string, std::uint64_t> refusals, shapes;
  for (const auto& [name, parameters] : everything()) {
    const ProtocolInfo& info = find_protocol(name);
    Recorder recorder;
    RunOptions options;
    options.observer = &recorder;
    try {
      const Values values =
          info.generate
              ? info.generate(parameters)
              : testing::random_values(parameters.n, 0, static_cast<std::int64_t>(parameters.n) - 1, 1);
      testing::run_case(name, parameters, values, options);
    } catch (const ContractError&) {
      continue;  // no N for this protocol
    }
    ++shapes[name];
    const auto protocol = info.make(parameters);
    std::vector<Messages> inboxes;
    for (const auto& [place, messages] : recorder.inboxes) {
      inboxes.push_back(messages);
      const Outcome outcome = step(*protocol, place.first, place.second, messages, 0);
      EXPECT_EQ(outcome.thrown, "") << name << " fails on what it received in a run";
    }
    RandomStream dice(parameters.n, Domain::kTest);
    const std::uint64_t rounds = protocol->shape().rounds;
    for (int attempt = 0; attempt < 400; ++attempt) {
      // Damage where something is received, and sometimes anywhere.
      auto place = std::next(recorder.inboxes.begin(),
                             static_cast<std::ptrdiff_t>(dice.below(recorder.inboxes.size())));
      auto [round, machine] = place->first;
      if (dice.below(8) == 0) round = static_cast<std::uint32_t>(1 + dice.below(rounds));
      Messages messages = place->second;
      for (std::uint64_t times = 1 + dice.below(3); times > 0; --times)
        damage(messages, inboxes, protocol->shape(), dice);
      const Outcome first = step(*protocol, round, machine, messages, 0);
      const Outcome second = step(*protocol, round, machine, messages, 0xa5);
      ASSERT_EQ(first, second) << name << ", N = " << parameters.n << ", attempt " << attempt
                               << ": a step reads memory that it hasn't written";
      refusals[name] += first.malformed;
    }
  }
  for (const ProtocolInfo* info : all_protocols()) EXPECT_GE(shapes[info->name], 2u) << info->name;
  for (const std::string name : {"k_hop", "match2", "sort", "sum"})
    EXPECT_GT(refusals[name], 0u) << name << " never met an inbox that it can't read";
}

}  // namespace
}  // namespace roundtrip::mpc
