// Purpose: `roundtrip experiment mechanisms`: one task, networks that differ in their mechanism alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "roundtrip/cli/arguments.h"
#include "roundtrip/cli/flags.h"
#include "roundtrip/train/contrast.h"

namespace roundtrip::cli {

struct ContrastArguments {
  std::string task = "match2";
  std::vector<std::string> rows;  ///< mechanism or mechanism:size; empty: all
  std::uint32_t seeds = 3, steps = 0;
  train::ContrastOptions options;
};

/// What networks of a size erred at, a mean over seeds.
struct TrainedRow {
  std::string mechanism, size;  ///< names of mechanisms as in anna/attention; size: empty, if it has none
  std::string layers, need;     ///< need: how much of what the task asks for, empty if any size will do
  std::uint32_t tokens = 0, seeds = 0;
  double error = 0;
};
/// Those on `task` with `k` hops, of a file that contrast_mechanisms() wrote as `csv`; ContractError naming `flag` for any
/// other file, and for one without such rows.
std::vector<TrainedRow> trained_rows(const std::string& flag, const std::string& path,
                                     const std::string& task, std::uint64_t k);

/// Its own flags: --task, --rows, --seeds, --steps, --k, --symbols.
void add_contrast_arguments(Flags& flags, ContrastArguments& arguments);

/// Seeds `first_seed`, .. of every row; the exit status. Rows that the file `csv` has are not trained again.
int contrast_mechanisms(const ContrastArguments& arguments, std::uint64_t first_seed, const std::string& csv,
                        const std::string& html, const OutputArguments& out);

}  // namespace roundtrip::cli
