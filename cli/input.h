// Purpose: what the user hands in, read once and fast, from a file, standard input or generated.
//   numbers  signed decimals separated by white space
//   words    maximal runs of bytes that are not ASCII white space, numbered by first occurrence from 0
//   bytes    every byte a number 0..255
//   npy      the integers of a .npy file, row by row
//   edges    a graph (cli/graphs/graph.h): E edges are the N = 2E words u0 v0 u1 v1 .., vertices numbered by
//            first occurrence from 0; one on no edge has no place in them, and is noted. For protocols that take
//            weights, 3E words u0 v0 w0 ..
// Input that starts as gzip is decompressed first, whatever the format; a byte order mark before text is skipped.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "roundtrip/mpc/parameters.h"
#include "roundtrip/mpc/registry.h"

namespace roundtrip::cli {

class ByteSource;

enum class Format : std::uint8_t { kNumbers, kWords, kBytes, kNpy, kEdges };
/// By Format.
std::vector<std::string> format_names();
Format format_of(std::string_view name);

/// Values with what is needed to name them again: their text and place.
class Input {
 public:
  /// Reads `path` ("-": standard input); `limit` takes the first that many values, and reads no further than they
  /// go (a .npy or dot file is read whole). ContractError, in one line, for what can't be read, holds no value or fewer
  /// than `limit`, or isn't of the format.
  /// `weighted`: edges are three words each, u v w.
  static Input read(const std::string& path, Format format, std::optional<std::uint64_t> limit,
                    bool weighted = false);
  /// The same of a text that the program has.
  static Input of_text(std::string text, Format format);
  /// A generated instance: the protocol's own, or uniform in [0, N).
  static Input generate(const mpc::ProtocolInfo& protocol, const mpc::Parameters& parameters);

  std::uint64_t size() const { return values_.size(); }
  const mpc::Values& values() const { return values_; }
  /// All values as words of the protocol; ContractError naming line, value and range for one that doesn't
  /// fit.
  std::vector<mpc::Word> encode(const mpc::Shape& shape) const;
  /// Frees the memory of the values: there are none from then on. Their texts stay.
  void forget_values() { mpc::Values().swap(values_); }
  /// Value `symbol` as the user wrote it: the word or vertex of that number, or the decimal.
  std::string text(std::int64_t symbol) const;
  /// What the input has that its words do not say (weights, vertices on no edge), each for a line of the report.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  Input() = default;
  void parse_numbers(std::uint64_t limit);
  void parse_words(std::uint64_t limit);
  void parse_edges(ByteSource& source, std::uint64_t limit, bool weighted);
  using Numbering = std::unordered_map<std::string_view, std::int64_t>;
  void add_name(std::string_view name, Numbering& numbers);
  std::string place(std::uint64_t index) const;  // where value `index` stands in the source, for messages

  std::string name_;  // of the source, for messages; empty if generated
  std::unique_ptr<const std::string>
      bytes_;  // words point into it; a moved short string would take its bytes along
  Format format_ = Format::kNumbers;
  mpc::Values values_;
  std::vector<std::string_view> words_;  // by number
  std::deque<std::string> names_;        // of vertices, which words_ points to
  std::vector<std::string> notes_;
};

}  // namespace roundtrip::cli
