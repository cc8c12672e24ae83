// Purpose: Match2 as an ANNA-transformer of one layer and one head, without the detour over a protocol.
// Glossary: x_i in [M] words, N of them; z hash functions, ell tables.
#pragma once

#include <cstdint>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct Match2Options {
  std::uint64_t n = 0;        ///< N, 1 .. 2^26
  std::uint64_t modulus = 0;  ///< M, 1 .. 2^48
  std::uint64_t seed = 1;     ///< of the residues' vectors
  /// Values are the keys' own vectors rather than 1, and the average must hold the query's: tolerates false
  /// collisions, so that fewer functions do (simulate/native/spread.h). Equal outputs wherever there are
  /// none.
  bool tolerant = false;
  void validate() const;  ///< ContractError naming field, value and range
};

/// Problem:   output i = 1 iff some j (j = i allowed) has x_i + x_j = 0 mod M, else 0.
/// Method:    query x_i mod M, key -x_j mod M, value 1; the average is > 0 iff some key is the query
///            (Liu, Yu, Sanford, Andoni, Hsu 2025: Match2 in one ANNA layer).
/// Guarantee: exact with exact-match attention. With ANNA a true match is always found (equal vectors
///            collide in every table); an answer 0 becomes 1 only if two different residues collide, for
///            all tokens together with probability <= eta over the draw of vectors and functions with
///            match2_tables' parameters, for any fixed input.
/// Cost:      match2_sizes: L = 1, H = 1, m = 128.
/// Input by input_activations(words, N), output by read_outputs(last, N).
anna::Transformer make_match2(const Match2Options& options);

/// The formula: L, H, m, d.
TransformerSizes match2_sizes(const Match2Options& options);

/// Residues in play: at most N queries and N keys out of M.
anna::AnnaParameters match2_tables(const Match2Options& options, double eta, std::uint32_t tables = 1);

}  // namespace roundtrip::simulate
