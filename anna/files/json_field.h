// Purpose: a JSON document of unknown origin, read field by field: every refusal names the place as a path
// (layers[2].heads), the value and what is allowed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace roundtrip::anna {

/// An object that is written; by a name of its own, so that public headers need no JSON library.
struct JsonObject {
  nlohmann::ordered_json json;
};

class JsonField {
 public:
  /// ContractError naming `file` for bytes that are not JSON, a name twice in one object, a depth above 32,
  /// or more than 16 MiB.
  static nlohmann::json parse(std::string_view text, const std::string& file);

  JsonField(const nlohmann::json& node, std::string file, std::string path = "");

  /// An object with exactly these names; those that begin with '?' may be absent.
  const JsonField& object(std::initializer_list<std::string_view> names) const;
  JsonField operator[](std::string_view name) const;  ///< it must be there
  std::optional<JsonField> find(std::string_view name) const;
  std::vector<JsonField> items() const;           ///< of a list, at most 65536
  const nlohmann::json::object_t& names() const;  ///< of an object
  bool is_text() const { return node_->is_string(); }
  bool is_object() const { return node_->is_object(); }
  std::string text() const;
  bool truth() const;
  bool flag(std::string_view name) const;  ///< of an object that may have it: whether it is there and true
  double positive() const;                 ///< a finite number > 0
  double real(double least, double largest) const;
  std::uint64_t number(std::uint64_t least, std::uint64_t largest) const;
  std::int64_t integer(std::int64_t least, std::int64_t largest) const;
  std::uint32_t number32(std::uint32_t least, std::uint32_t largest) const {
    return static_cast<std::uint32_t>(number(least, largest));
  }
  /// Throws ContractError "FILE: PATH MESSAGE".
  [[noreturn]] void fail(const std::string& message) const;
  const std::string& path() const { return path_; }

 private:
  std::string shown() const;  // the value, short

  const nlohmann::json* node_;
  std::string file_, path_;
};

}  // namespace roundtrip::anna
