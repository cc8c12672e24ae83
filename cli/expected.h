// Purpose: what the source of a model (a module of PyTorch, say) gave for a few inputs, as the model's file may hold it
// under `expected`, and how far the model is from it.
//
//   expected  {tolerance, examples: list of {input: list of integers, rows: list of lists of numbers}}
//             input: as --input has it; rows: of the last layer, of the first tokens, in real numbers
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "roundtrip/anna/transformer/model.h"

namespace roundtrip::cli {

struct SourceDifference {
  std::size_t inputs = 0;  ///< compared
  double largest = 0;      ///< difference of a number of a row
  double tolerance = 0;    ///< allowed, as the file says
  bool within() const { return largest <= tolerance; }
};

/// Evaluates the model on every example of its file `path`; nothing if the file has none. A number x of an input is the
/// word x + 2^(input_bits - 1). ContractError naming file and place for what is not of the form, or does not fit the
/// model.
std::optional<SourceDifference> compare_with_source(const std::string& path, const anna::Model& model,
                                                    std::uint32_t input_bits);

std::string source_text(const SourceDifference& difference);
nlohmann::ordered_json source_json(const std::optional<SourceDifference>& difference);

}  // namespace roundtrip::cli
