// Purpose: a trace in the terminal: round r on the left, what the transformer does on the right, in 100
// columns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "roundtrip/explain/trace.h"

namespace roundtrip::explain {

inline constexpr std::size_t kColumns = 100;

struct TerminalOptions {
  bool colours = false;
  std::optional<std::uint32_t> round{};  ///< 0 (the input) .. R; all, with the introduction, if not given
  std::optional<std::uint32_t> word{};   ///< follow this input word, 0 .. N-1, instead
};

/// ContractError for a round or word that is not there, beginning with the field's name: "word 16: ..".
std::string terminal_text(const Trace& trace, const TerminalOptions& options);

}  // namespace roundtrip::explain
