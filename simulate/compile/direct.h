// Purpose: construction 4a, the direct simulation of MPC by exact-match attention: L = R + 1 layers, one head
// for each outgoing word, packets told apart by a code (identity or cover-free) and proved single by a
// variance test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/packet_code.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct DirectOptions {
  PacketCode code = PacketCode::kAutomatic;  ///< automatic: identity if 2q <= 4XP
  bool variance_test = true;                 ///< off only as a negative control
  std::uint64_t seed = 1;                    ///< of the ids
  std::string name = "protocol";             ///< of the protocol, in messages
};

/// Problem:   the transformer of an R-round MPC protocol: the same output words from the rows of tokens 0 ..
/// outputs-1. Guarantee: exact for every input, with exact-match attention (or one ANNA table in which
/// distinct ids have distinct
///            codes). If the protocol breaks its model on the input, every output reports a fault; never a
///            wrong word.
/// Cost:      L = R + 1; H = s + 1 (head h carries each machine's h-th outgoing word; the last layer has one
/// head more,
///            through which a machine that stopped warns all outputs); m = max(128, b, D) with D = 2q or 4XP;
///            direct_sizes() gives them exactly. H m is O(s (D + 128)) = O(N^{3 eps} log N) when q <= s.
/// Source:    Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.1, EMA step (there m = O(N^{5 eps} log N));
/// packet code, warning
///            head and the single-sender test at the outputs are ours.
/// Preconditions: word_bits <= 48, q <= 2^24; ContractError names the protocol and the field otherwise.
/// The protocol object is held by the layers, whose maps call its pure steps.
anna::Transformer compile_direct(std::shared_ptr<const mpc::Protocol> protocol,
                                 const DirectOptions& options = {});

/// The passes of compile_direct and what each did, as text.
std::vector<Pass> direct_passes(const mpc::Shape& shape, const DirectOptions& options = {});

/// The words on their way in a row between layers 0 and R, for reports.
std::vector<WordInRow> direct_words(const anna::RowView& row);

/// The sizes by formula, from the declared shape alone: the bound that a check compares with measure().
TransformerSizes direct_sizes(const mpc::Shape& shape, PacketCode code = PacketCode::kAutomatic);

}  // namespace roundtrip::simulate
