#include "roundtrip/simulate/compile/translation.h"

#include <algorithm>
#include <cmath>

#include "roundtrip/base/error.h"

namespace roundtrip::simulate {

std::string to_string(FaultKind kind) {
  switch (kind) {
    case FaultKind::kNone:
      return "none";
    case FaultKind::kWordsSent:
      return "too many words sent";
    case FaultKind::kWordsReceived:
      return "too many words received";
    case FaultKind::kWordWidth:
      return "word too wide";
    case FaultKind::kDestination:
      return "no such destination";
    case FaultKind::kMessageAfterEnd:
      return "message in the last round";
    case FaultKind::kEarlyOutput:
      return "output before the last round";
    case FaultKind::kMissingOutput:
      return "output missing";
    case FaultKind::kDuplicateOutput:
      return "output delivered twice";
    case FaultKind::kScratch:
      return "too much scratch memory";
    case FaultKind::kHeap:
      return "too much taken from the heap";
    case FaultKind::kStepFailed:
      return "step failed";
    case FaultKind::kUndecodable:
      return "packets cannot be told apart";
    case FaultKind::kElsewhere:
      return "fault of a machine";
    case FaultKind::kOverflow:
      return "bundle overflow";
  }
  return "unknown fault";
}

namespace {

/// `value` if it is an integer in 0 .. limit - 1.
std::optional<std::uint64_t> integer_below(double value, double limit) {
  if (!(value >= 0 && value < limit && value == std::floor(value))) return std::nullopt;
  return static_cast<std::uint64_t>(value);
}

FaultKind fault_kind(double value) {
  const auto code = integer_below(value, static_cast<double>(FaultKind::kOverflow) + 1);
  return code ? static_cast<FaultKind>(*code) : FaultKind::kUndecodable;
}

}  // namespace

RowFault read_fault(const anna::RowView& row, std::uint32_t column) {
  return {fault_kind(row[column]),
          static_cast<std::uint32_t>(integer_below(row[column + 1], 0x1p32).value_or(0)),
          integer_below(row[column + 2], 0x1p62).value_or(0)};
}

void write_fault(const RowFault& fault, std::uint32_t column, anna::RowWriter& out) {
  if (fault == RowFault{}) return;
  out.set(column, static_cast<double>(fault.kind));
  out.set(column + 1, fault.round);
  out.set(column + 2, static_cast<double>(fault.used));
}

anna::Activations input_activations(std::span<const mpc::Word> input, std::uint64_t tokens) {
  require(input.size() <= tokens, "an input of {} words needs as many tokens; there are {}", input.size(),
          tokens);
  auto array = anna::Activations::with_dimension(2);
  for (std::uint64_t t = 0; t < tokens; ++t) {
    if (t >= input.size()) {
      array.append_row({});
      continue;
    }
    require(input[t] < (1ull << 53), "input word {} is {}; a number of the array holds at most 53 bits", t,
            input[t]);
    const anna::Entry row[] = {{0, 1.0}, {1, static_cast<double>(input[t])}};
    array.append_row(std::span(row, input[t] == 0 ? 1 : 2));
  }
  return array;
}

OutputWords read_outputs(const anna::Activations& last, std::uint64_t outputs) {
  require(outputs <= last.tokens() && last.dimension() == kOutputDimension,
          "outputs are read from an array of at least {} tokens and dimension {}; this one has {} and {}",
          outputs, static_cast<unsigned>(kOutputDimension), last.tokens(), last.dimension());
  OutputWords result;
  result.words.assign(outputs, 0);
  for (std::uint64_t t = 0; t < last.tokens(); ++t) {
    const anna::RowView row = last.row(t);
    if (const RowFault fault = read_fault(row, kMachineFaultColumn); fault.kind != FaultKind::kNone) {
      result.machine_faults.push_back({t, fault});
    }
    if (t >= outputs) continue;
    const FaultKind kind = fault_kind(row[kOutputFaultColumn]);
    const auto word = integer_below(row[kWordColumn], 0x1p53);
    if (kind == FaultKind::kNone && row[kPresentColumn] == 1 && word) {
      result.words[t] = *word;
    } else {
      result.faulty.push_back(t);
      result.reasons.push_back(kind == FaultKind::kNone ? FaultKind::kMissingOutput : kind);
    }
  }
  return result;
}

TransformerSizes measure(const anna::Transformer& transformer) {
  TransformerSizes sizes;
  sizes.depth = transformer.depth();
  sizes.embedding_dimension = transformer.input_dimension;
  for (const auto& layer : transformer.layers) {
    const anna::LayerShape shape = layer->shape();
    sizes.heads = std::max<std::uint64_t>(sizes.heads, shape.heads);
    sizes.query_dimension = std::max<std::uint64_t>(sizes.query_dimension, shape.query_dimension);
    sizes.value_dimension = std::max<std::uint64_t>(sizes.value_dimension, shape.value_dimension);
    sizes.embedding_dimension = std::max<std::uint64_t>(sizes.embedding_dimension, shape.output_dimension);
    sizes.width = std::max(sizes.width, shape.width());
  }
  return sizes;
}

}  // namespace roundtrip::simulate
