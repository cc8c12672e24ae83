// Purpose: a report as one self-contained page: nothing from elsewhere, no script, readable in print, with a
// screen reader and without colours. docs/reports.md says how to read it.
#pragma once

#include <string>
#include <vector>

#include "roundtrip/proofs_check/verify.h"
#include "roundtrip/simulate/native/experiments.h"

namespace roundtrip::proofs_check {

/// The two experiments of Liu, Yu, Sanford, Andoni, Hsu 2025, by construction: averages over 10 draws.
struct Experiments {
  simulate::ErrorGrid match2, induction;
  std::vector<simulate::ErrorPoint> match2_errors, induction_errors;
};
Experiments paper_experiments(std::uint64_t seed);

/// What the page says of this machine: processor, cores, memory, system, compiler.
std::string machine_description();

/// The page. `machine`: from machine_description().
std::string html_page(const Report& report, const Experiments& experiments, const std::string& machine);

}  // namespace roundtrip::proofs_check
