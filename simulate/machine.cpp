#include "simulate/machine.h"

#include <algorithm>
#include <bit>

#include "mpc/scratch.h"

namespace roundtrip::simulate {
namespace {

FaultKind kind_of(mpc::Outbox::Fault fault) {
  switch (fault) {
    case mpc::Outbox::Fault::kNone:
      return FaultKind::kNone;
    case mpc::Outbox::Fault::kTooManyWords:
      return FaultKind::kWordsSent;
    case mpc::Outbox::Fault::kWideWord:
      return FaultKind::kWordWidth;
    case mpc::Outbox::Fault::kWrongDestination:
      return FaultKind::kDestination;
    case mpc::Outbox::Fault::kMessageAfterEnd:
      return FaultKind::kMessageAfterEnd;
    case mpc::Outbox::Fault::kEarlyOutput:
      return FaultKind::kEarlyOutput;
  }
  return FaultKind::kStepFailed;
}

constexpr std::uint64_t kMostUsed = 1ull << 53;  // what a number of the array holds exactly

}  // namespace

Stepped run_step(const mpc::Protocol& protocol, std::uint32_t round, mpc::MachineId machine,
                 std::vector<Message>& messages) {
  const mpc::Shape& shape = protocol.shape();
  Stepped stepped;
  const auto fail = [&](FaultKind kind, std::uint64_t used) {
    stepped.fault = {kind, round, std::min(used, kMostUsed)};
    return stepped;
  };
  if (messages.size() > shape.memory_words) {  // received in the round before
    stepped.fault = {FaultKind::kWordsReceived, round - 1,
                     std::min<std::uint64_t>(messages.size(), kMostUsed)};
    return stepped;
  }
  std::sort(messages.begin(), messages.end(), [](const Message& a, const Message& b) {
    return a.source != b.source ? a.source < b.source : a.sequence < b.sequence;
  });
  std::vector<mpc::RunHeader> headers;
  std::vector<mpc::Word> words;
  words.reserve(messages.size());
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i == 0 || messages[i].source != messages[i - 1].source ||
        messages[i].sequence != messages[i - 1].sequence + 1) {
      headers.push_back({messages[i].source, messages[i].sequence, static_cast<std::uint32_t>(i)});
    }
    words.push_back(messages[i].word);
  }
  const bool last = round == shape.rounds;
  mpc::Outbox outbox;
  outbox.reset({.words = shape.memory_words,
                .word_bits = shape.word_bits,
                .destinations = last ? static_cast<std::uint32_t>(shape.outputs) : shape.machines,
                .last_round = last});
  mpc::ScratchArena scratch(shape.scratch_words);
  scratch.reset();
  bool failed = false;
  try {
    protocol.step({round, machine, &scratch}, mpc::Inbox(headers, words), outbox);
  } catch (...) {
    failed = true;
  }
  if (scratch.exceeded()) return fail(FaultKind::kScratch, scratch.peak_words());
  if (failed) return fail(FaultKind::kStepFailed, 0);
  if (const FaultKind kind = kind_of(outbox.fault()); kind != FaultKind::kNone) {
    const std::uint64_t value = outbox.fault_value();
    return fail(kind,
                kind == FaultKind::kWordWidth ? static_cast<std::uint64_t>(std::bit_width(value)) : value);
  }
  stepped.sent.reserve(outbox.words().size());
  outbox.for_each_word([&](std::uint32_t destination, mpc::Word word) {
    stepped.sent.push_back({destination, word});
  });
  return stepped;
}

}  // namespace roundtrip::simulate
