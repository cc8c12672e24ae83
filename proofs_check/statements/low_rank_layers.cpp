// Statement: L layers of low-rank attention are L layers of ANNA whose keys are all equal. Layers, width and every
// number of every array, beside low-rank attention by its definition.
#include <algorithm>

#include "roundtrip/anna/attention/low_rank.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/native/low_rank.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "low_rank_layers";
constexpr std::uint32_t kTables = 5;
constexpr std::uint32_t kFunctions = 3;

struct Job {
  std::uint64_t n;
  std::uint32_t layers, heads, rank, value_dimension;
  bool anna = false;
  /// Defects.
  std::uint32_t extra_rank = 0, extra_layers = 0;
  std::uint64_t extra_seed = 0;  ///< of the features

  std::string quantity(const char* what) const {
    return "L = " + std::to_string(layers) + (anna ? ", ANNA: " : ", EMA: ") + what;
  }
};
constexpr const char* kLayers = "layers";
constexpr const char* kWidth = "width H r' (m + 1)";
constexpr const char* kNumbers = "numbers unlike the definition's";

std::vector<std::uint64_t> evaluate_job(const Job& job, std::uint64_t seed) {
  anna::RandomModel random;
  random.layers = job.layers;
  random.heads = job.heads;
  random.dimension = 4;
  random.value_dimension = job.value_dimension;
  random.row_dimension = 3;
  random.seed = seed;
  const anna::LowRank stated{job.rank, seed};
  const anna::Model model = anna::make_random_model(random, job.n, stated);
  anna::Model altered = model;
  for (anna::Mechanism& mechanism : altered.mechanisms)
    mechanism = anna::LowRank{job.rank + job.extra_rank, seed + job.extra_seed};
  const anna::Transformer transformer = simulate::low_rank_by_averages(altered);
  anna::AnnaParameters tables;
  tables.tables = kTables;
  tables.functions = kFunctions;
  tables.seed = seed;
  const auto attention = job.anna ? make_reference_anna(tables) : make_reference_exact_match();
  Meter meter(*attention);
  const auto reference = make_reference_low_rank(job.rank, seed);

  auto expected = anna::Activations::with_dimension(2);
  RandomStream words(seed, Domain::kInstance, job.n, job.layers);
  for (std::uint64_t i = 0; i < job.n; ++i)
    expected.append_row(
        std::vector<anna::Entry>{{0, 1.0}, {1, static_cast<double>(words.below(1u << random.word_bits))}});
  anna::Activations array = expected;
  std::uint64_t width = 0;
  std::uint64_t unlike = 0;
  for (std::size_t l = 0; l < transformer.depth(); ++l) {
    expected = anna::evaluate(*model.transformer.layers[l], *reference, expected);
    array = anna::evaluate(*transformer.layers[l], meter, array);
    const Meter::Used used = meter.take();
    width = std::max(width, used.heads * used.dimension);
    for (std::uint64_t t = 0; t < job.n; ++t) {
      for (std::uint32_t c = 0; c < random.row_dimension; ++c)
        unlike += array.row(t)[c] != expected.row(t)[c];
    }
  }
  return {transformer.depth() + job.extra_layers, width, unlike};
}

std::vector<std::vector<Check>> run_jobs(const std::vector<Job>& jobs, Context& context) {
  const auto facts = spread(context.transport, jobs.size(), [&](std::size_t i) {
    context.progress("low rank in layers, N = " + std::to_string(jobs[i].n));
    return evaluate_job(jobs[i], context.seed);
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    const Configuration configuration{.theorem = kName, .n = job.n, .seed = context.seed};
    const std::uint64_t width = std::uint64_t{job.heads} * job.rank * (job.value_dimension + 1);
    const auto check = [&](const char* what, std::uint64_t measured, std::uint64_t stated) {
      return compare(configuration, job.quantity(what), static_cast<double>(measured), Relation::kEqual,
                     static_cast<double>(stated));
    };
    all.push_back({check(kLayers, facts[i][0], job.layers), check(kWidth, facts[i][1], width),
                   check(kNumbers, facts[i][2], 0)});
  }
  return all;
}

class LowRankLayers : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "L low-rank layers are L ANNA layers of width H r' (m + 1)"; }
  std::string card() const override {
    return R"(Problem:   an L-layer transformer with low-rank attention of rank r' and values of dimension m, as ANNA layers.
Guarantee: exactly L layers of width H r' (m + 1), every array equal bit for bit; for all inputs, without eta or delta.
Proof:     all tokens have one query and one key, so every average is over all N' tokens with equal weights. The value
           of token j is phi(k_j) (x) (v_j, 1): N' times its average is (G, g), exactly, as long as sums are below
           2^50. The output map knows q_i from the token's row and forms phi(q_i) G / (phi(q_i) . g).
Convention: it uses that equal keys get equal weight. Exact match and hash tables give them that; the bare definition
           of ANNA, which bounds weights from below alone, does not.
Check:     layers; heads times dimension as used; every number after every layer beside attention by its definition, by
           exact match and by ANNA with five tables.
Source:    ours. Liu, Yu, Sanford, Andoni, Hsu 2025 have depth O(L) and width O(N^(eps + delta)) by way of a protocol
           (low_rank_by_anna).)";
  }
  std::vector<Constant> constants() const override {
    return {{"r', m", "1, 3; 4, 4; 9, 2", "rank and dimension of values"},
            {"tables", "5 of 3 functions", "of ANNA"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Job> wanted{{200, 1, 1, 1, 3},       {300, 2, 3, 4, 4},       {400, 3, 1, 9, 2},
                            {200, 1, 1, 1, 3, true}, {300, 2, 3, 4, 4, true}, {400, 3, 1, 9, 2, true}};
    if (context.sizes == Sizes::kFull) wanted.push_back({1500, 3, 3, 9, 4});
    std::erase_if(wanted, [&](const Job& job) { return !context.wants(job.quantity(""), job.n); });
    std::vector<Check> all;
    for (const auto& checks : run_jobs(wanted, context)) all.insert(all.end(), checks.begin(), checks.end());
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    const Job sound{300, 2, 3, 4, 4};
    const std::vector<std::pair<const char*, const char*>> defects{{"one layer more", kLayers},
                                                                   {"one feature more", kWidth},
                                                                   {"one feature more (numbers)", kNumbers},
                                                                   {"features of another seed", kNumbers}};
    std::vector<Job> jobs{sound, sound, sound, sound, sound};
    jobs[1].extra_layers = 1;
    jobs[2].extra_rank = jobs[3].extra_rank = 1;
    jobs[4].extra_seed = 1;
    const auto checks = run_jobs(jobs, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < defects.size(); ++i)
      all.push_back(judge_control(kName, defects[i].first, sound.quantity(defects[i].second), checks[i + 1],
                                  checks[0]));
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_low_rank_layers() {
  return std::make_unique<LowRankLayers>();
}

}  // namespace roundtrip::proofs_check
