// Purpose: what constructions have in common besides their machines: ids as queries and keys, faults
// that stay with their machine, and layer 0: the N words, one a token, reach the first ceil(N/b) machines.
// One head, m_v = b: token t has key id(t div b) and value e_{t mod b} * word; machine i asks for id(i) and
// multiplies the average by the known number of its words. Symbols 0 .. q-1 are the machines' ids.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/construction.h"
#include "roundtrip/simulate/compile/machine.h"

namespace roundtrip::simulate {

/// m_qk of `count` ids.
std::uint32_t id_dimension(Ids ids, anna::Symbol count);
/// Symbols 0 .. count - 1; `null_key` is what tokens without a key have. ContractError beyond 2^24.
std::shared_ptr<const anna::Codebook> make_ids(Ids ids, anna::Symbol count, anna::Symbol null_key,
                                               std::uint64_t seed);
/// "random sign vectors of dimension 128": for passes.
std::string describe_ids(Ids ids, anna::Symbol count);
/// N' of a transformer that needs `tokens` of them: one more with a fallback, so that in every head some token has no
/// key of its own, but the fallback.
std::uint64_t tokens_with_ids(Ids ids, std::uint64_t tokens);

/// A layer of a construction. `Common` is what all of its layers share: the codebook of ids, with a symbol
/// that is only ever a key and one that is only ever a query.
template <typename Common>
class CompiledLayer : public anna::Layer {
 public:
  explicit CompiledLayer(std::shared_ptr<const Common> common) : common_(std::move(common)) {}
  const anna::Codebook& codebook() const override { return *common_->codebook; }
  anna::Symbol null_key() const override { return common_->null_key(); }
  anna::Symbol null_query() const override { return common_->null_query(); }

 protected:
  std::shared_ptr<const Common> common_;
};

/// In the last layer: a machine's fault stays in its token's row.
void keep_machine_fault(const mpc::Shape& shape, const anna::RowView& row, anna::RowWriter& out);

/// The pass as `--passes` and `explain` know it.
Pass gather_pass(const mpc::Shape& shape);

anna::LayerShape gather_shape(const mpc::Shape& shape, std::uint32_t id_dimension,
                              std::uint32_t output_dimension);

void project_input(const mpc::Shape& shape, const anna::RowView& row, anna::Projection& out);

/// The input block of machine `token` as messages from itself (none beyond the input); false if the average
/// is none of words of input_bits bits.
bool gather_input(const mpc::Shape& shape, std::uint64_t token, const anna::HeadOutputs& heads,
                  std::vector<Message>& messages);

/// ContractError naming the protocol unless its words survive averaging in double (at most 48 bits).
void require_compilable(const mpc::Shape& shape, const std::string& name);

}  // namespace roundtrip::simulate
