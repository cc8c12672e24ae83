#include "roundtrip/mpc/registry.h"

#include <algorithm>
#include <map>

#include "roundtrip/base/error.h"
#include "roundtrip/base/nearest_name.h"
#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {
namespace {

using Registry = std::map<std::string, ProtocolInfo, std::less<>>;

void insert(Registry& registry, ProtocolInfo info) {
  const bool well_formed = !info.name.empty() && std::ranges::all_of(info.name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  require(well_formed, "protocol name '{}' is not of the characters a-z, 0-9 and _", info.name);
  require(info.make != nullptr, "protocol '{}' has no make()", info.name);
  require(info.decode != nullptr, "protocol '{}' has no decode()", info.name);
  const auto [position, inserted] = registry.try_emplace(info.name);
  require(inserted, "protocol name '{}' is taken", info.name);
  position->second = std::move(info);
}

/// The library is put in on first use, by an explicit list: a linker drops the self-registering objects of a
/// static library.
Registry& registry() {
  static Registry instance = [] {
    Registry made;
    for (const auto protocol : kLibraryProtocols) insert(made, protocol());
    return made;
  }();
  return instance;
}

}  // namespace

void register_protocol(ProtocolInfo info) {
  insert(registry(), std::move(info));
}

const ProtocolInfo& find_protocol(std::string_view name) {
  const auto found = registry().find(name);
  if (found != registry().end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, info] : registry()) names.push_back(known);
  throw ContractError(
      fmt::format("unknown protocol '{}', the nearest known one is '{}'", name, nearest_name(name, names)));
}

std::vector<const ProtocolInfo*> all_protocols() {
  std::vector<const ProtocolInfo*> all;
  for (const auto& [name, info] : registry()) all.push_back(&info);
  return all;
}

Word encode_input(std::int64_t value, const Shape& shape, std::string_view what) {
  const std::int64_t offset = std::int64_t{1} << (shape.input_bits - 1);
  require(value >= -offset && value < offset, "{} is {}, allowed is {} to {} (words of {} bits)", what, value,
          -offset, offset - 1, shape.input_bits);
  return static_cast<Word>(value + offset);
}

std::int64_t decode_input(Word word, const Shape& shape) {
  return static_cast<std::int64_t>(word - (Word{1} << (shape.input_bits - 1)));  // modulo 2^64, for any word
}

}  // namespace roundtrip::mpc
