// Purpose: the files that a command writes: looked at before it starts, and written so that one that fails takes
// neither the report nor the others with it.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace roundtrip::cli {

/// A file by the flag (or the argument) that names it; an empty path is none.
struct NamedFile {
  std::string flag;
  std::string path;
};

/// `path` as given to `flag`, "-" if it stands for standard output (/dev/stdout); ContractError if it is empty.
std::string output_path(const std::string& flag, const std::string& path);

/// Before anything starts: ContractError for an output that can't be written, for two that are one file, the report
/// on standard output among them unless `quiet`, and for one that is an input. --output alone may be what --input
/// reads: it is replaced when all has been read.
void check_files(std::vector<NamedFile> outputs, const std::vector<NamedFile>& inputs, bool quiet);

/// `json` as it is written everywhere, one line for `indent` -1. Bytes of the user that are not UTF-8 stand as \xNN.
std::string json_text(const nlohmann::ordered_json& json, int indent = 2);

/// Writes what can be written, and says what could not when the rest has been said.
class OutputFiles {
 public:
  /// `bytes` to `path`, nothing if that is empty.
  void write(const std::string& path, std::string_view bytes);
  /// `work`, whose ContractErrors are kept. An interrupt's is not: it ends all.
  void attempt(const std::function<void()>& work);
  /// ContractError of all that failed.
  void finish() const;

 private:
  std::string failures_;
};

}  // namespace roundtrip::cli
