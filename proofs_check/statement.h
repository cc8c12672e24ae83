// Purpose: one statement of the theory: its card, its constants (declared before anything runs), its checks
// and its negative controls; and the registry of all statements by name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/mpc/transport.h"
#include "roundtrip/proofs_check/check.h"

namespace roundtrip::proofs_check {

/// small: within 60 s on two cores. full: larger N and more samples, minutes.
enum class Sizes : std::uint8_t { kSmall, kFull };
std::string_view to_string(Sizes sizes);

/// A constant of a bound, fixed before the run.
struct Constant {
  std::string name;
  std::string value;
  std::string meaning;
};

/// A number that stands beside the checks and judges nothing: what another mechanism needs, an exponent that
/// the theory states for the limit.
struct Metric {
  std::string quantity;
  std::uint64_t n = 0;
  double value = 0;
};

/// What a statement runs on. Checks are collective: every rank calls them with equal arguments and gets equal
/// results.
struct Context {
  Sizes sizes = Sizes::kSmall;
  mpc::Transport& transport;
  std::uint64_t seed = 1;
  /// Two-sided false-alarm probability of one statistical check: the budget of statistics.h, split over all
  /// of them.
  double alarm = 0;
  /// Called on every rank before each piece of work.
  std::function<void(std::string_view what)> progress{};
  /// One quantity, or one size, that is asked for; empty or 0: all. A statement may leave out of checks()
  /// what yields none of it.
  std::string quantity{};
  std::uint64_t n = 0;
  /// Whether any quantity that begins with `beginning` is asked for at size n.
  bool wants(std::string_view beginning, std::uint64_t size) const {
    return (n == 0 || n == size) && (quantity.empty() || quantity.starts_with(beginning));
  }
};

class Statement {
 public:
  virtual ~Statement() = default;
  virtual std::string name() const = 0;   ///< of `roundtrip verify NAME`
  virtual std::string title() const = 0;  ///< one line
  virtual std::string card() const = 0;   ///< problem, guarantee, preconditions, cost, source, deviations
  virtual std::vector<Constant> constants() const = 0;
  /// How many of checks() and controls() compare intervals, at most; they share the false-alarm budget.
  virtual std::uint32_t statistical_checks(Sizes) const { return 0; }
  virtual std::vector<Check> checks(Context& context) const = 0;
  /// Formulas, not measurements: equal on every rank.
  virtual std::vector<Metric> metrics(const Context&) const { return {}; }
  /// Each defect is judged by the very comparison that checks() makes, and passes it with the defect off.
  virtual std::vector<Control> controls(Context& context) const = 0;
};

/// All statements, in the order of the theory.
std::span<const std::unique_ptr<const Statement>> all_statements();
/// The statement of that name, or that of the registered protocol of that name; ContractError names the
/// nearest known name otherwise.
const Statement& find_statement(std::string_view name);

}  // namespace roundtrip::proofs_check
