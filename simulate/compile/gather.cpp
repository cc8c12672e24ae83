#include "roundtrip/simulate/compile/gather.h"

#include <algorithm>
#include <cmath>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::simulate {
namespace {

constexpr std::uint32_t kMaxWordBits = 48;  // exact under averaging in double, see packet_code.cpp

}  // namespace

std::uint32_t id_dimension(Ids ids, anna::Symbol count) {
  if (ids == Ids::kLong || seeded("ids-always-long")) return anna::IdentityCodebook::kDimension;
  return std::max(1u, ceil_log(2, count)) + (ids == Ids::kFallback ? 1 : 0);
}

std::shared_ptr<const anna::Codebook> make_ids(Ids ids, anna::Symbol count, anna::Symbol null_key,
                                               std::uint64_t seed) {
  if (ids == Ids::kLong) return std::make_shared<const anna::IdentityCodebook>(count, seed);
  const auto fallback = ids == Ids::kFallback ? std::optional(null_key) : std::nullopt;
  return std::make_shared<const anna::BinaryCodebook>(count, fallback);
}

std::uint64_t tokens_with_ids(Ids ids, std::uint64_t tokens) {
  return tokens + (ids == Ids::kFallback && !seeded("token-of-fallback-missing") ? 1 : 0);
}

std::string describe_ids(Ids ids, anna::Symbol count) {
  const std::uint32_t dimension = id_dimension(ids, count);
  if (ids == Ids::kLong) return fmt::format("random sign vectors of dimension {}", dimension);
  return fmt::format("binary digits, as signs, of dimension {}{}", dimension,
                     ids == Ids::kFallback ? ", one coordinate more for the fallback included" : "");
}

void keep_machine_fault(const mpc::Shape& shape, const anna::RowView& row, anna::RowWriter& out) {
  if (row.token >= shape.machines) return;
  const RowFault fault = read_fault(row, 0);
  if (fault.kind != FaultKind::kNone) write_fault(fault, kMachineFaultColumn, out);
}

Pass gather_pass(const mpc::Shape& shape) {
  return {
      .name = "gather",
      .effect = fmt::format("layer 0: N = {} words to {} machines, 1 head of value dimension b = {}; step 1",
                            shape.n, shape.input_machines(), shape.block_words),
      .caption = fmt::format("One head. Token t holds word t; its key is the id of the machine that gets the "
                             "word. The {} tokens that play machines with input ask with their own id. Each "
                             "gets the average of its block's words, every word in a slot of its own, and "
                             "multiplies by their known number.",
                             shape.input_machines()),
      .averages =
          "Number t mod b of an average is the word of token t, divided by how many words the machine "
          "has."};
}

anna::LayerShape gather_shape(const mpc::Shape& shape, std::uint32_t id_dimension,
                              std::uint32_t output_dimension) {
  return {.heads = 1,
          .query_dimension = id_dimension,
          .value_dimension = static_cast<std::uint32_t>(shape.block_words),
          .output_dimension = output_dimension + seeded("gather-column")};
}

void project_input(const mpc::Shape& shape, const anna::RowView& row, anna::Projection& out) {
  if (row.token < shape.input_machines()) out.query(0, row.token);
  if (row.token >= shape.n) return;
  out.key(0, row.token / shape.block_words);
  out.value(0, static_cast<std::uint32_t>(row.token % shape.block_words), row[1]);
}

bool gather_input(const mpc::Shape& shape, std::uint64_t token, const anna::HeadOutputs& heads,
                  std::vector<Message>& messages) {
  if (token >= shape.input_machines()) return true;
  const std::uint64_t count = std::min(shape.block_words, shape.n - token * shape.block_words);
  const auto source = static_cast<std::uint32_t>(token);
  const std::uint64_t averaged = seeded("last-block") ? shape.block_words : count;
  for (std::uint32_t i = 0; i < count; ++i) messages.push_back({source, i, 0});
  for (const anna::Entry& entry : heads.head(0)) {
    // fl(word / count) * count misses the word by less than 2^(48 - 51.9) (packet_code.cpp), so it rounds to
    // it.
    const double word = std::round(entry.value * static_cast<double>(averaged));
    if (entry.column >= count || !(word >= 0 && word < std::ldexp(1.0, static_cast<int>(shape.input_bits))))
      return false;
    messages[entry.column].word = static_cast<mpc::Word>(word);
  }
  return true;
}

void require_compilable(const mpc::Shape& shape, const std::string& name) {
  require(shape.word_bits <= kMaxWordBits && shape.input_bits <= kMaxWordBits,
          "{}: a transformer averages words of at most {} bits exactly; this protocol declares word_bits {}",
          name, kMaxWordBits, std::max(shape.word_bits, shape.input_bits));
}

}  // namespace roundtrip::simulate
