// Purpose: the sum of all words in one layer, by every mechanism that can add: as the average of equal keys, or as a state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct SumOptions {
  static constexpr std::uint64_t kMaxWord = 1 << 24;

  std::uint64_t n = 1;        ///< N, 1 .. 2^12
  std::uint64_t largest = 0;  ///< of the words, 0 .. 2^24
  std::uint64_t seed = 1;     ///< of features and hash functions
  void validate() const;      ///< ContractError naming field, value and range
};

/// The mechanisms that there is a model for: all but state_space, whose gates of 0 and 1 hold numbers and add none.
std::vector<std::string> sum_mechanisms();

/// Problem:   the sum of N words, at the last token.
/// Method:    averages: all tokens have one query and one key, so all keys weigh the same, and N times a word for a value; a
///            window or chunk holds all tokens. RNN: h = h + x. LSTM: all gates are open.
/// Guarantee: exact for every input. N times a sum is below 2^48, so the average of values, rounded once, is the sum.
/// Cost:      L = 1, H = 1, m = 1; a state is one number. Work N^2 for a window or softmax, N for the others.
/// Errors:    ContractError for another mechanism, and for options out of range.
/// Input by input_activations(words, N); the sum is column kWordColumn of the last token.
anna::Model sum_model(std::string_view mechanism, const SumOptions& options);
TransformerSizes sum_sizes();

}  // namespace roundtrip::simulate
