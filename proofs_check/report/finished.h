// Purpose: reports of statements as bytes: between processes, and in files of statements that were verified before and
// need not be again, so that a verification that was stopped goes on where it was. A file counts for the same program,
// sizes and seed alone.
#pragma once

#include <optional>
#include <string>

#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {

/// Everything of a report but card and title, by Boost.Serialization; for the same program.
std::string report_bytes(const StatementReport& report);
StatementReport report_of_bytes(const std::string& bytes);

/// What a finished statement depends on: its name, sizes, seed, whether controls were run, and the program.
std::string finished_key(const std::string& statement, const VerifyOptions& options);

/// The report as a file's contents: the key, a checksum, and report_bytes().
std::string finished_file(const StatementReport& report, const std::string& key);

/// The report of such a file; empty if it has another key, is damaged, or is no such file.
std::optional<StatementReport> read_finished(const std::string& file, const std::string& key);

}  // namespace roundtrip::proofs_check
