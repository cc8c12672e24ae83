#include "roundtrip/simulate/compile/machine.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/runtime/step.h"

namespace roundtrip::simulate {
namespace {

/// The memory of a step, used again for others; its contents are not. A step may run another protocol's
/// (a compiled protocol that was decompiled), so that a thread needs several.
class Workspace {
 public:
  Workspace() {
    if (!free_.empty()) {
      memory_ = std::move(free_.back());
      free_.pop_back();
    } else {
      memory_ = std::make_unique<Memory>();
    }
  }
  ~Workspace() { free_.push_back(std::move(memory_)); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  mpc::Outbox& outbox() { return memory_->outbox; }
  std::vector<mpc::RunHeader>& headers() { return memory_->headers; }
  std::vector<mpc::Word>& words() { return memory_->words; }
  std::vector<Message>& sorted() { return memory_->sorted; }
  std::vector<std::uint32_t>& starts() { return memory_->starts; }
  mpc::ScratchArena& scratch(std::uint64_t words) {
    if (!memory_->scratch || memory_->scratch->allowed_words() != words) memory_->scratch.emplace(words);
    return *memory_->scratch;
  }

 private:
  struct Memory {
    mpc::Outbox outbox;
    std::vector<mpc::RunHeader> headers;
    std::vector<mpc::Word> words;
    std::vector<Message> sorted;
    std::vector<std::uint32_t> starts;
    std::optional<mpc::ScratchArena> scratch;
  };
  static thread_local std::vector<std::unique_ptr<Memory>> free_;
  std::unique_ptr<Memory> memory_;
};
thread_local std::vector<std::unique_ptr<Workspace::Memory>> Workspace::free_;

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

static_assert(static_cast<int>(FaultKind::kWordsSent) ==
                  1 + static_cast<int>(mpc::ModelViolation::Kind::kWordsSent) &&
              static_cast<int>(FaultKind::kStepFailed) ==
                  1 + static_cast<int>(mpc::ModelViolation::Kind::kStepFailed));

constexpr std::uint64_t kMaxUsed = 1ull << 53;  // what a number of the array holds exactly

}  // namespace

Stepped run_step(const mpc::Protocol& protocol, std::uint32_t round, mpc::MachineId machine,
                 std::vector<Message>& messages) {
  const mpc::Shape& shape = protocol.shape();
  Stepped stepped;
  const auto fail = [&](FaultKind kind, std::uint32_t of_round, std::uint64_t used) {
    stepped.fault = {kind, of_round, std::min(used, kMaxUsed)};
    return stepped;
  };
  if (messages.size() > shape.memory_words)  // received in the round before
    return fail(FaultKind::kWordsReceived, round - 1, messages.size());
  const bool swapped = seeded("inbox-order");
  const auto place = [&](const Message& m) {
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
  mpc::Outbox& outbox = workspace.outbox();
  outbox.reset(mpc::outbox_limits(shape, round, shape.memory_words));
  const auto broken = mpc::run_step(protocol, round, machine, mpc::Inbox(headers, words), outbox,
                                    workspace.scratch(shape.scratch_words));
  if (broken) {
    const auto kind = static_cast<FaultKind>(1 + static_cast<int>(broken->facts().kind));
    return fail(kind, round, broken->facts().used);
  }
  stepped.sent.reserve(outbox.words().size());
  outbox.for_each_word([&](std::uint32_t destination, mpc::Word word) {
    stepped.sent.push_back({destination, word});
  });
  return stepped;
}

}  // namespace roundtrip::simulate
