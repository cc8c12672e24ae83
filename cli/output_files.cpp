#include "roundtrip/cli/output_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"

namespace roundtrip::cli {
namespace {

nlohmann::ordered_json with_valid_text(const nlohmann::ordered_json& json) {
  if (json.is_string()) return valid_utf8(json.get_ref<const std::string&>());
  if (!json.is_structured()) return json;
  nlohmann::ordered_json copy(json.type());
  for (auto it = json.begin(); it != json.end(); ++it) {
    if (json.is_object()) {
      copy[valid_utf8(it.key())] = with_valid_text(*it);
    } else {
      copy.push_back(with_valid_text(*it));
    }
  }
  return copy;
}

}  // namespace

std::string output_path(const std::string& flag, const std::string& path) {
  require(!path.empty(), "{}: the name of the file is empty", flag);
  return is_standard_output(path) ? "-" : path;
}

void check_files(std::vector<NamedFile> outputs, const std::vector<NamedFile>& inputs, bool quiet) {
  if (!quiet && std::ranges::count(outputs, "-", &NamedFile::path) == 0)
    outputs.push_back({"the report", "-"});
  std::erase_if(outputs, [](const NamedFile& file) { return file.path.empty(); });
  for (auto file = outputs.begin(); file != outputs.end(); ++file) {
    require_writable(file->path);
    for (auto before = outputs.begin(); before != file; ++before) {
      require(before->path != "-" || file->path != "-", "{} and {}: only one can be standard output",
              before->flag, file->flag);
      require(!same_file(before->path, file->path), "{} and {} would write one file, {}", before->flag,
              file->flag, quote(before->path));
    }
    for (const NamedFile& input : inputs) {
      if (input.path.empty() || (input.flag == "--input" && (file->flag == "--output" || file->path == "-")))
        continue;
      require(!same_file(input.path == "-" ? "/dev/stdin" : input.path, file->path),
              "{} would overwrite {}, which {} reads", file->flag, quote(input.path), input.flag);
    }
  }
}

std::string json_text(const nlohmann::ordered_json& json, int indent) {
  try {
    return json.dump(indent) + "\n";
  } catch (const nlohmann::json::type_error&) {  // thrown of text that is not UTF-8 only
    return with_valid_text(json).dump(indent) + "\n";
  }
}

void OutputFiles::write(const std::string& path, std::string_view bytes) {
  if (!path.empty()) attempt([&] { write_whole(path, bytes); });
}

void OutputFiles::attempt(const std::function<void()>& work) {
  try {
    work();
  } catch (const ContractError& error) {
    if (interrupted_by() != 0) throw;
    failures_ += (failures_.empty() ? "" : "; ") + std::string(error.what());
  }
}

void OutputFiles::finish() const {
  if (!failures_.empty()) throw ContractError(failures_);
}

}  // namespace roundtrip::cli
