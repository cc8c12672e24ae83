// Purpose: a machine inside an element-wise map: the messages that a row has taken from the head outputs
// become the canonical inbox, the protocol's pure step runs on it within its limits, and what it sends, or
// the fault, is written into the token's next row. Nothing else leaves the map.
#pragma once

#include <cstdint>
#include <vector>

#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct Message {
  std::uint32_t source;
  std::uint32_t sequence;
  mpc::Word word;
};

/// One word on its way out; its sequence is its index in the list.
struct OutgoingWord {
  std::uint32_t destination;  ///< machine, or output index in round R
  mpc::Word word;
  friend bool operator==(const OutgoingWord&, const OutgoingWord&) = default;
};

struct Stepped {
  RowFault fault;  ///< kNone, or why `sent` is empty
  std::vector<OutgoingWord> sent;
};

/// Sorts `messages` by (source, sequence), makes maximal runs of consecutive sequences of them and runs
/// `machine`'s step of `round` (1..R). More than s messages received, any broken limit and any exception of
/// the step are faults.
[[nodiscard]] Stepped run_step(const mpc::Protocol& protocol, std::uint32_t round, mpc::MachineId machine,
                               std::vector<Message>& messages);

}  // namespace roundtrip::simulate
