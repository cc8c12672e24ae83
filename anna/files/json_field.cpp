#include "roundtrip/anna/files/json_field.h"

#include <cmath>
#include <set>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/nearest_name.h"
#include "roundtrip/base/quote.h"

namespace roundtrip::anna {

nlohmann::json JsonField::parse(std::string_view text, const std::string& file) {
  using nlohmann::json;
  constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
  constexpr int kMaxDepth = 32;
  require(text.size() <= kMaxBytes, "{}: {} bytes of JSON; at most {} are allowed", quote(file), text.size(),
          kMaxBytes);
  std::vector<std::set<std::string>>
      open;  // the names of each open object: the document would keep one of two
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    require(depth <= kMaxDepth, "{}: lists and objects nest deeper than {}", quote(file), kMaxDepth);
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& name = parsed.get_ref<const std::string&>();
      require(open.back().insert(name).second, "{}: the name {} occurs twice in one object", quote(file),
              quote(name));
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), check);
  } catch (const json::parse_error& error) {
    throw ContractError(fmt::format("{}: not JSON at its byte {}", quote(file), error.byte));
  }
}

JsonField::JsonField(const nlohmann::json& node, std::string file, std::string path)
    : node_(&node), file_(std::move(file)), path_(std::move(path)) {}

const JsonField& JsonField::object(std::initializer_list<std::string_view> names) const {
  std::vector<std::string> known;
  for (std::string_view name : names) {
    const bool optional = name.starts_with('?');
    if (optional) name.remove_prefix(1);
    known.emplace_back(name);
    if (!optional) (*this)[name];
  }
  for (const auto& [name, value] : this->names()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    fail(fmt::format("has the unknown field {}; nearest is '{}'", quote(name),
                     nearest_name(std::string_view(name).substr(0, 80), known)));
  }
  return *this;
}

JsonField JsonField::operator[](std::string_view name) const {
  const auto& all = names();
  const auto found = all.find(std::string(name));
  if (found == all.end()) fail(fmt::format("lacks the field '{}'", name));
  return {found->second, file_, path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name)};
}

std::optional<JsonField> JsonField::find(std::string_view name) const {
  return names().contains(std::string(name)) ? std::optional((*this)[name]) : std::nullopt;
}

std::vector<JsonField> JsonField::items() const {
  if (!node_->is_array()) fail("is " + shown() + "; a list is needed");
  constexpr std::size_t kMaxItems = 65536;
  if (node_->size() > kMaxItems)
    fail(fmt::format("has {} items; at most {} are allowed", node_->size(), kMaxItems));
  std::vector<JsonField> out;
  for (std::size_t i = 0; i < node_->size(); ++i)
    out.emplace_back((*node_)[i], file_, fmt::format("{}[{}]", path_, i));
  return out;
}

const nlohmann::json::object_t& JsonField::names() const {
  if (!node_->is_object()) fail("is " + shown() + "; an object is needed");
  return node_->get_ref<const nlohmann::json::object_t&>();
}

std::string JsonField::text() const {
  if (!node_->is_string()) fail("is " + shown() + "; a text is needed");
  return node_->get<std::string>();
}

bool JsonField::truth() const {
  if (!node_->is_boolean()) fail("is " + shown() + "; true or false is needed");
  return node_->get<bool>();
}

double JsonField::positive() const {
  const double value = node_->is_number() ? node_->get<double>() : -1;
  if (!(std::isfinite(value) && value > 0)) fail("is " + shown() + "; a finite number above 0 is needed");
  return value;
}

bool JsonField::flag(std::string_view name) const {
  const auto field = find(name);
  return field && field->truth();
}

double JsonField::real(double least, double largest) const {
  if (!node_->is_number() || !(node_->get<double>() >= least && node_->get<double>() <= largest))
    fail(fmt::format("is {}; allowed are {} .. {}", shown(), least, largest));
  return node_->get<double>();
}

std::uint64_t JsonField::number(std::uint64_t least, std::uint64_t largest) const {
  // A negative or fractional number, or one of 2^64 and more, is of another type.
  if (!node_->is_number_unsigned() || node_->get<std::uint64_t>() < least ||
      node_->get<std::uint64_t>() > largest) {
    fail(fmt::format("is {}; allowed are whole numbers {} .. {}", shown(), least, largest));
  }
  return node_->get<std::uint64_t>();
}

std::int64_t JsonField::integer(std::int64_t least, std::int64_t largest) const {
  // A whole number of 2^63 and more is unsigned, and would wrap.
  const bool fits =
      node_->is_number_unsigned() ? node_->get<std::uint64_t>() <= INT64_MAX : node_->is_number_integer();
  if (!fits || node_->get<std::int64_t>() < least || node_->get<std::int64_t>() > largest)
    fail(fmt::format("is {}; allowed are whole numbers {} .. {}", shown(), least, largest));
  return node_->get<std::int64_t>();
}

void JsonField::fail(const std::string& message) const {
  throw ContractError(
      fmt::format("{}: {} {}", quote(file_), path_.empty() ? "the description" : path_, message));
}

std::string JsonField::shown() const {
  if (node_->is_object()) return "an object";
  if (node_->is_array()) return "a list";
  if (node_->is_string()) return quote(node_->get_ref<const std::string&>());
  return node_->dump();
}

}  // namespace roundtrip::anna
