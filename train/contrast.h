// Purpose: the contrast between mechanisms: one task, networks that differ in how tokens see each other alone, each
// mechanism at a size below and one above what the task needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/train/task.h"
#include "roundtrip/train/train.h"

namespace roundtrip::train {

struct ContrastRow {
  std::string mechanism;
  Mixer mixer;
  std::string unit;        ///< of mixer.size; empty: the mechanism has none
  std::uint32_t need = 0;  ///< of them, by the task's definition; 0: any will do
  std::uint32_t layers = 1;
  std::uint32_t steps = 0;
  float rate = 0;
  std::string name() const;  ///< mechanism, or mechanism:size
  bool enough() const { return mixer.size >= need; }
};

struct ContrastOptions {
  std::uint32_t k = 1;         ///< hops of k_hop, 1 .. 4
  std::uint32_t symbols = 16;  ///< of k_hop, 2 .. 64
};

struct Contrast {
  Task task;
  std::vector<ContrastRow> rows;
};

/// match2: N = 32 numbers modulo 37, one layer, values of 4 numbers: with more than the modulus an average over all
/// keys would be the histogram. k_hop: N = 64, causal; output i is the symbol at find_k(i), `symbols` if there is none.
/// ContractError for another name, and for options out of range.
Contrast make_contrast(std::string_view task, const ContrastOptions& options);

struct ContrastResult {
  double error = 0, guessing = 0;  ///< on sequences that it has not seen
  std::uint64_t answers = 0;
};

/// Trains the row from `seed`. The error is of the network; that of anna is of its integer model with the task's most
/// hash tables. `steps`: 0, the row's.
ContrastResult run_row(
    const Contrast& contrast, const ContrastRow& row, std::uint64_t seed, std::uint32_t steps,
    const std::function<void(std::uint32_t done, std::uint32_t steps, float loss)>& progress = {});

}  // namespace roundtrip::train
