// Purpose: protocols by name. Registering one gives it every subcommand (list, run, compile, decompile,
// verify, explain), for ours and for those of a program that links the installed package.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/mpc/parameters.h"
#include "roundtrip/mpc/protocol.h"

namespace roundtrip::mpc {

/// How output words are written: as the input's symbols (a word as read, a number), as numbers whatever the
/// input was, as one line of three positions, or as records of output_record, one a line.
enum class OutputForm : std::uint8_t { kSymbols, kNumbers, kTriple, kRecords };

struct OptionInfo {
  std::string name;      ///< in Parameters::options
  std::string fallback;  ///< shown default
  std::string help;      ///< meaning and allowed range
};

/// Inputs and outputs as the user sees them: signed integers (a word of a text is its number by first
/// occurrence, from 0); an absent output is nullopt.
using Values = std::vector<std::int64_t>;
using Outputs = std::vector<std::optional<std::int64_t>>;

/// What is run where the user gives no input: small enough to be drawn.
struct Example {
  std::string text{};  ///< the input; empty: an instance of `n` values is generated
  bool words = true;   ///< `text` holds words, not numbers
  std::uint64_t n = 16;
  Rational epsilon{1, 2};
};

struct ProtocolInfo {
  std::string name;
  std::string summary;         ///< one line
  std::string card;            ///< theorem card: problem, guarantee, preconditions, cost, source
  std::string rounds_formula;  ///< R as text, e.g. "T_sort(N, 2) + 3 + ceil(log2 k)"
  std::uint64_t kappa_s = 0;   ///< default
  /// Machines beyond those that N words need (Parameters::gamma, Parameters::machines) take part; elsewhere they idle.
  bool uses_more_machines = false;
  std::vector<OptionInfo> options;
  OutputForm output_form = OutputForm::kNumbers;
  /// Of kRecords: what each word of a record is, s a symbol and n a number: "sn" is a symbol and its number.
  std::string output_record{};
  /// Outputs from the last one on that are absent are not written (numbers of vertices).
  bool drops_absent_tail = false;
  /// Of a graph, edges are three words each, u v and a weight; else two.
  bool takes_weights = false;
  /// Throws ContractError for parameters that it can't serve.
  std::function<std::unique_ptr<const Protocol>(const Parameters&)> make;
  /// Output word `index` as the user sees it.
  std::function<std::optional<std::int64_t>(const Protocol&, std::uint64_t index, Word)> decode;
  /// Sequential reference that shares no code with the protocol; empty if there is none.
  std::function<Outputs(std::span<const std::int64_t>, const Parameters&)> oracle;
  /// Where more than one answer is right (a matching, any spanning forest, an approximation within a factor): what is
  /// wrong with the outputs, in one line; empty if nothing is. Sequential, and shares no code with the protocol. Stands
  /// in place of the oracle, or beside it.
  std::function<std::string(std::span<const std::int64_t>, const Outputs&, const Parameters&)> check{};
  /// Of a protocol that draws by Parameters::seed: the probability, over seeds and on every input, that its answers are
  /// wrong, at most. 0: they are right with every seed. In [0, 1).
  double failure_probability = 0;
  /// Throws ContractError for an input that breaks the promise of the task; empty: every input is served. A
  /// step must be defined on any input all the same.
  std::function<void(std::span<const std::int64_t>, const Parameters&)> accept;
  /// A generated instance of N values; empty: uniform in [0, N).
  std::function<Values(const Parameters&)> generate;
  Example example{};
  /// The protocol that is a program of the step language for the same task, which compiles to explicit weights; its own
  /// name if it is one.
  std::string program{};

  /// Whether its answers can be told from wrong ones.
  bool has_answers() const { return oracle || check; }
};

/// Throws ContractError if the name is taken or not of [a-z0-9_]+.
void register_protocol(ProtocolInfo info);
/// The protocol of that name; ContractError names the nearest known name otherwise.
[[nodiscard]] const ProtocolInfo& find_protocol(std::string_view name);
/// All of them, by name.
[[nodiscard]] std::vector<const ProtocolInfo*> all_protocols();

/// The output words of a run as the user sees them.
[[nodiscard]] Outputs decode_outputs(const ProtocolInfo& info, const Protocol& protocol,
                                     std::span<const Word> words);
/// How many outputs are unlike the oracle's, those too many or missing included; at least 1 if `check` finds something
/// wrong.
[[nodiscard]] std::uint64_t wrong_outputs(const ProtocolInfo& info, std::span<const std::int64_t> input,
                                          const Outputs& outputs, const Parameters& parameters);

/// x + 2^(p_in - 1); ContractError naming `what`, x and the range unless it fits.
[[nodiscard]] Word encode_input(std::int64_t value, const Shape& shape, std::string_view what);
/// word - 2^(p_in - 1): the inverse.
[[nodiscard]] std::int64_t decode_input(Word word, const Shape& shape);

}  // namespace roundtrip::mpc
