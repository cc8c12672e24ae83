#include "roundtrip/simulate/native/experiments.h"

#include <numeric>

#include "roundtrip/anna/attention/attention.h"
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/simulate/native/k_hop.h"
#include "roundtrip/simulate/native/match2.h"
#include "roundtrip/simulate/native/parity_codebook.h"

namespace roundtrip::simulate {
namespace {

using Words = std::vector<mpc::Word>;

// What a seed of a draw is for.
enum Part : std::uint64_t { kNetwork, kFirstHash, kLastHash };

std::uint64_t part_seed(const ErrorGrid& grid, std::uint64_t of_draw, Part part) {
  return draw(grid.seed, Domain::kInstance, of_draw, part);
}

Words random_input(const ErrorGrid& grid, std::uint64_t of_draw) {
  // Its own stream (the last argument of part_seed's draws is 0).
  RandomStream stream(draw(grid.seed, Domain::kInstance, of_draw, 0, 1), Domain::kInstance);
  Words input(grid.n);
  for (mpc::Word& word : input) word = stream.below(grid.symbols);
  return input;
}

// The tasks by their definitions.
Words match2_answers(const Words& x, std::uint64_t modulus) {
  Words answers(x.size(), 0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (const mpc::Word other : x) answers[i] |= static_cast<mpc::Word>((x[i] + other) % modulus == 0);
  }
  return answers;
}
Words induction_answers(const Words& x) {
  Words answers(x.size(), kKHopNone);
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (x[j] == x[i]) answers[i] = x[j + 1] + 1;
    }
  }
  return answers;
}

std::uint64_t count_wrong(const OutputWords& outputs, const Words& expected) {
  std::uint64_t wrong = 0;
  std::vector<bool> faulty(expected.size());
  for (const std::uint64_t t : outputs.faulty) faulty[t] = true;
  for (std::size_t t = 0; t < expected.size(); ++t) wrong += faulty[t] || outputs.words[t] != expected[t];
  return wrong;
}

anna::Activations hashed(const anna::Layer& layer, const anna::Activations& array, std::uint32_t tables,
                         std::uint32_t functions, std::uint64_t seed) {
  return evaluate(layer, *anna::make_anna({.tables = tables, .functions = functions, .seed = seed}), array);
}

}  // namespace

void ErrorGrid::validate() const {
  require(draws >= 1, "experiment: draws is {}; at least 1 is needed", draws);
  require(symbols >= 1, "experiment: symbols is {}; at least 1 is needed", symbols);
  require(!tables.empty() && !functions.empty(), "experiment: tables and functions must not be empty");
}

std::vector<ErrorPoint> match2_errors(const ErrorGrid& grid) {
  grid.validate();
  std::vector<ErrorPoint> points;
  for (const std::uint32_t tables : grid.tables) {
    for (const std::uint32_t functions : grid.functions) points.push_back({tables, tables, functions, 0, 0});
  }
  for (std::uint64_t of_draw = 0; of_draw < grid.draws; ++of_draw) {
    const anna::Transformer network = make_match2({.n = grid.n,
                                                   .modulus = grid.symbols,
                                                   .seed = part_seed(grid, of_draw, kNetwork),
                                                   .tolerant = grid.tolerant});
    const Words words = random_input(grid, of_draw), expected = match2_answers(words, grid.symbols);
    const anna::Activations input = input_activations(words, grid.n);
    for (ErrorPoint& point : points) {
      const anna::Activations last = hashed(*network.layers[0], input, point.tables, point.functions,
                                            part_seed(grid, of_draw, kFirstHash));
      point.wrong += count_wrong(read_outputs(last, grid.n), expected);
      point.outputs += grid.n;
    }
  }
  return points;
}

std::vector<ErrorPoint> induction_errors(const ErrorGrid& grid) {
  grid.validate();
  require(!grid.last_tables.empty(), "experiment: last_tables must not be empty");
  std::vector<ErrorPoint> points;
  for (const std::uint32_t tables : grid.tables) {
    for (const std::uint32_t functions : grid.functions) {
      for (const std::uint32_t last : grid.last_tables) points.push_back({tables, last, functions, 0, 0});
    }
  }
  for (std::uint64_t of_draw = 0; of_draw < grid.draws; ++of_draw) {
    const anna::Transformer network = make_k_hop({.n = grid.n,
                                                  .k = 1,
                                                  .levels = 1,
                                                  .word_bits = bits_for(grid.symbols),
                                                  .seed = part_seed(grid, of_draw, kNetwork),
                                                  .tolerant = grid.tolerant});
    const Words words = random_input(grid, of_draw), expected = induction_answers(words);
    const anna::Activations input = input_activations(words, grid.n);
    anna::Activations middle;
    for (std::size_t i = 0; i < points.size(); ++i) {
      ErrorPoint& point = points[i];
      if (i % grid.last_tables.size() == 0) {
        middle = hashed(*network.layers[0], input, point.tables, point.functions,
                        part_seed(grid, of_draw, kFirstHash));
      }
      const anna::Activations last = hashed(*network.layers[1], middle, point.last_tables, point.functions,
                                            part_seed(grid, of_draw, kLastHash));
      point.wrong += count_wrong(read_outputs(last, grid.n), expected);
      point.outputs += grid.n;
    }
  }
  return points;
}

ErrorGrid paper_match2_grid(bool tolerant) {
  ErrorGrid grid{
      .n = 32, .symbols = 37, .tolerant = tolerant, .tables = {}, .last_tables = {}, .functions = {}};
  grid.tables.resize(16);
  std::iota(grid.tables.begin(), grid.tables.end(), 1);
  grid.functions = {1, 2, 3, 4, 5, 6};
  return grid;
}

ErrorGrid paper_induction_grid(bool tolerant) {
  return {.n = 100,
          .symbols = 4,
          .tolerant = tolerant,
          .tables = {32, 48, 64, 80, 96},
          .last_tables = {4, 8, 16, 24, 32},
          .functions = {1, 2, 3, 4}};
}

}  // namespace roundtrip::simulate
