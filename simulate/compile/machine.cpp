#include "roundtrip/simulate/compile/machine.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <optional>
#include <utility>

#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/runtime/scratch.h"

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

/// What a step works in. Its memory is used again, never what stands in it. A step may run another protocol's
/// (a compiled protocol that was decompiled), so that a thread needs several.
class Workspace {
 public:
  Workspace() {
    if (!free_.empty()) {
      rooms_ = std::move(free_.back());
      free_.pop_back();
    } else {
      rooms_ = std::make_unique<Rooms>();
    }
  }
  ~Workspace() { free_.push_back(std::move(rooms_)); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  mpc::Outbox& outbox() { return rooms_->outbox; }
  std::vector<mpc::RunHeader>& headers() { return rooms_->headers; }
  std::vector<mpc::Word>& words() { return rooms_->words; }
  std::vector<Message>& sorted() { return rooms_->sorted; }
  std::vector<std::uint32_t>& starts() { return rooms_->starts; }
  mpc::ScratchArena& scratch(std::uint64_t words) {
    if (!rooms_->scratch || rooms_->scratch->allowed_words() != words) rooms_->scratch.emplace(words);
    return *rooms_->scratch;
  }

 private:
  struct Rooms {
    mpc::Outbox outbox;
    std::vector<mpc::RunHeader> headers;
    std::vector<mpc::Word> words;
    std::vector<Message> sorted;
    std::vector<std::uint32_t> starts;
    std::optional<mpc::ScratchArena> scratch;
  };
  static thread_local std::vector<std::unique_ptr<Rooms>> free_;
  std::unique_ptr<Rooms> rooms_;
};
thread_local std::vector<std::unique_ptr<Workspace::Rooms>> Workspace::free_;

/// Messages by source and sequence, in two counting sorts.
void sort_messages(std::vector<Message>& messages, std::uint64_t most_sequence, std::uint64_t most_source,
                   std::vector<std::uint32_t>& starts, std::vector<Message>& sorted) {
  sorted.resize(messages.size());
  const auto sort_by = [&](std::uint32_t Message::*digit, std::uint64_t most) {
    starts.assign(most + 2, 0);
    for (const Message& message : messages) ++starts[message.*digit + 1];
    for (std::uint64_t i = 0; i <= most; ++i) starts[i + 1] += starts[i];
    for (const Message& message : messages) sorted[starts[message.*digit]++] = message;
    std::swap(messages, sorted);
  };
  sort_by(&Message::sequence, most_sequence);
  sort_by(&Message::source, most_source);
}

constexpr std::uint64_t kMaxUsed = 1ull << 53;  // what a number of the array holds exactly

}  // namespace

Stepped run_step(const mpc::Protocol& protocol, std::uint32_t round, mpc::MachineId machine,
                 std::vector<Message>& messages) {
  const mpc::Shape& shape = protocol.shape();
  Stepped stepped;
  const auto fail = [&](FaultKind kind, std::uint64_t used) {
    stepped.fault = {kind, round, std::min(used, kMaxUsed)};
    return stepped;
  };
  if (messages.size() > shape.memory_words) {  // received in the round before
    stepped.fault = {FaultKind::kWordsReceived, round - 1,
                     std::min<std::uint64_t>(messages.size(), kMaxUsed)};
    return stepped;
  }
  const bool swapped = seeded("inbox-order");
  const auto place = [swapped](const Message& m) {
    return swapped ? std::uint64_t{m.sequence} << 32 | m.source : std::uint64_t{m.source} << 32 | m.sequence;
  };
  Workspace workspace;
  std::uint64_t most_source = 0, most_sequence = 0;
  for (const Message& m : messages) {
    most_source = std::max<std::uint64_t>(most_source, m.source);
    most_sequence = std::max<std::uint64_t>(most_sequence, m.sequence);
  }
  if (std::max(most_source, most_sequence) < 8 * messages.size() && !swapped) {
    sort_messages(messages, most_sequence, most_source, workspace.starts(), workspace.sorted());
  } else {
    std::sort(messages.begin(), messages.end(),
              [&](const Message& a, const Message& b) { return place(a) < place(b); });
  }
  std::vector<mpc::RunHeader>& headers = workspace.headers();
  std::vector<mpc::Word>& words = workspace.words();
  headers.clear();
  words.clear();
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (i == 0 || messages[i].source != messages[i - 1].source ||
        messages[i].sequence != messages[i - 1].sequence + 1) {
      headers.push_back({messages[i].source, messages[i].sequence, static_cast<std::uint32_t>(i)});
    }
    words.push_back(messages[i].word);
  }
  const bool last = round == shape.rounds;
  mpc::Outbox& outbox = workspace.outbox();
  outbox.reset({.words = shape.memory_words,
                .word_bits = shape.word_bits,
                .destinations = last ? static_cast<std::uint32_t>(shape.outputs) : shape.machines,
                .last_round = last});
  mpc::ScratchArena& scratch = workspace.scratch(shape.scratch_words);
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
