// Purpose: what a fuzz target is. The same source is built with libFuzzer (libfuzzer.cpp) and, by every
// compiler, as an ordinary test over seeded mutations (mutations_test.cpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace roundtrip::fuzz {

/// Hands the bytes to a reader. A refusal (ContractError) is fine; any other exception, a crash, or a fault
/// that expect() finds in what was accepted, is a finding.
void try_bytes(std::string_view bytes);

/// Valid inputs, from which mutation starts.
std::vector<std::string> seeds();

/// Aborts with the message unless `condition` holds.
void expect(bool condition, const char* message);

}  // namespace roundtrip::fuzz
