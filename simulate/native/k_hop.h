// Purpose: k-hop induction heads as an ANNA-transformer of a + ceil(log2 k) + 1 layers, without the detour
// over a protocol. Glossary: positions i = 1 .. N (token i - 1), a levels, F = ceil((N+1)^(1/a)) children of
// a block, W bits of a word.
#pragma once

#include <cstdint>

#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct KHopOptions {
  std::uint64_t n = 0;           ///< N, 1 .. 2^24
  std::uint64_t k = 1;           ///< hops, 1 .. 2^62
  std::uint32_t levels = 2;      ///< a, 1 .. 24: the width is O(N^(1/a))
  std::uint32_t word_bits = 47;  ///< W, 1 .. 47; W and the bits of a block number are at most 61 together
  std::uint64_t seed = 1;        ///< of the vectors of symbols and positions
  bool binary = false;           ///< F is a power of two: digits of a position are groups of its bits
  /// Values are spread by their keys' vectors, and of the keys that layer 1 sees only those count that
  /// collide as often as the token's own: tolerates false collisions, so that fewer functions do
  /// (simulate/native/spread.h). a = 1 only. Equal outputs wherever there are no false collisions.
  bool tolerant = false;
  void validate() const;  ///< ContractError naming field, value and range
};

/// Problem:   find_1(i) = max({0} u {2 <= j <= i : x_{j-1} = x_i}), find_k(i) = find_1(find_{k-1}(i)) and
///            find(0) = 0; output i is x_{find_k(i)}, or none where find_k(i) = 0. Words are any numbers
///            below 2^W.
/// Method:    the predecessor of x_i, the last earlier position with an equal word, is searched down a
///            tree of blocks of F children: every position p has a digits of base F, block_h(p) is its
///            first h - 1. Attention with keys (x_p, block_h(p)) and values one-hot in digit h of p tells
///            which children of a block hold the word. find_1(i) is the predecessor + 1. Then powers of
///            find_1 by doubling, and one fetch. (simulate/native/k_hop.cpp proves each layer.) Sanford, Hsu,
///            Telgarsky 2024 define the task; Liu, Yu, Sanford, Andoni, Hsu 2025 give depth O(log k) at
///            width O(N^eps) through MPC; the direct construction is ours.
/// Guarantee: exact with exact-match attention, for every input. With ANNA and k_hop_tables' parameters
///            all outputs of any fixed input are right with probability >= 1 - eta over the draw of
///            vectors and functions.
/// Cost:      k_hop_sizes: L = a + ceil(log2 k) + 1; H = a in layer 1, 2 in the ceil(log2 k) doublings,
///            else 1; m = max(128, F). Time and memory O(N F) at worst, in layer 1.
/// Input by input_activations(words, N), output by read_outputs(last, N) and kKHopNone.
anna::Transformer make_k_hop(const KHopOptions& options);

/// Output words are x + 1, and 0 for none.
constexpr mpc::Word kKHopNone = 0;

/// F: the least with F^a >= N + 1; if binary, the least power of two that is at least that and 2.
std::uint64_t k_hop_fan(const KHopOptions& options);

/// The formula: L, H, m, d.
TransformerSizes k_hop_sizes(const KHopOptions& options);

/// In play: at most N pairs (word, block) at each of the a levels, and N positions.
anna::AnnaParameters k_hop_tables(const KHopOptions& options, double eta, std::uint32_t tables = 1);

}  // namespace roundtrip::simulate
