// Purpose: k-hop induction heads by chunked attention (Reformer) with chunks of one token: work O(N log N), whatever k.
// Glossary: sigma symbols, P bits of a token's number.
#pragma once

#include <cstdint>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct ChunkedKHopOptions {
  static constexpr std::int64_t kMaxK = std::int64_t{1} << 32;

  std::uint64_t n = 1;        ///< N, 1 .. 2^10
  std::uint64_t k = 1;        ///< hops, 1 .. 2^32
  std::uint32_t symbols = 1;  ///< sigma, 1 .. 2^10: words are 0 .. sigma - 1
  std::uint64_t seed = 1;     ///< of the hash functions
  void validate() const;      ///< ContractError naming field, value and range
};

/// Problem:   make_k_hop's (simulate/native/k_hop.h), over sigma symbols.
/// Method:    tokens are sorted by code, then number; a token sees itself and the one before it in that order, if that has
///            its code. With the symbol for a code that is the predecessor: layer 1. A hop takes no two tokens to one
///            place, so a place has one token that asks for it, and a later one: with the place for a code of both, the
///            one that asks sees the place. A token cannot ask and be asked under one code, so there are two heads for
///            each bit: in one of them tokens with that bit are asked, in the other those without, and a token asks where
///            the lowest bit in which its number and the place's differ says so. Hops double as in
///            simulate/native/hard_attention_k_hop.h; one layer fetches the symbol.
/// Guarantee: exact if different vectors of a layer have different codes: with probability 1 - N^2 H L 2^-60 over the draw
///            of the hash functions.
/// Cost:      L = 2 + ceil(log2 k), at most 4 P heads of 2 (P + 1) numbers: width O(log^2 N).
/// Source:    Kitaev, Kaiser, Levskaya 2020 (the mechanism); the network is ours.
/// Errors:    ContractError for options out of range.
/// Input by input_activations(words, N), output by read_outputs(last, N) and kKHopNone.
anna::Model chunked_k_hop_model(const ChunkedKHopOptions& options);
TransformerSizes chunked_k_hop_sizes(const ChunkedKHopOptions& options);

/// Chunks of `chunk` tokens, with so many functions that vectors of +-1 that differ have different codes: two that differ in
/// one of d numbers agree on a function with probability 1 - arccos(1 - 2/d) / pi <= exp(-2 / (pi sqrt d)), on 66 sqrt d
/// of them with less than 2^-60.
anna::Mechanism chunks_of_equal_signs(std::uint64_t dimension, std::uint64_t chunk, std::uint64_t seed);

}  // namespace roundtrip::simulate
