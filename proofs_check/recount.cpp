#include "roundtrip/proofs_check/recount.h"

#include <algorithm>
#include <bit>

#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/proofs_check/executor.h"

namespace roundtrip::proofs_check {
namespace {

using Rows = std::vector<std::vector<std::uint64_t>>;

std::uint64_t largest(const Rows& rows) {
  std::uint64_t most = 0;
  for (const auto& row : rows) {
    for (const std::uint64_t value : row) most = std::max(most, value);
  }
  return most;
}

}  // namespace

std::uint64_t Trace::max_sent() const {
  return seeded("blind-sent") ? 0 : largest(sent);
}
std::uint64_t Trace::max_received() const {
  return largest(received);
}

std::uint64_t Trace::unconserved() const {
  std::uint64_t count = 0;
  if (seeded("blind-conservation")) return count;
  for (std::size_t r = 1; r < inbox.size(); ++r) {
    for (std::size_t m = 0; m < inbox[r].size(); ++m) count += inbox[r][m] != received[r - 1][m];
  }
  return count;
}

mpc::Ledger Trace::ledger() const {
  mpc::Ledger ledger;
  for (std::size_t r = 0; r < sent.size(); ++r) {
    mpc::RoundFacts facts;
    for (std::size_t m = 0; m < sent[r].size(); ++m) {
      facts.max_words_sent = std::max(facts.max_words_sent, sent[r][m]);
      facts.max_words_received = std::max(facts.max_words_received, received[r][m]);
      facts.total_words += sent[r][m];
    }
    ledger.rounds.push_back(facts);
  }
  return ledger;
}

Recount::Recount(const Sizes& sizes, std::span<const mpc::Word> input)
    : sizes_(sizes),
      input_(input),
      cells_(std::size_t{kTables} * sizes.rounds * sizes.machines),
      deliveries_(sizes.outputs),
      outputs_(sizes.outputs) {}

void Recount::stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
                      const mpc::Outbox& outbox) {
  if (round < 1 || round > sizes_.rounds || machine >= sizes_.machines) {
    ++late_steps_;
    return;
  }
  ++cell(kSteps, round, machine);
  cell(kInbox, round, machine) += inbox.words().size();
  if (round == 1) {
    const std::uint64_t begin = std::min<std::uint64_t>(input_.size(), machine * sizes_.block_words);
    const std::uint64_t end = std::min<std::uint64_t>(input_.size(), begin + sizes_.block_words);
    input_mismatches_ += !std::ranges::equal(inbox.words(), input_.subspan(begin, end - begin));
  }
  std::uint64_t end_of_last = 0;
  for (std::size_t i = 0; i < inbox.runs(); ++i) {
    const mpc::Run run = inbox[i];
    if (i > 0) {
      const mpc::MachineId before = inbox[i - 1].source;
      // A run that starts where the last one of its source ended should have been joined to it.
      if (run.source < before || (run.source == before && run.sequence <= end_of_last)) {
        ++disordered_;
        break;
      }
    }
    end_of_last = run.sequence + run.words.size();
  }
  cell(kSent, round, machine) += outbox.words().size();
  cell(kPrint, round, machine) += message_print(outbox);
  outbox.for_each_word([&](std::uint64_t target, mpc::Word word) {
    all_bits_ |= word;
    if (round == sizes_.rounds) {
      if (target >= sizes_.outputs) {
        ++stray_;
        return;
      }
      ++deliveries_[target];
      outputs_[target] += word;
      target /= sizes_.block_words;
    }
    if (target >= sizes_.machines) {
      ++stray_;
      return;
    }
    ++cell(kReceived, round, target);
    if (target == machine) ++cell(kSelf, round, machine);
  });
}

Trace Recount::trace(mpc::Transport& transport) const {
  // Everything is summed over ranks; a machine is stepped by one rank, and bits are counted one by one.
  std::vector<std::uint64_t> cells = cells_;
  std::vector<std::uint64_t> deliveries = deliveries_;
  std::vector<std::uint64_t> outputs = outputs_;
  std::vector<std::uint64_t> rest{disordered_, stray_, input_mismatches_, late_steps_};
  for (int bit = 0; bit < 64; ++bit) rest.push_back(all_bits_ >> bit & 1);
  transport.sum(cells);
  transport.sum(deliveries);
  transport.sum(outputs);
  transport.sum(rest);

  Trace trace;
  trace.disordered_inboxes = seeded("blind-order") ? 0 : rest[0];
  trace.stray_words = rest[1];
  trace.input_mismatches = seeded("blind-input") ? 0 : rest[2];
  trace.irregular_steps = rest[3];
  for (std::uint32_t bit = 0; bit < 64; ++bit) {
    if (rest[4 + bit] != 0 && !seeded("blind-bits")) trace.widest_bits = bit + 1;
  }
  trace.deliveries = std::move(deliveries);
  trace.outputs = std::move(outputs);
  const auto row = [&](Table table, std::uint32_t round) {
    const auto begin =
        cells.begin() + static_cast<std::ptrdiff_t>((table * sizes_.rounds + round - 1) * sizes_.machines);
    return std::vector<std::uint64_t>(begin, begin + sizes_.machines);
  };
  for (std::uint32_t round = 1; round <= sizes_.rounds; ++round) {
    const auto steps = row(kSteps, round);
    if (std::ranges::any_of(steps, [](std::uint64_t s) { return s > 0; })) trace.rounds = round;
  }
  for (std::uint32_t round = 1; round <= trace.rounds; ++round) {
    const auto steps = row(kSteps, round);
    trace.irregular_steps +=
        static_cast<std::uint64_t>(std::ranges::count_if(steps, [](auto s) { return s != 1; }));
    trace.sent.push_back(row(kSent, round));
    trace.received.push_back(row(kReceived, round));
    trace.inbox.push_back(row(kInbox, round));
    trace.sent_to_itself.push_back(row(kSelf, round));
    trace.prints.push_back(row(kPrint, round));
  }
  if (seeded("blind-steps")) trace.irregular_steps = 0;
  return trace;
}

}  // namespace roundtrip::proofs_check
