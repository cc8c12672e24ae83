// Purpose: runs statements, their checks and their controls, and gathers what came out.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/mpc/parameters.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/proofs_check/check.h"
#include "roundtrip/proofs_check/statement.h"

namespace roundtrip::proofs_check {

/// The combined result of a verification, worst first. Exit statuses: 70, 3, 1, 4, 0.
enum class Outcome : std::uint8_t { kInternalFault, kModelBroken, kRefuted, kInconclusive, kVerified };

struct StatementReport {
  std::string name;
  std::string title;
  std::string card;
  std::vector<Constant> constants;
  std::vector<Check> checks;
  std::vector<Control> controls;
  std::vector<Metric> metrics;
  /// Set if the statement could not be run to its end: a protocol of it broke the model, or a fault of ours.
  Outcome failure = Outcome::kVerified;
  std::string failure_message;
  double seconds = 0;

  /// kInternalFault: the run failed, or a control slipped through (then no verdict of the statement counts), or the
  /// sound construction was rejected by a control's comparison and by no check. kRefuted: some check refuted.
  /// kInconclusive: some check inconclusive although in range, or fewer than
  /// one check in range verified. Checks marked below_range don't count as evidence, only against.
  Outcome outcome() const;
};

/// An instance of one registered protocol: what its checks run on in place of their own.
struct ProtocolInstance {
  mpc::Parameters parameters{};         ///< n 0: the sizes of the statement
  std::optional<mpc::Values> values{};  ///< n of them; else generated
};

struct VerifyOptions {
  std::vector<std::string> statements;  ///< names; empty: all
  Sizes sizes = Sizes::kSmall;
  std::uint64_t seed = 1;
  bool controls = true;
  /// In process, statements are verified in child processes, their checks apart from their controls, that many at a
  /// time; 0: as processors() says. With 1, and where ranks share the work, in this process. No result depends on it.
  unsigned processes = 1;
  /// A folder, of rank 0: statements that it says are finished are not run again, others are kept there.
  /// Empty: none. Created if it is not there.
  std::string resume_folder{};
  /// For one protocol's name in `statements`: on this instance. Equal on every rank.
  std::optional<ProtocolInstance> given{};
  /// Called on every rank; the caller shows it on rank 0 only.
  std::function<void(std::string_view statement, std::string_view what)> progress{};
};

struct Report {
  Sizes sizes = Sizes::kSmall;
  std::uint64_t seed = 1;
  std::string transport;
  int ranks = 1;
  double false_alarm_budget = 0;  ///< over all statistical checks of all statements
  double alarm_per_check = 0;
  std::vector<StatementReport> statements;
  double seconds = 0;
  Outcome outcome() const;  ///< the worst of the statements'
};

/// The false-alarm probability of one statistical check: the budget split over those of all statements, and `more` of
/// protocols by name.
double alarm_per_check(Sizes sizes, std::uint32_t more = 0);

/// Collective; equal on every rank but for `seconds`. ContractError for an unknown name.
Report verify(const VerifyOptions& options, mpc::Transport& transport);

}  // namespace roundtrip::proofs_check
