// Purpose: one interface for the attention mechanisms. A mechanism sees Q, K and V of one head and nothing
// else, and gives every query a weighted average of values. Glossary: N' tokens, m_qk dimension of queries
// and keys, m_v of values, T tables, c_ij number of tables in which query i and key j collide.
//
// Q and K are written as symbols of a codebook, because many tokens share a vector: row i of Q is
// codebook.vector(query symbol of i). A symbol has no meaning to a mechanism but its vector: two symbols of
// equal vectors must be treated alike.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/anna/lsh/family.h"
#include "roundtrip/anna/transformer/activations.h"

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
  /// Whether different symbols are known to have different vectors: where only equality matters a symbol then
  /// stands for its vector.
  virtual bool distinct() const { return false; }
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

/// Sparse rows for some tokens, the others zero: V of one head, or its output. Tokens ascend. The rows stand
/// here, in `entries`, or all of them in an array that outlives this, in `lent`.
struct SparseRows {
  std::vector<std::uint64_t> tokens;
  std::vector<RowPart> lent = {};         ///< if not empty, the row of tokens[i], and those below say nothing
  std::vector<std::uint64_t> offsets{0};  ///< entries of tokens[i] are entries[offsets[i] .. offsets[i+1])
  std::vector<Entry> entries;
  /// Of an output whose tokens have rows in common: the row of tokens[i] stands in place shared[i]. Empty: i.
  std::vector<std::uint32_t> shared = {};
  EntryView row(std::size_t i) const {
    if (!lent.empty()) return lent[i];
    const std::size_t place = shared.empty() ? i : shared[i];
    return std::span(entries).subspan(offsets[place], offsets[place + 1] - offsets[place]);
  }
  /// Copies rows that are lent: for who means to change `entries`.
  void own();
  void clear() { tokens.clear(), offsets.assign(1, 0), entries.clear(), shared.clear(), lent.clear(); }
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
  /// out gets a row for every token whose average is not zero; it may be lent by the array that lent it to
  /// the values, never by `head` itself. `out` and internal buffers are reused between calls.
  virtual void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) = 0;
};

/// Problem:   exact-match attention (EMA): c_ij = 1 iff q_i = k_j.
/// Guarantee: exact.
/// Cost:      time and memory linear in the listed tokens, the value entries and the output entries (N' of
/// them only if
///            the default query has a match); each distinct vector is read once per codebook.
std::unique_ptr<Attention> make_exact_match();

/// ANNA by locality-sensitive hashing, table by table: `tables` = ell, `functions` = z per table.
struct AnnaParameters {
  std::uint32_t tables = 1;     ///< ell, 1 .. 2^20
  std::uint32_t functions = 1;  ///< z, 1 .. 1024 in every table
  std::uint64_t seed = 1;
  FamilyKind family = FamilyKind::kHyperplane;
  double width = 0;             ///< p-stable only: w in the vectors' integer units
  std::uint32_t rotations = 2;  ///< Hadamard only
  void validate() const;        ///< ContractError naming field, value and range
  /// The family's parameters for vectors of `dimension` coordinates.
  FamilyParameters functions_of(std::uint32_t dimension) const {
    return {family, dimension, functions, width, rotations, seed};
  }
  friend bool operator==(const AnnaParameters&, const AnnaParameters&) = default;
};
/// Problem:   approximate nearest neighbor attention (Liu, Yu, Sanford, Andoni, Hsu 2025, Algorithm of
/// Section 3): each
///            table buckets the keys by z concatenated hash functions and keeps (sum of values, count); each
///            query adds its bucket's sum and count; the output is total sum / total count.
/// Guarantee: c_ij is the number of tables in which the codes of q_i and k_j are equal, exactly; vectors at
/// angle theta
///            share a code with probability (1 - theta/pi)^z per table. Equal vectors always do: EMA is the
///            special case in which distinct vectors have distinct codes (anna/attention/identity.h draws and checks
///            it).
/// Cost:      time ell * (what exact match costs), memory one table and the output; distinct vectors are
/// hashed once per
///            codebook, ell z m_qk operations each.
std::unique_ptr<Attention> make_anna(const AnnaParameters& parameters);

/// Quadratic oracle for exact match: compares every query with every key, coordinate by coordinate.
std::unique_ptr<Attention> make_brute_force_exact_match();
/// Quadratic oracle for ANNA: counts collisions of every pair over all tables, then averages.
std::unique_ptr<Attention> make_brute_force_anna(const AnnaParameters& parameters);

}  // namespace roundtrip::anna
