// Statement: a report says what was measured. Reports of checks whose verdicts are known by construction go
// through the verifier's own comparisons, outcomes, JSON and table, and are read back.
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "roundtrip/base/random.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/report/report.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"
#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "reports";
constexpr std::uint64_t kChecksOfAStatement = 10;
constexpr double kTailTolerance = 1e-6;  // relative; the ends are found by bisection to about 1e-12

/// What a control does to a report on its way.
enum class Mutant : std::uint8_t { kNothing, kVerdict, kNumber, kCheck, kLine, kOutcome, kTails, kBudget };

/// A comparison and the verdict that its numbers have.
struct Draft {
  Verdict verdict = Verdict::kVerified;
  bool below_range = false;
  Relation relation = Relation::kAtMost;
  double measured = 0;
  double bound = 0;
  std::optional<Interval> interval{};
  double widest = 0;

  Check check(std::uint64_t i) const {
    const Configuration configuration{.theorem = "drafted", .n = i + 1, .below_range = below_range};
    const std::string quantity =
        "quantity " + std::to_string(i % kChecksOfAStatement / 2);  // at two sizes each
    return interval ? compare_interval(configuration, quantity, measured, *interval, relation, bound, widest)
                    : compare(configuration, quantity, measured, relation, bound);
  }
};

/// A comparison that has this verdict, by construction.
Draft draft(Verdict verdict, RandomStream& random) {
  Draft d;
  d.verdict = verdict;
  d.bound = static_cast<double>(1 + random.below(100000)) / 7;  // few are whole
  d.relation = static_cast<Relation>(random.below(3));
  const bool statistical = random.below(2) == 0;
  if (!statistical && verdict == Verdict::kInconclusive) {  // that is only what holds below range
    d.below_range = true;
    if (d.relation == Relation::kEqual) d.relation = Relation::kAtLeast;
  }
  const bool equal = d.relation == Relation::kEqual;
  // Towards the side on which the bound holds.
  const double sign = d.relation == Relation::kAtMost ? -1 : 1;
  const double step = static_cast<double>(1 + random.below(4)) / 8;
  if (verdict == Verdict::kRefuted) d.below_range = random.below(2) == 0;
  if (!statistical) {
    if (verdict == Verdict::kRefuted) {
      d.measured = random.below(4) == 0 ? std::nextafter(d.bound, d.bound - sign) : d.bound - sign * step;
      if (random.below(16) == 0) d.measured = std::numeric_limits<double>::quiet_NaN();
    } else {
      d.measured = equal || random.below(4) == 0 ? d.bound : d.bound + sign * step;
    }
    return d;
  }
  switch (verdict) {
    case Verdict::kVerified:
      d.measured = equal ? d.bound + step / 4 : d.bound + 2 * sign * step;
      break;
    case Verdict::kRefuted:
      d.measured = d.bound - 2 * sign * step;
      break;
    case Verdict::kInconclusive:  // the measurement alone would do
      d.measured = equal ? d.bound : d.bound + sign * step / 2;
      break;
  }
  d.interval = Interval{d.measured - step, d.measured + step};
  d.widest = verdict == Verdict::kInconclusive ? step : 3 * step;
  return d;
}

/// One statement of a drafted report: what its checks are, and so its outcome.
struct DraftedStatement {
  Outcome outcome = Outcome::kVerified;
  std::vector<Draft> drafts;
};

/// In turn: all verified; one refuted, not the last, beside an open one; one open in range.
DraftedStatement drafted_statement(std::uint64_t number, RandomStream& random) {
  DraftedStatement statement;
  const std::uint64_t kind = number % 3;
  for (std::uint64_t i = 0; i < kChecksOfAStatement; ++i) {
    const Verdict verdict = kind == 1 && i == 4   ? Verdict::kRefuted
                            : kind != 0 && i == 2 ? Verdict::kInconclusive
                                                  : Verdict::kVerified;
    statement.drafts.push_back(draft(verdict, random));
  }
  statement.outcome = kind == 0 ? Outcome::kVerified : kind == 1 ? Outcome::kRefuted : Outcome::kInconclusive;
  if (kind == 2) {  // at least one that is open in range
    Draft open = draft(Verdict::kInconclusive, random);
    while (open.below_range) open = draft(Verdict::kInconclusive, random);
    statement.drafts[1] = open;
  }
  return statement;
}

/// P[X <= k] of X ~ Bin(n, p), term by term.
double tail_up_to(std::uint64_t k, std::uint64_t n, double p) {
  double sum = 0;
  for (std::uint64_t i = 0; i <= k; ++i) {
    const auto a = static_cast<double>(i);
    const auto b = static_cast<double>(n);
    sum += std::exp(std::lgamma(b + 1) - std::lgamma(a + 1) - std::lgamma(b - a + 1) + a * std::log(p) +
                    (b - a) * std::log1p(-p));
  }
  return sum;
}

/// Ends of exact intervals of n trials whose tails are not half of the alarm each.
std::uint64_t ends_off(std::uint64_t n, bool doubled) {
  std::uint64_t off = 0;
  for (const double alarm : {0.1, 1e-4}) {
    for (const std::uint64_t k : {std::uint64_t{0}, std::uint64_t{1}, n / 10, n / 2, n - 1, n}) {
      const Interval interval = clopper_pearson(k, n, doubled ? 2 * alarm : alarm);
      const auto misses = [&](double tail) { return std::abs(tail / (alarm / 2) - 1) > kTailTolerance; };
      off += k == n ? interval.high != 1 : misses(tail_up_to(k, n, interval.high));
      // P[X >= k] at p is P[X' <= n - k] at 1 - p.
      off += k == 0 ? interval.low != 0 : misses(tail_up_to(n - k, n, 1 - interval.low));
    }
  }
  return off;
}

bool same_number(const nlohmann::json& json, double value) {
  return std::isfinite(value) ? json.is_number() && json.get<double>() == value : json.is_string();
}

/// Whether the JSON's check has the numbers and the words of this one.
bool same(const nlohmann::json& json, const Check& check) {
  const bool interval = check.interval ? json.contains("interval") &&
                                             same_number(json["interval"][0], check.interval->low) &&
                                             same_number(json["interval"][1], check.interval->high)
                                       : !json.contains("interval");
  return interval && same_number(json["measured"], check.measured) &&
         same_number(json["bound"], check.bound) && json["n"] == check.configuration.n &&
         json["quantity"] == check.quantity && json["relation"] == to_string(check.relation) &&
         json["verdict"] == to_string(check.verdict) &&
         json["below_range"] == check.configuration.below_range;
}

/// The quantities of a statement at some exponent and relation: lines of the table. How many have a refuted
/// check.
std::size_t refuted_lines(const StatementReport& statement) {
  std::set<std::pair<std::string, Relation>> lines;
  for (const Check& check : statement.checks) {
    if (check.verdict == Verdict::kRefuted) lines.emplace(check.quantity, check.relation);
  }
  return lines.size();
}

std::uint64_t difference(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : b - a;
}

/// A report of n checks, read back.
std::vector<Check> read_back(std::uint64_t n, Mutant mutant, Context& context) {
  context.progress(std::to_string(n) + " checks");
  RandomStream random(context.seed, Domain::kTest, n, 5);
  Report report;
  std::vector<Outcome> outcomes;
  std::uint64_t verdicts_unlike = 0;
  std::uint64_t refuted = 0;
  std::uint64_t refuted_rows = 0;
  for (std::uint64_t i = 0; i < n / kChecksOfAStatement; ++i) {
    const DraftedStatement drafted = drafted_statement(i, random);
    StatementReport statement;
    statement.name = "drafted " + std::to_string(i);
    for (const Draft& d : drafted.drafts) {
      Check check = d.check(i * kChecksOfAStatement + statement.checks.size());
      if (mutant == Mutant::kVerdict && d.verdict == Verdict::kInconclusive)
        check.verdict = Verdict::kVerified;
      verdicts_unlike += check.verdict != d.verdict;
      check.verdict = d.verdict;  // one that is judged wrongly is counted once, here
      refuted += d.verdict == Verdict::kRefuted;
      statement.checks.push_back(std::move(check));
    }
    refuted_rows += refuted_lines(statement);
    outcomes.push_back(drafted.outcome);
    report.statements.push_back(std::move(statement));
  }

  auto json = nlohmann::json::parse(to_json(report).dump());
  if (mutant == Mutant::kCheck) json["checks"].erase(3);
  if (mutant == Mutant::kNumber)
    json["checks"][3]["bound"] = json["checks"][3]["bound"].get<double>() * (1 + 1e-15);
  std::uint64_t numbers_unlike = 0;
  std::size_t at = 0;
  for (const StatementReport& statement : report.statements) {
    for (const Check& check : statement.checks) {
      // Those that are missing are counted apart.
      const std::size_t here = at;
      while (at < json["checks"].size() && json["checks"][at]["n"] != check.configuration.n) ++at;
      if (at == json["checks"].size()) {
        at = here;
        continue;
      }
      numbers_unlike += !same(json["checks"][at++], check);
    }
  }
  std::uint64_t outcomes_unlike = 0;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const Outcome expected = mutant == Mutant::kOutcome && i == 1 ? Outcome::kVerified : outcomes[i];
    outcomes_unlike += json["statements"][i]["verdict"] != to_string(expected);
  }

  std::uint64_t rows_said = 0;
  std::uint64_t refutations_said = 0;
  std::istringstream lines(terminal_table(report));
  for (std::string line; std::getline(lines, line);) {
    const bool row = line.ends_with("REFUTED");
    const bool refutation = line.starts_with("      refuted at N = ");
    if (mutant == Mutant::kLine && row && rows_said == 0) {
      mutant = Mutant::kNothing;
      continue;
    }
    rows_said += row;
    refutations_said += refutation;
  }

  double alarms = 0;
  for (const auto& statement : all_statements()) {
    alarms += statement->statistical_checks(context.sizes) *
              (mutant == Mutant::kBudget ? kFalseAlarmBudget : alarm_per_check(context.sizes));
  }
  const Configuration configuration{.theorem = kName, .n = n, .seed = context.seed};
  const auto none = [&](const char* quantity, std::uint64_t measured) {
    return compare(configuration, quantity, static_cast<double>(measured), Relation::kEqual, 0);
  };
  return {none("verdicts unlike the numbers'", verdicts_unlike),
          none("checks not in the JSON", difference(json["checks"].size(), n)),
          none("numbers unlike in the JSON", numbers_unlike),
          none("refutations not in the table",
               difference(rows_said, refuted_rows) + difference(refutations_said, refuted)),
          none("outcomes unlike the checks'", outcomes_unlike),
          none("interval ends off their tails", ends_off(n, mutant == Mutant::kTails)),
          none("false alarms beyond the budget", alarms > kFalseAlarmBudget * (1 + 1e-12))};
}

class Reports : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "a report says what was measured"; }
  std::string card() const override {
    return R"(Problem:   checks to verdicts, outcomes, JSON and a table.
Guarantee: a bound is verified only if it holds, in range, for all of an interval; a statement, only if no check is
           refuted or open in range and some are verified there; all checks are written, with their numbers.
Check:     drafted checks, whose verdicts are known by construction (N of them), through the comparisons and the
           reports, read back; interval ends against binomial tails summed term by term.
Source:    Clopper and Pearson 1934 (the intervals); the rules are ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"budget", "1/1000", "probability of any false alarm, over all statistical checks"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const std::uint64_t n : {30, 300, 3000}) {
      if (!context.wants("", n)) continue;
      for (Check& check : read_back(n, Mutant::kNothing, context)) all.push_back(std::move(check));
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    const std::vector<Check> sound = read_back(300, Mutant::kNothing, context);
    std::vector<Control> all;
    const auto judge = [&](const char* control, const char* quantity, Mutant mutant) {
      all.push_back(judge_control(kName, control, quantity, read_back(300, mutant, context), sound));
    };
    judge("open checks said to be verified", "verdicts unlike the numbers'", Mutant::kVerdict);
    judge("a check lost from the JSON", "checks not in the JSON", Mutant::kCheck);
    judge("a bound changed in its last digits", "numbers unlike in the JSON", Mutant::kNumber);
    judge("a refuted line lost from the table", "refutations not in the table", Mutant::kLine);
    judge("a refuted statement said to be verified", "outcomes unlike the checks'", Mutant::kOutcome);
    judge("intervals of twice the alarm", "interval ends off their tails", Mutant::kTails);
    judge("the whole budget for every check", "false alarms beyond the budget", Mutant::kBudget);
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_reports() {
  return std::make_unique<Reports>();
}

}  // namespace roundtrip::proofs_check
