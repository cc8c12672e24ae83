// Purpose: one interface for the attention mechanisms. A mechanism sees Q, K and V of one head and nothing
// else, and gives every query a weighted average of values. mechanism.h makes one of a layer's parameters.
// Glossary: N' tokens, m_qk dimension of queries and keys, m_v of values, T tables, c_ij number of tables in
// which query i and key j collide.
//
// Q and K are written as symbols of a codebook, because many tokens share a vector: row i of Q is
// codebook.vector(query symbol of i). A symbol has no meaning to a mechanism but its vector: two symbols of
// equal vectors must be treated alike.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/anna/transformer/activations.h"
#include "roundtrip/base/ensure.h"

namespace roundtrip::anna {

using Symbol = std::uint64_t;

/// The vectors that queries and keys of a layer can be: fixed before the input is drawn. [size, dimension]
/// integers.
class Codebook {
 public:
  Codebook() = default;
  Codebook(const Codebook&) {}  // a copy is another object: with an identity of its own
  Codebook& operator=(const Codebook&) { return identity_ = next_identity(), *this; }
  virtual ~Codebook() = default;
  virtual std::uint32_t dimension() const = 0;  ///< m_qk
  virtual Symbol size() const = 0;              ///< symbols are 0 .. size-1
  /// Writes the vector of `symbol`, a pure function of it, to out[0 .. dimension-1].
  virtual void vector(Symbol symbol, std::span<std::int32_t> out) const = 0;
  /// Whether different symbols are known to have different vectors: where only equality matters, a symbol then
  /// serves in place of its vector.
  virtual bool distinct() const { return false; }
  /// A key that scores more than any other but the one that equals the query, for mechanisms that give every key a
  /// weight; if there is one.
  virtual std::optional<Symbol> fallback() const { return std::nullopt; }
  /// Never shared by two objects of a process, dead ones included (an address may be): what mechanisms cache
  /// codes by.
  std::uint64_t identity() const { return identity_; }

 private:
  static std::uint64_t next_identity();
  std::uint64_t identity_ = next_identity();
};

struct TokenSymbol {
  std::uint64_t token;
  Symbol symbol;
};

/// Q or K of one head: tokens that are not listed have the default symbol. Tokens ascend.
struct Points {
  Symbol default_symbol = 0;
  std::vector<TokenSymbol> listed;
};

/// Sparse rows for some tokens, the others zero: V of one head, or its output. Tokens ascend. The rows are
/// owning, in `entries`, or all of them borrowed from an array that outlives this, in `borrowed`.
struct SparseRows {
  std::vector<std::uint64_t> tokens;
  std::vector<RowPart> borrowed = {};     ///< if not empty, the row of tokens[i]; the fields below are unused
  std::vector<std::uint64_t> offsets{0};  ///< entries of tokens[i] are entries[offsets[i] .. offsets[i+1])
  std::vector<Entry> entries;
  /// Of an output whose tokens have rows in common: tokens[i] has row number shared[i]. Empty: row i.
  std::vector<std::uint32_t> shared = {};
  EntryView row(std::size_t i) const {
    ensure_debug(i < tokens.size(), "a row of no token");
    if (!borrowed.empty()) return borrowed[i];
    const std::size_t number = shared.empty() ? i : shared[i];
    ensure_debug(number + 1 < offsets.size(), "a row without offsets");
    return std::span(entries).subspan(offsets[number], offsets[number + 1] - offsets[number]);
  }
  /// Makes all rows owning, by a copy: needed before `entries` may change.
  void copy_borrowed();
  void clear() { tokens.clear(), offsets.assign(1, 0), entries.clear(), shared.clear(), borrowed.clear(); }
};

/// Q, K, V of one head over N' tokens.
struct HeadInput {
  std::uint64_t tokens = 0;  ///< N'
  Points queries, keys;
  SparseRows values;  ///< [N', m_v] integers below 2^53 in magnitude
};

/// An attention mechanism. One object serves one thread. Averages are S / T with S = sum_j c_ij v_j and T =
/// sum_j c_ij exact integers, each rounded to double once and divided once; T = 0 gives the zero vector.
/// Neither S nor T leaves the mechanism.
class Attention {
 public:
  virtual ~Attention() = default;
  virtual std::string name() const = 0;
  /// out gets a row for every token whose average is not zero. Rows may be borrowed from the array that the
  /// values are borrowed from, never from `head` itself. `out` and internal buffers are reused between calls.
  virtual void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) = 0;
};

}  // namespace roundtrip::anna
