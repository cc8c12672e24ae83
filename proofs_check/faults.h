// Purpose: the defects seeded in our own code (base/fault.h): what each is, and which check must reject it;
// and the run that switches them on one at a time and sees whether that check does. Controls are something
// else: defective constructions, in every build, judged within verify().
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/proofs_check/check.h"

namespace roundtrip::proofs_check {

struct SeededFault {
  std::string_view name;  ///< of `roundtrip verify --faults NAME`
  std::string_view area;  ///< runtime, attention, packet code, routing, sort, translators, parameter choice,
                          ///< reporting, several ranks
  std::string_view defect;    ///< one line
  std::string_view theorem;   ///< the statement that it belongs to
  std::string_view quantity;  ///< its check that must reject it,
  std::uint64_t n;            ///< at this size
  int ranks = 1;              ///< the fewest that show it
};

/// All of them, by area. At least four an area, each in a function of its own.
std::span<const SeededFault> all_faults();

/// An observer of the verifier's own that can be blinded: it then sees nothing amiss, whatever there is. Some
/// control of the theorem must then slip through.
struct Blinding {
  std::string_view name;  ///< of FaultSwitch
  std::string_view observer;
  std::string_view theorem;
};
std::span<const Blinding> all_blindings();

/// What came of one.
struct FaultFinding {
  const SeededFault* fault = nullptr;
  bool rejected = false;      ///< its check refuted the program with the defect on
  bool accepted_off = false;  ///< and verified it with the defect off
  std::string reason;         ///< of the refutation, or why there is none
  bool holds() const { return rejected && accepted_off; }
};

/// Whether `checks` hold a refuted (verified) one of the fault's quantity at its size.
bool rejects(std::span<const Check> checks, const SeededFault& fault);
bool accepts(std::span<const Check> checks, const SeededFault& fault);

struct FaultReport {
  std::uint64_t seed = 1;
  std::string transport;
  int ranks = 1;
  std::vector<FaultFinding> findings;
  double seconds = 0;
  bool holds() const;
};

struct FaultOptions {
  std::vector<std::string>
      names;  ///< of faults, areas or theorems; empty: all faults that so many ranks show
  std::uint64_t seed = 1;
  unsigned processes = 1;  ///< as in VerifyOptions
  /// Called on every rank; the caller shows it on rank 0 only.
  std::function<void(std::string_view what)> progress{};
};

/// Collective; equal on every rank but for `seconds`. The program with the defect off is run once a quantity
/// and size. Rank 0's names count. ContractError in a build without faults, for a name that is unknown, and
/// for faults that only more ranks show.
FaultReport verify_faults(const FaultOptions& options, mpc::Transport& transport);

/// Lines of at most 100 columns, one a fault, by area.
std::string terminal_table(const FaultReport& report);
/// {schema, seed, transport, ranks, seconds, verdict, faults: [{fault, area, defect, theorem, quantity, n,
/// rejected, accepted_off, reason}]}
nlohmann::ordered_json to_json(const FaultReport& report);

}  // namespace roundtrip::proofs_check
