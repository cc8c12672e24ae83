#include "roundtrip/proofs_check/formulas.h"

#include <algorithm>
#include <boost/math/constants/constants.hpp>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/poisson.hpp>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>

#include "roundtrip/base/error.h"

namespace roundtrip::proofs_check {
namespace {

std::uint64_t up(std::uint64_t a, std::uint64_t b) {
  return (a + b - 1) / b;
}

/// Rounds of the plan with fan-out f, empty if f has none; `records` a machine (B), `spare` words beside them (h).
std::optional<std::uint32_t> rounds_with(std::uint64_t f, std::uint64_t n, std::uint64_t records,
                                         std::uint64_t spare, std::uint64_t sample_words) {
  const std::uint64_t machines = up(n, records);             // M
  const std::uint64_t samples = spare / (f * sample_words);  // sigma
  const std::uint64_t ways =
      std::min(spare / ((f + 4) * sample_words), samples * std::min(f, machines));  // F
  if (samples < 1 || ways < 2) return std::nullopt;
  const std::uint64_t stride = up(records, samples);  // t0
  std::uint32_t rounds = 2;
  for (std::uint64_t length = n; length > records;) {
    const std::uint64_t group = up(length, records) + 1;           // m_l
    const std::uint32_t depth = std::max(1u, log_ceil(f, group));  // d_l
    std::uint64_t span = 1;                                        // f^(d_l - 1) <= group
    for (std::uint32_t i = 1; i < depth; ++i) span *= f;
    const std::uint64_t next = up(length, ways) + group * stride * depth + stride * span;
    if (20 * next >= 19 * length) return std::nullopt;
    rounds += 4 * depth + 1;
    length = next;
  }
  return rounds;
}

/// The least b with b^denominator >= N^numerator + more.
std::uint64_t least_root(std::uint64_t n, const Rational& exponent, unsigned more) {
  using boost::multiprecision::cpp_int;
  require(n >= 1 && exponent >= Rational(0), "root of {} with exponent {}: allowed N >= 1, exponent >= 0", n,
          exponent.to_string());
  const auto power = [](std::uint64_t base, std::int64_t e) {
    return cpp_int(boost::multiprecision::pow(cpp_int(base), static_cast<unsigned>(e)));
  };
  const cpp_int target = power(n, exponent.numerator()) + more;
  std::uint64_t low = 0;                        // low^denominator < target
  std::uint64_t high = std::uint64_t{1} << 62;  // high^denominator >= target
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (power(middle, exponent.denominator()) >= target ? high : low) = middle;
  }
  return high;
}

}  // namespace

std::uint64_t root_ceil(std::uint64_t n, const Rational& exponent) {
  return least_root(n, exponent, 0);
}

std::uint64_t root_floor(std::uint64_t n, const Rational& exponent) {
  return least_root(n, exponent, 1) - 1;
}

std::uint32_t log_ceil(std::uint64_t base, std::uint64_t value) {
  std::uint32_t e = 0;
  for (std::uint64_t power = 1; power < value; power *= base) {
    ++e;
    if (power > (value - 1) / base) break;  // power * base >= value, and may not fit
  }
  return e;
}

std::optional<SortSizes> sort_sizes(std::uint64_t n, std::uint64_t w, std::uint64_t s,
                                    std::uint64_t sample_words, std::uint64_t most_records) {
  constexpr std::uint64_t kGroups = 4;  // first and last group of a machine, by start and length
  std::optional<SortSizes> least;
  for (const std::uint64_t part : {2, 3, 4}) {
    const std::uint64_t records = std::min(s / (part * w), most_records);
    if (records == 0) continue;
    const std::uint64_t machines = up(n, records);
    if (machines == 1) return SortSizes{0, records, 1};
    if (s < records * w + kGroups) continue;
    for (std::uint64_t f = 2; f <= machines + 1; ++f) {
      const auto rounds = rounds_with(f, n, records, s - records * w - kGroups, sample_words);
      if (rounds && (!least || *rounds < least->rounds)) least = {*rounds, records, machines};
    }
  }
  return least;
}

SortMemory sort_memory(std::uint64_t n, std::uint64_t w, std::uint64_t kappa_s, std::uint64_t block_words) {
  for (std::uint64_t kappa = kappa_s;; ++kappa) {
    const std::uint64_t s = kappa * block_words;
    if (const auto sort = sort_sizes(n, w, s)) return {kappa, s, *sort};
  }
}

double identity_collision(std::uint32_t dimension, std::uint32_t functions) {
  const boost::math::binomial_distribution<double> distance(dimension, 0.5);
  double sum = 0;
  for (std::uint32_t t = 1; t <= dimension; ++t) {
    const double agree = 1 - std::acos(1 - 2.0 * t / dimension) / boost::math::constants::pi<double>();
    sum += boost::math::pdf(distance, t) * std::pow(agree, functions);
  }
  return sum;
}

std::uint32_t identity_functions(std::uint64_t ids, std::uint32_t dimension, double eta) {
  const double pairs = static_cast<double>(ids) * static_cast<double>(ids - 1) / 2;
  std::uint32_t z = 1;
  while (pairs * identity_collision(dimension, z) > eta) ++z;
  return z;
}

std::uint64_t packet_dimension(std::uint64_t sources, std::uint64_t memory_words) {
  const std::uint64_t met = std::min(memory_words, sources);
  const auto is_prime = [](std::uint64_t p) {
    for (std::uint64_t d = 2; d * d <= p; ++d) {
      if (p % d == 0) return false;
    }
    return p >= 2;
  };
  std::uint64_t least = 2 * sources;
  // One digit more than log2(q) can't help: P >= 2 reaches q by then, and X only grows.
  for (std::uint64_t k = 1; k <= std::uint64_t{log_ceil(2, sources)} + 1; ++k) {
    const std::uint64_t points = (k - 1) * (met - 1) + 1;
    std::uint64_t prime = std::max<std::uint64_t>(points, 2);
    while (!is_prime(prime) || log_ceil(prime, sources) > k) ++prime;
    least = std::min(least, 4 * points * prime);
  }
  return least;
}

Routing routing(std::uint64_t n, std::uint64_t machines, std::uint64_t memory_words, std::uint64_t rounds,
                const std::optional<Rational>& delta, double eta) {
  std::uint32_t digits = 1;
  if (delta || machines > memory_words) {
    const std::uint64_t k = std::max<std::uint64_t>(2, root_ceil(n, delta.value_or(Rational(1, 5))));
    digits = std::max(1u, log_ceil(k, machines));
  }
  Routing result;
  result.radices.assign(digits, root_ceil(machines, Rational(1, digits)));
  const auto nodes = [&] {
    std::uint64_t product = 1;
    for (const std::uint64_t k : result.radices) product *= k;
    return product;
  };
  for (bool lowered = true; lowered;) {
    lowered = false;
    for (std::uint64_t& k : result.radices) {
      if (k == 1) continue;
      --k;
      if (nodes() >= machines) {
        lowered = true;
      } else {
        ++k;
      }
    }
  }
  std::erase(result.radices, 1u);
  if (result.radices.empty()) result.radices.push_back(1);
  std::uint64_t sum = 0;
  for (const std::uint64_t k : result.radices) sum += k;
  const double allowed = eta / (2.0 * static_cast<double>(rounds * nodes() * sum));
  for (const std::uint64_t k : result.radices) {
    const boost::math::poisson_distribution<double> load(static_cast<double>(memory_words) /
                                                         static_cast<double>(k));
    std::uint64_t c = up(memory_words, k);
    while (boost::math::cdf(boost::math::complement(load, static_cast<double>(c))) > allowed) ++c;
    result.capacities.push_back(c);
  }
  return result;
}

namespace {
constexpr std::uint64_t kLastRow =
    6;  // d of the last array: presence, word and the faults of output and machine
}

std::uint64_t direct_row_dimension(std::uint64_t memory_words) {
  return std::max(kLastRow, 3 + 2 * memory_words);
}

std::uint64_t routed_row_dimension(const Routing& routing, std::uint64_t block_words) {
  std::uint64_t dimension = std::max(kLastRow, 4 + 2 * block_words);
  for (std::size_t t = 0; t < routing.radices.size(); ++t)
    dimension = std::max(dimension, 4 + 2 * routing.radices[t] * routing.capacities[t]);
  return dimension;
}

}  // namespace roundtrip::proofs_check
