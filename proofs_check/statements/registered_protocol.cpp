// Statement for a protocol by its name, a user's own as well: it keeps the model that it declares, is a pure
// function of what its machines receive, gives its oracle's answers, and is the transformer that it compiles
// to. What it declares is taken at its word here: whether R is the formula that it should be is for a
// statement of its own.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/stages/phase.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/proofs_check/executor.h"
#include "roundtrip/proofs_check/instances.h"
#include "roundtrip/proofs_check/recount.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/registered_protocol.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"
#include "roundtrip/simulate/compile/compare.h"

namespace roundtrip::proofs_check {
namespace {

constexpr std::uint64_t kInputs = 2;  // drawn at every size
constexpr std::uint64_t kControlSize = 256;
constexpr std::uint32_t kMaxCompiledBits = 48;  // wider words are for runs alone
// Of a protocol with a failure probability: sizes of which the first that it serves is drawn often, draws on an
// instance, at most, and instances, at most (number_instances() twice, graph_instances(), one that is generated).
constexpr std::uint64_t kDrawnSizes[] = {64, 256};
constexpr std::uint64_t kMaxDraws = 20000;
constexpr std::uint32_t kMaxInstances = 24;

struct Defect {
  bool output_altered = false;
  bool remembers = false;          ///< machines know whether they have stepped before
  bool counts = false;             ///< and which machines of the process have, in the same round
  std::uint64_t memory_words = 0;  ///< declared instead of s
};

/// The protocol with a defect.
class Defective final : public mpc::Protocol {
 public:
  Defective(std::unique_ptr<const mpc::Protocol> inner, const Defect& defect)
      : inner_(std::move(inner)), defect_(defect), shape_(inner_->shape()) {
    if (defect.memory_words > 0) shape_.memory_words = defect.memory_words;
    shape_.heap_words = ~std::uint32_t{0};  // an outbox of its own is no part of the protocol
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    // Nothing is to be altered: the outbox itself finds what the protocol does wrong.
    if (!defect_.output_altered && !defect_.remembers && !defect_.counts)
      return inner_->step(step, inbox, outbox);
    mpc::Outbox own;
    mpc::Outbox::Limits limits = outbox.limits();
    limits.words = ~std::uint64_t{0};  // what is too much is passed on, for the outbox to find
    own.reset(limits);
    inner_->step(step, inbox, own);
    const bool last = own.limits().last_round;
    // In round R, whether a machine of this number has stepped before in the process.
    static std::uint32_t round = 0;
    static std::set<mpc::MachineId> stepped;
    bool other_run = false;
    if (defect_.counts) {
      if (std::exchange(round, step.round) != step.round) stepped.clear();
      other_run = !stepped.insert(step.machine).second && last;
    }
    const bool alters = defect_.output_altered || (defect_.remembers && stepped_before_) || other_run;
    stepped_before_ = stepped_before_ || !last;
    own.for_each_word([&](std::uint64_t destination, mpc::Word word) {
      last ? outbox.deliver(destination, word ^ (alters && destination == 0 ? 1 : 0))
           : outbox.send(static_cast<mpc::MachineId>(destination), word);
    });
  }

 private:
  std::unique_ptr<const mpc::Protocol> inner_;
  Defect defect_;
  mpc::Shape shape_;
  mutable bool stepped_before_ = false;
};

class RegisteredProtocol final : public Statement {
 public:
  RegisteredProtocol(const mpc::ProtocolInfo& info, ProtocolInstance given)
      : info_(info), given_(std::move(given)) {}
  std::string name() const override { return info_.name; }
  std::string title() const override {
    return "the protocol respects its limits, gives the right answers, and equals its transformer";
  }
  std::string card() const override { return info_.card; }
  std::vector<Constant> constants() const override {
    return {
        {"R", info_.rounds_formula, "rounds, as declared"},
        {"kappa_s", std::to_string(info_.kappa_s), "s = kappa_s * ceil(N^eps), unless no plan is so small"}};
  }

  std::uint32_t statistical_checks(Sizes) const override {
    return !randomised() ? 0 : given_.values ? 1 : kMaxInstances;
  }

  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    std::vector<std::uint64_t> sizes = {kControlSize, 4096};
    if (context.sizes == Sizes::kFull) sizes.push_back(16384);
    if (given_.parameters.n != 0) sizes = {given_.parameters.n};
    std::ranges::transform(sizes, sizes.begin(), [this](std::uint64_t n) { return served(n); });
    for (const std::uint64_t n : sizes) {
      for (Check& check : checks_at(n, n == sizes.front(), {}, context)) all.push_back(std::move(check));
    }
    if (given_.parameters.n == 0 && !randomised()) {
      for (Check& check : named_instances(context)) all.push_back(std::move(check));
    }
    for (Check& check : failures({}, context, kMaxInstances)) all.push_back(std::move(check));
    if (all.empty()) all.push_back(not_served(sizes, context));
    return all;
  }

  std::vector<Control> controls(Context& context) const override {
    const std::uint64_t size = served(given_.parameters.n != 0 ? given_.parameters.n : kControlSize);
    const std::vector<Check> sound = checks_at(size, true, {}, context);
    std::vector<Control> all;
    const auto judge = [&](const char* control, const char* quantity, const Defect& defect) {
      const auto refuted = [&](const Check& check) {
        return check.quantity == quantity && check.verdict == Verdict::kRefuted;
      };
      const std::vector<Check> bad = checks_at(size, true, defect, context);
      all.push_back({info_.name, control, quantity, std::ranges::any_of(bad, refuted),
                     std::ranges::none_of(sound, refuted)});
    };
    std::uint64_t rounds = 0;
    std::uint64_t sent = 0;
    bool compiled = false;
    for (const Check& check : sound) {
      if (check.quantity == "rounds") rounds = static_cast<std::uint64_t>(check.measured);
      if (check.quantity == "words sent, machine and round")
        sent = static_cast<std::uint64_t>(check.measured);
      compiled = compiled || check.quantity == "direct transformer: layers";
    }
    if (rounds == 0) return all;  // the protocol does not serve this size
    if (randomised()) {
      const std::vector<Check> rate = failures({}, context, 1),
                               bad = failures({.output_altered = true}, context, 1);
      if (!rate.empty()) {
        all.push_back({info_.name, "one output word altered in every draw", rate[0].quantity,
                       bad[0].verdict == Verdict::kRefuted, rate[0].verdict != Verdict::kRefuted});
      }
    } else if (info_.has_answers()) {
      judge("one output word altered", kAnswers, {.output_altered = true});
    }
    if (compiled)
      judge("a transformer of an altered protocol", "direct transformer: outputs unlike the run's",
            {.output_altered = true});
    if (rounds > 1) {
      judge("machines that remember having stepped", "outputs unlike in random order, rebuilt each step",
            {.remembers = true});
      judge("machines that count steps in a static", "message lists unlike with two runs in turns",
            {.counts = true});
    }
    if (sent > mpc::block_words(parameters_at(size, context.seed), 1))
      judge("s declared one word below the words sent", "words sent, machine and round",
            {.memory_words = sent - 1});
    return all;
  }

 private:
  static constexpr const char* kAnswers = "outputs unlike the oracle's";

  bool randomised() const { return info_.failure_probability > 0; }

  /// Why there is no check: inconclusive, with what the protocol says.
  Check not_served(const std::vector<std::uint64_t>& sizes, const Context& context) const {
    Check check;
    check.configuration = {.theorem = info_.name, .n = sizes.front(), .seed = context.seed};
    check.quantity = "sizes that the protocol serves";
    check.relation = Relation::kAtLeast;
    check.bound = 1;
    try {
      const auto protocol = info_.make(parameters_at(sizes.front(), context.seed));
      check.reason = "nothing was checked";
    } catch (const ContractError& error) {
      check.reason = error.what();
    }
    return check;
  }

  /// N, or the next smaller size that the protocol serves if that is near: N may be words of whole records. The size of an
  /// input that was given stays.
  std::uint64_t served(std::uint64_t n) const {
    constexpr std::uint64_t kNear = 8;
    for (std::uint64_t size = n; !given_.values && size > 0 && size + kNear > n; --size) {
      try {
        static_cast<void>(info_.make(parameters_at(size, 1)));
        return size;
      } catch (const ContractError&) {  // not at this size
      }
    }
    return n;
  }

  mpc::Parameters parameters_at(std::uint64_t n, std::uint64_t seed) const {
    mpc::Parameters parameters = given_.parameters;
    parameters.n = n;
    parameters.seed = seed;
    return parameters;
  }

  std::vector<mpc::Word> input_of(const mpc::Parameters& parameters, const mpc::Shape& shape,
                                  mpc::Values& values) const {
    if (given_.values) {
      values = *given_.values;
    } else if (info_.generate) {
      values = info_.generate(parameters);
    } else {
      RandomStream stream(parameters.seed, Domain::kInstance);
      values.resize(parameters.n);
      for (std::int64_t& value : values) value = static_cast<std::int64_t>(stream.below(parameters.n));
    }
    std::vector<mpc::Word> words;
    for (const std::int64_t value : values)
      words.push_back(mpc::encode_input(value, shape, "a generated word"));
    return words;
  }

  /// Collective. Nothing at a size that the protocol does not serve.
  std::vector<Check> checks_at(std::uint64_t n, bool compiles, const Defect& defect, Context& context) const {
    std::vector<Check> all;
    std::vector<Run> runs;
    std::vector<Trace> traces;
    for (std::uint64_t draw = 0; draw < kInputs; ++draw) {
      const mpc::Parameters parameters = parameters_at(n, context.seed + draw);
      const auto make = [this, parameters,
                         defect]() -> std::unique_ptr<const mpc::Protocol> {  // outlives the draw
        return std::make_unique<Defective>(info_.make(parameters), defect);
      };
      std::unique_ptr<const mpc::Protocol> protocol;
      try {
        protocol = make();
      } catch (const ContractError&) {
        return all;
      }
      context.progress(info_.name + " N = " + std::to_string(n));
      const mpc::Shape& shape = protocol->shape();
      const Configuration configuration{.theorem = info_.name,
                                        .n = n,
                                        .epsilon = parameters.epsilon,
                                        .below_range = shape.below_range(),
                                        .seed = parameters.seed};
      const auto add = [&](std::string quantity, std::uint64_t measured, Relation relation,
                           std::uint64_t bound) {
        all.push_back(compare(configuration, std::move(quantity), static_cast<double>(measured), relation,
                              static_cast<double>(bound)));
      };
      mpc::Values values;
      const std::vector<mpc::Word> input = input_of(parameters, shape, values);
      Recount recount({shape.block_words, shape.machines, shape.rounds, shape.outputs}, input);
      mpc::RunOptions options;
      options.observer = &recount;
      if (defect.memory_words > 0) options.limit_words = info_.make(parameters)->shape().memory_words;
      const mpc::RunResult result =
          in_phases(parameters, [&] { return mpc::run(*protocol, input, context.transport, options); });
      const Trace trace = recount.trace(context.transport);

      add("rounds", trace.rounds, Relation::kEqual, shape.rounds);
      add("words sent, machine and round", trace.max_sent(), Relation::kAtMost, shape.memory_words);
      add("words received, machine and round", trace.max_received(), Relation::kAtMost, shape.memory_words);
      add("bits of the widest word", trace.widest_bits, Relation::kAtMost, shape.word_bits);
      const auto undelivered =
          std::ranges::count_if(trace.deliveries, [](std::uint64_t d) { return d != 1; });
      add("steps, inboxes, outputs amiss",
          trace.irregular_steps + trace.disordered_inboxes + trace.stray_words + trace.input_mismatches +
              trace.unconserved() + static_cast<std::uint64_t>(undelivered),
          Relation::kEqual, 0);
      if (info_.has_answers() && !randomised()) {
        add(kAnswers, on_root(context, [&] { return wrong(*protocol, result.outputs, values, parameters); }),
            Relation::kEqual, 0);
      }
      if (defect.memory_words > 0) continue;  // what follows keeps to the memory declared
      mpc::RunOptions shaken;
      shaken.order_seed = parameters.seed;
      shaken.rebuild = make;
      const mpc::RunResult again = mpc::run(*protocol, input, context.transport, shaken);
      add("outputs unlike in random order, rebuilt each step",
          on_root(context, [&] { return different(again.outputs, result.outputs); }), Relation::kEqual, 0);
      add("words used where one less is allowed",
          used_at_lower_limit(*protocol, input, std::max(trace.max_sent(), trace.max_received()), context),
          Relation::kEqual, std::max(trace.max_sent(), trace.max_received()));
      runs.push_back({make, input});
      traces.push_back(trace);
      if (runs.size() == kInputs && compiles) {
        add("message lists unlike with two runs in turns", unlike_in_turns(runs, traces, context),
            Relation::kEqual, 0);
      }
      if (!compiles || shape.word_bits > kMaxCompiledBits) continue;
      for (const simulate::ConstructionInfo* construction : simulate::all_constructions()) {
        const auto compiled = simulate::compile(
            std::shared_ptr<const mpc::Protocol>(make()),
            {.construction = construction->name, .seed = parameters.seed, .name = info_.name});
        const auto attention = simulate::make_attention(compiled, "ema");
        // The same on every rank: a transformer's evaluation knows nothing of ranks.
        const simulate::Comparison both = simulate::compare(compiled, input, *attention);
        const std::vector<mpc::Word> sound =
            defect.output_altered ? run_in_process(*info_.make(parameters), input) : both.run_words;
        const std::string kind = construction->name + " transformer: ";
        add(kind + "outputs unlike the run's",
            both.fault ? shape.outputs : different(both.outputs.words, sound), Relation::kEqual, 0);
        add(kind + "layers", both.sizes.depth, Relation::kEqual, compiled.bound.depth);
      }
    }
    return all;
  }

  /// Collective: message lists and outputs of the verifier's own execution that are not those of the runs.
  static std::uint64_t unlike_in_turns(const std::vector<Run>& runs, const std::vector<Trace>& traces,
                                       Context& context) {
    return mpc::from_root(context.transport, [&] {
      const std::vector<Execution> executions = execute_in_turns(runs, context.seed);
      std::uint64_t unlike = 0;
      for (std::size_t i = 0; i < runs.size(); ++i)
        unlike += differences(executions[i], traces[i].prints, traces[i].outputs);
      return unlike;
    });
  }

  /// Collective: the named instances that the task admits, at the sizes that the protocol serves, two of them
  /// in turns; a check a size.
  std::vector<Check> named_instances(Context& context) const {
    std::vector<Check> all;
    if (!info_.has_answers()) return all;
    std::vector<std::uint64_t> sizes = small_sizes();
    sizes.push_back(kControlSize);
    for (const std::uint64_t n : sizes) {
      const mpc::Parameters parameters = parameters_at(n, context.seed);
      std::shared_ptr<const mpc::Protocol> protocol;
      try {
        protocol = info_.make(parameters);
      } catch (const ContractError&) {
        continue;
      }
      context.progress(info_.name + " N = " + std::to_string(n) + ", named instances");
      const mpc::Shape& shape = protocol->shape();
      const std::uint64_t count =
          mpc::from_root(context.transport, [&] { return wrong_on_named(parameters, protocol); });
      all.push_back(compare({.theorem = info_.name,
                             .n = n,
                             .epsilon = parameters.epsilon,
                             .below_range = shape.below_range(),
                             .seed = parameters.seed},
                            "named instances: outputs unlike the oracle's", static_cast<double>(count),
                            Relation::kEqual, 0));
    }
    return all;
  }

  std::uint64_t wrong_on_named(const mpc::Parameters& parameters,
                               const std::shared_ptr<const mpc::Protocol>& protocol) const {
    std::vector<Run> runs;
    const std::vector<mpc::Values> values = admitted(parameters, *protocol);
    for (const mpc::Values& input : values) runs.push_back({same(protocol), encoded(input, *protocol)});
    std::uint64_t count = 0;
    const std::vector<Execution> executions = execute_in_turns(runs, parameters.seed);
    for (std::size_t i = 0; i < runs.size(); ++i)
      count += executions[i].broken + wrong(*protocol, executions[i].outputs, values[i], parameters);
    return count;
  }

  static std::vector<mpc::Word> encoded(const mpc::Values& values, const mpc::Protocol& protocol) {
    std::vector<mpc::Word> words;
    for (const std::int64_t value : values)
      words.push_back(mpc::encode_input(value, protocol.shape(), "a word"));
    return words;
  }

  /// The named instances that the task admits.
  std::vector<mpc::Values> admitted(const mpc::Parameters& parameters, const mpc::Protocol& protocol) const {
    const mpc::Shape& shape = protocol.shape();
    const std::uint64_t n = parameters.n;
    const std::int64_t half = std::int64_t{1} << (shape.input_bits - 1);
    std::vector<NamedInput> inputs = number_instances(n, -half, half - 1, shape.block_words);
    // The task may ask for numbers below N (symbols, vertices), or for small ones.
    for (NamedInput& input : number_instances(
             n, 0, static_cast<std::int64_t>(std::max<std::uint64_t>(n, 2)) - 1, shape.block_words))
      inputs.push_back(std::move(input));
    if (n >= 8 && n % 2 == 0) {
      for (NamedInput& input : graph_instances(n)) inputs.push_back(std::move(input));
    }
    std::vector<mpc::Values> values;
    for (NamedInput& input : inputs) {
      try {
        if (info_.accept) info_.accept(input.values, parameters);
      } catch (const ContractError&) {
        continue;
      }
      values.push_back(std::move(input.values));
    }
    return values;
  }

  /// Collective. Of a protocol with a failure probability: on every instance by itself, how often its answers are wrong
  /// over draws of its seed, beside that probability. On all instances together it would hide one bad one.
  std::vector<Check> failures(const Defect& defect, Context& context, std::size_t most) const {
    std::vector<Check> all;
    if (!randomised() || !info_.has_answers()) return all;
    std::vector<std::uint64_t> sizes(std::begin(kDrawnSizes), std::end(kDrawnSizes));
    if (given_.parameters.n != 0) sizes = {given_.parameters.n};
    std::shared_ptr<const mpc::Protocol> protocol;
    mpc::Parameters parameters;
    for (std::size_t i = 0; i < sizes.size() && !protocol; ++i) {
      parameters = parameters_at(served(sizes[i]), context.seed);
      try {
        protocol = info_.make(parameters);
      } catch (const ContractError&) {  // not at this size
      }
    }
    if (!protocol) return all;
    std::vector<mpc::Values> inputs(1);
    static_cast<void>(input_of(parameters, protocol->shape(), inputs[0]));
    if (!given_.values) {
      for (mpc::Values& values : admitted(parameters, *protocol)) inputs.push_back(std::move(values));
    }
    ensure(inputs.size() <= kMaxInstances, "more instances than statistical checks");
    inputs.resize(std::min(inputs.size(), most));
    // At most eight times what no failure at all would need, so that a rate of half the bound is told from it; a thousand
    // cost nothing. Four looks, each at twice the draws of the one before and with a quarter of the false alarms, are fixed
    // beforehand: by the union bound the first that decides may end it, and no failure at all takes an eighth.
    constexpr std::uint64_t kLooks = 4;
    const double bound = info_.failure_probability, alarm = context.alarm / kLooks;
    const std::uint64_t needed = 8 * trials_to_prove(bound, alarm);
    const std::uint64_t most_draws = std::min(kMaxDraws, std::max<std::uint64_t>(needed, 1000));
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      std::uint64_t draws = 0, failed = 0;
      for (std::uint64_t look = 1; look <= kLooks; ++look) {
        const std::uint64_t before =
            std::exchange(draws, ceil_div(most_draws, std::uint64_t{1} << (kLooks - look)));
        context.progress(
            fmt::format("{}: up to {} draws, instance {} of {}", info_.name, draws, i + 1, inputs.size()));
        failed += spread_count(context.transport, draws - before, [&](std::uint64_t draw) {
          mpc::Parameters own = parameters;
          own.seed = roundtrip::draw(context.seed, Domain::kTest, i, before + draw);
          const Defective drawn(info_.make(own), defect);
          try {
            return wrong(drawn, run_in_process(drawn, encoded(inputs[i], drawn)), inputs[i], own) > 0;
          } catch (const mpc::ModelViolation&) {
            return true;
          }
        });
        const auto [low, high] = clopper_pearson(failed, draws, alarm);
        if (high <= bound || low > bound) break;
      }
      all.push_back(compare_interval(
          {.theorem = info_.name, .n = parameters.n, .epsilon = parameters.epsilon, .seed = context.seed},
          "P[answers wrong], over draws: instance " + std::to_string(i + 1),
          static_cast<double>(failed) / static_cast<double>(draws), clopper_pearson(failed, draws, alarm),
          Relation::kAtMost, bound));
      if (draws < needed && all.back().verdict == Verdict::kInconclusive)
        all.back().reason = fmt::format("{} draws would tell, at most {} are made", needed, kMaxDraws);
    }
    return all;
  }

  /// What rank 0 counts, on every rank.
  template <typename Count>
  static std::uint64_t on_root(Context& context, const Count& count) {
    std::uint64_t value = context.transport.rank() == 0 ? count() : 0;
    context.transport.sum({&value, 1});
    return value;
  }

  static std::uint64_t different(const std::vector<mpc::Word>& a, const std::vector<mpc::Word>& b) {
    std::uint64_t count = std::max(a.size(), b.size()) - std::min(a.size(), b.size());
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) count += a[i] != b[i];
    return count;
  }

  std::uint64_t wrong(const mpc::Protocol& protocol, const std::vector<mpc::Word>& outputs,
                      const mpc::Values& values, const mpc::Parameters& parameters) const {
    return mpc::wrong_outputs(info_, values, mpc::decode_outputs(info_, protocol, outputs), parameters);
  }

  static std::uint64_t used_at_lower_limit(const mpc::Protocol& protocol, const std::vector<mpc::Word>& input,
                                           std::uint64_t most, Context& context) {
    if (most < 2) return most;  // a limit of 0 stands for s
    try {
      mpc::RunOptions options;
      options.limit_words = most - 1;
      mpc::run(protocol, input, context.transport, options);
    } catch (const mpc::ModelViolation& violation) {
      return violation.facts().used;
    }
    return 0;
  }

  /// What `run` gives; a violation with the phase that the protocol itself names.
  template <typename RunIt>
  mpc::RunResult in_phases(const mpc::Parameters& parameters, const RunIt& run) const {
    try {
      return run();
    } catch (const mpc::ModelViolation& violation) {
      throw mpc::ViolationInPhase(violation, *info_.make(parameters));
    }
  }

  static std::vector<mpc::Word> run_in_process(const mpc::Protocol& protocol,
                                               const std::vector<mpc::Word>& input) {
    const auto transport = mpc::make_in_process_transport();
    return mpc::run(protocol, input, *transport).outputs;
  }

  const mpc::ProtocolInfo& info_;
  const ProtocolInstance given_;
};

}  // namespace

std::unique_ptr<const Statement> make_registered_protocol(const mpc::ProtocolInfo& info) {
  return make_registered_protocol(info, ProtocolInstance{});
}
std::unique_ptr<const Statement> make_registered_protocol(const mpc::ProtocolInfo& info,
                                                          const ProtocolInstance& given) {
  return std::make_unique<RegisteredProtocol>(info, given);
}

}  // namespace roundtrip::proofs_check
