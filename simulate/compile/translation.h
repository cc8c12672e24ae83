// Purpose: what the translators from protocols to transformers share: how words enter and leave the array,
// how a fault is written in it, the sizes of a transformer, and the list of passes that a translator reports.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/mpc/protocol.h"

namespace roundtrip::simulate {

/// Why a row carries a fault instead of words. 1..11 are 1 + mpc::ModelViolation::Kind, a violation of the
/// model that run() would have thrown; then what an array cannot be decoded to, and what follows from either
/// elsewhere.
enum class FaultKind : std::uint8_t {
  kNone = 0,
  kWordsSent,
  kWordsReceived,
  kWordWidth,
  kDestination,
  kMessageAfterEnd,
  kEarlyOutput,
  kMissingOutput,
  kDuplicateOutput,
  kScratch,
  kHeap,
  kStepFailed,
  kUndecodable,  ///< the head outputs are no average of packets that the construction sends
  kElsewhere,    ///< some machine reported a fault, on which this output may depend
  kOverflow,     ///< routed construction: a bundle was too small for this choice of intermediates
};
std::string to_string(FaultKind kind);

/// A fault as a row holds it.
struct RowFault {
  FaultKind kind = FaultKind::kNone;
  std::uint32_t round = 0;  ///< of the step that could not be run or broke its limits
  std::uint64_t used = 0;   ///< words, or the destination or word in question, at most 2^53
  friend bool operator==(const RowFault&, const RowFault&) = default;
};

/// Reads / writes a fault at three columns of a row. Numbers that no construction writes read as
/// kUndecodable.
RowFault read_fault(const anna::RowView& row, std::uint32_t column);
void write_fault(const RowFault& fault, std::uint32_t column, anna::RowWriter& out);

/// Columns of the last array: token t's row holds output t and the fault of machine t, if it stopped.
enum OutputColumn : std::uint32_t {
  kPresentColumn = 0,  ///< 1 if the word is there
  kWordColumn = 1,
  kOutputFaultColumn = 2,   ///< FaultKind of output t
  kMachineFaultColumn = 3,  ///< RowFault of machine t: kind, round, used
  kOutputDimension = 6,
};

struct MachineFault {
  std::uint64_t machine;
  RowFault fault;
};

/// What the rows of the last array say.
struct OutputWords {
  std::vector<mpc::Word> words;  ///< by output index; 0 where faulty
  /// Output indices that report a fault or got no word: never a wrong word.
  std::vector<std::uint64_t> faulty;
  std::vector<FaultKind> reasons;  ///< of each faulty output
  std::vector<MachineFault> machine_faults;
};

/// Token t < N starts with (present = 1, word t), others with (0, 0): columns 0 and 1.
anna::Activations input_activations(std::span<const mpc::Word> input, std::uint64_t tokens);

/// Reads output t from the row of token t of the last array.
OutputWords read_outputs(const anna::Activations& last, std::uint64_t outputs);

/// The sizes of a transformer, measured or by formula. m is the larger of query_dimension and value_dimension
/// of a head.
struct TransformerSizes {
  std::uint64_t depth = 0;                ///< L
  std::uint64_t heads = 0;                ///< H, max over layers
  std::uint64_t query_dimension = 0;      ///< max over layers
  std::uint64_t value_dimension = 0;      ///< max over layers
  std::uint64_t embedding_dimension = 0;  ///< d, max over layers, the input included
  std::uint64_t width = 0;                ///< max over layers of H_l * m_l
  friend bool operator==(const TransformerSizes&, const TransformerSizes&) = default;
};
TransformerSizes measure(const anna::Transformer& transformer);

/// A word on its way, as some row holds it.
struct WordInRow {
  std::uint64_t token = 0;  ///< whose row
  std::uint64_t source = 0, sequence = 0, destination = 0;
  double word = 0;
  friend bool operator==(const WordInRow&, const WordInRow&) = default;
};

/// One named pass of a translator, a step of its proof: declared once, where the translator is. What
/// `--passes` prints, what its layers are called and what `explain` says of them are fields of this record.
struct Pass {
  std::string name;    ///< "to intermediates"
  std::string effect;  ///< what it did to layers, heads, dimensions, rounds, machines in this translation
  /// For a reader who sees one of its layers: what it does and why, in whole sentences; empty for a pass that
  /// only prepares others.
  std::string caption = {};
  std::string averages = {};  ///< how the numbers of an average in its layers are to be read; as above
};

}  // namespace roundtrip::simulate
