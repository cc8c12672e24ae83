// Purpose: statements that were verified before and need not be again: one file each, so that a verification
// that was stopped goes on where it was. A file counts for the same program, sizes and seed alone.
#pragma once

#include <optional>
#include <string>

#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {

/// What a finished statement depends on: its name, sizes, seed, whether controls were run, and the program.
std::string finished_key(const std::string& statement, const VerifyOptions& options);

/// Everything of the report but card and title, as text that begins with the key.
std::string finished_text(const StatementReport& report, const std::string& key);

/// The report of such a text; empty if it has another key or is no such text. All numbers are what they were.
std::optional<StatementReport> read_finished(const std::string& text, const std::string& key);

}  // namespace roundtrip::proofs_check
