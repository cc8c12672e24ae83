// Purpose: training a small transformer for a task, and the model that comes of it. Training computes in floating
// point: a seed gives the same weights on the same program and machine, elsewhere others that are as good. The
// model is integers, and all that is done with it is exact.
#pragma once

#include <functional>
#include <optional>

#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/train/task.h"

namespace roundtrip::train {

struct TrainOptions {
  std::uint64_t seed = 1;
  Mixer mixer = {};
  std::optional<std::uint32_t> steps = {};      ///< 1 .. 10^6; absent: the task's
  std::optional<std::uint32_t> functions = {};  ///< z, 1 .. 64; absent: the task's
  std::function<void(std::uint32_t done, std::uint32_t steps, float loss)> progress = {};
};

struct Trained {
  anna::Transformer transformer;  ///< of kAnna and kSoftmax; of another mixer empty
  std::uint32_t steps = 0;
  float loss = 0;             ///< of the last batch
  double error = 0;           ///< of the network with its surrogate, on sequences that it has not seen
  std::uint64_t answers = 0;  ///< that the error is of
  double guessing = 0;        ///< error of the most frequent answer
};

/// Problem:   weights for which attention by ANNA answers the task.
/// Method:    Adam on fresh sequences. Collision surrogate: the weight of a key is p^z, what a table of z hyperplanes
///            is on average; z rises from a third over the first 60 per cent of the steps, and from 35 to 75 per cent
///            noise grows to that of the task's number of tables, so that the answer survives few tables. Softmax of unit
///            vectors, as in the paper, and the other mixers: as they are.
/// Cost:      match2 about 10 s, induction about 2 minutes on one core.
/// Errors:    ContractError for options out of range, and if a weight leaves its integer's range.
/// Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Section 5 and its appendix, which trains softmax and distils; the
///            collision surrogate, its schedule and the noise are ours.
Trained train(const Task& task, const TrainOptions& options);

/// The transformer with hyperplane tables: `tables` [layers] of `functions`.
anna::Model with_tables(const Task& task, const anna::Transformer& transformer,
                        std::span<const std::uint32_t> tables, std::uint32_t functions, std::uint64_t seed);

}  // namespace roundtrip::train
