// Purpose: what the translators share: a compiled transformer with its sizes and how words enter and leave
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "anna/transformer.h"
#include "mpc/protocol.h"

namespace roundtrip::simulate {

/// An output token's row: absent, a word, or a fault that it reports.
struct OutputWords {
  std::vector<mpc::Word> words;  ///< by output index; meaningful if no token reported a fault
  std::vector<std::uint64_t>
      faulty;  ///< output indices that report a fault (or got no word), never a wrong word
};

/// Token t < N starts with (present = 1, word t), others with (0, 0): columns 0 and 1.
anna::Embedding input_embedding(std::span<const mpc::Word> input, std::uint64_t tokens);

/// Reads output t from the row of token t of the last array.
OutputWords read_outputs(const anna::Embedding& last, std::uint64_t outputs);

}  // namespace roundtrip::simulate
