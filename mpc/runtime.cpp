#include "roundtrip/mpc/runtime.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <exception>
#include <new>
#include <numeric>
#include <utility>

#include "roundtrip/base/ensure.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/heap_meter.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/runtime/checkpoint.h"
#include "roundtrip/mpc/runtime/exchange.h"
#include "roundtrip/mpc/runtime/profile.h"
#include "roundtrip/mpc/runtime/scratch.h"
#include "roundtrip/mpc/runtime/step.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

using Kind = ModelViolation::Kind;

/// For a defect: a ledger that counts messages between machines alone.
std::uint64_t sent_to_itself(const Outbox& outbox, MachineId machine) {
  std::uint64_t words = 0;
  for (const Sending& sending : outbox.sendings())
    words += sending.destination == machine ? sending.length : 0;
  return outbox.limits().last_round ? 0 : words;
}

/// A protocol as a run's options want its steps: made anew for each, observed after it unless it broke a rule. What
/// these throw, the step throws.
class Instrumented final : public Protocol {
 public:
  Instrumented(const Protocol& protocol, const RunOptions& options, const ScratchArena& scratch)
      : protocol_(protocol), options_(options), scratch_(scratch) {}
  const Shape& shape() const override { return protocol_.shape(); }
  void step(const Step& step, const Inbox& inbox, Outbox& outbox) const override {
    if (options_.rebuild) {
      rebuilt()->step(step, inbox, outbox);
    } else {
      protocol_.step(step, inbox, outbox);
    }
    if (options_.observer == nullptr || scratch_.exceeded() || outbox.fault() != Outbox::Fault::kNone) return;
    const HeapPause ours;
    options_.observer->stepped(step.round, step.machine, inbox, outbox);
  }

 private:
  std::unique_ptr<const Protocol> rebuilt() const {
    const HeapPause ours;
    return options_.rebuild();
  }

  const Protocol& protocol_;
  const RunOptions& options_;
  const ScratchArena& scratch_;
};

/// One run on one rank.
class Execution {
 public:
  Execution(const Protocol& protocol, Transport& transport, const RunOptions& options)
      : instrumented_(protocol, options, scratch_),
        protocol_(options.rebuild || options.observer != nullptr ? instrumented_ : protocol),
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
    if ((flags & Exchange::kFailed) != 0) {
      agree(transport_, failure_ ? std::make_exception_ptr(*failure_) : nullptr);
      ensure(false, "a rank reported a failure and then none");
    }
    return (flags & Exchange::kStop) != 0;
  }

  void step_all(std::uint32_t round, RoundFacts& facts) {
    exchange_.streams().begin_round(round == shape_.rounds);
    const Outbox::Limits limits = outbox_limits(shape_, round, limit_words_ + seeded("send-limit"));
    for (Outbox& outbox : outboxes_) outbox.begin_round(limits, stores_ ? nullptr : &exchange_.streams());
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
    // In round 1 everything is copied: its words may be wider than p.
    outbox.begin(machine, round > 1 ? &inbox : nullptr);
    const std::optional<ModelViolation> broken = run_step(protocol_, round, machine, inbox, outbox, scratch_);
    if (broken) [[unlikely]]
      return fail(*broken);
    if (outbox.sent() == 0 && scratch_.untouched() && !profiler_) return true;
    facts.max_words_sent = std::max(facts.max_words_sent, outbox.sent());
    facts.max_scratch_words = std::max(facts.max_scratch_words, scratch_.peak_words());
    facts.max_heap_words = std::max(facts.max_heap_words, scratch_.heap().peak_words());
    facts.total_words += outbox.sent() - (forgets_ ? sent_to_itself(outbox, machine) : 0);
    if (profiler_)
      profiler_->stepped(round, machine, outbox.sent(), scratch_.peak_words(), scratch_.heap().peak_words());
    return true;
  }

  /// Keeps the first failure of this rank.
  bool fail(const ModelViolation& violation) {
    if (!failure_ || violation.before(*failure_)) failure_ = violation;
    return false;
  }

  void note_received(std::uint32_t round, const Exchange::Received& received, RoundFacts& facts) {
    const bool forgotten = seeded("ledger-last-round") && round == shape_.rounds;
    facts.max_words_received = forgotten ? 0 : received.max_words;
    if (const auto& found = received.overload) {
      fail(ModelViolation({Kind::kWordsReceived, round, found->machine, found->value, limit_words_}));
    }
    if (const auto& found = received.duplicate_output) {
      fail(ModelViolation({Kind::kDuplicateOutput, round, found->machine, found->value, shape_.outputs - 1}));
    }
    if (const auto& found = received.missing_output) {
      fail(ModelViolation({Kind::kMissingOutput, round, found->machine, found->value, shape_.outputs - 1}));
    }
  }

  void reduce(Ledger& ledger) {
    std::vector<std::uint64_t> maxima, totals;
    for (const RoundFacts& facts : ledger.rounds) {
      maxima.insert(maxima.end(), {facts.max_words_sent, facts.max_words_received, facts.max_scratch_words,
                                   facts.max_heap_words});
      totals.push_back(facts.total_words);
    }
    transport_.maximum(maxima);
    transport_.sum(totals);
    for (std::size_t i = 0; i < ledger.rounds.size(); ++i) {
      const std::uint64_t* const most = &maxima[4 * i];
      ledger.rounds[i] = {most[0], most[1], most[2], most[3], totals[i]};
    }
  }

  const Instrumented instrumented_;
  const Protocol& protocol_;
  const Shape shape_;
  Transport& transport_;
  const RunOptions& options_;
  const std::uint64_t limit_words_;
  Exchange exchange_;
  ScratchArena scratch_;
  const bool forgets_;  // a defect: the ledger lacks words to oneself
  const bool stores_;   // words, until the machine's step or all of them are done
  // One, or with a random order one a machine: lists are packed in order of machines.
  std::vector<Outbox> outboxes_;
  std::vector<MachineId> order_;
  std::optional<ModelViolation> failure_;
  std::optional<Profiler> profiler_;
};

/// Collective: refuses what any rank could see to be wrong, with the same error on all.
void check(const Shape& shape, std::span<const Word> input, Transport& transport, const RunOptions& options) {
  shape.validate();
  require(!options.one_machine_per_rank || static_cast<std::uint64_t>(transport.ranks()) == shape.machines,
          "one machine per rank needs q = {} ranks, started are {}", shape.machines, transport.ranks());
  require(options.limit_words <= 0xffffffffu, "limit_words is {}, allowed is at most {}", options.limit_words,
          0xffffffffu);
  from_root(transport, [&] {
    require(input.size() == shape.n, "the input has {} words, the protocol was made for N = {}", input.size(),
            shape.n);
    const auto wide =
        std::find_if(input.begin(), input.end(), [&](Word word) { return word >> shape.input_bits != 0; });
    require(wide == input.end(), "input word {} is {} bits wide, allowed are {}", wide - input.begin(),
            wide == input.end() ? 0 : std::bit_width(*wide), shape.input_bits);
  });
}

}  // namespace

RunResult run(const Protocol& protocol, std::span<const Word> input, Transport& transport,
              const RunOptions& options) {
  // Only this rank knows (memory ran out while it received, say), and the others wait for it.
  const auto end_all = [&](const char* why) {
    if (transport.ranks() > 1) transport.end_all(why);
  };
  try {
    check(protocol.shape(), input, transport, options);
    return Execution(protocol, transport, options).run(input);
  } catch (const ModelViolation&) {
    throw;  // agreed by all ranks
  } catch (const ContractError&) {
    throw;  // likewise
  } catch (const AgreedFault&) {
    throw;  // likewise
  } catch (const std::bad_alloc&) {
    end_all("out of memory");
    throw;
  } catch (const std::exception& error) {
    end_all(error.what());
    throw;
  }
}

}  // namespace roundtrip::mpc
