#include "roundtrip/anna/dense/instances.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "roundtrip/anna/dense/codes.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

constexpr std::array<std::pair<InstanceKind, std::string_view>, 3> kNames = {
    {{InstanceKind::kUniform, "uniform"},
     {InstanceKind::kClustered, "clustered"},
     {InstanceKind::kPlanted, "planted"}}};
constexpr std::uint64_t kClusterTokens = 64, kGroupTokens = 9;

using Vector = std::vector<double>;

void normalise(Vector& x) {
  double square = 0;
  for (const double v : x) square += v * v;
  const double length = std::sqrt(square);
  for (double& v : x) v /= length;
}

Vector direction(std::uint32_t d, RandomStream& stream) {
  Vector x(d);
  do {
    for (double& v : x) v = gaussian(stream());
  } while (std::all_of(x.begin(), x.end(), [](double v) { return v == 0; }));
  normalise(x);
  return x;
}

// A unit vector at chord distance `tau` from the unit vector x, in a random direction.
Vector at_distance(const Vector& x, double tau, RandomStream& stream) {
  Vector y = direction(static_cast<std::uint32_t>(x.size()), stream);
  double along = 0;
  for (std::size_t i = 0; i < x.size(); ++i) along += x[i] * y[i];
  for (std::size_t i = 0; i < x.size(); ++i) y[i] -= along * x[i];
  normalise(y);
  const double cosine = 1 - tau * tau / 2, sine = std::sqrt(1 - cosine * cosine);
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = cosine * x[i] + sine * y[i];
  return y;
}

}  // namespace

std::string to_string(InstanceKind kind) {
  for (const auto& [known, name] : kNames) {
    if (known == kind) return std::string(name);
  }
  throw InternalError("an unknown kind of instance");
}

InstanceKind parse_instance(std::string_view text) {
  for (const auto& [kind, name] : kNames) {
    if (name == text) return kind;
  }
  throw ContractError(fmt::format("there is no instance '{}'; known are uniform, clustered, planted", text));
}

void InstanceParameters::validate() const {
  require(tokens >= 1 && tokens <= std::uint64_t{1} << 28, "tokens is {}; allowed are 1 .. 2^28", tokens);
  require(dimension >= 2 && dimension <= 1u << 14, "dimension is {}; allowed are 2 .. 16384", dimension);
  require(value_dimension >= 1 && value_dimension <= 1u << 14,
          "value_dimension is {}; allowed are 1 .. 16384", value_dimension);
  require(c > 1 && c <= 1000, "c is {}; it must exceed 1 (and be at most 1000)", c);
}

double Instance::near_radius() const {
  return std::sqrt(2.0) / parameters.c;
}

Instance generate_instance(const InstanceParameters& p) {
  p.validate();
  Instance instance{
      p, {p.tokens, p.dimension, {}}, {p.tokens, p.dimension, {}}, {p.tokens, p.value_dimension, {}}, {}};
  instance.queries.data.resize(p.tokens * p.dimension);
  instance.keys.data.resize(p.tokens * p.dimension);
  instance.groups.resize(p.tokens);
  const double r = instance.near_radius();
  const std::uint64_t group_tokens = p.kind == InstanceKind::kPlanted     ? kGroupTokens
                                     : p.kind == InstanceKind::kClustered ? kClusterTokens
                                                                          : 1;
  std::vector<std::uint64_t> place(p.tokens);
  std::iota(place.begin(), place.end(), 0);
  RandomStream order(p.seed, Domain::kInstance, 1);
  for (std::uint64_t i = p.tokens; i > 1; --i) std::swap(place[i - 1], place[order.below(i)]);
  RandomStream stream(p.seed, Domain::kInstance, 2);
  const auto store = [&](RealRows& rows, std::uint64_t token, const Vector& x) {
    std::transform(x.begin(), x.end(), rows.data.begin() + static_cast<std::ptrdiff_t>(token * p.dimension),
                   [](double v) { return static_cast<float>(v); });
  };
  Vector centre;
  for (std::uint64_t i = 0; i < p.tokens; ++i) {
    if (i % group_tokens == 0) centre = direction(p.dimension, stream);
    const std::uint64_t token = place[i];
    instance.groups[token] = i / group_tokens;
    switch (p.kind) {
      case InstanceKind::kUniform:
        store(instance.queries, token, centre);
        store(instance.keys, token, direction(p.dimension, stream));
        break;
      case InstanceKind::kClustered:
        store(instance.queries, token, at_distance(centre, r / 2, stream));
        store(instance.keys, token, at_distance(centre, r / 2, stream));
        break;
      case InstanceKind::kPlanted: {
        // Two queries of a group lie about sqrt 2 * s apart, their keys about as far: beyond r, within c r =
        // sqrt 2.
        const double s = std::min(0.6, std::max(1.5 * r, 0.5));
        const Vector query = at_distance(centre, s, stream);
        store(instance.queries, token, query);
        store(instance.keys, token, at_distance(query, r, stream));
        break;
      }
    }
  }
  RandomStream values(p.seed, Domain::kInstance, 3);
  instance.values.data.resize(p.tokens * p.value_dimension);
  for (float& v : instance.values.data)
    v = static_cast<float>(static_cast<double>(values() >> 40) * 0x1p-23 - 1);
  return instance;
}

WeightQuestion question_of(const Instance& instance) {
  return {instance.near_radius(), std::sqrt(2.0), instance.groups};
}

WeightFacts measure_weights(const DenseHead& head, const AnnaParameters& anna, const WeightQuestion& question,
                            std::uint64_t samples) {
  head.validate();
  require(samples >= 1, "samples is 0; at least 1 query must be sampled");
  samples = std::min(samples, head.queries.rows);
  const std::uint64_t n = head.keys.rows;
  const std::uint32_t d = head.keys.columns;
  require(question.groups.empty() || (question.groups.size() == n && head.queries.rows == n),
          "{} tokens have groups; there are {} queries and {} keys", question.groups.size(),
          head.queries.rows, n);
  FixedRows sampled{samples, d, head.queries.unit, 0, {}};
  std::vector<std::uint64_t> tokens(samples);
  for (std::uint64_t s = 0; s < samples; ++s) {
    tokens[s] = s * head.queries.rows / samples;
    const auto row = head.queries.row(tokens[s]);
    sampled.data.insert(sampled.data.end(), row.begin(), row.end());
  }
  const int threads = threads_for(0, n);
  std::vector<std::uint32_t> weights(samples * n, 0);  // [samples, N] c_ij
  DenseCodes codes(anna, sampled, head.keys, threads);
  const std::size_t words = codes.words();
  std::vector<std::uint64_t> key_codes(n * words), query_codes(samples * words);
  for (std::uint32_t t = 0; t < anna.tables; ++t) {
    codes.use_table(t);
    codes.of_rows(true, 0, samples, best_kernels(), query_codes.data());
    codes.of_rows(false, 0, n, best_kernels(), key_codes.data());
#pragma omp parallel for num_threads(threads)
    for (std::int64_t row = 0; row < static_cast<std::int64_t>(samples); ++row) {
      const auto s = static_cast<std::uint64_t>(row);
      const std::uint64_t* query = &query_codes[s * words];
      for (std::uint64_t j = 0; j < n; ++j)
        weights[s * n + j] += std::equal(query, query + words, &key_codes[j * words]);
    }
  }
  WeightFacts facts{.sampled_queries = samples, .purity = {}};
  const bool hamming = anna.family == FamilyKind::kBitSampling;
  // Input quantisation moved a point by at most sqrt(d) max_error: pairs at exactly r must still count as
  // near.
  const double slack =
      hamming ? 0
              : 2 * std::sqrt(static_cast<double>(d)) * std::max(head.keys.max_error, head.queries.max_error);
  std::uint64_t found = 0;
  double total = 0, own = 0, within = 0;
  for (std::uint64_t s = 0; s < samples; ++s) {
    const auto query = sampled.row(s);
    for (std::uint64_t j = 0; j < n; ++j) {
      const auto key = head.keys.row(j);
      std::int64_t square = 0, signs = 0;
      for (std::uint32_t i = 0; i < d; ++i) {
        const std::int64_t difference = std::int64_t{query[i]} - key[i];
        square += difference * difference, signs += (query[i] > 0) != (key[i] > 0);
      }
      const double distance =
          hamming ? static_cast<double>(signs) : std::sqrt(static_cast<double>(square)) * head.keys.unit;
      const std::uint32_t weight = weights[s * n + j];
      if (distance <= question.near_radius + slack) ++facts.near_pairs, found += weight > 0;
      total += weight;
      if (!question.groups.empty() && question.groups[j] == question.groups[tokens[s]]) own += weight;
      if (distance <= question.far_radius + slack) within += weight;
    }
  }
  if (facts.near_pairs > 0) facts.recall = static_cast<double>(found) / static_cast<double>(facts.near_pairs);
  if (total > 0) facts.within_cr = within / total;
  if (!question.groups.empty()) facts.purity = total > 0 ? own / total : 1;
  return facts;
}

}  // namespace roundtrip::anna
