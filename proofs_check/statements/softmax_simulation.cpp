// Statement: standard attention simulates MPC in R + 1 layers, too, as soon as it is cold enough: equal ids win by a margin,
// and a key that scores in between catches queries that no id answers.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/compile/compile.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "softmax_simulation";
constexpr const char* kMargin = "ids: least margin of scores";
constexpr double kScale = 1024;

/// Standard attention from its definition in doubles, as any runtime computes it: sum_j exp(scale (<q, k_j> - max)) v_j
/// over sum_j exp(scale (<q, k_j> - max)). Keys of one symbol are added first.
class PlainSoftmax final : public anna::Attention {
 public:
  explicit PlainSoftmax(double scale) : scale_(scale) {}
  std::string name() const override { return "softmax in doubles"; }
  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    struct Group {
      double count = 0;
      std::map<std::uint32_t, double> sums;
    };
    std::map<anna::Symbol, Group> groups;
    std::vector<anna::Symbol> key_of(head.tokens, head.keys.default_symbol);
    for (const auto& [token, symbol] : head.keys.listed) key_of[token] = symbol;
    for (const anna::Symbol key : key_of) ++groups[key].count;
    for (std::size_t i = 0; i < head.values.tokens.size(); ++i) {
      for (const anna::Entry& entry : head.values.row(i))
        groups[key_of[head.values.tokens[i]]].sums[entry.column] += entry.value;
    }
    std::vector<anna::Symbol> query_of(head.tokens, head.queries.default_symbol);
    for (const auto& [token, symbol] : head.queries.listed) query_of[token] = symbol;
    std::map<anna::Symbol, std::vector<anna::Entry>> answers;
    out.clear();
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      const auto [known, fresh] = answers.try_emplace(query_of[token]);
      if (fresh) known->second = answer(codebook, query_of[token], groups);
      if (known->second.empty()) continue;
      out.tokens.push_back(token);
      out.entries.insert(out.entries.end(), known->second.begin(), known->second.end());
      out.offsets.push_back(out.entries.size());
    }
  }

 private:
  template <typename Groups>
  std::vector<anna::Entry> answer(const anna::Codebook& codebook, anna::Symbol query,
                                  const Groups& groups) const {
    std::map<anna::Symbol, double> scores;
    double most = -std::numeric_limits<double>::infinity();
    for (const auto& [key, unused] : groups) most = std::max(most, scores[key] = score(codebook, query, key));
    double norm = 0;
    std::map<std::uint32_t, double> totals;
    for (const auto& [key, group] : groups) {
      const double weight = std::exp(scale_ * (scores[key] - most));
      norm += weight * group.count;
      for (const auto& [column, sum] : group.sums) totals[column] += weight * sum;
    }
    std::vector<anna::Entry> entries;
    for (const auto& [column, total] : totals)
      if (total != 0) entries.push_back({column, total / norm});
    return entries;
  }

 public:
  static double score(const anna::Codebook& codebook, anna::Symbol query, anna::Symbol key) {
    std::vector<std::int32_t> q(codebook.dimension()), k(codebook.dimension());
    codebook.vector(query, q);
    codebook.vector(key, k);
    double sum = 0;
    for (std::size_t i = 0; i < q.size(); ++i) sum += static_cast<double>(q[i]) * k[i];
    return sum;
  }

 private:
  double scale_;
};

struct Job {
  Case c;
  bool plain = false;  ///< by the verifier's softmax, in doubles
  NetworkMutant mutant{};
  double scale = kScale;
  simulate::Ids ids = simulate::Ids::kFallback;
};

std::string quantity_start(const Job& job) {
  return job.c.protocol + (job.plain ? " in doubles: " : ": ");
}

std::vector<std::vector<Check>> run_jobs(const std::vector<Job>& jobs, Context& context) {
  const auto facts = spread(context.transport, jobs.size(), [&](std::size_t i) {
    const Job& job = jobs[i];
    context.progress(job.c.protocol + " N = " + std::to_string(job.c.n) + " by softmax");
    const simulate::Compiled compiled =
        simulate::compile(std::shared_ptr<const mpc::Protocol>(
                              mpc::find_protocol(job.c.protocol).make(parameters_of(job.c, context.seed))),
                          {.ids = job.ids, .seed = context.seed});
    const std::vector<Instance> instances{
        instance_of(job.c, *compiled.protocol, Family::kRandom, context.seed),
        instance_of(job.c, *compiled.protocol, Family::kReversed, context.seed + 1)};
    const auto attention = job.plain             ? std::make_unique<PlainSoftmax>(job.scale)
                           : job.scale == kScale ? simulate::make_attention(compiled, "softmax")
                                                 : anna::make_model_softmax(job.scale);
    return evaluate_mutant(compiled.transformer, job.mutant, *attention, instances);
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Expectation expectation = expectation_of(jobs[i].c);
    const Configuration configuration = configuration_of(kName, jobs[i].c, expectation, context.seed);
    std::vector<Check> checks;
    const auto add = [&](const char* quantity, std::uint64_t measured, Relation relation,
                         std::uint64_t bound) {
      checks.push_back(compare(configuration, quantity_start(jobs[i]) + quantity,
                               static_cast<double>(measured), relation, static_cast<double>(bound)));
    };
    const std::uint64_t ids = std::max(expectation.machines, expectation.outputs) + 3;
    add("layers L", facts[i].depth, Relation::kEqual, expectation.rounds + 1);
    add("tokens N'", facts[i].tokens, Relation::kEqual,
        std::max({expectation.n, expectation.machines, expectation.outputs}) + 1);
    // Of sizes where s > N / 4 bounds prove nothing.
    if (!expectation.below_range()) {
      add("heads H", facts[i].heads, Relation::kAtMost, expectation.memory_words + 1);
      add("head dimension m", facts[i].dimension, Relation::kAtMost,
          std::max({log_ceil(2, ids) + std::uint64_t{1}, expectation.block_words, std::uint64_t{4},
                    expectation.rounds > 1 ? packet_dimension(expectation.machines, expectation.memory_words)
                                           : 0}));
    }
    add("outputs unlike the oracle's", facts[i].wrong + facts[i].flagged, Relation::kEqual, 0);
    all.push_back(std::move(checks));
  }
  return all;
}

/// Over all queries of U ids: what an equal key scores more than the fallback, and that more than any other key.
/// `close`: ids one coordinate apart are taken for equal, a defect.
Check check_margin(std::uint64_t ids, bool close, const Context& context) {
  const anna::Symbol fallback = ids - 3;
  const anna::BinaryCodebook codebook(ids, fallback);
  double least = std::numeric_limits<double>::infinity();
  for (anna::Symbol query = 0; query < ids; ++query) {
    if (query == fallback) continue;  // a key alone
    const double caught = PlainSoftmax::score(codebook, query, fallback);
    for (anna::Symbol key = 0; key < ids; ++key) {
      if (key == fallback) continue;
      const double score = PlainSoftmax::score(codebook, query, key);
      const bool equal = close ? query / 2 == key / 2 : query == key;
      least = std::min(least, equal ? score - caught : caught - score);
    }
  }
  return compare({.theorem = kName, .n = ids, .seed = context.seed}, kMargin, least, Relation::kAtLeast, 1);
}

class SoftmaxSimulation : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "an R-round protocol is a transformer of standard attention of depth R + 1";
  }
  std::string card() const override {
    return R"(Problem:   an R-round (gamma, eps)-MPC protocol as a transformer with softmax attention, weights exp(1024 <q, k>).
Guarantee: the construction of direct_simulation with other vectors: L = R + 1, H <= s + 1, N' one token more, ids of
           ceil(log2 U) binary digits as signs and one coordinate more. The same words on every input.
Proof:     equal ids score d + 1, the key of tokens that have none scores d, two ids that differ at most d - 1. A margin
           of 1 is a factor exp(-1024) = 0 in doubles and in units of 2^-52. So a query averages the values of its equal
           keys, each with weight 1; without any, those of tokens without a key, which are zero. The additional token
           never has a key. Averages are those of exact match, bit for bit, as long as sums are below 2^53.
Check:     margins of all pairs of ids; sizes metered, outputs against the oracle, by the model's softmax and by one that the
           verifier writes from the definition in doubles.
Source:    Sanford, Hsu, Telgarsky 2024 (standard transformers simulate MPC); the fallback key is ours. It takes work
           N'^2 a head: what it shows is the depth.)";
  }
  std::vector<Constant> constants() const override {
    return {{"scale", "1024", "weights are exp(scale <q, k>)"},
            {"kappa_s", "1 sum; 8 sort, k_hop", "s = kappa_s * ceil(N^eps)"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const std::uint64_t ids : {5, 64, 65, 500})
      if (context.wants(kMargin, ids)) all.push_back(check_margin(ids, false, context));
    std::vector<Job> jobs;
    for (const bool plain : {false, true}) {
      for (const Case& c : cases()) {
        const Job job{.c = c, .plain = plain};
        if (context.wants(quantity_start(job), c.n)) jobs.push_back(job);
      }
    }
    for (const auto& checks : run_jobs(jobs, context)) all.insert(all.end(), checks.begin(), checks.end());
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    const Case sound = cases().front();
    struct Defect {
      const char* control;
      const char* quantity;
      Job job;
    };
    const std::vector<Defect> defects{
        {"one layer more", "layers L", {.c = sound, .mutant = {.extra_layers = 1}}},
        {"one token more", "tokens N'", {.c = sound, .mutant = {.extra_tokens = 1}}},
        {"one head more", "heads H", {.c = sound, .mutant = {.padding = {.heads = 1}}}},
        {"a thousand dimensions more",
         "head dimension m",
         {.c = sound, .mutant = {.padding = {.dimension = 1000}}}},
        {"weights exp(<q, k>), too warm", "outputs unlike the oracle's", {.c = sound, .scale = 1}},
        {"weights exp(<q, k>), in doubles",
         "outputs unlike the oracle's",
         {.c = sound, .plain = true, .scale = 1}},
        {"ids without a fallback, in doubles",
         "outputs unlike the oracle's",
         {.c = cases().back(), .plain = true, .ids = simulate::Ids::kShort}}};
    std::vector<Job> jobs{{.c = sound}, {.c = sound, .plain = true}, {.c = cases().back(), .plain = true}};
    for (const Defect& defect : defects) jobs.push_back(defect.job);
    const auto checks = run_jobs(jobs, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < defects.size(); ++i)
      all.push_back(judge_control(
          kName, defects[i].control, quantity_start(defects[i].job) + defects[i].quantity, checks[3 + i],
          checks[defects[i].job.c.protocol != sound.protocol ? 2 : defects[i].job.plain]));
    const Check margin = check_margin(65, false, context);
    all.push_back(judge_control(kName, "ids one digit apart taken for equal", kMargin,
                                {check_margin(65, true, context)}, {margin}));
    return all;
  }

 private:
  static std::vector<Case> cases() {
    return {{"sum", 100, Rational(1, 2), 1},
            {"sum", 256, Rational(1, 4), 1},
            {"sort", 64, Rational(1, 2), 8},
            {"k_hop", 64, Rational(1, 2), 8, {{"k", "4"}}}};
  }
};

}  // namespace

std::unique_ptr<const Statement> make_softmax_simulation() {
  return std::make_unique<SoftmaxSimulation>();
}

}  // namespace roundtrip::proofs_check
