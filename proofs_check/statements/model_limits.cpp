// Statement: every protocol keeps the model that it declares. The words are recounted from the recorded
// messages of every machine in every round; the sizes (b, s, q, R, p) are computed by the verifier from (N,
// eps, kappa).
#include <algorithm>
#include <functional>
#include <optional>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/runtime/mpi_code.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/executor.h"
#include "roundtrip/proofs_check/instances.h"
#include "roundtrip/proofs_check/recount.h"
#include "roundtrip/proofs_check/spare_machines.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/toy_protocol.h"
#include "roundtrip/proofs_check/working_memory.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "model_limits";
constexpr std::uint64_t kToySize = 1000;
constexpr std::uint64_t kMaxInTurns = 1024;
constexpr std::uint64_t kMaxBorderBlock = 1024;  // words that a toy machine sends itself, at borders

/// A protocol on one input, and what must come of it.
struct LimitCase {
  std::string protocol;
  Configuration configuration;
  Expectation expectation;
  std::uint32_t input_bits = 48;
  Numbers input;
  Answers answers;
  std::function<std::unique_ptr<const mpc::Protocol>()> make;
  std::function<std::optional<std::int64_t>(const mpc::Protocol&, std::uint64_t, mpc::Word)> decode;
};

/// What a control spoils: the limits that the runtime enforces, the facts it reports, or the machines' steps.
struct Mutant {
  std::uint64_t limit_words = 0;
  bool limits_overlooked = false;
  std::function<void(mpc::RunResult&, const Trace&)> facts{};
  /// Stands between the runtime and the recount, as if the runtime had done what it passes on.
  std::function<void(Recount&, std::uint32_t round, mpc::MachineId, const mpc::Inbox&, const mpc::Outbox&)>
      steps{};
};

class Spoiler : public mpc::Observer {
 public:
  Spoiler(const Mutant& mutant, Recount& recount) : mutant_(mutant), recount_(recount) {}
  void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
               const mpc::Outbox& outbox) override {
    mutant_.steps(recount_, round, machine, inbox, outbox);
  }

 private:
  const Mutant& mutant_;
  Recount& recount_;
};

struct Seen {
  Trace trace;
  mpc::Shape shape;
  std::string stopped;  ///< the rule that the runtime says was broken; nothing else is known then
  std::uint64_t outputs_wrong = 0;
  std::uint64_t ledger_wrong = 0;
};

Seen observe(const LimitCase& e, const Mutant& mutant, mpc::Transport& transport) {
  const auto protocol = e.make();
  Seen seen;
  seen.shape = protocol->shape();
  const auto input = encoded(e.input, e.input_bits);
  Recount recount({seen.shape.block_words, seen.shape.machines, seen.shape.rounds, seen.shape.outputs},
                  input);
  mpc::RunOptions options;
  options.limit_words = mutant.limit_words;
  Spoiler mutator(mutant, recount);
  options.observer = &recount;
  if (mutant.steps) options.observer = &mutator;
  mpc::RunResult result;
  try {
    result = mpc::run(*protocol, input, transport, options);
  } catch (const mpc::ModelViolation& violation) {  // on all ranks
    seen.stopped = violation.what();
    return seen;
  }
  seen.trace = recount.trace(transport);
  if (mutant.facts) mutant.facts(result, seen.trace);

  // Rank 0 has the outputs that the runtime gathered: they must be the words in the trace, and the right
  // ones.
  std::uint64_t wrong[1] = {0};
  if (transport.rank() == 0) {
    wrong[0] += result.outputs.size() != e.answers.size();
    const std::size_t both = std::min(result.outputs.size(), e.answers.size());
    for (std::size_t t = 0; t < both; ++t) {
      wrong[0] += result.outputs[t] != seen.trace.outputs[t] ||
                  e.decode(*protocol, t, result.outputs[t]) != e.answers[t];
    }
  }
  transport.sum(wrong);
  seen.outputs_wrong = wrong[0];

  const mpc::Ledger own = seen.trace.ledger();
  seen.ledger_wrong = own.rounds.size() != result.ledger.rounds.size();
  for (std::size_t r = 0; r < std::min(own.rounds.size(), result.ledger.rounds.size()); ++r) {
    const mpc::RoundFacts& a = own.rounds[r];
    const mpc::RoundFacts& b = result.ledger.rounds[r];
    seen.ledger_wrong += a.max_words_sent != b.max_words_sent ||
                         a.max_words_received != b.max_words_received || a.total_words != b.total_words;
  }
  return seen;
}

std::uint64_t irregularities(const Trace& trace) {
  const auto undelivered = std::ranges::count_if(trace.deliveries, [](std::uint64_t d) { return d != 1; });
  return trace.irregular_steps + trace.disordered_inboxes + trace.stray_words + trace.input_mismatches +
         trace.unconserved() + static_cast<std::uint64_t>(undelivered);
}

/// Words that the runtime says were used when told to allow one less than the most that a machine sent or
/// received.
std::uint64_t used_at_lower_limit(const LimitCase& e, std::uint64_t most, const Mutant& mutant,
                                  mpc::Transport& transport) {
  try {
    mpc::RunOptions options;
    options.limit_words = mutant.limits_overlooked ? mutant.limit_words : most - 1;
    mpc::run(*e.make(), encoded(e.input, e.input_bits), transport, options);
  } catch (const mpc::ModelViolation& violation) {
    const auto kind = violation.facts().kind;
    using Kind = mpc::ModelViolation::Kind;
    if (kind == Kind::kWordsSent || kind == Kind::kWordsReceived) return violation.facts().used;
  }
  return 0;
}

/// Collective: the runs again, machine by machine in turns, by the verifier's own executor: how many message
/// lists and outputs are not those of the runs that `seen` has.
std::uint64_t unlike_in_turns(const std::vector<LimitCase>& cases, const std::vector<Seen>& seen,
                              Context& context) {
  return mpc::from_root(context.transport, [&] {
    std::vector<Run> runs;
    for (std::size_t i = 0; i < seen.size(); ++i)
      runs.push_back({cases[i].make, encoded(cases[i].input, cases[i].input_bits)});
    const std::vector<Execution> executions = execute_in_turns(runs, context.seed);
    std::uint64_t unlike = 0;
    for (std::size_t i = 0; i < seen.size(); ++i)
      unlike += differences(executions[i], seen[i].trace.prints, seen[i].trace.outputs);
    return unlike;
  });
}

/// Collective: a run with each round in a process of its own, forked here, before the run itself.
Execution apart(const LimitCase& e) {
  return execute_in_own_processes({e.make, encoded(e.input, e.input_bits)});
}

/// The checks on all inputs of one protocol at one size: the worst of each quantity.
std::vector<Check> check_limits(const std::vector<LimitCase>& cases, const Mutant& mutant, Context& context) {
  std::vector<Check> worst;
  std::vector<Seen> in_turns;       // of the first two, where the size is small enough
  std::vector<std::uint64_t> lost;  // of the first: message lists unlike with a process for each round
  for (const LimitCase& e : cases) {
    context.progress(e.protocol + " N = " + std::to_string(e.expectation.n));
    const bool goes_apart = e.expectation.n <= kMaxInTurns && lost.empty() && context.transport.rank() == 0;
    const std::optional<Execution> rounds = goes_apart ? std::optional(apart(e)) : std::nullopt;
    const Seen seen = observe(e, mutant, context.transport);
    if (rounds && seen.stopped.empty())
      lost.push_back(differences(*rounds, seen.trace.prints, seen.trace.outputs));
    if (e.expectation.n <= kMaxInTurns && in_turns.size() < 2 && seen.stopped.empty())
      in_turns.push_back(seen);
    const Trace& trace = seen.trace;
    std::vector<Check> checks;
    const auto add = [&](const char* quantity, std::uint64_t measured, Relation relation,
                         std::uint64_t bound) {
      checks.push_back(compare(e.configuration, e.protocol + ": " + quantity, static_cast<double>(measured),
                               relation, static_cast<double>(bound)));
    };
    add("runs stopped by the runtime", !seen.stopped.empty(), Relation::kEqual, 0);
    // What was stopped delivers nothing.
    add("outputs unlike the oracle's", seen.stopped.empty() ? seen.outputs_wrong : e.answers.size(),
        Relation::kEqual, 0);
    if (!seen.stopped.empty()) {
      for (Check& check : checks) check.reason = seen.stopped;
    } else {
      add("rounds", trace.rounds, Relation::kEqual, e.expectation.rounds);
      add("machines", seen.shape.machines, Relation::kEqual, e.expectation.machines);
      add("memory s declared, words", seen.shape.memory_words, Relation::kEqual, e.expectation.memory_words);
      add("words sent, machine and round", trace.max_sent(), Relation::kAtMost, e.expectation.memory_words);
      add("words received, machine and round", trace.max_received(), Relation::kAtMost,
          e.expectation.memory_words);
      add("bits of the widest word", trace.widest_bits, Relation::kAtMost, e.expectation.word_bits);
      add("ledger rounds unlike the recount", seen.ledger_wrong, Relation::kEqual, 0);
      add("steps, inboxes, outputs amiss", irregularities(trace), Relation::kEqual, 0);
      const std::uint64_t most = std::max(trace.max_sent(), trace.max_received());
      add("words used where one less is allowed", used_at_lower_limit(e, most, mutant, context.transport),
          Relation::kEqual, most);
    }
    for (std::size_t i = 0; i < checks.size(); ++i) {
      if (i == worst.size()) worst.push_back(checks[i]);  // a run that was stopped has the first two alone
      const bool larger = checks[i].relation == Relation::kAtMost && checks[i].measured > worst[i].measured;
      if (worst[i].verdict != Verdict::kRefuted && (checks[i].verdict == Verdict::kRefuted || larger)) {
        worst[i] = checks[i];
      }
    }
  }
  if (in_turns.size() == 2) {
    worst.push_back(
        compare(cases[0].configuration, cases[0].protocol + ": message lists unlike with two runs in turns",
                static_cast<double>(unlike_in_turns(cases, in_turns, context)), Relation::kEqual, 0));
  }
  std::uint64_t unlike[2] = {lost.size(), lost.empty() ? 0 : lost[0]};
  context.transport.sum(unlike);
  if (unlike[0] != 0) {
    worst.push_back(compare(cases[0].configuration,
                            cases[0].protocol + ": message lists unlike, a process a round",
                            static_cast<double>(unlike[1]), Relation::kEqual, 0));
  }
  return worst;
}

std::vector<LimitCase> cases_of(const Case& c, std::uint64_t seed) {
  const Expectation expectation = expectation_of(c);
  const mpc::ProtocolInfo& info = mpc::find_protocol(c.protocol);
  const mpc::Parameters parameters = parameters_of(c, seed);
  std::vector<LimitCase> cases;
  for (const Family family : {Family::kRandom, Family::kAllEqual, Family::kSorted, Family::kReversed}) {
    const Numbers input = input_of(c, family, seed);
    cases.push_back({c.protocol, configuration_of(kName, c, expectation, seed), expectation,
                     info.make(parameters)->shape().input_bits, input, answers_of(c, input),
                     [&info, parameters] { return info.make(parameters); }, info.decode});
  }
  return cases;
}

/// The toy protocol, on an input whose first word is odd and one whose first word is even.
std::vector<LimitCase> toys(const ToyDefects& defects, std::uint64_t seed, std::uint64_t n = kToySize) {
  const Expectation expectation = toy_expectation(n);
  std::vector<LimitCase> cases;
  for (const std::int64_t first : {1, 2}) {
    Numbers input(expectation.n, 3);
    input[0] = first;
    const mpc::Word first_word = encoded(input, expectation.word_bits)[0];
    cases.push_back({"specimen",
                     {.theorem = kName, .n = expectation.n, .epsilon = Rational(1, 2), .seed = seed},
                     expectation,
                     expectation.word_bits,
                     input,
                     Answers(input.begin(), input.end()),
                     [=] { return std::make_unique<ToyProtocol>(expectation, defects, first_word); },
                     [bits = expectation.word_bits](const mpc::Protocol&, std::uint64_t, mpc::Word word) {
                       return std::optional(static_cast<std::int64_t>(word) -
                                            (std::int64_t{1} << (bits - 1)));
                     }});
  }
  return cases;
}

/// A rule that a toy protocol breaks, and what the runtime must say of it.
struct Breach {
  mpc::ModelViolation::Facts facts;
  bool stopped(const LimitCase& toy, mpc::Transport& transport) const {
    try {
      mpc::run(*toy.make(), encoded(toy.input, toy.input_bits), transport, {});
    } catch (const mpc::ModelViolation& violation) {
      const mpc::ModelViolation::Facts& said = violation.facts();
      return said.kind == facts.kind && said.round == facts.round && said.machine == facts.machine &&
             said.used == facts.used && said.allowed == facts.allowed;
    }
    return false;
  }
};

/// Every rule of the model broken once: how many of the breaches the runtime does not stop with the right
/// rule, machine, round, use and limit. `none_broken`: a toy protocol that keeps them all, as if it had been let
/// pass.
Check check_broken_rules(Context& context, bool none_broken) {
  context.progress("broken rules");
  const Expectation expectation = toy_expectation(kToySize);
  const std::uint64_t s = expectation.memory_words;
  using Kind = mpc::ModelViolation::Kind;
  const Breach breaches[] = {
      {{Kind::kWordsSent, 2, 0, s + 1, s}},
      {{Kind::kWordsReceived, 2, 0, s + 1, s}},
      {{Kind::kWordWidth, 2, 0, expectation.word_bits + 1, expectation.word_bits}},
      {{Kind::kDestination, 2, 0, expectation.machines, expectation.machines - 1}},
      {{Kind::kMessageAfterEnd, 4, 0, 0, 0}},
      {{Kind::kEarlyOutput, 2, 0, 0, 0}},
      {{Kind::kMissingOutput, 4, 0, 0, expectation.outputs - 1}},
      {{Kind::kDuplicateOutput, 4, 0, 0, expectation.outputs - 1}},
      {{Kind::kScratch, 2, 0, 1, 0}},
      {{Kind::kHeap, 2, 0, toy_heap_words(expectation) + 1, toy_heap_words(expectation)}},
      {{Kind::kStepFailed, 2, 0, 0, 0}}};
  std::uint64_t missed = 0;
  for (const Breach& breach : breaches) {
    ToyDefects defects;
    if (!none_broken) defects.breaks = breach.facts.kind;
    missed += !breach.stopped(toys(defects, context.seed)[0], context.transport);
  }
  return compare({.theorem = kName, .n = expectation.n, .epsilon = Rational(1, 2), .seed = context.seed},
                 "specimen: broken rules not stopped as such", static_cast<double>(missed), Relation::kEqual,
                 0);
}

/// Error codes that MPI's calls may return, and that the transport takes for success; also the reverse. `ignored`: as
/// if it looked at none.
Check check_mpi_codes(const Context& context, bool ignored) {
  constexpr int kCodes = 64;  // error classes of MPI 3.1 are below
  std::uint64_t mistaken = 0;
  for (int code = 0; code < kCodes; ++code) {
    bool refused = false;
    try {
      if (!ignored) mpc::require_mpi(code, "a call");
    } catch (const InternalError&) {
      refused = true;
    }
    mistaken += refused != (code != 0);
  }
  return compare({.theorem = kName, .n = kToySize, .seed = context.seed}, "transport: MPI codes mistaken",
                 static_cast<double>(mistaken), Relation::kEqual, 0);
}

/// `unseen`: as if nobody metered.
Check check_working_memory(const Context& context, bool unseen) {
  context.progress("working memory");
  return compare({.theorem = kName, .n = kHolderSize, .epsilon = Rational(1, 2), .seed = context.seed},
                 "heap of a step: limits misjudged",
                 static_cast<double>(working_memory_mistakes(context.transport, context.seed, unseen)),
                 Relation::kEqual, 0);
}

/// Protocols on more machines than N words need.
std::vector<Check> check_gamma(const Context& context, GammaDefect defect) {
  context.progress("gamma");
  const SpareMachines found = spare_machines(context.transport, context.seed, defect);
  std::vector<Check> all;
  for (const auto& [quantity, measured] :
       {std::pair("gamma: machines unlike ceil(kappa_q N^(1 + gamma) / b)", found.wrong_q),
        {"gamma: outputs unlike the oracle's", found.wrong_outputs},
        {"gamma: spare machines that idle or work against the card", found.wrong_use}}) {
    all.push_back(compare({.theorem = kName, .n = kSpareSize, .seed = context.seed}, quantity,
                          static_cast<double>(measured), Relation::kEqual, 0));
  }
  return all;
}

void cap_ledger(mpc::RunResult& result, std::uint64_t words) {
  for (mpc::RoundFacts& round : result.ledger.rounds) {
    round.max_words_sent = std::min(round.max_words_sent, words);
    round.max_words_received = std::min(round.max_words_received, words);
  }
}

class ModelLimits : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "protocols keep the limits of the MPC model, in the rounds they state";
  }
  std::string card() const override {
    return R"(Problem:   an R-round (gamma, eps)-MPC protocol on N words of p bits: b = ceil(N^eps) words a machine, s = kappa_s b.
Guarantee: in every round every machine sends at most s words and receives at most s, self-messages included; R is a
           formula in (N, eps, kappa_s) fixed before the input is seen; outputs are the task's.
Check:     recounted from the messages of every machine and round, on random, all-equal, sorted and reversed inputs;
           outputs against oracles written from the definitions; a limit one word below the maximum must stop the run.
           Up to N = 1024 two runs are executed again by the verifier itself, machine by machine in turns, protocols made
           anew for each step, and one with a process for each round: message lists must be those of the runs. A step that holds one word more on the heap than
           declared must be stopped, whatever form of operator new it came from; malloc, mmap and the stack are not seen.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Section 2 (the model); the rounds of the protocols are ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"kappa_s", "1 sum; 2 match2; 8 sort, k_hop", "s = kappa_s * ceil(N^eps)"},
            {"p", "48", "bits of a word"},
            {"k, M", "6, 37", "hops of k_hop, modulus of match2"}};
  }

  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const Case& c : cases(context.sizes)) {
      if (!context.wants(c.protocol + ": ", c.n)) continue;
      for (Check& check : check_limits(cases_of(c, context.seed), {}, context))
        all.push_back(std::move(check));
    }
    if (context.wants("specimen: ", kToySize)) {
      for (Check& check : check_limits(toys({}, context.seed), {}, context)) all.push_back(std::move(check));
      all.push_back(check_broken_rules(context, false));
    }
    if (context.wants("heap of a step: ", kHolderSize)) all.push_back(check_working_memory(context, false));
    if (context.wants("gamma: ", kSpareSize)) {
      for (Check& check : check_gamma(context, GammaDefect::kNone)) all.push_back(std::move(check));
    }
    if (context.wants("transport: ", kToySize)) all.push_back(check_mpi_codes(context, false));
    for (const std::uint64_t block : around_borders(8, kMaxBorderBlock)) {
      if (!context.wants("specimen: ", block * block)) continue;
      for (Check& check : check_limits(toys({}, context.seed, block * block), {}, context))
        all.push_back(std::move(check));
    }
    for (const std::uint64_t n : around_borders(1 << 15, 1 << 16)) {
      for (const char* protocol : {"sum", "sort"}) {
        const Case c{protocol, n, Rational(1, 2), 8};
        if (!context.wants(c.protocol + ": ", n)) continue;
        std::vector<LimitCase> random = cases_of(c, context.seed);
        random.resize(1);
        for (Check& check : check_limits(random, {}, context)) all.push_back(std::move(check));
      }
    }
    return all;
  }

  std::vector<Control> controls(Context& context) const override {
    const auto seed = context.seed;
    const Expectation expectation = toy_expectation(kToySize);
    const std::uint64_t s = expectation.memory_words;
    const std::uint64_t b = expectation.block_words;
    std::vector<Control> all;
    const auto judge = [&](const char* control, const char* quantity, const std::vector<LimitCase>& bad,
                           const Mutant& mutant, const std::vector<LimitCase>& good, const Mutant& sound) {
      all.push_back(judge_control(kName, control, "specimen: " + std::string(quantity),
                                  check_limits(bad, mutant, context), check_limits(good, sound, context)));
    };
    const auto sound = toys({}, seed);
    const auto with = [&](const ToyDefects& defects) { return toys(defects, seed); };

    // The ring's neighbour adds one word to what machine 0 receives and one to what it sends: b - 1 more make
    // s.
    const Mutant hidden{.limit_words = 2 * s,
                        .facts = [s](auto& result, const Trace&) { cap_ledger(result, s); }};
    judge("a machine sends s + 1 words, hidden by runtime and ledger", "words sent, machine and round",
          with({.extra_words = b}), hidden, with({.extra_words = b - 1}), {});
    judge("a machine receives s + 1 words, hidden by runtime and ledger", "words received, machine and round",
          with({.extra_words = b}), hidden, with({.extra_words = b - 1}), {});
    judge("a word of p + 1 bits under a wider declaration", "bits of the widest word",
          with({.wide_bits = 49}), {}, with({.wide_bits = 48}), {});
    judge("the rounds depend on the first input word", "rounds", with({.early_stop = true}), {}, sound, {});
    judge("one machine more than stated", "machines", with({.more_machines = 1}), {}, sound, {});
    judge("a ledger that forgets self-messages", "ledger rounds unlike the recount", sound,
          {.facts =
               [](mpc::RunResult& result, const Trace& trace) {
                 for (std::size_t r = 0; r < trace.sent.size(); ++r) {
                   mpc::RoundFacts facts;
                   for (std::size_t m = 0; m < trace.sent[r].size(); ++m) {
                     const std::uint64_t self = trace.sent_to_itself[r][m];
                     facts.max_words_sent = std::max(facts.max_words_sent, trace.sent[r][m] - self);
                     facts.max_words_received =
                         std::max(facts.max_words_received, trace.received[r][m] - self);
                     facts.total_words += trace.sent[r][m] - self;
                   }
                   result.ledger.rounds[r] = facts;
                 }
               }},
          sound, {});
    judge("one output word altered", "outputs unlike the oracle's", sound,
          {.facts =
               [](mpc::RunResult& result, const Trace&) {
                 if (!result.outputs.empty()) result.outputs[result.outputs.size() / 2] ^= 1;
               }},
          sound, {});
    judge("one output word missing", "outputs unlike the oracle's", sound,
          {.facts =
               [](mpc::RunResult& result, const Trace&) {
                 if (!result.outputs.empty()) result.outputs.pop_back();
               }},
          sound, {});
    judge("a word lost between two rounds", "steps, inboxes, outputs amiss", sound,
          {.steps =
               [](Recount& recount, std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
                  const mpc::Outbox& outbox) {
                 std::vector<mpc::RunHeader> headers;
                 std::uint32_t begin = 0;
                 for (const mpc::Run run : inbox) {
                   headers.push_back({run.source, run.sequence, begin});
                   begin += static_cast<std::uint32_t>(run.words.size());
                 }
                 const bool loses = round == 3 && machine == 1;
                 recount.stepped(round, machine,
                                 loses ? mpc::Inbox(headers, inbox.words().first(begin - 1)) : inbox, outbox);
               }},
          sound, {});
    judge("runs of an inbox in another order", "steps, inboxes, outputs amiss", sound,
          {.steps =
               [](Recount& recount, std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
                  const mpc::Outbox& outbox) {
                 // A machine has one run of its own and one of its neighbour: the words of both, sources swapped.
                 std::vector<mpc::RunHeader> headers;
                 std::uint32_t begin = 0;
                 for (const mpc::Run run : inbox) {
                   headers.push_back({run.source, run.sequence, begin});
                   begin += static_cast<std::uint32_t>(run.words.size());
                 }
                 const bool swaps = round == 3 && machine == 1 && headers.size() > 1;
                 if (swaps) std::swap(headers[0].source, headers[1].source);
                 recount.stepped(round, machine, swaps ? mpc::Inbox(headers, inbox.words()) : inbox, outbox);
               }},
          sound, {});
    judge("a first inbox that is another block of the input", "steps, inboxes, outputs amiss", sound,
          {.steps =
               [](Recount& recount, std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
                  const mpc::Outbox& outbox) {
                 std::vector<mpc::Word> words(inbox.words().begin(), inbox.words().end());
                 if (!words.empty()) words[0] ^= 1;
                 const mpc::RunHeader header{machine, 0, 0};
                 const bool alters = round == 1 && machine == 1;
                 recount.stepped(round, machine, alters ? mpc::Inbox({&header, 1}, words) : inbox, outbox);
               }},
          sound, {});
    judge("a machine stepped twice in a round", "steps, inboxes, outputs amiss", sound,
          {.steps =
               [](Recount& recount, std::uint32_t round, mpc::MachineId machine, const mpc::Inbox& inbox,
                  const mpc::Outbox& outbox) {
                 recount.stepped(round, machine, inbox, outbox);
                 // With nothing received and sent, so that only the step itself is amiss.
                 if (round == 2 && machine == 1) recount.stepped(round, machine, {}, {});
               }},
          sound, {});

    for (const auto& [control, memory] : {std::pair("machines remember in a static", ToyMemory::kStatic),
                                          {"machines remember in memory of the thread", ToyMemory::kThread},
                                          {"machines remember in a member", ToyMemory::kMember},
                                          {"a static that all machines add to", ToyMemory::kSum}}) {
      judge(control, "message lists unlike with two runs in turns", with({.memory = memory}), {}, sound, {});
    }
    for (const auto& [control, memory] :
         {std::pair("machines remember in memory of the thread, by round", ToyMemory::kRound),
          {"machines remember in a static, by a hash of their input", ToyMemory::kHash}}) {
      judge(control, "message lists unlike, a process a round", with({.memory = memory}), {}, sound, {});
    }
    const Check all_stopped = check_broken_rules(context, false);
    all.push_back(judge_control(kName, "rules that nobody breaks, and yet a breach is expected",
                                all_stopped.quantity, {check_broken_rules(context, true)}, {all_stopped}));

    const Check metered = check_working_memory(context, false);
    all.push_back(judge_control(kName, "words taken where no meter sees them", metered.quantity,
                                {check_working_memory(context, true)}, {metered}));

    const std::vector<Check> gammas = check_gamma(context, GammaDefect::kNone);
    const std::pair<const char*, GammaDefect> gamma_defects[] = {
        {"gamma printed and used nowhere", GammaDefect::kOverlooked},
        {"an output altered where machines are spare", GammaDefect::kOutput},
        {"machines of gamma that all idle", GammaDefect::kIdle}};
    for (std::size_t i = 0; i < std::size(gamma_defects); ++i) {
      all.push_back(judge_control(kName, gamma_defects[i].first, gammas[i].quantity,
                                  check_gamma(context, gamma_defects[i].second), gammas));
    }

    const Check codes = check_mpi_codes(context, false);
    all.push_back(judge_control(kName, "a transport that looks at no return code of MPI", codes.quantity,
                                {check_mpi_codes(context, true)}, {codes}));

    judge("a word too many, and the runtime stops", "runs stopped by the runtime", with({.extra_words = b}),
          {}, with({.extra_words = b - 1}), {});
    // A memory one word below the measured maximum, in words declared and in words used.
    auto tight = with({.extra_words = b - 1});
    for (LimitCase& e : tight) --e.expectation.memory_words;
    judge("s one word below the measured maximum", "words sent, machine and round", tight, {},
          with({.extra_words = b - 1}), {});
    judge("s declared one word above the stated one", "memory s declared, words", tight, {},
          with({.extra_words = b - 1}), {});
    judge("a runtime that overlooks the limit it is given", "words used where one less is allowed", sound,
          {.limits_overlooked = true}, sound, {});
    return all;
  }

 private:
  static std::vector<Case> cases(Sizes sizes) {
    // In range: s <= N/4. 5000 is no power, no square, and no multiple of its b.
    std::vector<Case> all;
    const auto add = [&](const char* protocol, std::uint64_t n, Rational epsilon, std::uint64_t kappa_s,
                         const std::map<std::string, std::string>& options = {}) {
      all.push_back({protocol, n, epsilon, kappa_s, options});
    };
    const Rational half(1, 2);
    for (const std::uint64_t n : {1024, 5000, 16384}) {
      add("sum", n, Rational(1, 4), 1);
      add("match2", n, Rational(1, 4), 2, {{"M", "37"}});
      add("sort", n, half, 8);
      add("k_hop", n, half, 8, {{"k", "6"}});  // of two bits: sums are pushed, too
    }
    if (sizes == Sizes::kFull) {
      for (const auto& [epsilon, kappa] : {std::pair(half, 16), {Rational(1, 3), 16}, {Rational(3, 5), 6}}) {
        for (const std::uint64_t n : {4096, 5000, 16384}) {
          add("sum", n, epsilon, 1);
          add("sort", n, epsilon, kappa);
          add("k_hop", n, epsilon, kappa, {{"k", "7"}});
        }
      }
    }
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_model_limits() {
  return std::make_unique<ModelLimits>();
}

}  // namespace roundtrip::proofs_check
