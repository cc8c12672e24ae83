// Purpose: one run and one evaluation, written down side by side: every word that a machine sent, every key
// that a query matched, and which of the words carry an input word. Terminal and page are both drawn from
// this and from nothing else. Glossary: N input words, N' tokens, q machines, s memory words, R rounds, L
// layers, H heads, ell tables, c_ij number of tables in which query i and key j collide.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/compile.h"
#include "roundtrip/simulate/decompile/decompile.h"

namespace roundtrip::explain {

/// Where it is drawn how many words; a run with more is refused.
inline constexpr std::uint64_t kMinWords = 2;
inline constexpr std::uint64_t kMaxWords = 64;
/// Rounds with more words than this are shown as totals from one kind of machine to another; a protocol that
/// was a transformer has many more words, and what they are says less.
inline constexpr std::size_t kMaxListed = 1500, kMaxListedInReverse = 200;

/// One word that a machine sent.
struct SentWord {
  std::uint32_t source = 0;
  std::uint32_t sequence = 0;             ///< its place in all that `source` sent in this round
  std::uint32_t destination = 0;          ///< the machine that received it
  std::optional<std::uint32_t> output{};  ///< in round R: which output word it is
  mpc::Word word = 0;
  std::vector<std::uint32_t> carries{};  ///< input words that move with it (explain/follow.h), ascending
  std::vector<std::uint32_t> depends{};  ///< input words that it was computed from in another way
};

/// What one machine did in one round.
struct Load {
  std::uint64_t sent = 0, received = 0, scratch = 0;
  friend bool operator==(const Load&, const Load&) = default;
};

struct RoundTrace {
  std::string phase;            ///< what the round is for, in the protocol's words; may be empty
  std::vector<SentWord> words;  ///< by source, then sequence
  std::vector<Load> loads;      ///< [q]
};

/// A query and the keys that it met.
struct Match {
  std::uint32_t query = 0;  ///< token
  struct Key {
    std::uint32_t token = 0;
    std::uint32_t tables = 0;  ///< c_ij: in so many of the ell tables; 1 for exact match
  };
  std::vector<Key> keys;           ///< ascending
  std::uint64_t total = 0;         ///< sum of c_ij: the weight of a key is tables / total
  std::vector<anna::Entry> value;  ///< the average that the query got
};

/// How close queries and keys that are not equal come, for LSH tables: over all pairs that met in a table.
struct Collisions {
  std::uint64_t near = 0;  ///< collisions (pairs times tables) of a query with a key within r, or equal to it
  std::uint64_t between = 0;  ///< with a key between r and c r
  std::uint64_t far = 0;      ///< with a key beyond c r (beyond equal, where no r is known)
  std::uint64_t near_pairs = 0, near_pairs_met = 0;  ///< pairs within r, and those of them that met
  double purity() const {
    return near + between + far == 0
               ? 1
               : 1 - static_cast<double>(far) / static_cast<double>(near + between + far);
  }
};

/// One pair in the tables of a head.
struct Pair {
  std::uint32_t query = 0, key = 0, tables = 0;
  double distance =
      0;  ///< on the unit sphere (of the vectors as they are, where the family is not of directions)
};

struct HeadTrace {
  std::uint32_t head = 0;
  std::vector<std::string> queries,
      keys;                    ///< [N'] what the vector is called: "id 3", "vector B"; "" where it is null
  std::vector<Match> matches;  ///< of the queries that met a key, ascending
  std::optional<Collisions> collisions{};  ///< of an LSH head
  std::vector<Pair> pairs{};               ///< of an LSH head: all that met, or are within r
};

/// A word of the round under way, as it changes rows.
struct Move {
  std::uint32_t word = 0;          ///< index in RoundTrace::words
  std::uint32_t from = 0, to = 0;  ///< tokens; the key and the query of
  std::uint32_t head = 0;
};

/// Machines first .. first + count - 1 do the same job.
struct Role {
  std::string name;
  std::uint64_t first = 0, count = 0;
};

struct LayerTrace {
  std::string name;      ///< the pass that made it, and its part in it: "to intermediates, digit 1 of 2"
  std::string caption;   ///< what the pass does; empty in reverse
  std::string averages;  ///< how the numbers of its averages are to be read; empty in reverse
  bool one_head_a_word = false;  ///< head h carries word h of each sender
  std::string mechanism;         ///< "exact match", "ANNA: 20 tables of 2 functions", ..
  anna::LayerShape shape;
  std::uint32_t tables = 0, functions = 0;  ///< ell and z of an LSH layer
  std::optional<double> near_radius{}, far_radius{};
  std::uint32_t round = 0;  ///< the round whose words it moves; 0: the input. Protocol to transformer
  std::uint32_t first_round = 0, rounds = 0;              ///< that do what it does. Transformer to protocol
  const simulate::LayerDecompiler* decompiler = nullptr;  ///< in reverse: what its rounds are
  std::vector<Role> roles;                                ///< in reverse: they cover all machines
  std::vector<HeadTrace> heads;                           ///< those with a match
  std::uint32_t silent_heads = 0;                         ///< the others
  std::vector<Move> moves;
  std::uint64_t numbers_in_rows = 0;  ///< nonzero numbers of the array that it leaves
};

/// What a model computes with a part of it taken away.
struct Without {
  std::string part;                   ///< "without head 1 of layer 0", "with 2 of 18 hash tables"
  std::vector<std::uint32_t> tokens;  ///< whose last rows are others then, ascending
};

/// With what the page's engine can run the same again.
struct Play {
  std::string protocol;
  Rational epsilon;
  std::uint64_t k = 0;  ///< the parameter of that name, 0 if there is none
};

struct Trace {
  bool reverse =
      false;  ///< a transformer that became a protocol, instead of a protocol that became a transformer
  std::string title;    ///< "k_hop k=2"
  std::string summary;  ///< what is computed, in one line; may be empty
  mpc::Shape shape;
  std::string rounds_formula;
  std::string construction;                 ///< its name; empty in reverse
  simulate::TransformerSizes sizes, bound;  ///< bound: by formula, from the shape alone; in reverse all 0
  std::uint64_t tokens = 0;                 ///< N'
  std::vector<std::string> input;           ///< the words as the reader wrote them
  std::optional<Play> play;
  std::vector<mpc::Word> input_words;
  std::vector<std::string> outputs;   ///< as the reader reads them; "" for none
  std::vector<RoundTrace> rounds;     ///< [R]
  std::vector<LayerTrace> layers;     ///< [L]
  std::vector<Without> withouts;      ///< in reverse, of layers that are weights: a head less, fewer tables
  bool bounds_prove_nothing = false;  ///< below_range of the shape or the plan

  /// In reverse: the layer that `round` (1 .. R) does a part of; none for the first and the last.
  std::optional<std::size_t> layer_of(std::uint32_t round) const;
  /// What the reader sees of a word: the input word that it carries, if it is nothing else, or its number.
  std::string text_of(const SentWord& word) const;
  /// Input words whose number output t carries.
  const std::vector<std::uint32_t>* origins_of(std::uint32_t output) const;
};

/// What a trace can't know from protocol and words.
struct Names {
  std::string title;
  std::string summary;
  std::string rounds_formula;
  std::vector<std::string> input;  ///< [N]; control characters and broken UTF-8 are replaced, long words cut
  std::function<std::string(std::uint64_t output, mpc::Word word)> output;
  std::optional<Play> play{};
};

/// Runs the protocol in process and evaluates its transformer, layer by layer. ContractError unless N is in
/// kMinWords .. kMaxWords; ModelViolation as run() throws it; InternalError if an average is not that of
/// the matches written down, if a layer moves other words than its round sent, or an output differs.
Trace record(const simulate::Compiled& compiled, std::string_view mechanism, std::span<const mpc::Word> input,
             const Names& names);

/// The same for a transformer and the protocol that simulate::decompile() makes of it.
Trace record(const anna::Model& model, const simulate::DecompilePlan& plan, const mpc::Protocol& protocol,
             std::span<const mpc::Word> input, const Names& names);

/// `text` as UTF-8 without control characters, cut to `most` characters.
std::string printable(const std::string& text, std::size_t most = 24);

}  // namespace roundtrip::explain
