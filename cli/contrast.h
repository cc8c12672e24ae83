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

/// Its own flags: --task, --rows, --seeds, --steps, --k, --symbols.
void add_contrast_arguments(Flags& flags, ContrastArguments& arguments);

/// Seeds `first_seed`, .. of every row; the exit status. Rows that the file `csv` has are not trained again.
int contrast_mechanisms(const ContrastArguments& arguments, std::uint64_t first_seed, const std::string& csv,
                        const std::string& html, const OutputArguments& out);

}  // namespace roundtrip::cli
