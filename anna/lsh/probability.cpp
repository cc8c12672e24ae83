#include "roundtrip/anna/lsh/probability.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <cmath>
#include <numbers>
#include <vector>

#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

double normal_cdf(double x) {
  return std::erfc(-x / std::numbers::sqrt2) / 2;
}
double normal_density(double x) {
  return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
}

Probability around(double estimate, double error) {
  return {std::max(0.0, estimate - error), estimate, std::min(1.0, estimate + error)};
}

// Cross-polytope with a Gaussian matrix: d independent pairs (U_i, V_i) of standard normals with correlation
// rho. The signed argmax agrees iff some i has the largest |U| and the largest |V| and equal signs:
//   2 d int int_{u, v > 0} phi_rho(u, v) B(u, v)^{d-1},  B(u, v) = P(|U| < u, |V| < v).
// Trapezoids on a grid of step h; B by cumulative sums along u.
double cross_polytope(std::uint32_t d, double rho, double h) {
  const double reach = 9, sigma = std::sqrt(1 - rho * rho);
  const auto n = static_cast<std::size_t>(reach / h);
  std::vector<double> density(n + 1);
  for (std::size_t i = 0; i <= n; ++i) density[i] = normal_density(static_cast<double>(i) * h);
  double total = 0;
  for (std::size_t j = 0; j <= n; ++j) {
    const double v = static_cast<double>(j) * h;
    double b = 0, before = 0;
    for (std::size_t i = 0; i <= n; ++i) {
      const double u = static_cast<double>(i) * h;
      // P(|V| < v | U = u) = P(|V| < v | U = -u).
      const double slice =
          density[i] * (normal_cdf((v - rho * u) / sigma) - normal_cdf((-v - rho * u) / sigma));
      if (i > 0) b += h * (slice + before);  // both signs of u
      before = slice;
      const double z = (v - rho * u) / sigma;
      if (z > 9) continue;
      if (z < -9) break;
      const double weight = (i == 0 ? 0.5 : 1) * (j == 0 ? 0.5 : 1);
      total += weight * density[i] * normal_density(z) / sigma * std::pow(b, static_cast<double>(d) - 1);
    }
  }
  return (seeded("one-sign") ? 1 : 2) * d * total * h * h;
}

Probability cross_polytope_quadrature(std::uint32_t d, double distance) {
  const double rho = 1 - distance * distance / 2;
  if (d == 1)
    return around(rho >= 0 || distance < 2 ? 1 - std::acos(std::clamp(rho, -1.0, 1.0)) / std::numbers::pi : 0,
                  1e-12);
  if (distance == 0) return {1, 1, 1};
  const double sigma = std::sqrt(std::max(1 - rho * rho, 1e-6));
  if (rho <= -1 + 1e-9) return {0, 0, 0};
  const double h = std::clamp(sigma / 6, 9.0 / 3000, 0.03);
  const double coarse = cross_polytope(d, rho, h), fine = cross_polytope(d, rho, h / 2);
  const double better = fine + (fine - coarse) / 3;  // the error of trapezoids is of order h^2
  return around(better, std::fabs(better - fine) + 1e-9);
}

// An integer pair of norm <= kHadamardMaxNorm at angle theta in the plane of two orthogonal directions.
void draw_pair(int kind, double theta, RandomStream& stream, std::vector<std::int32_t>& x,
               std::vector<std::int32_t>& y) {
  const std::size_t d = x.size();
  std::vector<double> a(d, 0), b(d, 0);
  if (kind == 0) {  // dense
    double aa = 0, ab = 0, bb = 0;
    for (std::size_t i = 0; i < d; ++i) a[i] = gaussian(stream()), b[i] = gaussian(stream());
    for (std::size_t i = 0; i < d; ++i) aa += a[i] * a[i], ab += a[i] * b[i];
    for (std::size_t i = 0; i < d; ++i) b[i] -= a[i] * ab / aa, bb += b[i] * b[i];
    for (std::size_t i = 0; i < d; ++i) a[i] /= std::sqrt(aa), b[i] /= std::sqrt(bb);
  } else if (kind == 1) {  // two coordinates
    const std::size_t i = stream.below(d), j = (i + 1 + stream.below(d - 1)) % d;
    a[i] = (stream() & 1) != 0 ? 1 : -1, b[j] = (stream() & 1) != 0 ? 1 : -1;
  } else {  // signs, the second vector flips half of them
    std::vector<std::size_t> order(d);
    for (std::size_t i = 0; i < d; ++i) order[i] = i;
    for (std::size_t i = d; i > 1; --i) std::swap(order[i - 1], order[stream.below(i)]);
    const std::size_t used = d - d % 2;
    for (std::size_t i = 0; i < used; ++i) {
      a[order[i]] = ((stream() & 1) != 0 ? 1 : -1) / std::sqrt(static_cast<double>(used));
      b[order[i]] = (i < used / 2 ? 1 : -1) * a[order[i]];
    }
  }
  const double scale = kHadamardMaxNorm - std::sqrt(static_cast<double>(d)) / 2;  // less what rounding adds
  for (std::size_t i = 0; i < d; ++i) {
    x[i] = static_cast<std::int32_t>(std::nearbyint(scale * a[i]));
    y[i] =
        static_cast<std::int32_t>(std::nearbyint(scale * (std::cos(theta) * a[i] + std::sin(theta) * b[i])));
  }
}

Probability hadamard(const FamilyParameters& parameters, double distance, const MonteCarlo& options) {
  if (distance == 0) return {1, 1, 1};
  require(parameters.dimension >= 2, "dimension is {}; probabilities of the hadamard family need at least 2",
          parameters.dimension);
  const double theta = 2 * std::asin(distance / 2);
  Probability worst = {1, 0, 0};
  constexpr std::uint32_t kBatch = 64;  // functions drawn at once: each serves one trial
  std::vector<std::int32_t> x(parameters.dimension), y(parameters.dimension);
  for (int kind = 0; kind < 3; ++kind) {
    RandomStream stream(options.seed, Domain::kTest, 0x6861646d, static_cast<std::uint64_t>(kind));
    std::uint64_t equal = 0;
    FamilyParameters batch = parameters;
    batch.functions = kBatch;
    batch.seed = options.seed;
    std::unique_ptr<const TableHash> table;
    for (std::uint64_t trial = 0; trial < options.trials; ++trial) {
      if (trial % kBatch == 0) {
        table = make_table(batch,
                           static_cast<std::uint32_t>(trial / kBatch * 3 + static_cast<std::uint64_t>(kind)));
      }
      draw_pair(kind, theta, stream, x, y);
      const auto f = static_cast<std::uint32_t>(trial % kBatch);
      equal += table->value(f, x) == table->value(f, y);
    }
    const Probability p = clopper_pearson(equal, options.trials, options.miss);
    worst.low = std::min(worst.low, p.low);
    worst.high = std::max(worst.high, p.high);
    worst.estimate += p.estimate / 3;
  }
  return worst;
}

}  // namespace

Probability clopper_pearson(std::uint64_t successes, std::uint64_t trials, double miss) {
  require(trials >= 1 && successes <= trials, "{} successes of {} trials", successes, trials);
  require(miss > 0 && miss < 1, "miss is {}; it must lie between 0 and 1", miss);
  using Binomial = boost::math::binomial_distribution<double>;
  const auto n = static_cast<double>(trials), k = static_cast<double>(successes);
  return {Binomial::find_lower_bound_on_p(n, k, miss), k / n, Binomial::find_upper_bound_on_p(n, k, miss)};
}

Probability collision_probability(const FamilyParameters& parameters, double distance,
                                  const MonteCarlo& options) {
  parameters.validate();
  const double most = compares_directions(parameters.kind) ? 2.0
                      : parameters.kind == FamilyKind::kBitSampling
                          ? static_cast<double>(parameters.dimension)
                          : HUGE_VAL;
  require(distance >= 0 && distance <= most && std::isfinite(distance),
          "distance is {}; the {} family takes 0 .. {}", distance, to_string(parameters.kind), most);
  switch (parameters.kind) {
    case FamilyKind::kHyperplane:
      return around(1 - 2 * std::asin(distance / 2) / std::numbers::pi, 1e-12);
    case FamilyKind::kBitSampling:
      return around(1 - distance / parameters.dimension, 1e-15);
    case FamilyKind::kPStable: {
      if (distance == 0) return {1, 1, 1};
      const double t = parameters.width / distance;
      return around(
          1 - 2 * normal_cdf(-t) - 2 / (std::sqrt(2 * std::numbers::pi) * t) * (1 - std::exp(-t * t / 2)),
          1e-12);
    }
    case FamilyKind::kCrossPolytope:
      return cross_polytope_quadrature(parameters.dimension, distance);
    case FamilyKind::kCrossPolytopeHadamard:
      return hadamard(parameters, distance, options);
  }
  throw InternalError("an unknown hash family");
}

TableChoice choose_tables(std::uint64_t n, double eta, double p1, double p2) {
  require(n >= 1, "N is {}; it must be at least 1", n);
  require(eta > 0 && eta < 1, "eta is {}; it must lie between 0 and 1", eta);
  require(p2 > 0 && p2 < p1 && p1 < 1,
          "p1 is {} and p2 is {}; 0 < p2 < p1 < 1 is needed: a larger c separates them", p1, p2);
  const double pairs = static_cast<double>(n) * (seeded("pairs-linear") ? 1.0 : static_cast<double>(n));
  for (std::uint32_t z = 1; z <= 1024; ++z) {
    const double hit = std::pow(p1, z);
    const double ell = std::ceil(std::log(2 * pairs / eta) / -std::log1p(-hit));
    if (!(ell <= 9007199254740992.0)) break;
    if (pairs * ell * std::pow(p2, z) > eta / 2) continue;
    TableChoice choice;
    choice.functions = z;
    choice.tables = static_cast<std::uint64_t>(ell);
    choice.p1 = p1, choice.p2 = p2, choice.rho = std::log(p1) / std::log(p2);
    choice.false_collisions = pairs * ell * std::pow(p2, z);
    choice.missed_pairs = pairs * std::exp(ell * std::log1p(-hit));
    choice.hash_evaluations = 2 * static_cast<double>(n) * ell * z;
    choice.row_additions = 2 * static_cast<double>(n) * ell;
    choice.pointless = ell >= static_cast<double>(n);
    return choice;
  }
  throw ContractError(
      fmt::format("no (z, ell) with z <= 1024 and ell <= 2^53 gives N = {}, eta = {} at p1 = {}, p2 = {}; a "
                  "larger c is needed",
                  n, eta, p1, p2));
}

}  // namespace roundtrip::anna
