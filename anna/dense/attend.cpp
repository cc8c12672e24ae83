#include "roundtrip/anna/dense/attend.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

constexpr std::uint64_t kWeightSamples = 64;  // queries whose weights are measured

// p1 at r and p2 at c r.
struct Ends {
  Probability near, far;
};
Ends collision_ends(const AttendOptions& options, std::uint32_t dimension, double radius, double width,
                    double c) {
  // p-stable probabilities depend on distance / width alone: both in the unit of r here.
  const double unit = options.family == FamilyKind::kPStable ? radius : 1;
  const FamilyParameters family{options.family, dimension, 1, width / unit, options.rotations, options.seed};
  return {collision_probability(family, radius / unit), collision_probability(family, c * radius / unit)};
}

double radius_of(const AttendOptions& options, double c) {
  return options.radius.value_or(std::sqrt(2.0) / c);
}
double width_of(const AttendOptions& options, double radius) {
  return options.width > 0 ? options.width : 4 * radius;
}

// The tables that eta asks for, if fewer than `keys`.
std::optional<TableChoice> worthwhile(std::uint64_t n, std::uint64_t keys, double eta, const Ends& ends) {
  try {
    const TableChoice choice = choose_tables(n, eta, ends.near.low, ends.far.high);
    if (choice.tables < keys) return choice;
  } catch (const ContractError&) {  // no choice at all
  }
  return std::nullopt;
}

// What would make fewer tables than keys enough for the guarantee, each change alone.
std::string remedies(const AttendPlan& plan, const AttendOptions& options) {
  const std::uint64_t n = std::max(plan.queries, plan.keys);
  std::vector<std::string> found;
  const auto add = [&](const std::string& what, const TableChoice& choice) {
    found.push_back(fmt::format("{} (z = {}, ell = {})", what, choice.functions, choice.tables));
  };
  for (double c = std::floor(plan.c) + 1; c <= 64; c = std::ceil(c * 1.2)) {
    const double radius = radius_of(options, c);
    if (compares_directions(options.family) && c * radius > 2) break;  // beyond the sphere
    if (options.family == FamilyKind::kBitSampling && c * radius > plan.dimension) break;
    const Ends ends = collision_ends(options, plan.dimension, radius, width_of(options, radius), c);
    if (const auto choice = worthwhile(n, plan.keys, options.eta, ends)) {
      add(fmt::format("c = {}", c), *choice);
      break;
    }
  }
  for (std::uint64_t more = std::bit_ceil(n + 1); more <= std::uint64_t{1} << 48; more *= 2) {
    if (const auto choice = worthwhile(more, more, options.eta, {plan.p1, plan.p2})) {
      add(fmt::format("N = 2^{}", std::countr_zero(more)), *choice);
      break;
    }
  }
  if (const auto choice = worthwhile(n, plan.keys, 0.5, {plan.p1, plan.p2}); choice && options.eta < 0.5)
    add("eta = 1/2", *choice);
  return found.empty() ? "no c up to 64 and no N up to 2^48 helps"
                       : fmt::format("{}", fmt::join(found, "; or "));
}

}  // namespace

AttendPlan plan_attend(std::uint64_t queries, std::uint64_t keys, std::uint32_t dimension,
                       std::uint32_t value_dimension, const AttendOptions& options) {
  require(queries >= 1 && keys >= 1, "there are {} queries and {} keys; at least one of each is needed",
          queries, keys);
  require(value_dimension >= 1, "value_dimension is 0; it must be at least 1");
  require(options.c > 1 && std::isfinite(options.c), "c is {}; it must exceed 1", options.c);
  require(options.eta > 0 && options.eta < 1, "eta is {}; it must lie between 0 and 1", options.eta);
  require(options.family != FamilyKind::kBitSampling || options.radius.has_value(),
          "the bit-sampling family needs a radius r, a Hamming distance");
  static_cast<void>(threads_for(options.threads, 1));  // too many are refused here
  AttendPlan plan;
  plan.queries = queries, plan.keys = keys, plan.dimension = dimension,
  plan.value_dimension = value_dimension;
  plan.family = options.family, plan.c = options.c, plan.seed = options.seed,
  plan.rotations = options.rotations;
  plan.radius = radius_of(options, options.c);
  require(plan.radius > 0 && std::isfinite(plan.radius), "radius is {}; it must be positive", plan.radius);
  plan.width = width_of(options, plan.radius);
  const Ends ends = collision_ends(options, dimension, plan.radius, plan.width, options.c);
  plan.p1 = ends.near, plan.p2 = ends.far;
  const double n = static_cast<double>(std::max(queries, keys));
  if (options.tables && options.functions) {
    plan.functions = *options.functions, plan.tables = *options.tables;
  } else if (options.functions) {
    plan.functions = *options.functions;
    const double ell =
        std::ceil(std::log(2 * n * n / options.eta) / -std::log1p(-std::pow(plan.p1.low, plan.functions)));
    require(ell <= 9007199254740992.0, "z = {} needs more than 2^53 tables", plan.functions);
    plan.tables = static_cast<std::uint64_t>(ell);
  } else {
    const TableChoice choice = choose_tables(std::max(queries, keys), options.eta, plan.p1.low, plan.p2.high);
    plan.functions = choice.functions;
    plan.tables = options.tables ? *options.tables : choice.tables;
  }
  require(plan.functions >= 1 && plan.tables >= 1,
          "there are {} tables of {} functions; at least one of each is needed", plan.tables, plan.functions);
  const auto ell = static_cast<double>(plan.tables);
  const double tokens = static_cast<double>(queries) + static_cast<double>(keys);
  plan.rho = std::log(plan.p1.low) / std::log(plan.p2.high);
  plan.false_collisions = n * n * ell * std::pow(plan.p2.high, plan.functions);
  plan.missed_pairs = n * n * std::exp(ell * std::log1p(-std::pow(plan.p1.low, plan.functions)));
  plan.hash_evaluations = tokens * ell * plan.functions;
  plan.row_additions = tokens * ell;
  const double padded = std::bit_ceil(std::max(2u, dimension)),
               columns = std::ceil(value_dimension / 16.0) * 16;
  plan.peak_bytes =
      tokens * (6.0 * dimension + 2 * padded + 16) +
      static_cast<double>(keys) * (8.0 * value_dimension + 10 * columns + 4 * kWeightSamples + 12) +
      static_cast<double>(queries) * (8 * columns + 72 + 8.0 * value_dimension);
  plan.guaranteed =
      plan.false_collisions <= options.eta / 2 && plan.missed_pairs <= options.eta / 2 * (1 + 1e-9);
  plan.pointless = ell >= static_cast<double>(keys);
  if (plan.pointless) {
    plan.advice = fmt::format(
        "ANNA is pointless here: {} tables for {} keys, so comparing all pairs costs less. What would help: "
        "{}",
        plan.tables, keys, remedies(plan, options));
  } else if (!plan.guaranteed) {
    const bool missed = plan.missed_pairs > options.eta / 2,
               collide = plan.false_collisions > options.eta / 2;
    plan.advice = fmt::format("no guarantee at eta = {}: {}", options.eta,
                              missed && collide ? "near pairs may be missed and far keys may collide; more "
                                                  "functions and many more tables help"
                              : missed ? "near pairs may be missed; more tables or fewer functions help"
                                       : "far keys may collide; more functions help");
  }
  return plan;
}

AnnaParameters AttendPlan::parameters(double unit) const {
  require(tables <= 1u << 20, "{} tables are more than 2^20; a larger c or eta needs fewer", tables);
  AnnaParameters anna{static_cast<std::uint32_t>(tables), functions, seed, family, width / unit, rotations};
  anna.validate();
  return anna;
}

AttendCompare parse_compare(std::string_view name) {
  if (name == "exact") return AttendCompare::kExact;
  if (name == "ema") return AttendCompare::kEma;
  if (name == "brute") return AttendCompare::kBrute;
  throw ContractError(
      fmt::format("there is nothing called '{}' to compare with; known are exact, ema, brute", name));
}

AttendReport attend(const DenseHead& head, const AttendPlan& plan, const AttendOptions& options,
                    AttendCompare compare, std::span<const std::uint64_t> groups) {
  const AnnaParameters anna = plan.parameters(head.keys.unit);
  if (compare == AttendCompare::kBrute) {
    const double comparisons =
        static_cast<double>(head.queries.rows) * static_cast<double>(head.keys.rows) * anna.tables;
    require(comparisons <= 17179869184.0, "brute force would take {:.3g} comparisons; allowed are 2^34",
            comparisons);
  }
  std::unique_ptr<DenseAttention> other;  // made first: what can't be had is said before the work
  switch (compare) {
    case AttendCompare::kNone:
      break;
    case AttendCompare::kExact:
      other = make_softmax(options.beta > 0 ? options.beta : 2 / (plan.radius * plan.radius),
                           {.threads = options.threads});
      break;
    case AttendCompare::kEma:
      other = make_dense_exact_match({.threads = options.threads});
      break;
    case AttendCompare::kBrute:
      other = make_dense_brute_force(anna);
  }
  AttendReport report;
  report.result =
      make_dense_anna(anna, {.threads = options.threads, .progress = options.progress})->attend(head);
  if (!groups.empty() || other != nullptr) {
    report.weights = measure_weights(head, anna, {plan.radius, plan.c * plan.radius, groups}, kWeightSamples);
  }
  if (other == nullptr) return report;
  const DenseResult compared = other->attend(head);
  report.compared_with = other->name();
  report.compared_seconds = compared.facts.seconds;
  double square = 0, difference = 0;
  for (std::size_t i = 0; i < compared.rows.size(); ++i) {
    const double delta = report.result.rows[i] - compared.rows[i];
    // A NaN stays: std::max would drop it, and a comparison with nothing would say "no difference".
    if (std::isnan(delta) || std::fabs(delta) > report.max_error) report.max_error = std::fabs(delta);
    if (std::isnan(delta)) break;
    difference += delta * delta, square += compared.rows[i] * compared.rows[i];
  }
  report.relative_error = std::isnan(report.max_error) ? report.max_error
                          : square > 0                 ? std::sqrt(difference / square)
                                                       : std::sqrt(difference);
  report.equal = report.result.rows == compared.rows;
  return report;
}

}  // namespace roundtrip::anna
