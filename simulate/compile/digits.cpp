#include "roundtrip/simulate/compile/digits.h"

#include <algorithm>
#include <boost/multiprecision/cpp_dec_float.hpp>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::simulate {
namespace {

using Decimal = boost::multiprecision::cpp_dec_float_50;

constexpr std::uint32_t kMaxDigits = 64;

std::uint64_t product(const std::vector<std::uint32_t>& radices) {
  std::uint64_t result = 1;
  for (const std::uint32_t radix : radices) result *= radix;
  return result;
}

}  // namespace

DigitRouting::DigitRouting(std::vector<std::uint32_t> radices, std::vector<std::uint32_t> capacities)
    : radices_(std::move(radices)), capacities_(std::move(capacities)) {
  require(radices_.size() == capacities_.size() && !radices_.empty(),
          "{} radices need as many capacities; given are {}", radices_.size(), capacities_.size());
  for (const std::uint32_t radix : radices_) {
    strides_.push_back(nodes_);
    by_stride_.emplace_back(nodes_);
    by_radix_.emplace_back(radix);
    nodes_ *= radix;
    require(nodes_ < (std::uint64_t{1} << 32), "{} nodes; they are numbered by 32 bits", nodes_);
  }
}

std::uint32_t choose_digits(const mpc::Shape& shape, const std::optional<Rational>& delta,
                            std::optional<std::uint32_t> forced) {
  if (forced) {
    require(*forced >= 1 && *forced <= kMaxDigits, "digits is {}, allowed is 1 to {}", *forced, kMaxDigits);
    return *forced;
  }
  if (!delta && shape.machines <= shape.memory_words) return 1;
  const std::uint64_t radix = std::max<std::uint64_t>(2, ceil_power(shape.n, delta.value_or(Rational(1, 5))));
  return std::max(1u, ceil_log(radix, shape.machines)) + seeded("digit-too-many");
}

std::vector<std::uint32_t> choose_radices(std::uint64_t machines, std::uint32_t digits) {
  const auto root = static_cast<std::uint32_t>(ceil_power(machines, Rational(1, digits)));
  // Radices of 2 would multiply to 2^D: no more of them than reach q.
  std::vector<std::uint32_t> radices(root == 2 ? std::min(digits, ceil_log(2, machines)) : digits, root);
  for (bool lowered = !seeded("radices"); lowered;) {
    lowered = false;
    for (std::uint32_t& radix : radices) {
      if (radix == 1 || product(radices) / radix * (radix - 1) < machines) continue;
      --radix;
      lowered = true;
    }
  }
  std::erase(radices, 1u);
  if (radices.empty()) radices.push_back(1);
  return radices;
}

std::uint64_t poisson_capacity(std::uint64_t total, std::uint64_t parts, const Rational& eta,
                               std::uint64_t events) {
  const Decimal mean = Decimal(total) / parts;
  const std::uint64_t least = ceil_div(total, parts);
  const Decimal allowed = Decimal(eta.numerator()) / (Decimal(eta.denominator()) * events);
  Decimal term = exp(-mean);  // P[Poisson = c]
  Decimal tail = 1 - term;    // P[Poisson > c]
  std::uint64_t c = 0;
  while (c < least || tail > allowed) {
    term *= mean / ++c;
    tail -= term;
  }
  return c;
}

std::vector<std::uint32_t> choose_capacities(const mpc::Shape& shape,
                                             const std::vector<std::uint32_t>& radices, const Rational& eta) {
  std::uint64_t radix_sum = 0;
  for (const std::uint32_t radix : radices) radix_sum += radix;
  const std::uint64_t nodes = seeded("capacity-of-one-node") ? 1 : product(radices);
  std::vector<std::uint32_t> capacities;
  for (const std::uint32_t radix : radices) {
    capacities.push_back(static_cast<std::uint32_t>(
        poisson_capacity(shape.memory_words, radix, eta, 2ull * shape.rounds * nodes * radix_sum)));
  }
  return capacities;
}

void deal_words(std::uint64_t source, std::uint64_t machines, std::span<const std::uint32_t> destinations,
                std::span<std::uint32_t> intermediates) {
  static thread_local std::vector<std::uint32_t>
      next;  // its memory is used again; next place, by destination
  next.assign(machines + 1, 0);
  for (const std::uint32_t destination : destinations) ++next[destination + 1];
  for (std::uint64_t machine = 1; machine < machines; ++machine) next[machine] += next[machine - 1];
  const bool unsorted = seeded("deal-unsorted");
  for (std::size_t i = 0; i < destinations.size(); ++i) {
    const std::uint64_t place = unsorted ? i : next[destinations[i]]++;
    intermediates[i] = static_cast<std::uint32_t>((source + place) % machines);
  }
}

std::uint32_t dealt_capacity(std::uint64_t memory_words, std::uint64_t machines) {
  const std::uint64_t words = memory_words / machines + machines - 1 - (seeded("dealt-capacity") ? 1 : 0);
  return static_cast<std::uint32_t>(std::min(memory_words, words));
}

}  // namespace roundtrip::simulate
