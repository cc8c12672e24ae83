// Purpose: layer 0 of both constructions: the N words, one a token, reach the first ceil(N/b) machines. One
// head, m_v = b: token t has key id(t div b) and value e_{t mod b} * word; machine i asks for id(i) and
// multiplies the average by the known number of its words. Symbols 0 .. q-1 are the machines' ids.
#pragma once

#include <string>
#include <vector>

#include "anna/transformer.h"
#include "mpc/protocol.h"
#include "simulate/machine.h"

namespace roundtrip::simulate {

void project_input(const mpc::Shape& shape, const anna::RowView& row, anna::Projection& out);

/// The input block of machine `token` as messages from itself (none beyond the input); false if the average
/// is none of words of input_bits bits.
bool gather_input(const mpc::Shape& shape, std::uint64_t token, const anna::HeadOutputs& heads,
                  std::vector<Message>& messages);

/// ContractError naming the protocol unless its words survive averaging in double (at most 48 bits).
void require_compilable(const mpc::Shape& shape, const std::string& name);

}  // namespace roundtrip::simulate
