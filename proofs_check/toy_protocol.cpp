#include "roundtrip/proofs_check/toy_protocol.h"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <vector>

#include "roundtrip/proofs_check/formulas.h"

namespace roundtrip::proofs_check {

using Kind = mpc::ModelViolation::Kind;

Expectation toy_expectation(std::uint64_t n) {
  const std::uint64_t b = root_ceil(n, Rational(1, 2));
  return {.block_words = b,
          .memory_words = 2 * b,
          .machines = (n + b - 1) / b,
          .rounds = 4,
          .word_bits = 48,
          .outputs = n,
          .n = n};
}

std::uint64_t toy_heap_words(const Expectation& expectation) {
  constexpr std::uint64_t kNodeWords = 8;  // of a map that remembers
  return expectation.memory_words + kNodeWords;
}

ToyProtocol::ToyProtocol(const Expectation& expectation, const ToyDefects& defects, mpc::Word first_word)
    : defects_(defects), machines_(static_cast<std::uint32_t>(expectation.machines)) {
  shape_.n = expectation.n;
  shape_.outputs = expectation.n;
  shape_.block_words = expectation.block_words;
  shape_.memory_words = expectation.memory_words;
  shape_.machines = machines_ + defects.more_machines;
  shape_.rounds =
      static_cast<std::uint32_t>(expectation.rounds) - (defects.early_stop && first_word % 2 == 0 ? 1 : 0);
  shape_.word_bits = std::max(expectation.word_bits, defects.wide_bits);
  shape_.input_bits = expectation.word_bits;
  shape_.kappa_s = 2;
  shape_.heap_words = toy_heap_words(expectation) + defects.extra_words;
}

void ToyProtocol::step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const {
  if (step.machine >= machines_) return;
  const std::uint64_t begin = step.machine * shape_.block_words;
  const std::uint64_t size = std::min(shape_.block_words, shape_.n - begin);
  std::vector<mpc::Word> own;
  own.reserve(std::max<std::uint64_t>(inbox.size(), size));
  for (const mpc::Run run : inbox) {
    if (run.source == step.machine) own.insert(own.end(), run.words.begin(), run.words.end());
  }
  own.resize(size);  // the copy from the neighbour and extra words are dropped
  if (defects_.memory != ToyMemory::kNone) own[0] = remembered(step, own);
  if (step.round == shape_.rounds) {
    const bool misses = step.machine == 0 && defects_.breaks == Kind::kMissingOutput;
    for (std::uint64_t i = misses ? 1 : 0; i < size; ++i) outbox.deliver(begin + i, own[i]);
    return break_rule(step, outbox);
  }
  outbox.send(step.machine, own);
  outbox.send((step.machine + 1) % machines_, own[0]);
  if (step.round == 2 && step.machine == 0) {
    outbox.send(0, std::vector<mpc::Word>(defects_.extra_words, 0));
    if (defects_.wide_bits > 0) outbox.send(0, mpc::Word{1} << (defects_.wide_bits - 1));
  }
  break_rule(step, outbox);
}

mpc::Word ToyProtocol::remembered(const mpc::Step& step, std::span<const mpc::Word> own) const {
  static std::map<mpc::MachineId, mpc::Word> of_process;
  static thread_local std::map<mpc::MachineId, mpc::Word> of_thread;
  static thread_local std::map<std::pair<mpc::MachineId, std::uint32_t>, mpc::Word> of_round;
  static std::map<std::uint64_t, mpc::Word> of_input;
  static std::uint64_t sum = 0;
  const mpc::Word word = own[0];
  const bool keeps = step.round + 1 == shape_.rounds;
  const bool last = step.round == shape_.rounds;
  if (defects_.memory == ToyMemory::kSum) {
    sum += keeps;
    const bool shared = last && sum > machines_;
    sum -= last;
    return word ^ (shared ? 1 : 0);
  }
  if (defects_.memory == ToyMemory::kRound) {
    if (keeps) of_round[{step.machine, step.round}] = word;
    return last ? of_round[{step.machine, step.round - 1}] : word;
  }
  if (defects_.memory == ToyMemory::kHash) {
    std::uint64_t hash = step.machine;
    for (const mpc::Word each : own) hash = (hash ^ each) * 0x9e3779b97f4a7c15u;
    if (keeps) of_input[hash] = word;
    return last ? of_input[hash] : word;
  }
  auto& kept = defects_.memory == ToyMemory::kStatic   ? of_process
               : defects_.memory == ToyMemory::kThread ? of_thread
                                                       : kept_;
  if (keeps) kept[step.machine] = word;
  return last ? kept[step.machine] : word;
}

void ToyProtocol::break_rule(const mpc::Step& step, mpc::Outbox& outbox) const {
  if (!defects_.breaks || (step.round != 2 && step.round != shape_.rounds)) return;
  const bool early = step.round == 2;
  const bool first = step.machine == 0;
  const std::uint64_t more =
      shape_.memory_words - shape_.block_words;  // than the b + 1 words of every machine: s + 1
  switch (*defects_.breaks) {
    case Kind::kWordsSent:
      for (std::uint64_t i = 0; early && first && i < more; ++i)
        outbox.send(static_cast<mpc::MachineId>(2 + i % (machines_ - 2)), 0);
      return;
    case Kind::kWordsReceived:
      for (std::uint64_t i = 0; early && i < more; ++i) {
        if (step.machine == 1 + i % (machines_ - 1)) outbox.send(0, 0);
      }
      return;
    case Kind::kWordWidth:
      if (early && first) outbox.send(0, mpc::Word{1} << shape_.word_bits);
      return;
    case Kind::kDestination:
      if (early && first) outbox.send(machines_, 0);
      return;
    case Kind::kMessageAfterEnd:
      if (!early && first) outbox.send(0, 0);
      return;
    case Kind::kEarlyOutput:
      if (early && first) outbox.deliver(0, 0);
      return;
    case Kind::kMissingOutput:
      return;  // in step()
    case Kind::kDuplicateOutput:
      if (!early && step.machine == 1) outbox.deliver(0, 0);
      return;
    case Kind::kScratch:
      if (early && first) static_cast<void>(step.scratch->allocate(sizeof(mpc::Word)));
      return;
    case Kind::kHeap:
      if (early && first) {  // beside the b + 1 words of step()
        const std::vector<mpc::Word> held(*shape_.heap_words - shape_.block_words, 1);
        if (std::ranges::count(held, 0) != 0) throw std::runtime_error("words that changed");
      }
      return;
    case Kind::kStepFailed:
      if (early && first) throw std::runtime_error("a step that fails");
      return;
  }
}

}  // namespace roundtrip::proofs_check
