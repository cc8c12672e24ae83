// Statement: the weights of attention by features are a matrix of their rank, so on Match2, whose answer is a permutation
// of M residues, the squared error is at least M - rank. The matrix is read off the mechanism, by one value for each key.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "roundtrip/anna/attention/low_rank.h"
#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "feature_rank";
constexpr std::uint32_t kDimension = 64;  // of queries and keys
constexpr std::int32_t kLength = 64;      // of a coordinate
constexpr std::uint32_t kSketch = 5;      // 15 features
constexpr std::uint32_t kRanks[] = {4, 16};

/// A vector for each residue: random signs.
class Residues final : public anna::Codebook {
 public:
  Residues(std::uint64_t residues, std::uint64_t seed) : residues_(residues), seed_(seed) {}
  std::uint32_t dimension() const override { return kDimension; }
  anna::Symbol size() const override { return residues_; }
  void vector(anna::Symbol symbol, std::span<std::int32_t> out) const override {
    const std::uint64_t bits = draw(seed_, Domain::kTest, 41, symbol);
    for (std::uint32_t i = 0; i < kDimension; ++i) out[i] = (bits >> i & 1) != 0 ? kLength : -kLength;
  }

 private:
  std::uint64_t residues_, seed_;
};

/// [M, M] weights over their sum: token a asks for residue M - a, each residue is one token's key.
std::vector<long double> weights_of(const anna::Mechanism& mechanism, std::uint64_t residues,
                                    std::uint64_t seed) {
  const Residues codebook(residues, seed);
  anna::HeadInput head{.tokens = residues, .queries = {}, .keys = {}, .values = {}};
  for (std::uint64_t a = 0; a < residues; ++a) {
    head.queries.listed.push_back({a, (residues - a) % residues});
    head.keys.listed.push_back({a, a});
    head.values.tokens.push_back(a);
    head.values.entries.push_back({static_cast<std::uint32_t>(a), 1.0});
    head.values.offsets.push_back(a + 1);
  }
  anna::SparseRows rows;
  mechanism.make()->attend(codebook, head, rows);
  std::vector<long double> all(residues * residues, 0);
  for (std::size_t i = 0; i < rows.tokens.size(); ++i) {
    for (const anna::Entry& entry : rows.row(i))
      all[rows.tokens[i] * residues + entry.column] = static_cast<long double>(entry.value);
  }
  return all;
}

/// By elimination with full pivoting. Entries are at most 1 and rounded to 2^-53: what is left of them is below 1e-9.
std::uint64_t rank_of(std::vector<long double> matrix, std::uint64_t n) {
  std::uint64_t rank = 0;
  for (; rank < n; ++rank) {
    std::uint64_t row = rank, column = rank;
    for (std::uint64_t i = rank; i < n; ++i) {
      for (std::uint64_t j = rank; j < n; ++j) {
        if (std::fabs(matrix[i * n + j]) > std::fabs(matrix[row * n + column])) row = i, column = j;
      }
    }
    if (std::fabs(matrix[row * n + column]) < 1e-9L) break;
    for (std::uint64_t j = 0; j < n; ++j) std::swap(matrix[rank * n + j], matrix[row * n + j]);
    for (std::uint64_t i = 0; i < n; ++i) std::swap(matrix[i * n + rank], matrix[i * n + column]);
    for (std::uint64_t i = rank + 1; i < n; ++i) {
      const long double factor = matrix[i * n + rank] / matrix[rank * n + rank];
      for (std::uint64_t j = rank; j < n; ++j) matrix[i * n + j] -= factor * matrix[rank * n + j];
    }
  }
  return rank;
}

/// Beside the matrix that answers Match2: 1 where the residues add up to M or to 0.
double squared_error(const std::vector<long double>& weights, std::uint64_t n) {
  long double sum = 0;
  for (std::uint64_t a = 0; a < n; ++a) {
    for (std::uint64_t b = 0; b < n; ++b) {
      const long double difference = weights[a * n + b] - ((a + b) % n == 0 ? 1 : 0);
      sum += difference * difference;
    }
  }
  return static_cast<double>(sum);
}

/// What a quantity says of, and what stands in its place.
struct Job {
  std::string title;
  std::uint64_t n;
  std::uint64_t rank;  ///< by the formula; n for a mechanism that answers exactly
  anna::Mechanism mechanism;
};

std::vector<Job> feature_jobs(std::uint64_t n, std::uint64_t seed) {
  std::vector<Job> jobs;
  for (const std::uint32_t rank : kRanks) {
    jobs.push_back({"low_rank, rank " + std::to_string(rank), n, rank, anna::LowRank{rank, seed}});
    jobs.push_back(
        {"performer, rank " + std::to_string(rank), n, rank, anna::Performer{rank, seed, 1 << 15}});
  }
  jobs.push_back(
      {"polynomial, sketch 5", n, kSketch * (kSketch + 1) / 2, anna::Polynomial{kSketch, seed, 64}});
  return jobs;
}
Job exact_job(std::uint64_t n, const anna::Mechanism& mechanism) {
  return {"exact match", n, n, mechanism};
}

std::string rank_quantity(const Job& job) {
  return job.title + ": rank of the weights";
}
std::string error_quantity(const Job& job) {
  return job.title + ": squared error on Match2";
}

std::vector<std::vector<Check>> rank_checks(const std::vector<Job>& jobs, Context& context) {
  const auto found = spread(context.transport, jobs.size(), [&](std::size_t i) {
    context.progress("weights by features, M = " + std::to_string(jobs[i].n));
    const auto weights = weights_of(jobs[i].mechanism, jobs[i].n, context.seed);
    return std::vector<double>{static_cast<double>(rank_of(weights, jobs[i].n)),
                               squared_error(weights, jobs[i].n)};
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = jobs[i];
    const Configuration configuration{.theorem = kName, .n = job.n, .seed = context.seed};
    const bool exact = job.rank == job.n;
    all.push_back(
        {compare(configuration, rank_quantity(job), found[i][0], exact ? Relation::kEqual : Relation::kAtMost,
                 static_cast<double>(job.rank)),
         compare(configuration, error_quantity(job), found[i][1],
                 exact ? Relation::kEqual : Relation::kAtLeast, static_cast<double>(job.n - job.rank))});
  }
  return all;
}

class FeatureRank : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "Weights by r features have rank r: Match2 of M residues is missed by M - r at least";
  }
  std::string card() const override {
    return R"(Problem:   Match2 of M residues, one token each: query a shall weigh the key of residue M - a alone.
Guarantee: weights phi(q) . phi(k) of r features, each row over its sum, are a matrix W of rank at most r. The answer is
           a permutation P, whose M singular values are 1, so |W - P|^2 >= M - r, summed over all entries. Exact match
           has rank M and error 0.
Check:     W is read off the mechanism, by a column of the values for each key: low_rank, performer, and polynomial with
           rank R (R + 1) / 2; its rank by elimination, and its error.
Source:    Eckart, Young 1936 (the bound); the measurement is ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"r", "4, 16", "features; R = 5 of the polynomial kernel's sketch, r = 15"},
            {"M", "32, 48, 64", "residues; 128 at full sizes"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Job> jobs;
    for (const std::uint64_t n : sizes(context.sizes)) {
      for (Job& job : feature_jobs(n, context.seed)) jobs.push_back(std::move(job));
      jobs.push_back(exact_job(n, anna::ExactMatch{}));
    }
    std::vector<Check> all;
    for (const auto& checks : rank_checks(jobs, context)) all.insert(all.end(), checks.begin(), checks.end());
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    constexpr std::uint64_t kResidues = 32;
    std::vector<Job> jobs;
    struct Named {
      std::string name;
      std::size_t check;  ///< 0 the rank's, 1 the error's
    };
    std::vector<Named> names;
    const auto add = [&](const std::string& name, const Job& sound, const anna::Mechanism& defective,
                         std::size_t check) {
      names.push_back({name, check});
      jobs.push_back(sound);
      jobs.push_back(sound);
      jobs.back().mechanism = defective;
    };
    for (const Job& job : feature_jobs(kResidues, context.seed)) {
      add("exact match in the place of " + job.title, job, anna::ExactMatch{}, 0);
      add("sharp softmax in the place of " + job.title, job, anna::Softmax{0.01}, 1);
    }
    const std::vector<Job> features = feature_jobs(kResidues, context.seed);
    add("one feature more", features[0], anna::LowRank{kRanks[0] + 1, context.seed}, 0);
    add("a sketch of 6", features.back(), anna::Polynomial{kSketch + 1, context.seed, 64}, 0);
    add("low_rank in the place of exact match, rank", exact_job(kResidues, anna::ExactMatch{}),
        anna::LowRank{16, context.seed}, 0);
    add("low_rank in the place of exact match, error", exact_job(kResidues, anna::ExactMatch{}),
        anna::LowRank{16, context.seed}, 1);
    const auto checks = rank_checks(jobs, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto& [name, check] = names[i];
      all.push_back(judge_control(kName, name,
                                  check == 0 ? rank_quantity(jobs[2 * i]) : error_quantity(jobs[2 * i]),
                                  {checks[2 * i + 1][check]}, checks[2 * i]));
    }
    return all;
  }

 private:
  static std::vector<std::uint64_t> sizes(Sizes sizes) {
    if (sizes == Sizes::kSmall) return {32, 48, 64};
    return {32, 48, 64, 128};
  }
};

}  // namespace

std::unique_ptr<const Statement> make_feature_rank() {
  return std::make_unique<FeatureRank>();
}

}  // namespace roundtrip::proofs_check
