// Statement: exact-match attention is ANNA with one table, once distinct ids have distinct codes; z is as
// large as the exact collision probability of random sign vectors asks, and no larger.
#include <algorithm>
#include <cmath>
#include <set>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/attention/exact_match.h"
#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "exact_match_by_anna";
constexpr std::uint32_t kDimension = 128;
constexpr double kEta = 1e-6;  // of the z that translators use
// Of the z whose failures are counted: large enough to be seen, and with a union bound (0.053, z being an
// integer) far enough below it for a thousand draws to tell.
constexpr double kEtaTested = 0.1;
constexpr std::uint64_t kIdsTested = 96;

/// Random sign vectors of the verifier's own, cheap to draw anew for every trial.
class Signs : public anna::Codebook {
 public:
  Signs(std::uint64_t ids, std::uint64_t seed) : ids_(ids), seed_(seed) {}
  std::uint32_t dimension() const override { return kDimension; }
  anna::Symbol size() const override { return ids_; }
  void vector(anna::Symbol symbol, std::span<std::int32_t> out) const override {
    const std::uint64_t bits[2] = {draw(seed_, Domain::kTest, symbol, 0, 1),
                                   draw(seed_, Domain::kTest, symbol, 1, 1)};
    for (std::uint32_t i = 0; i < kDimension; ++i) out[i] = (bits[i / 64] >> (i % 64) & 1) != 0 ? 1 : -1;
  }

 private:
  std::uint64_t ids_, seed_;
};

/// Own draws under one number: hash functions and ids of trial i.
std::uint64_t trial_seed(std::uint64_t seed, std::uint64_t i) {
  return draw(seed, Domain::kTest, i);
}

/// What ANNA with one table of z functions does to `symbols` (token t has query and key symbols[t], value
/// (1 + symbols[t], t mod 1000), or no value at all if it is one of those after the first U), next to exact
/// match: the number of tokens whose rows differ.
std::uint64_t rows_unlike_exact_match(const anna::Codebook& codebook,
                                      const std::vector<anna::Symbol>& symbols,
                                      const anna::AnnaParameters& parameters) {
  anna::HeadInput head;
  head.tokens = symbols.size();
  for (std::size_t t = 0; t < symbols.size(); ++t) {
    head.queries.listed.push_back({t, symbols[t]});
    head.keys.listed.push_back({t, symbols[t]});
    if (t >= codebook.size() && t % 3 == 0) continue;  // the zero vector: its key counts all the same
    head.values.tokens.push_back(t);
    head.values.entries.push_back({0, 1.0 + static_cast<double>(symbols[t])});
    if (t % 1000 != 0) head.values.entries.push_back({1, static_cast<double>(t % 1000)});
    head.values.offsets.push_back(head.values.entries.size());
  }
  anna::SparseRows by_anna;
  anna::SparseRows by_definition;
  anna::make_anna(parameters)->attend(codebook, head, by_anna);
  make_reference_exact_match()->attend(codebook, head, by_definition);
  std::uint64_t unlike = 0;
  std::size_t j = 0;
  for (std::size_t i = 0; i < by_definition.tokens.size();
       ++i) {  // every token matches itself: all have rows
    while (j < by_anna.tokens.size() && by_anna.tokens[j] < by_definition.tokens[i]) ++j;
    const bool same = j < by_anna.tokens.size() && by_anna.tokens[j] == by_definition.tokens[i] &&
                      std::ranges::equal(by_anna.row(j), by_definition.row(i));
    unlike += !same;
  }
  return unlike + (by_definition.tokens.size() != symbols.size());
}

/// Every id once, then ids at random: distinctness is tested on all of them, averages on those that repeat.
std::vector<anna::Symbol> all_and_random(std::uint64_t ids, std::uint64_t seed) {
  std::vector<anna::Symbol> symbols(2 * ids);
  RandomStream random(seed, Domain::kTest, ids);
  for (std::uint64_t t = 0; t < symbols.size(); ++t) symbols[t] = t < ids ? t : random.below(ids);
  return symbols;
}

/// Some two of `ids` fresh ids share a code of z fresh functions.
bool some_share_a_code(std::uint64_t ids, std::uint32_t z, std::uint64_t seed) {
  std::vector<anna::Symbol> symbols(ids);
  for (std::uint64_t t = 0; t < ids; ++t) symbols[t] = t;
  return rows_unlike_exact_match(Signs(ids, seed), symbols, {1, z, seed}) > 0;
}

struct Counted {
  std::uint64_t events = 0;
  std::uint64_t trials = 0;
  double rate() const { return static_cast<double>(events) / static_cast<double>(trials); }
};

Counted count(Context& context, std::uint64_t salt, std::uint64_t ids, std::uint32_t z,
              std::uint64_t trials) {
  const std::uint64_t seed = draw(context.seed, Domain::kTest, salt, ids, z);
  return {spread_count(context.transport, trials,
                       [&](std::uint64_t i) { return some_share_a_code(ids, z, trial_seed(seed, i)); }),
          trials};
}

/// The failure probability of z functions on kIdsTested ids is at most kEtaTested.
Check check_failures(Context& context, std::uint32_t z) {
  context.progress("failures of a draw");
  const std::uint64_t trials = context.sizes == Sizes::kSmall ? 1000 : 10000;
  const Counted counted = count(context, 1, kIdsTested, z, trials);
  return compare_interval({.theorem = kName, .n = kIdsTested, .seed = context.seed},
                          "P[some ids share a code], eta .1", counted.rate(),
                          clopper_pearson(counted.events, counted.trials, context.alarm), Relation::kAtMost,
                          kEtaTested);
}

/// Two given ids share a code of z functions as often as predicted.
Check check_rate(Context& context, std::uint32_t z, double predicted) {
  context.progress("rate of collisions");
  const auto trials = static_cast<std::uint64_t>((context.sizes == Sizes::kSmall ? 400 : 4000) / predicted);
  const Counted counted = count(context, 2, 2, z, trials);
  return compare_interval({.theorem = kName, .n = 2, .seed = context.seed},
                          "P[two ids share a code], z = " + std::to_string(z), counted.rate(),
                          clopper_pearson(counted.events, counted.trials, context.alarm), Relation::kEqual,
                          predicted, predicted / 2);
}

Check check_functions(std::uint64_t ids, std::uint32_t z, std::uint64_t seed) {
  return compare({.theorem = kName, .n = ids, .seed = seed}, "functions z, eta 1e-6", z, Relation::kEqual,
                 identity_functions(ids, kDimension, kEta));
}

Check check_rows(Context& context, std::uint64_t ids, bool verified, std::uint32_t z) {
  context.progress("exact match of " + std::to_string(ids) + " ids");
  const std::uint64_t unlike = mpc::from_root(context.transport, [&] {
    const anna::IdentityCodebook codebook(ids, context.seed);
    const anna::AnnaParameters parameters = verified
                                                ? anna::verified_draw(codebook, z, context.seed).parameters
                                                : anna::AnnaParameters{1, z, context.seed};
    return rows_unlike_exact_match(codebook, all_and_random(ids, context.seed), parameters);
  });
  return compare({.theorem = kName, .n = ids, .seed = context.seed}, "rows unlike exact match",
                 static_cast<double>(unlike), Relation::kEqual, 0);
}

/// Draws of so few functions that about every other one fails: those that are given out as verified are
/// exact.
Check check_draws(Context& context, bool verified) {
  context.progress("verified draws");
  const std::uint32_t z = identity_functions(kIdsTested, kDimension, kEtaTested) - 4;
  const std::uint64_t wrong = spread_count(context.transport, 40, [&](std::uint64_t i) {
    const std::uint64_t seed = trial_seed(draw(context.seed, Domain::kTest, 3), i);
    const Signs ids(kIdsTested, seed);
    return rows_unlike_exact_match(ids, all_and_random(kIdsTested, seed),
                                   verified ? anna::verified_draw(ids, z, seed).parameters
                                            : anna::AnnaParameters{1, z, seed}) > 0;
  });
  return compare({.theorem = kName, .n = kIdsTested, .seed = context.seed},
                 "verified draws that are not exact", static_cast<double>(wrong), Relation::kEqual, 0);
}

class ExactMatchByAnna : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "exact-match attention is ANNA with one table"; }
  std::string card() const override {
    return R"(Problem:   exact-match attention over U ids, random sign vectors of dimension 128, by one hash table.
Guarantee: equal ids always share a code. z hyperplanes tell all distinct ids apart except with probability at most
           sum_t C(U,2) Bin(128,1/2)(t) (1 - arccos(1 - 2t/128) / pi)^z <= eta; a draw that was checked is exact.
Check:     z against the formula computed anew; all ids through the mechanism against exact match from its definition;
           failures counted at a z chosen for eta = 0.1, and the collision rate of two ids at small z.
Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Section 3 (EMA as a special case of ANNA); the constants are ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"d", "128", "dimension of the sign vectors"},
            {"eta", "1e-6", "failure probability for which z is chosen"},
            {"trials", "1000 (full: 10000)", "draws of 96 ids and z functions"}};
  }
  std::uint32_t statistical_checks(Sizes) const override { return 8; }

  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const std::uint64_t ids : sizes(context.sizes)) {
      const std::uint32_t z = anna::choose_functions(ids, kDimension, kEta);
      if (context.wants("functions z", ids)) all.push_back(check_functions(ids, z, context.seed));
      if (context.wants("rows unlike", ids)) all.push_back(check_rows(context, ids, true, z));
    }
    if (context.wants("P[some", kIdsTested))
      all.push_back(check_failures(context, anna::choose_functions(kIdsTested, kDimension, kEtaTested)));
    if (context.wants("verified draws", kIdsTested)) all.push_back(check_draws(context, true));
    for (const std::uint32_t z : {2, 4, 6}) {
      if (context.wants("P[two", 2)) all.push_back(check_rate(context, z, identity_collision(kDimension, z)));
    }
    return all;
  }

  std::vector<Control> controls(Context& context) const override {
    std::vector<Control> all;
    const auto judge = [&](const char* control, const Check& defective, const Check& sound) {
      all.push_back(judge_control(kName, control, sound.quantity, {defective}, {sound}));
    };
    constexpr std::uint64_t kIds = 1024;
    const std::uint32_t z = identity_functions(kIds, kDimension, kEta);
    constexpr std::uint64_t kPairs = std::uint64_t{kIds} * (kIds - 1) / 2;
    judge("z from C(U,2) 2^-z <= eta, as if all ids were orthogonal",
          check_functions(
              kIds, static_cast<std::uint32_t>(std::ceil(std::log2(static_cast<double>(kPairs) / kEta))),
              context.seed),
          check_functions(kIds, z, context.seed));
    judge("a third of the functions, codes unchecked", check_rows(context, kIds, false, z / 3),
          check_rows(context, kIds, true, z));
    judge("draws given out unchecked", check_draws(context, false), check_draws(context, true));
    const std::uint32_t tested = identity_functions(kIdsTested, kDimension, kEtaTested);
    judge("z lowered by 3: failures appear", check_failures(context, tested - 3),
          check_failures(context, tested));
    // Named by the z that is claimed: 3 functions promised, 2 used.
    const Check fewer = check_rate(context, 2, identity_collision(kDimension, 3));
    judge("one function fewer than stated", fewer, check_rate(context, 2, identity_collision(kDimension, 2)));
    return all;
  }

 private:
  static std::vector<std::uint64_t> sizes(Sizes sizes) {
    if (sizes == Sizes::kSmall) return {1 << 8, 1 << 10, 1 << 12};
    return {1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16};
  }
};

}  // namespace

std::unique_ptr<const Statement> make_exact_match_by_anna() {
  return std::make_unique<ExactMatchByAnna>();
}

}  // namespace roundtrip::proofs_check
