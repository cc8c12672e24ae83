// Statement: the averaging mechanisms are what their definitions say, with a causal mask and without, as attention of a
// model and as the protocol that its layers become: every row beside one computed pair by pair.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/anna/attention/low_rank.h"
#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/decompile/decompile.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "averaging_mechanisms";
constexpr std::uint32_t kDimension = 6;  // of queries and keys
constexpr std::uint32_t kLayers = 2, kHeads = 2;
constexpr std::uint64_t kSeed = 5;  // of the mechanisms
constexpr std::uint64_t kWidth = 2, kGlobals = 3, kChunk = 4;
constexpr std::uint32_t kRank = 3, kSketch = 2, kHashings = 2, kFunctions = 2;
constexpr double kScale = 0.004, kTemperature = 16384, kShift = 2;
constexpr std::uint64_t kUnit = 256;

using Vector = std::vector<std::int32_t>;
using Weights = std::vector<ReferenceWeight>;

std::int64_t dot(const Vector& a, const Vector& b) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::int64_t{a[i]} * b[i];
  return sum;
}

/// Softmax, in units of 2^-52 of the largest weight, over the keys that a query sees.
ReferenceWeights softmax_where(std::function<bool(std::uint64_t, std::uint64_t)> sees) {
  return [sees = std::move(sees)](const ReferenceVectors& queries, const ReferenceVectors& keys) {
    const std::uint64_t n = queries.size();
    Weights all(n * n, 0);
    for (std::uint64_t i = 0; i < n; ++i) {
      std::int64_t top = INT64_MIN;
      for (std::uint64_t j = 0; j < n; ++j) {
        if (sees(i, j)) top = std::max(top, dot(queries[i], keys[j]));
      }
      for (std::uint64_t j = 0; j < n; ++j) {
        if (sees(i, j)) all[i * n + j] = anna::softmax_weight(kScale, dot(queries[i], keys[j]) - top);
      }
    }
    return all;
  };
}

ReferenceWeights products(std::function<ReferenceWeight(const Vector&, const Vector&)> kernel, bool masked) {
  return [kernel = std::move(kernel), masked](const ReferenceVectors& queries, const ReferenceVectors& keys) {
    const std::uint64_t n = queries.size();
    Weights all(n * n, 0);
    for (std::uint64_t i = 0; i < n; ++i) {
      for (std::uint64_t j = 0; j < (masked ? i + 1 : n); ++j) all[i * n + j] = kernel(queries[i], keys[j]);
    }
    return all;
  };
}

/// <g_r, x>, g_r the Gaussian coefficients of a stream.
std::int64_t projection(std::uint64_t stream, std::uint32_t r, const Vector& x) {
  std::int64_t sum = 0;
  for (std::uint32_t i = 0; i < x.size(); ++i)
    sum += std::int64_t{x[i]} * anna::gaussian(draw(kSeed, Domain::kHash, ~stream, r, i));
  return sum;
}

/// The kernel of a mechanism's own features, which are compared with their formulas besides.
ReferenceWeight by_features(const anna::Mechanism& mechanism, const Vector& query, const Vector& key) {
  const auto features = mechanism.features(static_cast<std::uint32_t>(query.size()));
  std::vector<std::int64_t> q(features->rank()), k(features->rank());
  features->of(query, true, q);
  features->of(key, false, k);
  ReferenceWeight sum = 0;
  for (std::size_t r = 0; r < q.size(); ++r) sum += static_cast<ReferenceWeight>(q[r]) * k[r];
  return sum;
}

/// s_r(x) = <g_r, x><h_r, x> / (2^24 unit), half to even.
std::int64_t sketched(std::uint32_t r, const Vector& x) {
  const ReferenceWeight product = static_cast<ReferenceWeight>(projection(17, r, x)) * projection(18, r, x);
  const ReferenceWeight unit = static_cast<ReferenceWeight>(kUnit) << 24;
  ReferenceWeight floor = product / unit;
  if (floor * unit > product) --floor;
  const ReferenceWeight twice = 2 * (product - floor * unit);
  return static_cast<std::int64_t>(floor + (twice > unit || (twice == unit && floor % 2 != 0) ? 1 : 0));
}

ReferenceWeight squared_sketch(const Vector& query, const Vector& key) {
  ReferenceWeight sum = 0;
  for (std::uint32_t r = 0; r < kSketch; ++r)
    sum += static_cast<ReferenceWeight>(sketched(r, query)) * sketched(r, key);
  return sum * sum;
}

/// Tokens in the order of their codes; a query sees its code in its chunk and the one before.
ReferenceWeights chunks(bool masked) {
  return [masked](const ReferenceVectors& queries, const ReferenceVectors&) {
    const std::uint64_t n = queries.size();
    Weights all(n * n, 0);
    for (std::uint32_t hashing = 0; hashing < kHashings; ++hashing) {
      const auto hash = anna::make_table({.dimension = static_cast<std::uint32_t>(queries[0].size()),
                                          .functions = kFunctions,
                                          .seed = kSeed},
                                         hashing);
      std::vector<std::tuple<std::vector<std::uint64_t>, std::uint64_t>> order;
      for (std::uint64_t token = 0; token < n; ++token) {
        std::vector<std::uint64_t> code;
        for (std::uint32_t f = 0; f < kFunctions; ++f) code.push_back(hash->value(f, queries[token]));
        order.emplace_back(std::move(code), token);
      }
      std::ranges::sort(order);
      for (std::uint64_t a = 0; a < n; ++a) {
        const std::uint64_t i = std::get<1>(order[a]);
        for (std::uint64_t b = 0; b < n; ++b) {
          const std::uint64_t j = std::get<1>(order[b]), own = a / kChunk, other = b / kChunk;
          if (std::get<0>(order[a]) == std::get<0>(order[b]) && (other == own || other + 1 == own) &&
              !(masked && j > i))
            ++all[i * n + j];
        }
      }
    }
    return all;
  };
}

/// A form of a mechanism and its definition.
struct Form {
  std::string name;
  anna::Mechanism mechanism;
  ReferenceWeights weights;
};

std::vector<Form> forms(bool masked) {
  const std::string mask = masked ? "causal " : "";
  const auto before = [masked](std::uint64_t i, std::uint64_t j) { return !masked || j <= i; };
  const auto near = [before](std::uint64_t i, std::uint64_t j) {
    return (i < j ? j - i : i - j) <= kWidth && before(i, j);
  };
  const anna::Mechanism low_rank = anna::LowRank{kRank, kSeed, masked},
                        performer = anna::Performer{kRank, kSeed, kTemperature, kShift, masked};
  return {
      {mask + "softmax", anna::Softmax{kScale, masked}, softmax_where(before)},
      {mask + "low_rank", low_rank,
       products([low_rank](const Vector& q, const Vector& k) { return by_features(low_rank, q, k); },
                masked)},
      {mask + "performer", performer,
       products([performer](const Vector& q, const Vector& k) { return by_features(performer, q, k); },
                masked)},
      {mask + "polynomial", anna::Polynomial{kSketch, kSeed, kUnit, masked},
       products(squared_sketch, masked)},
      {mask + "window", anna::Window{kWidth, kScale, 0, masked}, softmax_where(near)},
      {mask + "window, 3 global tokens", anna::Window{kWidth, kScale, kGlobals, masked},
       softmax_where([before, near](std::uint64_t i, std::uint64_t j) {
         return near(i, j) || ((i < kGlobals || j < kGlobals) && before(i, j));
       })},
      {mask + "chunked",
       anna::Chunked{
           .chunk = kChunk, .hashings = kHashings, .functions = kFunctions, .seed = kSeed, .masked = masked},
       chunks(masked)}};
}

/// What is compared: a form, with another mechanism in its place or not.
struct Job {
  Form form;
  std::uint64_t n;
};

std::string model_quantity(const Form& form) {
  return form.name + ": rows unlike the definition's";
}
std::string protocol_quantity(const Form& form) {
  return form.name + " as a protocol: rows unlike the definition's";
}
constexpr const char* kFeatures = "performer features: numbers unlike the formulas'";

double rows_unlike(const anna::Activations& rows, const anna::Activations& expected, std::uint64_t n) {
  double unlike = 0;
  for (std::uint64_t t = 0; t < n; ++t)
    unlike += std::ranges::equal(rows.row(t).entries, expected.row(t).entries) ? 0 : 1;
  return unlike;
}

/// Rows of the model and of its protocol that differ from the definition's.
std::vector<double> compare_rows(const Job& job, std::uint64_t seed) {
  anna::RandomModel random;
  random.layers = kLayers;
  random.heads = kHeads;
  random.dimension = kDimension;
  random.value_dimension = 3;
  random.row_dimension = 4;
  random.seed = seed;
  const anna::Model model = anna::make_random_model(random, job.n, job.form.mechanism);
  const std::vector<std::uint64_t> words = anna::random_words(random, job.n);
  anna::Activations input = anna::Activations::with_dimension(2);
  for (const std::uint64_t word : words)
    input.append_row(std::vector<anna::Entry>{{0, 1.0}, {1, static_cast<double>(word)}});
  const auto reference = make_reference_averages(job.form.weights);
  anna::Activations expected = input;
  for (const auto& layer : model.transformer.layers) expected = anna::evaluate(*layer, *reference, expected);
  mpc::Parameters parameters;
  parameters.n = job.n;
  parameters.epsilon = Rational(1, 2);
  parameters.delta = Rational(1, 5);
  return {rows_unlike(anna::evaluate(model, input), expected, job.n),
          rows_unlike(simulate::run_decompiled(model, words, parameters).rows, expected, job.n)};
}

/// Features of random vectors that are not within rounding of the formula.
double features_unlike(const anna::Performer& performer, std::uint64_t vectors, std::uint64_t seed) {
  const auto features = performer.features(kDimension);
  std::vector<std::int64_t> found(performer.rank);
  double unlike = 0;
  for (std::uint64_t number = 0; number < vectors; ++number) {
    Vector x;
    for (std::uint32_t i = 0; i < kDimension; ++i)
      x.push_back(static_cast<std::int32_t>(draw_below(101, seed, Domain::kTest, 43, number, i)) - 50);
    features->of(x, number % 2 == 0, found);
    for (std::uint32_t r = 0; r < performer.rank; ++r) {
      const long double exponent = static_cast<long double>(projection(16, r, x)) / 4096 /
                                       std::sqrt(static_cast<long double>(kTemperature)) -
                                   static_cast<long double>(dot(x, x)) / (2 * kTemperature) - kShift;
      const long double expected = std::max(1.0L, 0x1p20L * std::exp(std::min(0.0L, exponent)));
      unlike += std::fabs(static_cast<long double>(found[r]) - expected) > 0.5001L ? 1 : 0;
    }
  }
  return unlike;
}

Check no_unlike(const std::string& quantity, std::uint64_t n, double measured, Context& context) {
  return compare({.theorem = kName, .n = n, .seed = context.seed}, quantity, measured, Relation::kEqual, 0);
}

std::vector<std::vector<Check>> row_checks(const std::vector<Job>& jobs, Context& context) {
  const auto found = spread(context.transport, jobs.size(), [&](std::size_t i) {
    context.progress(jobs[i].form.name + ", N = " + std::to_string(jobs[i].n));
    return compare_rows(jobs[i], context.seed);
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& [form, n] = jobs[i];
    all.push_back({no_unlike(model_quantity(form), n, found[i][0], context),
                   no_unlike(protocol_quantity(form), n, found[i][1], context)});
  }
  return all;
}

std::vector<Check> feature_checks(const anna::Performer& performer, std::uint64_t n, Context& context) {
  return {no_unlike(kFeatures, n, features_unlike(performer, n, context.seed), context)};
}

class AveragingMechanisms : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "Softmax, features, windows and chunks, causal or not, are their definitions, also as protocols";
  }
  std::string card() const override {
    return R"(Problem:   a model of two layers of softmax, low_rank, performer, polynomial, window or chunked attention.
Guarantee: every row of the last array is the one by the definition, bit for bit: weights pair by pair, exact sums, each
           rounded once and divided once. So is every row of the protocol that the model becomes. Performer's features
           are within rounding of their formula.
Check:     random models and inputs; the definitions are the verifier's own, but for softmax's weight of one score, the
           hash functions, and features of low_rank (building_blocks has them) and performer (here).
Source:    ours; the mechanisms' sources stand in their headers.)";
  }
  std::vector<Constant> constants() const override {
    return {{"L, H", "2, 2", "layers and heads"},
            {"w, g", "2, 3", "a window, and global tokens where there are some"},
            {"r, R", "3, 2", "features; the polynomial kernel's sketch"},
            {"B, n_h", "4, 2", "tokens of a chunk, hashings"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Job> jobs;
    std::vector<Check> all;
    for (const std::uint64_t n : sizes(context.sizes)) {
      for (const bool masked : {false, true}) {
        for (Form& form : forms(masked)) {
          if (context.wants(form.name, n)) jobs.push_back({std::move(form), n});
        }
      }
      if (context.wants(kFeatures, n)) {
        const auto checks = feature_checks({64, kSeed, kTemperature, kShift}, n, context);
        all.insert(all.end(), checks.begin(), checks.end());
      }
    }
    for (const auto& checks : row_checks(jobs, context)) all.insert(all.end(), checks.begin(), checks.end());
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    constexpr std::uint64_t kTokens = 40;
    std::vector<Job> jobs;
    std::vector<std::string> names;
    const std::vector<Form> open = forms(false), masked = forms(true);
    const auto add = [&](const Form& form, const anna::Mechanism& defective, std::string name) {
      jobs.push_back({form, kTokens});
      jobs.push_back({{form.name, defective, form.weights}, kTokens});
      names.push_back(std::move(name));
    };
    for (std::size_t i = 0; i < open.size(); ++i) {
      add(open[i], masked[i].mechanism, open[i].name + " with a mask");
      add(masked[i], open[i].mechanism, open[i].name + " without its mask");
    }
    const auto checks = row_checks(jobs, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto& sound = checks[2 * i];
      const auto& defective = checks[2 * i + 1];
      const Form& form = jobs[2 * i].form;
      all.push_back(judge_control(kName, names[i], model_quantity(form), {defective[0]}, sound));
      all.push_back(
          judge_control(kName, names[i] + ", as a protocol", protocol_quantity(form), {defective[1]}, sound));
    }
    const anna::Performer sound{64, kSeed, kTemperature, kShift};
    anna::Performer other = sound;
    other.shift += 1;
    all.push_back(judge_control(kName, "features of another shift", kFeatures,
                                feature_checks(other, kTokens, context),
                                feature_checks(sound, kTokens, context)));
    return all;
  }

 private:
  static std::vector<std::uint64_t> sizes(Sizes sizes) {
    if (sizes == Sizes::kSmall) return {40, 60, 100};
    return {40, 60, 100, 300};
  }
};

}  // namespace

std::unique_ptr<const Statement> make_averaging_mechanisms() {
  return std::make_unique<AveragingMechanisms>();
}

}  // namespace roundtrip::proofs_check
