// Purpose: one protocol on one input: made ready (all errors of input and shape known to every rank), run,
// and told as text and JSON. `run` and `compile` both stand on it.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/cli/arguments.h"
#include "roundtrip/cli/communicator.h"
#include "roundtrip/cli/input.h"
#include "roundtrip/cli/output_files.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"

namespace roundtrip::cli {

/// Ready to run; equal on every rank but for `input`, which rank 0 alone has.
struct Instance {
  const mpc::ProtocolInfo* info = nullptr;
  mpc::Parameters parameters;
  std::shared_ptr<const mpc::Protocol> protocol;
  std::optional<Input> input;
  bool example = false;  ///< no input was given: the protocol's own example
  const mpc::Shape& shape() const { return protocol->shape(); }
};

/// ContractError naming --param for one that the protocol does not have.
void check_options(const mpc::ProtocolInfo& info, const mpc::Parameters& parameters);

/// The registered protocol of that name; ContractError, which says what is one, for others and for models.
const mpc::ProtocolInfo& protocol_named(const std::string& name);

/// Collective. Reads or generates the input on rank 0 and makes the protocol; ContractError, the same on
/// every rank.
Instance prepare(const ProtocolArguments& arguments, const Communicator& communicator);
/// The same for `info` instead of the protocol that the arguments name; it must outlive the instance.
Instance prepare(const ProtocolArguments& arguments, const mpc::ProtocolInfo& info,
                 const Communicator& communicator);

/// What a run measured, or where it broke its model.
struct Execution {
  std::string transport;
  int ranks = 1;
  std::vector<mpc::Word> words;  ///< the encoded input; on rank 0
  mpc::RunResult result;
  std::optional<mpc::ModelViolation> violation;
};

/// Collective. The input as words, on rank 0; ContractError, the same on every rank, for values that are none.
std::vector<mpc::Word> encode(const Instance& instance, const Communicator& communicator);

/// Collective. A violation is caught and reported. `words`: the input, encode(instance, ..) unless given.
Execution execute(const Instance& instance, const ProtocolArguments& arguments,
                  const Communicator& communicator, mpc::RunOptions options = {},
                  std::optional<std::vector<mpc::Word>> words = {});

/// The outputs as the user sees them; on rank 0.
mpc::Outputs decode(const Instance& instance, const std::vector<mpc::Word>& words);
/// ContractError naming --check for a protocol that has neither an oracle nor a check.
void require_answers(const mpc::ProtocolInfo& info);
/// What is wrong with the outputs, by the protocol's oracle and check, in one line; empty if nothing is.
std::string wrong_answers(const Instance& instance, const mpc::Outputs& outputs);
/// Outputs as `--output` writes them: one a line, absent ones empty; a triple's positions on one line.
/// `names`: behind the name of vertex t, for a protocol with an output for each vertex.
std::string output_text(const Instance& instance, const mpc::Outputs& outputs, bool names);

/// Bytes that the words in flight take at most, over all ranks: every machine full, sent and received.
std::uint64_t exchange_bytes(const mpc::Shape& shape);

/// "k_hop (k=4): N = 20000, eps = 1/2 ..." and, after a run, the table of measured facts beside their limits.
std::string heading(const Instance& instance);
std::string run_table(const Instance& instance, const Execution& execution);
/// The documented keys of a run, `verdict` included.
nlohmann::ordered_json run_json(const Instance& instance, const Execution& execution,
                                const std::string& verdict);
/// What rank 0 makes of a run that kept to its model.
struct Conclusion {
  std::string verdict;  ///< "verified", "done", "refuted" or "inconclusive"
  std::string text;     ///< all but the verdict's line
  nlohmann::ordered_json json;
};
/// Collective. Rank 0 concludes and publishes; the status of its verdict is everyone's. A violation is
/// published instead, and thrown.
int conclude(const Instance& instance, const Execution& execution, const OutputArguments& arguments,
             bool output_taken, const Communicator& communicator,
             const std::function<Conclusion(OutputFiles&)>& work);
/// Writes `text` and `json` where the arguments say, then throws what `files` could not write; on rank 0.
void publish(const OutputArguments& arguments, bool output_taken, const std::string& text,
             const nlohmann::ordered_json& json, OutputFiles files = {});

}  // namespace roundtrip::cli
