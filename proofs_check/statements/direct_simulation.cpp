// Statement: an R-round MPC protocol is an EMA-transformer, and an ANNA-transformer, of depth R + 1 that
// gives the same words (the direct construction). Layers are counted as they are evaluated, heads and
// dimensions as they are used.
#include <algorithm>
#include <cmath>
#include <set>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/isolation.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/packet_code.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "direct_simulation";
constexpr std::uint64_t kIdDimension = 128;
constexpr std::uint64_t kIsolatedSize = 1024;

enum class Mechanism : std::uint8_t { kExactMatch, kAnna, kReference, kSums, kFewFunctions };

struct Job {
  Case c;
  Mechanism mechanism;
  NetworkMutant mutant{};
};

/// A compiled case and the attention for it.
struct Built {
  simulate::Compiled compiled;
  std::unique_ptr<anna::Attention> attention;
};

Built build(const Job& job, std::uint64_t seed) {
  const std::shared_ptr<const mpc::Protocol> protocol =
      mpc::find_protocol(job.c.protocol).make(parameters_of(job.c, seed));
  Built built{simulate::compile(protocol, {.seed = seed, .name = job.c.protocol}), nullptr};
  switch (job.mechanism) {
    case Mechanism::kExactMatch:
      built.attention = simulate::make_attention(built.compiled, "ema");
      break;
    case Mechanism::kAnna:
      built.attention = simulate::make_attention(built.compiled, "anna");
      break;
    case Mechanism::kReference:
    case Mechanism::kSums:
      built.attention = make_reference_exact_match(job.mechanism == Mechanism::kSums);
      break;
    case Mechanism::kFewFunctions:
      built.attention = anna::make_anna({.tables = 1, .functions = 4, .seed = seed});
      break;
  }
  return built;
}

/// On two inputs in turns by exact match, on one by the other mechanisms.
Evaluation evaluate_job(const Job& job, std::uint64_t seed) {
  const Built built = build(job, seed);
  std::vector<Instance> instances{instance_of(job.c, *built.compiled.protocol, Family::kRandom, seed)};
  if (job.mechanism == Mechanism::kExactMatch)
    instances.push_back(instance_of(job.c, *built.compiled.protocol, Family::kReversed, seed + 1));
  return evaluate_mutant(built.compiled.transformer, job.mutant, *built.attention, instances);
}

std::string label(Mechanism mechanism) {
  return mechanism == Mechanism::kReference    ? "definition"
         : mechanism == Mechanism::kExactMatch ? "EMA"
                                               : "ANNA";
}

std::string quantity_start(const Case& c, Mechanism mechanism) {
  return c.protocol + " by " + label(mechanism) + ": ";
}

std::vector<Check> checks_of(const Job& job, const Evaluation& facts, std::uint64_t seed) {
  const Expectation expectation = expectation_of(job.c);
  const Configuration configuration = configuration_of(kName, job.c, expectation, seed);
  std::vector<Check> checks;
  const auto add = [&](const char* quantity, std::uint64_t measured, Relation relation, std::uint64_t bound) {
    checks.push_back(compare(configuration, quantity_start(job.c, job.mechanism) + quantity,
                             static_cast<double>(measured), relation, static_cast<double>(bound)));
  };
  add("layers L", facts.depth, Relation::kEqual, expectation.rounds + 1);
  add("tokens N'", facts.tokens, Relation::kEqual,
      std::max({expectation.n, expectation.machines, expectation.outputs}));
  add("heads H", facts.heads, Relation::kAtMost, expectation.memory_words + 1);
  add("head dimension m", facts.dimension, Relation::kAtMost,
      std::max({kIdDimension, expectation.block_words,
                packet_dimension(expectation.machines, expectation.memory_words)}));
  add("row dimension d", facts.row_dimension, Relation::kAtMost,
      direct_row_dimension(expectation.memory_words));
  add("outputs unlike the oracle's", facts.wrong + facts.flagged, Relation::kEqual, 0);
  return checks;
}

/// Collective: the checks of all jobs, evaluated on all ranks side by side.
std::vector<std::vector<Check>> run_jobs(const std::vector<Job>& jobs, Context& context) {
  const auto facts = spread(context.transport, jobs.size(), [&](std::size_t i) {
    context.progress(jobs[i].c.protocol + " N = " + std::to_string(jobs[i].c.n) + " by " +
                     label(jobs[i].mechanism));
    return evaluate_job(jobs[i], context.seed);
  });
  std::vector<std::vector<Check>> checks;
  for (std::size_t i = 0; i < jobs.size(); ++i) checks.push_back(checks_of(jobs[i], facts[i], context.seed));
  return checks;
}

/// Collective: what is kept beside the rows, on an input of its own.
std::vector<Check> check_isolation(const std::vector<Job>& jobs, Context& context) {
  const auto facts = spread(context.transport, jobs.size(), [&](std::size_t i) {
    context.progress(jobs[i].c.protocol + " N = " + std::to_string(jobs[i].c.n) + ", a process a layer");
    const simulate::Compiled compiled = build(jobs[i], context.seed).compiled;
    return isolate(
        compiled, jobs[i].mutant, [&] { return build(jobs[i], context.seed).attention; },
        instance_of(jobs[i].c, *compiled.protocol, Family::kRandom, context.seed + 2));
  });
  std::vector<Check> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Configuration configuration =
        configuration_of(kName, jobs[i].c, expectation_of(jobs[i].c), context.seed);
    for (Check& check :
         isolation_checks(configuration, quantity_start(jobs[i].c, jobs[i].mechanism), facts[i]))
      all.push_back(std::move(check));
  }
  return all;
}

const char* packet_quantity(simulate::PacketCode code) {
  return code == simulate::PacketCode::kIdentity ? "identity code: sender sets mistaken"
                                                 : "cover-free code: sender sets mistaken";
}

/// Every set of the q sources sends at once: the sets that the decoder of at most `met` packets takes for
/// anything but what was sent, or doesn't take although they are that few.
/// `decoder_met`: what the decoder takes for the most.
Check check_packets(simulate::PacketCode code, std::uint32_t sources, std::uint32_t met,
                    std::uint32_t decoder_met, bool variance_test, std::uint64_t seed) {
  const simulate::PacketCoder coder(code, sources, decoder_met, variance_test);
  std::uint64_t wrong = 0;
  // Random words; and equal ones, and words linear in the source, by which writers can't be told apart.
  constexpr std::uint32_t kKinds = 3;
  for (std::uint32_t i = kKinds; i < kKinds << sources; ++i) {
    const std::uint32_t set = i / kKinds;
    std::vector<simulate::Packet> sent;
    std::vector<double> sums(coder.value_dimension());
    bool beyond = false;  // a packet outside of the declared dimension
    for (std::uint32_t j = 0; j < sources; ++j) {
      if ((set >> j & 1) == 0) continue;
      const mpc::Word word = i % kKinds == 0   ? draw(seed, Domain::kTest, set, j) >> 16
                             : i % kKinds == 1 ? 6
                                               : 6 * j;
      sent.push_back({j, word});
      coder.encode(j, word, [&](std::uint32_t column, double value) {
        column < sums.size() ? sums[column] += value : beyond = true;
      });
    }
    wrong += beyond;
    if (beyond) continue;
    std::vector<anna::Entry> average;
    for (std::uint32_t column = 0; column < sums.size(); ++column) {
      if (sums[column] != 0) average.push_back({column, sums[column] / static_cast<double>(sent.size())});
    }
    std::vector<simulate::Packet> received;
    const bool accepted = coder.decode(average, received) == simulate::DecodeError::kNone;
    wrong += accepted ? received != sent || sent.size() > met : sent.size() <= met;
  }
  return compare({.theorem = kName, .n = sources, .seed = seed}, packet_quantity(code),
                 static_cast<double>(wrong), Relation::kEqual, 0);
}

class DirectSimulation : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "an R-round protocol is an ANNA-transformer of depth R + 1"; }
  std::string card() const override {
    return R"(Problem:   an R-round (gamma, eps)-MPC protocol as a transformer with exact-match attention or ANNA.
Guarantee: depth L = R + 1 and the same output words on every input; N' = max(N, q, outputs) tokens, H <= s + 1 heads
           (one a word sent; one more warns of machines that stopped), m <= max(128, b, packet dimension), rows of
           d <= max(6, 2s + 3) numbers. m is the largest of a head's query, key and value dimensions; d is apart.
Check:     layers, heads and dimensions counted as they are evaluated and used, outputs from rows of the last array
           against the oracle; EMA (the layers of two inputs in turns), ANNA with a verified draw, and the verifier's
           own attention on the same Q, K, V; at N = 1024 each layer in a process of its own, and every array beside
           the words that the run sends; the packet code on every set of senders.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.1 and its EMA step; packet code and warning head are ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"kappa_s", "1 sum; 2 match2; 8 sort, k_hop", "s = kappa_s * ceil(N^eps)"},
            {"d", "128", "dimension of ids"},
            {"k, M", "4, 37", "hops of k_hop, modulus of match2"}};
  }

  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    std::vector<Job> jobs;
    for (const Case& c : cases(context.sizes)) {
      for (const Mechanism mechanism : {Mechanism::kExactMatch, Mechanism::kAnna, Mechanism::kReference}) {
        if (mechanism == Mechanism::kReference && c.n > 1024) continue;
        if (context.wants(quantity_start(c, mechanism), c.n)) jobs.push_back({c, mechanism});
      }
    }
    // Before anything is evaluated in this process.
    std::vector<Job> isolated;
    for (const Job& job : jobs) {
      if (job.mechanism == Mechanism::kExactMatch && job.c.n == kIsolatedSize) isolated.push_back(job);
    }
    for (Check& check : check_isolation(isolated, context)) all.push_back(std::move(check));
    for (const auto& checks : run_jobs(jobs, context)) all.insert(all.end(), checks.begin(), checks.end());
    for (const std::uint32_t sources : {7, 8, 9}) {
      for (const auto code : {simulate::PacketCode::kIdentity, simulate::PacketCode::kCoverFree}) {
        if (context.wants(packet_quantity(code), sources))
          all.push_back(check_packets(code, sources, 2, 2, true, context.seed));
      }
    }
    return all;
  }

  std::vector<Control> controls(Context& context) const override {
    const Case sound{"sum", 4096, Rational(1, 4), 1};
    const auto anna = Mechanism::kAnna;
    struct Defect {
      const char* control;
      const char* quantity;
      Job job;
    };
    const auto exact = Mechanism::kExactMatch;
    const std::vector<Defect> defects{
        {"one layer more", "layers L", {sound, anna, {.extra_layers = 1}}},
        {"one token more than stated", "tokens N'", {sound, anna, {.extra_tokens = 1}}},
        {"one head more than stated", "heads H", {sound, anna, {.padding = {.heads = 1}}}},
        {"one dimension more than stated", "head dimension m", {sound, anna, {.padding = {.dimension = 1}}}},
        {"rows one number wider than stated",
         "row dimension d",
         {sound, anna, {.padding = {.row_dimension = 1}}}},
        {"rows of four million numbers", "row dimension d", {sound, anna, {.wide_rows = true}}},
        {"messages in a table of the process, rows empty",
         "outputs unlike the oracle's",
         {sound, exact, {.remembers = true}}},
        {"one output word altered", "outputs unlike the oracle's", {sound, anna, {.output_altered = true}}},
        {"4 hash functions, codes unchecked",
         "outputs unlike the oracle's",
         {sound, Mechanism::kFewFunctions}},
        {"sums in place of averages", "outputs unlike the oracle's", {sound, Mechanism::kSums}}};
    std::vector<Job> jobs{{sound, anna}, {sound, exact}};
    for (const Defect& defect : defects) jobs.push_back(defect.job);
    const auto checks = run_jobs(jobs, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < defects.size(); ++i) {
      const Mechanism mechanism = defects[i].job.mechanism;
      all.push_back(judge_control(kName, defects[i].control,
                                  quantity_start(sound, mechanism) + defects[i].quantity, checks[2 + i],
                                  checks[mechanism == exact]));
    }
    const Case isolated{"sum", kIsolatedSize, Rational(1, 4), 1};
    const std::vector<Check> kept_in_rows = check_isolation({{isolated, exact}}, context);
    const std::vector<Check> kept_elsewhere =
        check_isolation({{isolated, exact, {.remembers = true}}}, context);
    for (const Check& check : kept_in_rows)
      all.push_back(judge_control(kName, "messages in a table of the process, rows empty", check.quantity,
                                  kept_elsewhere, kept_in_rows));
    const auto packets = [&](const char* control, const Check& defective, const Check& good) {
      all.push_back(judge_control(kName, control, good.quantity, {defective}, {good}));
    };
    const auto cover_free = simulate::PacketCode::kCoverFree;
    const auto identity = simulate::PacketCode::kIdentity;
    packets("packets without the variance test", check_packets(cover_free, 9, 2, 2, false, context.seed),
            check_packets(cover_free, 9, 2, 2, true, context.seed));
    packets("a decoder that takes one packet too many", check_packets(identity, 9, 2, 3, true, context.seed),
            check_packets(identity, 9, 2, 2, true, context.seed));
    return all;
  }

 private:
  static std::vector<Case> cases(Sizes sizes) {
    std::vector<Case> all;
    const Rational half(1, 2);
    // At eps = 1/4 sum has more machines (512) than a cover-free code has slots: both packet codes are met.
    for (const std::uint64_t n : {1024, 1500, 4096}) all.push_back({"sum", n, Rational(1, 4), 1});
    for (const std::uint64_t n : {1024, 1500, 2048}) {
      all.push_back({"match2", n, Rational(1, 4), 2, {{"M", "37"}}});
      all.push_back({"sort", n, half, 8});
      all.push_back({"k_hop", n, half, 8, {{"k", "4"}}});
    }
    if (sizes == Sizes::kFull) {
      for (const std::uint64_t n : {4096, 5000, 8192}) {
        all.push_back({"sort", n, half, 8});
        all.push_back({"k_hop", n, half, 8, {{"k", "7"}}});
      }
    }
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_direct_simulation() {
  return std::make_unique<DirectSimulation>();
}

}  // namespace roundtrip::proofs_check
