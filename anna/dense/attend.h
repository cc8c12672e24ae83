// Purpose: `roundtrip attend` as a library: what ANNA over given or generated matrices will cost and
// guarantee, the evaluation, and the comparison with what it approximates.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "roundtrip/anna/dense/instances.h"
#include "roundtrip/anna/dense/matrices.h"
#include "roundtrip/anna/lsh/probability.h"

namespace roundtrip::anna {

struct AttendOptions {
  FamilyKind family = FamilyKind::kCrossPolytopeHadamard;
  double c = 8;                                 ///< approximation factor, > 1
  std::optional<double> radius = {};            ///< near radius r; absent: sqrt 2 / c (not for bit sampling)
  double width = 0;                             ///< p-stable: w in the input's units; 0: 4 r
  double eta = 0.01;                            ///< failure probability
  std::optional<std::uint32_t> tables = {};     ///< ell instead of the choice by eta
  std::optional<std::uint32_t> functions = {};  ///< z instead of the choice by eta
  std::uint32_t rotations = 2;                  ///< hadamard
  std::uint64_t seed = 1;
  unsigned threads = 0;
  double beta = 0;  ///< of the softmax compared with; 0: 2 / r^2
  std::function<void(std::uint32_t done, std::uint32_t tables)> progress = {};
};

/// What an evaluation will be, before anything of it starts.
struct AttendPlan {
  std::uint64_t queries = 0, keys = 0;
  std::uint32_t dimension = 0, value_dimension = 0;
  FamilyKind family{};
  double c = 0, radius = 0, width = 0;
  Probability p1, p2;           ///< at r and c r
  std::uint32_t functions = 0;  ///< z
  std::uint64_t tables = 0;     ///< ell
  double rho = 0;
  double false_collisions = 0;  ///< bound on the probability of any collision beyond c r; may exceed 1
  double missed_pairs = 0;      ///< bound on the probability that any near pair never collides; may exceed 1
  double hash_evaluations = 0, row_additions = 0;  ///< at most
  double peak_bytes = 0;    ///< inputs, integers, codes, totals, output and the measurement of weights
  bool guaranteed = false;  ///< both bounds at most eta / 2
  bool pointless = false;   ///< ell >= N: comparing all pairs costs less
  std::string advice;       ///< what would help where not guaranteed or pointless; else empty
  /// For points quantised with `unit`; ContractError if ell is too large.
  AnnaParameters parameters(double unit) const;
  std::uint64_t seed = 1;
  std::uint32_t rotations = 2;
};
/// ContractError for options that contradict each other or the family.
AttendPlan plan_attend(std::uint64_t queries, std::uint64_t keys, std::uint32_t dimension,
                       std::uint32_t value_dimension, const AttendOptions& options);

enum class AttendCompare : std::uint8_t { kNone, kExact, kEma, kBrute };
AttendCompare parse_compare(std::string_view name);

struct AttendReport {
  DenseResult result;
  std::optional<WeightFacts> weights;  ///< on sampled queries; with a comparison, or where groups are known
  // With a comparison:
  std::string compared_with;  ///< the mechanism's name, empty without
  double compared_seconds = 0;
  double max_error = 0;       ///< largest difference of two output numbers
  double relative_error = 0;  ///< root of sum of squared differences / sum of squares of the compared
  bool equal = false;         ///< bit for bit
};

/// Evaluates a head that quantise() made (with `unit_sphere` where the family compares directions) by the
/// plan made with the same options, and compares. `groups`: of a generated instance. ContractError if brute
/// force would take more than 2^34 comparisons.
AttendReport attend(const DenseHead& head, const AttendPlan& plan, const AttendOptions& options,
                    AttendCompare compare = AttendCompare::kNone, std::span<const std::uint64_t> groups = {});

}  // namespace roundtrip::anna
