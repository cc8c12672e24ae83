// Purpose: the tasks that small transformers are trained on, with what is known to train them.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace roundtrip::train {

using Rows = std::vector<std::uint32_t>;  ///< a number for every token

/// The weights of attention in training: a function of the inner product of query and key, of two unit vectors
/// their cosine.
struct Similarity {
  enum class Kind : std::uint8_t {
    kCollision,    ///< p^z: what ANNA with hyperplanes is on average
    kExponential,  ///< exp(beta (cosine - 1)): softmax of unit vectors
    kProduct,      ///< the inner product itself: of features, as in Performer
    kSquare,       ///< its square: of sketches, as in PolySketchFormer
  };
  Kind kind = Kind::kCollision;
  float sharpness = 1;  ///< z or beta
  float tables = 0;     ///< noise of that many tables is added; 0: none
  std::uint64_t noise_seed = 0;

  // Which keys a query sees; constants of the gradient.
  std::uint32_t window = 0;  ///< those at most so many tokens away; 0: all
  /// Not 0: sequences are sorted by (code of the key, token) and cut into chunks of so many; a query sees the keys of
  /// its own code in its own chunk and the one before. The code is the signs of `code_bits` products.
  std::uint32_t chunk = 0, code_bits = 0;
};

/// What lets the tokens of a trained network see each other.
struct Mixer {
  enum class Kind : std::uint8_t {
    kAnna,        ///< collision probability in training, hash tables in the model; size: none
    kSoftmax,     ///< size: none
    kPerformer,   ///< positive random features (FAVOR+); size: their number
    kPolySketch,  ///< degree 4 by a sketch of degree 2; size: its numbers
    kWindow,      ///< softmax over near tokens; size: tokens to each side
    kReformer,    ///< softmax within chunks of equal codes, Q = K; size: tokens of a chunk
    kRnn,         ///< h = tanh(W h + U x + b); size: numbers of h
    kLstm,        ///< size: cells
    kStateSpace,  ///< selective, diagonal, its inputs convolved by width 2; size: state of a channel
  };
  Kind kind = Kind::kAnna;
  std::uint32_t size = 0;
  bool recurrent() const { return kind >= Kind::kRnn; }
};

/// A sequence's tokens are symbols 0 .. symbols-1, its answers one of `classes` for every token. A record a task.
struct Task {
  std::string name;
  std::string summary;
  std::uint32_t tokens = 0, symbols = 0, classes = 0;
  /// The answers of one sequence, by definition.
  std::function<std::vector<std::uint32_t>(std::span<const std::uint32_t> sequence)> answers = {};

  // The network.
  std::uint32_t layers = 1;
  bool places = false;       ///< tokens see their position
  bool causal = false;       ///< no token sees later ones
  std::uint32_t hidden = 0;  ///< of the map after attention
  std::uint32_t value_dimension = 32;

  // Its training, chosen by trying.
  std::uint32_t steps = 0, batch = 0;  ///< sequences in a batch
  float rate = 0;
  std::uint32_t functions = 0;     ///< z
  std::uint32_t noise_tables = 0;  ///< of the noise at the end
  float sharpness = 0;             ///< beta of the softmax surrogate

  // What an experiment scores: hash tables of each layer, functions of a table.
  std::vector<std::vector<std::uint32_t>> tables_grid;  ///< [cells][layers]
  std::vector<std::uint32_t> functions_grid;
  std::uint32_t sequences = 0;  ///< a draw
};

/// match2: whether some token's symbol and one's own sum to 0 modulo 37. induction: the symbol after the latest
/// earlier place of one's own symbol, or 4 if there is none (k_hop with k = 1).
std::span<const Task> tasks();
/// ContractError names those that there are.
const Task& find_task(std::string_view name);

/// Sequences of uniform symbols, a function of (seed, stream): [count * tokens], and their answers.
struct Sequences {
  Rows tokens, answers;
};
Sequences make_sequences(const Task& task, std::uint32_t count, std::uint64_t seed, std::uint64_t stream);
/// The error of always giving the answer that is most frequent.
double guessing_error(std::span<const std::uint32_t> answers);

}  // namespace roundtrip::train
