// Purpose: named random models, `random:L=2,H=4,d=16,c=4,seed=1`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::anna {

/// A random transformer of weight layers for the input (present, word). Its numbers stay in range at any
/// depth: every map ends in a rounding and a clamp. Even heads do not see the position and have equal, coarse
/// queries and keys (equal words meet under exact match too); odd heads see it and have near ones.
struct RandomModel {
  std::uint32_t layers = 2;           ///< L, 1 .. 64
  std::uint32_t heads = 4;            ///< H, 1 .. 64
  std::uint32_t dimension = 16;       ///< d, of queries and keys, 2 .. 1024
  std::uint32_t value_dimension = 8;  ///< m, 1 .. 1024
  std::uint32_t row_dimension = 8;    ///< w, of the rows between layers, 1 .. 1024
  std::uint32_t word_bits = 16;       ///< p, of the input words, 8 .. 24
  Rational factor{4};                 ///< c, > 1 and <= 64, of random_model_tables()
  std::uint64_t seed = 1;

  /// Reads `random:KEY=VALUE,..` with keys L H d m w p c seed, each at most once, any absent; ContractError
  /// otherwise.
  static RandomModel parse(std::string_view text);
  /// What parse() reads back.
  std::string name() const;
  void validate() const;  ///< ContractError naming field, value and range
};
/// Depth L, width H max(d, m).
Model make_random_model(const RandomModel& parameters, std::uint64_t tokens, const Mechanism& mechanism);
/// Input words for it: about N/4 different ones, each several times.
std::vector<std::uint64_t> random_words(const RandomModel& parameters, std::uint64_t n);

}  // namespace roundtrip::anna
