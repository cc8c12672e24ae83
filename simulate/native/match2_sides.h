// Purpose: Match2 in one layer by softmax, by a window and by chunks: averages that a query's own key is among.
#pragma once

#include <span>
#include <string_view>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/simulate/native/match2.h"

namespace roundtrip::simulate {

/// The mechanisms that there is a model for: softmax, window, chunked.
std::span<const std::string_view> match2_sides_mechanisms();

/// Problem:   make_match2's.
/// Method:    x and M - x have one class, the smaller of the two, and lie on its two sides. A token asks for its class, which
///            its own key has, so that the average is of that class alone; the value is the side. Another side is there
///            iff the average is not the own side. A class with one side alone, 0 or M / 2, matches itself.
/// Guarantee: exact for every input by softmax and by a window of N tokens: scores of different classes differ by 2, at
///            scale 64. By chunks of N tokens unless different classes have one code: probability below N^2 2^-60.
/// Cost:      L = 1, H = 1, m = bits of M / 2; work N^2. A shorter window or chunk leaves out tokens, and errs.
/// Errors:    ContractError for another mechanism, M above 2^24, N above 2^15, and tolerant options.
/// Input by input_activations(words, N), output by read_outputs(last, N).
anna::Model match2_sides_model(std::string_view mechanism, const Match2Options& options);
TransformerSizes match2_sides_sizes(const Match2Options& options);

}  // namespace roundtrip::simulate
