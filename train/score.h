// Purpose: a model's answers to many sequences, exactly those of its evaluation, and an experiment over numbers of hash
// tables and functions.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/train/task.h"

namespace roundtrip::train {

/// Answers of a model of weight layers to sequences of its N tokens, the first rows being (1, symbol): for every
/// token the first of the largest numbers of its last row. Where all layers are ANNA without a computed point beyond 16
/// bits, by products of matrices of integers in double, exact in every order; else by anna::evaluate(), sequence
/// by sequence. Both give the same rows.
class Scorer {
 public:
  /// ContractError unless the model's maps are weights.
  explicit Scorer(anna::Model model);
  ~Scorer();
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;
  /// [count * N, columns of the last row], row after row.
  std::vector<double> rows(std::span<const std::uint32_t> tokens) const;
  Rows answers(std::span<const std::uint32_t> tokens) const;
  double error(const Sequences& sequences) const;

 private:
  struct Layer;
  bool fast_rows(std::span<const std::uint32_t> tokens, std::vector<double>& rows) const;
  anna::Model model_;
  std::vector<Layer> layers_;
};

/// ContractError unless the model takes the task's sequences and writes a number for each of its classes.
void require_model_of(const Task& task, const anna::Model& model);

struct ExperimentOptions {
  std::uint32_t draws = 10;     ///< of the hash functions, 1 .. 1000; each scores sequences of its own
  std::uint32_t sequences = 0;  ///< a draw, 1 .. 100000; 0: the task's
  std::uint64_t seed = 1;       ///< of hash functions and sequences
  std::function<void(std::uint32_t done, std::uint32_t cells)> progress = {};
};

/// One choice of tables and functions.
struct Cell {
  std::vector<std::uint32_t> tables;  ///< [layers]
  std::uint32_t functions = 0;
  double error = 0, least = 0, largest = 0;  ///< mean over the draws, and the ends
  std::uint64_t answers = 0;                 ///< of all draws
};

/// The model's weights with hyperplane tables of every size of the task's grids.
std::vector<Cell> run_grid(const Task& task, const anna::Model& model, const ExperimentOptions& options);

}  // namespace roundtrip::train
