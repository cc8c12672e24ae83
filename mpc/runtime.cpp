#include "roundtrip/mpc/runtime.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/runtime/exchange.h"
#include "roundtrip/mpc/runtime/scratch.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

using Kind = ModelViolation::Kind;

/// A broken rule on its way to all ranks.
struct Failure {
  ModelViolation::Facts facts;
  std::string detail;

  bool on_receipt() const {
    return facts.kind == Kind::kWordsReceived || facts.kind == Kind::kMissingOutput ||
           facts.kind == Kind::kDuplicateOutput;
  }
  auto order() const { return std::tuple(facts.round, on_receipt(), facts.machine, facts.kind); }
};

/// Collective, called by all ranks once any has a failure: throws the first one everywhere.
[[noreturn]] void throw_first(Transport& transport, const std::optional<Failure>& mine) {
  enum Field : std::size_t { kPresent, kRound, kMachine, kKind, kUsed, kAllowed, kDetailBytes, kFields };
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  std::vector<std::uint64_t> send(ranks * kFields), receive(send.size());
  for (std::size_t r = 0; mine && r < ranks; ++r) {
    const auto& facts = mine->facts;
    const std::uint64_t fields[kFields] = {
        1,          facts.round,   facts.machine,      static_cast<std::uint64_t>(facts.kind),
        facts.used, facts.allowed, mine->detail.size()};
    std::copy_n(fields, kFields, &send[r * kFields]);
  }
  transport.all_to_all(send, receive);
  std::optional<Failure> first;
  std::size_t winner = 0;
  std::uint64_t detail_bytes = 0;
  for (std::size_t r = 0; r < ranks; ++r) {
    const std::uint64_t* const fields = &receive[r * kFields];
    if (fields[kPresent] == 0) continue;
    const Failure failure{{static_cast<Kind>(fields[kKind]), static_cast<std::uint32_t>(fields[kRound]),
                           static_cast<std::uint32_t>(fields[kMachine]), fields[kUsed], fields[kAllowed]},
                          {}};
    if (!first || failure.order() < first->order()) {
      first = failure;
      winner = r;
      detail_bytes = fields[kDetailBytes];
    }
  }
  if (!first) throw InternalError("a rank reported a failure and then none");
  std::vector<std::uint64_t> detail(ceil_div(detail_bytes, sizeof(std::uint64_t)));
  std::vector<Transport::SendPiece> send_pieces;
  std::vector<Transport::ReceivePiece> receive_pieces;
  if (winner == static_cast<std::size_t>(transport.rank())) {
    if (detail_bytes != 0) std::memcpy(detail.data(), mine->detail.data(), detail_bytes);
    for (int r = 0; r < transport.ranks(); ++r) {
      if (r != transport.rank()) send_pieces.push_back({r, detail});
    }
  } else {
    receive_pieces.push_back({static_cast<int>(winner), detail});
  }
  if (detail_bytes != 0) transport.exchange(send_pieces, receive_pieces);
  throw ModelViolation(first->facts, std::string(reinterpret_cast<const char*>(detail.data()), detail_bytes));
}

/// For a defect: a ledger that counts messages between machines alone.
std::uint64_t sent_to_itself(const Outbox& outbox, MachineId machine) {
  std::uint64_t words = 0;
  for (const Sending& sending : outbox.sendings())
    words += sending.destination == machine ? sending.length : 0;
  return outbox.limits().last_round ? 0 : words;
}

/// One run on one rank.
class Execution {
 public:
  Execution(const Protocol& protocol, Transport& transport, const RunOptions& options)
      : protocol_(protocol),
        shape_(protocol.shape()),
        transport_(transport),
        options_(options),
        limit_words_(options.limit_words != 0 ? options.limit_words : shape_.memory_words),
        exchange_(shape_, limit_words_, transport),
        scratch_(shape_.scratch_words),
        forgets_(seeded("ledger-self")),
        stores_(options.order_seed || options.observer != nullptr || forgets_),
        outboxes_(options.order_seed ? exchange_.machines() : 1),
        order_(exchange_.machines()) {
    std::iota(order_.begin(), order_.end(), exchange_.first_machine());
  }

  RunResult run(std::span<const Word> input) {
    RunResult result;
    result.ledger.rounds.resize(shape_.rounds);
    Checkpoints checkpoints(options_.checkpoint, shape_, limit_words_, input, transport_);
    const std::uint32_t done = checkpoints.resume(exchange_, result.ledger);
    if (done == 0) exchange_.scatter_input(input);
    if (options_.profile) profiler_.emplace(shape_, exchange_, done + 1);
    const auto start = std::chrono::steady_clock::now();
    for (std::uint32_t round = done + 1; round <= shape_.rounds; ++round) {
      RoundFacts& facts = result.ledger.rounds[round - 1];
      if (profiler_) profiler_->mark();
      if (!failure_) step_all(round, facts);
      if (profiler_) profiler_->mark();
      const bool stop = swap(checkpoints.stop_wanted());
      if (profiler_) profiler_->mark();
      note_received(round, round == shape_.rounds ? exchange_.fill_outputs() : exchange_.fill_inboxes(),
                    facts);
      if (profiler_) {
        profiler_->mark();
        if (!failure_) profiler_->received(round, exchange_);
      }
      if (options_.progress && transport_.rank() == 0) options_.progress(round, shape_.rounds);
      if (round == shape_.rounds || !checkpoints.wanted() || !(stop || checkpoints.due(round))) continue;
      Ledger ledger = result.ledger;
      reduce(ledger);
      if (!checkpoints.write(round, exchange_, ledger, failure_.has_value()) || !stop) continue;
      result.stopped_after = round;
      result.ledger = ledger;
      return result;
    }
    swap(false);
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    reduce(result.ledger);
    result.outputs = exchange_.gather_outputs();
    if (profiler_) result.profile = profiler_->gather(transport_);
    return result;
  }

 private:
  /// Collective: ends the run everywhere if any rank has a failure; returns whether any wants to stop.
  bool swap(bool stop) {
    const std::uint64_t flags =
        exchange_.swap((failure_ ? Exchange::kFailed : 0) | (stop ? Exchange::kStop : 0));
    if ((flags & Exchange::kFailed) != 0) throw_first(transport_, failure_);
    return (flags & Exchange::kStop) != 0;
  }

  void step_all(std::uint32_t round, RoundFacts& facts) {
    const bool last_round = round == shape_.rounds;
    exchange_.streams().begin_round(last_round);
    for (Outbox& outbox : outboxes_) {
      outbox.begin_round(
          {.words = limit_words_ + seeded("send-limit"),
           .word_bits = shape_.word_bits,
           .destinations = last_round ? static_cast<std::uint32_t>(shape_.outputs) : shape_.machines,
           .last_round = last_round},
          stores_ ? nullptr : &exchange_.streams());
    }
    if (!options_.order_seed) {
      for (const MachineId machine : order_) {
        if (!step(round, machine, outboxes_[0], facts)) return;
        pack(machine, outboxes_[0]);
      }
      return;
    }
    RandomStream random(*options_.order_seed, Domain::kOrder, round,
                        static_cast<std::uint64_t>(transport_.rank()));
    for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
    const MachineId first = exchange_.first_machine();
    for (const MachineId machine : order_) step(round, machine, outboxes_[machine - first], facts);
    for (MachineId m = 0; !failure_ && m < exchange_.machines(); ++m) pack(first + m, outboxes_[m]);
  }

  /// Sends what an outbox has stored.
  void pack(MachineId source, const Outbox& outbox) {
    Streams& streams = exchange_.streams();
    if (stores_) {
      streams.begin(source);
      std::uint64_t sequence = 0;
      outbox.for_each_word([&](std::uint32_t destination, Word word) {
        if (outbox.limits().last_round) {
          streams.append_output(destination, word);
        } else {
          streams.append(destination, &word, 1, sequence++);
        }
      });
    }
    if (seeded("last-message")) streams.drop_run();
  }

  /// Steps one machine; notes a failure and returns false if it breaks a rule.
  bool step(std::uint32_t round, MachineId machine, Outbox& outbox, RoundFacts& facts) {
    const Inbox inbox = exchange_.inbox(machine);
    // Nothing stays in its place in round 1, whose words may be wider than p.
    outbox.begin(machine, round > 1 ? &inbox : nullptr);
    scratch_.reset();
    try {
      if (options_.rebuild) {
        options_.rebuild()->step({round, machine, &scratch_}, inbox, outbox);
      } else {
        protocol_.step({round, machine, &scratch_}, inbox, outbox);
      }
      if (options_.observer != nullptr && !broken(outbox))
        options_.observer->stepped(round, machine, inbox, outbox);
    } catch (const std::bad_alloc&) {
      if (exchange_.streams().exhausted()) throw;
      if (!scratch_.exceeded()) return fail({{Kind::kStepFailed, round, machine, 0, 0}, "out of memory"});
    } catch (const std::exception& error) {
      if (!scratch_.exceeded()) return fail({{Kind::kStepFailed, round, machine, 0, 0}, error.what()});
    } catch (...) {
      return fail(
          {{Kind::kStepFailed, round, machine, 0, 0}, "threw something that is not a std::exception"});
    }
    if (outbox.sent() == 0 && scratch_.untouched() && !profiler_) return true;
    if (exchange_.streams().exhausted()) throw std::bad_alloc();  // which the step held back
    if (broken(outbox)) return fail({violation(round, machine, outbox), {}});
    facts.max_words_sent = std::max(facts.max_words_sent, outbox.sent());
    facts.max_scratch_words = std::max(facts.max_scratch_words, scratch_.peak_words());
    facts.total_words += outbox.sent() - (forgets_ ? sent_to_itself(outbox, machine) : 0);
    if (profiler_) profiler_->stepped(round, machine, outbox.sent(), scratch_.peak_words());
    return true;
  }

  bool broken(const Outbox& outbox) const {
    return scratch_.exceeded() || outbox.fault() != Outbox::Fault::kNone;
  }

  ModelViolation::Facts violation(std::uint32_t round, MachineId machine, const Outbox& outbox) const {
    if (scratch_.exceeded()) {
      return {Kind::kScratch, round, machine, scratch_.peak_words(), scratch_.allowed_words()};
    }
    const std::uint64_t value = outbox.fault_value();
    switch (outbox.fault()) {
      case Outbox::Fault::kTooManyWords:
        return {Kind::kWordsSent, round, machine, value, limit_words_};
      case Outbox::Fault::kWideWord:
        return {Kind::kWordWidth, round, machine, static_cast<std::uint64_t>(std::bit_width(value)),
                shape_.word_bits};
      case Outbox::Fault::kWrongDestination:
        return {Kind::kDestination, round, machine, value, std::uint64_t{outbox.limits().destinations} - 1};
      case Outbox::Fault::kMessageAfterEnd:
        return {Kind::kMessageAfterEnd, round, machine, value, 0};
      case Outbox::Fault::kEarlyOutput:
        return {Kind::kEarlyOutput, round, machine, value, 0};
      case Outbox::Fault::kNone:
        break;
    }
    throw InternalError("asked for the violation of a machine that broke no rule");
  }

  /// Keeps the first failure of this rank.
  bool fail(Failure failure) {
    if (!failure_ || failure.order() < failure_->order()) failure_ = std::move(failure);
    return false;
  }

  void note_received(std::uint32_t round, const Exchange::Received& received, RoundFacts& facts) {
    const bool forgotten = seeded("ledger-last-round") && round == shape_.rounds;
    facts.max_words_received = forgotten ? 0 : received.max_words;
    if (const auto& found = received.overload) {
      fail({{Kind::kWordsReceived, round, found->machine, found->value, limit_words_}, {}});
    }
    if (const auto& found = received.duplicate_output) {
      fail({{Kind::kDuplicateOutput, round, found->machine, found->value, shape_.outputs - 1}, {}});
    }
    if (const auto& found = received.missing_output) {
      fail({{Kind::kMissingOutput, round, found->machine, found->value, shape_.outputs - 1}, {}});
    }
  }

  void reduce(Ledger& ledger) {
    std::vector<std::uint64_t> maxima, totals;
    for (const RoundFacts& facts : ledger.rounds) {
      maxima.insert(maxima.end(), {facts.max_words_sent, facts.max_words_received, facts.max_scratch_words});
      totals.push_back(facts.total_words);
    }
    transport_.maximum(maxima);
    transport_.sum(totals);
    for (std::size_t i = 0; i < ledger.rounds.size(); ++i) {
      ledger.rounds[i] = {maxima[3 * i], maxima[3 * i + 1], maxima[3 * i + 2], totals[i]};
    }
  }

  const Protocol& protocol_;
  const Shape shape_;
  Transport& transport_;
  const RunOptions& options_;
  const std::uint64_t limit_words_;
  Exchange exchange_;
  ScratchArena scratch_;
  const bool forgets_;  // a defect: the ledger lacks words to oneself
  const bool stores_;   // words, until the machine's step or all of them are done
  std::vector<Outbox>
      outboxes_;  // one, or with a random order one a machine: lists are packed in order of machines
  std::vector<MachineId> order_;
  std::optional<Failure> failure_;
  std::optional<Profiler> profiler_;
};

/// Collective: refuses what any rank could see to be wrong, with the same error on all.
void check(const Shape& shape, std::span<const Word> input, Transport& transport, const RunOptions& options) {
  shape.validate();
  require(!options.one_machine_per_rank || static_cast<std::uint64_t>(transport.ranks()) == shape.machines,
          "one machine per rank needs q = {} ranks, started are {}", shape.machines, transport.ranks());
  require(options.limit_words <= 0xffffffffu, "limit_words is {}, allowed is at most {}", options.limit_words,
          0xffffffffu);
  std::string error;
  if (transport.rank() == 0) {
    const auto wide =
        std::find_if(input.begin(), input.end(), [&](Word word) { return word >> shape.input_bits != 0; });
    if (input.size() != shape.n) {
      error = fmt::format("the input has {} words, the protocol was made for N = {}", input.size(), shape.n);
    } else if (wide != input.end()) {
      error = fmt::format("input word {} is {} bits wide, allowed are {}", wide - input.begin(),
                          std::bit_width(*wide), shape.input_bits);
    }
  }
  transport.broadcast(error);
  if (!error.empty()) throw ContractError(error);
}

}  // namespace

RoundFacts Ledger::overall() const {
  RoundFacts result;
  for (const RoundFacts& facts : rounds) {
    result.max_words_sent = std::max(result.max_words_sent, facts.max_words_sent);
    result.max_words_received = std::max(result.max_words_received, facts.max_words_received);
    result.max_scratch_words = std::max(result.max_scratch_words, facts.max_scratch_words);
    result.total_words += facts.total_words;
  }
  return result;
}

RunResult run(const Protocol& protocol, std::span<const Word> input, Transport& transport,
              const RunOptions& options) {
  // Only this rank knows (memory ran out while it received, say), and the others wait for it.
  const auto end_all = [&](const char* why) {
    std::string line = fmt::format("roundtrip: error: rank {}: {}", transport.rank(), why);
    std::replace(line.begin(), line.end(), '\n', ' ');
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), stderr);
    transport.abort(70);
  };
  try {
    check(protocol.shape(), input, transport, options);
    return Execution(protocol, transport, options).run(input);
  } catch (const ModelViolation&) {
    throw;  // agreed by all ranks
  } catch (const ContractError&) {
    throw;  // likewise
  } catch (const std::bad_alloc&) {
    if (transport.ranks() > 1) end_all("out of memory");
    throw;
  } catch (const std::exception& error) {
    if (transport.ranks() > 1) end_all(error.what());
    throw;
  }
}

}  // namespace roundtrip::mpc
