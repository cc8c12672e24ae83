// Statement: a state-space layer is O(1) rounds, whatever N is, since its recurrence is associative; recurrent layers are
// C + L - 1 rounds on the C owners of blocks, which grow like N / b.
#include <algorithm>
#include <array>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/native/recurrent_k_hop.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "state_space_rounds";
constexpr std::uint64_t kHops = 2, kLayers = kHops + 1, kKappa = 4;
constexpr std::uint32_t kSymbols = 4;
const Rational kEpsilon(1, 2), kDelta(1, 10);
constexpr std::uint64_t kRoundsForEveryN = 2 + 4 * kLayers;  // a scan is a tree of depth 2 at most
constexpr const char* kMechanisms[] = {"state_space", "rnn", "lstm"};

/// What a control does.
struct Defect {
  std::uint32_t rounds = 0, hops = 0;  ///< more
  bool altered = false;
  std::uint64_t words = 0;        ///< more
  const char* instead = nullptr;  ///< a network of another mechanism
};

/// Sizes as this file states them: rows of 3 numbers take 4 words, so a token takes 2 * 4 of its owner's s; or the 6 words
/// that it delivers.
struct Stated {
  std::uint64_t memory_words, blocks, rounds;
};
Stated stated(const std::string& mechanism, std::uint64_t n) {
  Stated sizes{};
  sizes.memory_words = kKappa * root_ceil(n, kEpsilon + kDelta);
  sizes.blocks = (n + sizes.memory_words / 8 - 1) / (sizes.memory_words / 8);
  // The scan's elements are channels, 2 in the first layer and one for each symbol later: whether it is open, its value.
  const auto depth = [&](std::uint64_t channels) {
    const std::uint64_t fan =
        std::min(sizes.memory_words / 4 / (2 * channels), std::max<std::uint64_t>(2, sizes.blocks));
    return std::max(1u, log_ceil(fan, sizes.blocks));
  };
  sizes.rounds = mechanism == "state_space" ? 2 + 2 * depth(2) + kHops * 2 * depth(kSymbols)
                                            : 2 + sizes.blocks + kLayers - 1;
  return sizes;
}

mpc::Parameters parameters_at(std::uint64_t n) {
  mpc::Parameters parameters;
  parameters.n = n;
  parameters.epsilon = kEpsilon;
  parameters.delta = kDelta;
  parameters.kappa_s = kKappa;
  return parameters;
}

anna::Model model_of(const std::string& mechanism, std::uint64_t n, const Defect& defect) {
  return simulate::recurrent_k_hop_model(defect.instead != nullptr ? defect.instead : mechanism,
                                         {.n = n, .k = kHops + defect.hops, .symbols = kSymbols});
}

Configuration at(std::uint64_t n, const Context& context) {
  return {.theorem = kName,
          .n = n,
          .epsilon = kEpsilon,
          .delta = kDelta,
          .below_range = stated("rnn", n).memory_words > n / 4,
          .seed = context.seed};
}

std::vector<Check> plan_checks(const std::string& mechanism, std::uint64_t n, const Defect& defect,
                               Context& context) {
  context.progress("rounds of " + mechanism + " by plan, N = " + std::to_string(n));
  const simulate::DecompilePlan plan =
      simulate::size_decompile(model_of(mechanism, n, defect), parameters_at(n));
  const Stated sizes = stated(mechanism, n);
  const std::string which = mechanism + " by plan: ";
  std::vector<Check> all{
      compare(at(n, context), which + "rounds R", plan.rounds + static_cast<double>(defect.rounds),
              Relation::kEqual, static_cast<double>(sizes.rounds)),
      compare(at(n, context), which + "owners of blocks C", static_cast<double>(plan.blocks + defect.rounds),
              Relation::kEqual, static_cast<double>(sizes.blocks))};
  if (mechanism == "state_space") {
    all.push_back(compare(at(n, context), which + "rounds R, the same bound for every N", plan.rounds,
                          Relation::kAtMost, kRoundsForEveryN));
  } else {
    all.push_back(compare(at(n, context), which + "rounds R, at least N / s", plan.rounds, Relation::kAtLeast,
                          static_cast<double>(n) / static_cast<double>(sizes.memory_words)));
  }
  return all;
}

std::vector<Check> run_checks(const std::string& mechanism, std::uint64_t n, const Defect& defect,
                              Context& context) {
  context.progress(mechanism + " as a protocol, N = " + std::to_string(n));
  const auto facts = mpc::from_root(context.transport, [&] {
    RandomStream random(context.seed, Domain::kInstance, n, kSymbols);
    Numbers text(n);
    for (std::int64_t& x : text) x = static_cast<std::int64_t>(random.below(kSymbols));
    const std::vector<mpc::Word> input(text.begin(), text.end());
    const simulate::DecompiledRun run =
        simulate::run_decompiled(model_of(mechanism, n, defect), input, parameters_at(n));
    simulate::OutputWords out = simulate::read_outputs(run.rows, n);
    if (defect.altered) out.words[n / 2] ^= 1;
    const Answers answers = oracle_k_hop(text, kHops);
    std::uint64_t wrong = out.faulty.size();
    for (std::uint64_t t = 0; t < n; ++t)
      wrong += out.words[t] != (answers[t] ? static_cast<mpc::Word>(*answers[t]) + 1 : 0);
    const mpc::RoundFacts most = run.run.ledger.overall();
    return std::array<std::uint64_t, 3>{run.run.ledger.rounds.size(),
                                        std::max(most.max_words_sent, most.max_words_received), wrong};
  });
  const Stated sizes = stated(mechanism, n);
  const std::string which = mechanism + " in runs: ";
  return {compare(at(n, context), which + "rounds R", static_cast<double>(facts[0] + defect.rounds),
                  Relation::kEqual, static_cast<double>(sizes.rounds)),
          compare(at(n, context), which + "words of a machine in a round",
                  static_cast<double>(facts[1] + defect.words), Relation::kAtMost,
                  static_cast<double>(sizes.memory_words)),
          compare(at(n, context), which + "outputs unlike the oracle's", static_cast<double>(facts[2]),
                  Relation::kEqual, 0)};
}

class StateSpaceRounds : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "State-space layers are O(1) rounds; recurrent layers N/b"; }
  std::string card() const override {
    return R"(Problem:   k-hop over 4 symbols, k = 2, by networks of L = 3 layers, as protocols on C owners of blocks.
Guarantee: state space: 2 + sum over layers of 2 max(1, ceil(log_f C)) rounds, at most 14 for every N at eps = 1/2,
           delta = 1/10; so by a translator an ANNA-transformer of depth O(L). RNN and LSTM: C + L + 1 rounds, at least
           N / s: each block waits for the one before, and the next layer is one round behind.
Check:     rounds, owners and words by plan up to N = 2^24; and in runs, with the answers beside the definition.
Range:     an upper bound for state space and what our translation takes for recurrent networks, no lower bound of
           theirs. The theory's lower bound says nothing while N / k^6 < 1; by depth or width, see recurrent_state.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025 (section 4); Gu, Dao 2023 (the scan); the statement is ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"eps, delta, kappa_s", "1/2, 1/10, 4", "s = kappa_s ceil(N^(eps + delta))"},
            {"R of state space", "14", "for every N; 8 from 2^20 on"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    const auto append = [&](const std::vector<Check>& checks) {
      all.insert(all.end(), checks.begin(), checks.end());
    };
    for (const std::string mechanism : kMechanisms) {
      for (const std::uint64_t n : {1 << 12, 1 << 16, 1 << 20, 1 << 24}) {
        if (context.wants(mechanism + " by plan: ", n)) append(plan_checks(mechanism, n, {}, context));
      }
      for (const std::uint64_t n : run_sizes(context.sizes)) {
        if (context.wants(mechanism + " in runs: ", n)) append(run_checks(mechanism, n, {}, context));
      }
    }
    return all;
  }
  std::vector<Metric> metrics(const Context&) const override {
    std::vector<Metric> all;
    for (const std::uint64_t n : {1 << 12, 1 << 24}) {
      for (const std::string mechanism : kMechanisms)
        all.push_back({mechanism + ": rounds", n, static_cast<double>(stated(mechanism, n).rounds)});
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    std::vector<Control> all;
    const auto judge = [&](const char* control, std::size_t which, const auto& make, const Defect& defect) {
      const std::vector<Check> sound = make(Defect{});
      all.push_back(judge_control(kName, control, sound[which].quantity, make(defect), sound));
    };
    const auto scan = [&](const Defect& defect) {
      return plan_checks("state_space", 1 << 16, defect, context);
    };
    judge("one round more, by plan", 0, scan, {.rounds = 1});
    judge("one owner more", 1, scan, {.rounds = 1});
    judge("a recurrent network in state space's place", 2, scan, {.instead = "rnn"});
    const auto wave = [&](const Defect& defect) { return plan_checks("rnn", 1 << 16, defect, context); };
    judge("state space in the recurrent network's place", 2, wave, {.instead = "state_space"});
    const auto run = [&](const Defect& defect) { return run_checks("rnn", 1024, defect, context); };
    judge("one hop more", 0, run, {.hops = 1});
    judge("s more words", 1, run, {.words = stated("rnn", 1024).memory_words});
    judge("one output altered", 2, run, {.altered = true});
    return all;
  }

 private:
  static std::vector<std::uint64_t> run_sizes(Sizes sizes) {
    if (sizes == Sizes::kSmall) return {1024, 2048};
    return {1024, 2048, 8192};
  }
};

}  // namespace

std::unique_ptr<const Statement> make_state_space_rounds() {
  return std::make_unique<StateSpaceRounds>();
}

}  // namespace roundtrip::proofs_check
