// Statement: attention by locality-sensitive hashing is ANNA by its definition: weights that are a convex
// combination, on keys within c r alone, and enough of it on every key within r. The weights are read off the
// outputs (every value is a column of its own), distances are taken between the vectors as they are.
#include <algorithm>
#include <array>
#include <cmath>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/lsh/probability.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/anna_formulas.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "anna_definition";
constexpr std::uint32_t kDimension = 16;
constexpr double kFactor = 8;      // c
constexpr double kEta = 0.2;       // large enough for failures to be seen
const double kFar = std::sqrt(2);  // c r
const double kNear = kFar / kFactor;

/// Queries are symbols 0 .. N-1, keys N .. 2N-1.
class Vectors final : public anna::Codebook {
 public:
  explicit Vectors(std::vector<std::vector<std::int32_t>> vectors) : vectors_(std::move(vectors)) {}
  std::uint32_t dimension() const override { return kDimension; }
  anna::Symbol size() const override { return vectors_.size(); }
  void vector(anna::Symbol symbol, std::span<std::int32_t> out) const override {
    std::ranges::copy(vectors_[symbol], out.begin());
  }
  /// Cosine of the angle of query i and key j; its sign is exact.
  double cosine(std::size_t i, std::size_t j) const {
    const auto& q = vectors_[i];
    const auto& k = vectors_[vectors_.size() / 2 + j];
    double dot = 0;  // integers below 2^53
    double qq = 0;
    double kk = 0;
    for (std::uint32_t d = 0; d < kDimension; ++d) {
      dot += static_cast<double>(q[d]) * k[d];
      qq += static_cast<double>(q[d]) * q[d];
      kk += static_cast<double>(k[d]) * k[d];
    }
    return dot / std::sqrt(qq * kk);
  }

 private:
  std::vector<std::vector<std::int32_t>> vectors_;
};

using Point = std::vector<double>;

Point direction(RandomStream& random) {
  Point point(kDimension);
  for (double& x : point) x = static_cast<double>(random.below(20001)) - 10000;
  return point;
}

double dot(const Point& a, const Point& b) {
  double sum = 0;
  for (std::uint32_t d = 0; d < kDimension; ++d) sum += a[d] * b[d];
  return sum;
}

/// A vector at angle `theta` of q, of norm 10000, towards a random side.
std::vector<std::int32_t> at_angle(const Point& q, double theta, RandomStream& random) {
  Point side = direction(random);
  const double along = dot(side, q) / dot(q, q);
  for (std::uint32_t d = 0; d < kDimension; ++d) side[d] -= along * q[d];
  std::vector<std::int32_t> out(kDimension);
  for (std::uint32_t d = 0; d < kDimension; ++d) {
    const double x = std::cos(theta) * q[d] / std::sqrt(dot(q, q)) +
                     std::sin(theta) * side[d] / std::sqrt(dot(side, side));
    out[d] = static_cast<std::int32_t>(std::lround(10000 * x));
  }
  return out;
}

double angle_at(double distance) {
  return 2 * std::asin(distance / 2);
}

/// Every query's own key is, in turn, just within r, between r and c r, just beyond c r, and anywhere. With
/// `copies`: all keys are copies of the query but the last, just within r: on these the weight bound is
/// tight.
Vectors instance(std::uint64_t n, bool copies, std::uint64_t seed) {
  RandomStream random(seed, Domain::kInstance, n, copies ? 1 : 0);
  std::vector<std::vector<std::int32_t>> queries;
  std::vector<std::vector<std::int32_t>> keys;
  Point q = direction(random);
  for (std::uint64_t i = 0; i < n; ++i) {
    if (!copies && i > 0) q = direction(random);
    queries.emplace_back(q.begin(), q.end());
    const double theta =
        copies ? (i + 1 == n ? angle_at(0.99 * kNear) : 0)
               : std::array{angle_at(0.99 * kNear), angle_at(1), angle_at(1.01 * kFar),
                            std::acos(-1.0) * static_cast<double>(random.below(1000)) / 1000}[i % 4];
    if (theta == 0) {
      keys.push_back(queries.back());
    } else {
      keys.push_back(at_angle(q, theta, random));
    }
  }
  queries.insert(queries.end(), keys.begin(), keys.end());
  return Vectors(std::move(queries));
}

/// What one draw did.
struct Judged {
  std::uint64_t broken = 0;      ///< 1 if a far key has weight or a near one too little
  std::uint64_t not_convex = 0;  ///< rows
  double least_ratio = 1e9;  ///< of the weight of a near key to the least that is due, where there is some
};

/// `claimed_tables`: ell of the weight bound.
Judged judge(const Vectors& vectors, std::uint64_t n, anna::Attention& attention,
             std::uint64_t expected_tables) {
  anna::HeadInput head;
  head.tokens = n;
  for (std::uint64_t t = 0; t < n; ++t) {
    head.queries.listed.push_back({t, t});
    head.keys.listed.push_back({t, n + t});
    head.values.tokens.push_back(t);
    head.values.entries.push_back({static_cast<std::uint32_t>(t), 1});
    head.values.offsets.push_back(t + 1);
  }
  anna::SparseRows out;
  attention.attend(vectors, head, out);
  std::vector<std::vector<double>> weights(n, std::vector<double>(n));
  Judged result;
  for (std::size_t i = 0; i < out.tokens.size(); ++i) {
    double sum = 0;
    bool negative = false;
    for (const anna::Entry& entry : out.row(i)) {
      weights[out.tokens[i]][entry.column] = entry.value;
      sum += entry.value;
      negative = negative || !(entry.value >= 0);
    }
    // Each of at most N weights is rounded once, and so is each partial sum.
    result.not_convex += negative || std::fabs(sum - 1) > 2.0 * static_cast<double>(n) * 0x1p-53;
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    std::uint64_t within = 0;  // keys within c r
    for (std::uint64_t j = 0; j < n; ++j) within += vectors.cosine(i, j) >= 0;
    for (std::uint64_t j = 0; j < n; ++j) {
      const double cosine = vectors.cosine(i, j);
      if (cosine < 0 && weights[i][j] > 0) result.broken = 1;
      if (2 - 2 * cosine > kNear * kNear) continue;
      const double due = 1 / (static_cast<double>((within - 1) * expected_tables) + 1);
      if (weights[i][j] < due) result.broken = 1;
      if (weights[i][j] > 0) result.least_ratio = std::min(result.least_ratio, weights[i][j] / due);
    }
  }
  return result;
}

struct Defect {
  std::uint32_t fewer_functions = 0;
  std::uint32_t tables_divided_by = 1;
  bool sums = false;                 ///< in place of averages
  std::uint32_t fewer_expected = 0;  ///< tables of the weight bound
};

std::vector<Check> definition_checks(std::uint64_t n, const Defect& defect, Context& context) {
  context.progress("draws of hash functions, N = " + std::to_string(n));
  const anna::FamilyParameters family{anna::FamilyKind::kHyperplane, kDimension};
  const anna::TableChoice choice =
      anna::choose_tables(n, kEta, anna::collision_probability(family, kNear).low,
                          anna::collision_probability(family, kFar).high);
  anna::AnnaParameters parameters{
      .tables = static_cast<std::uint32_t>(choice.tables) / defect.tables_divided_by,
      .functions = choice.functions - defect.fewer_functions};
  const std::uint64_t trials = context.sizes == Sizes::kSmall ? 160 : 2000;
  // Few tables and functions that a near key passes rarely: it often collides in one table alone.
  constexpr std::uint32_t kTightTables = 8;
  constexpr std::uint32_t kTightFunctions = 48;
  const auto facts = spread(context.transport, trials, [&](std::size_t trial) {
    const std::uint64_t seed = draw(context.seed, Domain::kTest, 41, n, trial);
    parameters.seed = seed;
    const auto attention = defect.sums ? make_reference_exact_match(true) : anna::make_anna(parameters);
    const Judged random = judge(instance(n, false, seed), n, *attention, parameters.tables);
    const auto few =
        defect.sums ? make_reference_exact_match(true)
                    : anna::make_anna({.tables = kTightTables, .functions = kTightFunctions, .seed = seed});
    const Judged tight = judge(instance(n, true, seed), n, *few, kTightTables - defect.fewer_expected);
    return std::array<std::uint64_t, 3>{random.broken, random.not_convex + tight.not_convex,
                                        static_cast<std::uint64_t>(tight.least_ratio * 1e6)};
  });
  std::uint64_t broken = 0;
  std::uint64_t not_convex = 0;
  std::uint64_t least = ~std::uint64_t{0};
  for (const auto& fact : facts) {
    broken += fact[0];
    not_convex += fact[1];
    least = std::min(least, fact[2]);
  }
  const Configuration configuration{.theorem = kName, .n = n, .seed = context.seed};
  return {compare_interval(configuration, "P[a draw breaks the definition], eta .2",
                           static_cast<double>(broken) / static_cast<double>(trials),
                           clopper_pearson(broken, trials, context.alarm), Relation::kAtMost, kEta),
          compare(configuration, "rows that are no convex combination", static_cast<double>(not_convex),
                  Relation::kEqual, 0),
          compare(configuration, "N - 1 copies, a near key: weight / least due",
                  static_cast<double>(least) / 1e6, Relation::kAtLeast, 1)};
}

class AnnaDefinition : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "attention by LSH is ANNA: support within c r, weight within r";
  }
  std::string card() const override {
    return R"(Problem:   approximate nearest neighbor attention: for every query with a key within r, a combination of values.
Guarantee: with probability >= 1 - eta over the hash functions, for all queries at once: weights >= 0 of sum 1; none on
           keys beyond c r; at least 1 / ((|{j : |k_j - q_i| <= c r}| - 1) ell + 1) on every key within r.
Check:     z and ell as chosen for (N, eta, p1, p2), uncapped; draws counted that break it on instances with near, middle
           and far keys; the weight bound on N - 1 copies of the query and one near key, where it is tight.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Definition of ANNA and Algorithm of Section 3. Deviation: the sum is 1 for
           queries that have a key within r; without one there may be no collision, and then the row is zero.)";
  }
  std::vector<Constant> constants() const override {
    return {{"c, c r", "8, sqrt 2", "unit sphere, random hyperplanes, dimension 16"},
            {"eta", "0.2", "failure probability for which z and ell are chosen"},
            {"draws", "160 (full: 2000)", "of hash functions and instances, at every N"}};
  }
  std::uint32_t statistical_checks(Sizes) const override { return 6; }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const std::uint64_t n : {24, 40, 64}) {
      if (!context.wants("", n)) continue;
      for (Check& check : definition_checks(n, {}, context)) all.push_back(std::move(check));
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    constexpr std::uint64_t kTokens = 24;
    const auto sound = definition_checks(kTokens, {}, context);
    std::vector<Control> all;
    const auto judge_defect = [&](const char* control, std::size_t check, const Defect& defect) {
      all.push_back(judge_control(kName, control, sound[check].quantity,
                                  definition_checks(kTokens, defect, context), sound));
    };
    judge_defect("z lowered by 6: far keys get weight", 0, {.fewer_functions = 6});
    judge_defect("a sixth of the tables: near keys are missed", 0, {.tables_divided_by = 6});
    judge_defect("sums in place of averages", 1, {.sums = true});
    judge_defect("a weight bound for one table fewer", 2, {.fewer_expected = 1});
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_anna_definition() {
  return std::make_unique<AnnaDefinition>();
}

}  // namespace roundtrip::proofs_check
