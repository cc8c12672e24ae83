// Purpose: constructions by name. A construction is a way to make a transformer of a protocol; one record
// holds everything that the program knows of it, and the rest (facade, counterexamples, saved models,
// `explain`, flags, tests) goes over the records. A new one is a record in a file of its own and a line in
// all_constructions().
#pragma once

#include <any>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

/// How ids are written as queries and keys of a compiled transformer.
enum class Ids : std::uint8_t {
  kLong,      ///< random sign vectors of dimension 128 (anna::IdentityCodebook)
  kShort,     ///< ceil(log2 U) binary digits for U ids (anna::BinaryCodebook)
  kFallback,  ///< the same and a key between equal and unequal ones, in one coordinate more; N' is one more, too
};

struct CompileOptions {
  std::string construction = "direct";  ///< by name: find_construction()
  std::any specific = {};               ///< its own options, e.g. RoutedOptions; empty: its defaults
  std::optional<Rational> delta = {};   ///< of the width O(N^(eps + delta)), where a construction has one
  Rational eta{1, 100};                 ///< failure probability, where a construction has one
  Ids ids = Ids::kLong;                 ///< kFallback where a mechanism needs_fallback, else any
  std::uint64_t seed = 1;               ///< of ids, ANNA's table and all that a construction draws
  std::string name = "protocol";        ///< of the protocol, in messages
};

/// The construction's own options: `options.specific`, or their defaults if it is empty. ContractError if it
/// holds those of another construction.
template <typename Specific>
Specific specific_options(const CompileOptions& options) {
  if (!options.specific.has_value()) return {};
  const auto* specific = std::any_cast<Specific>(&options.specific);
  require(specific != nullptr, "{}: the options given are not those of the {} construction", options.name,
          options.construction);
  return *specific;
}

/// Where the words of a round are when a layer has moved them.
enum class Arrival : std::uint8_t {
  kOnTheWay,  ///< in some token's row, where Construction::words() finds them
  kMachine,   ///< at the machine that receives them: its step has run, its row holds what it sends
  kOutput,    ///< in the row of the output's token
};

/// What one layer does in a construction.
struct LayerRole {
  std::size_t pass = 0;     ///< index in Construction::passes()
  std::string part = {};    ///< of the pass, if it has several layers a round: "digit 1 of 2"
  std::uint32_t round = 0;  ///< whose words it moves, 1 .. R; 0: the input
  Arrival arrival = Arrival::kMachine;
  bool one_head_a_word =
      false;  ///< head h carries word h of each sender, and no other; else any head any word
};

/// Upper bounds on what one layer holds and moves, for every input.
struct LayerLoad {
  std::uint64_t tokens = 0;         ///< N'
  std::uint64_t entries = 0;        ///< numbers in its values and head outputs together
  std::uint64_t points = 0;         ///< queries and keys listed
  std::uint64_t array_entries = 0;  ///< nonzero numbers of the array between two layers
};

/// A construction for one shape: known before the protocol's steps and the input are.
class Construction {
 public:
  virtual ~Construction() = default;
  /// The sizes by formula: the bound that a check compares with measure().
  virtual TransformerSizes sizes() const = 0;
  virtual LayerLoad load() const = 0;
  /// All of them; the effect of one that has nothing to do for this shape is empty.
  virtual std::vector<Pass> passes() const = 0;
  virtual std::vector<LayerRole> layers() const = 0;  ///< [L]
  /// The words on their way in a row that a layer leaves (not the last one).
  virtual std::vector<WordInRow> words(const anna::RowView& row) const = 0;
  /// Whether `average`, which the receiver's query got in layer 1 .. L-1, says that `word` was sent to it.
  virtual bool carries(std::size_t layer, anna::EntryView average, const WordInRow& word) const = 0;
  /// The value in force of an option of ConstructionInfo::options, given or chosen; none for other names.
  virtual std::optional<std::uint64_t> chosen(std::string_view option) const;
  /// The transformer of a protocol of this shape. Its layers hold the protocol, whose pure steps their maps
  /// call.
  virtual anna::Transformer compile(std::shared_ptr<const mpc::Protocol> protocol) const = 0;
};

/// An option that only some constructions have: a flag of the program, a parameter of a saved model.
struct ConstructionOption {
  std::string name;        ///< "digits"
  std::string value_name;  ///< "D"
  std::string help;
  std::uint64_t least = 0, most = 0;    ///< allowed
  std::vector<std::string> names = {};  ///< of the values 0, 1, .., by which users know them; empty: numbers
  std::function<void(CompileOptions&, std::uint64_t)> set;
  std::function<std::optional<std::uint64_t>(const CompileOptions&)> given;
};

struct ConstructionInfo {
  std::string name;     ///< of [a-z_]+: "direct"
  std::string summary;  ///< one line for --help
  std::string card;     ///< theorem card: problem, guarantee, cost, source, preconditions
  std::string
      version;  ///< raised whenever it writes other rows than before: saved models of another are refused
  std::vector<ConstructionOption> options;
  /// ContractError, naming the protocol and the field, for a shape or options that it can't serve.
  std::function<std::unique_ptr<const Construction>(const mpc::Shape&, const CompileOptions&)> make;
};

/// The option `ids` of a construction, which all of them have.
const ConstructionOption& ids_option();

/// All of them, in the order of their introduction.
const std::vector<const ConstructionInfo*>& all_constructions();
/// The construction of that name; ContractError naming all of them otherwise.
const ConstructionInfo& find_construction(std::string_view name);

}  // namespace roundtrip::simulate
