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
  require(info.failure_probability >= 0 && info.failure_probability < 1,
          "protocol '{}' has failure probability {}, allowed is [0, 1)", info.name, info.failure_probability);
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

Outputs decode_outputs(const ProtocolInfo& info, const Protocol& protocol, std::span<const Word> words) {
  Outputs outputs(words.size());
  for (std::size_t t = 0; t < words.size(); ++t) outputs[t] = info.decode(protocol, t, words[t]);
  return outputs;
}

std::uint64_t wrong_outputs(const ProtocolInfo& info, std::span<const std::int64_t> input,
                            const Outputs& outputs, const Parameters& parameters) {
  std::uint64_t wrong = 0;
  if (info.oracle) {
    const Outputs expected = info.oracle(input, parameters);
    const std::size_t both = std::min(outputs.size(), expected.size());
    wrong += std::max(outputs.size(), expected.size()) - both;
    for (std::size_t t = 0; t < both; ++t) wrong += outputs[t] != expected[t];
  }
  if (info.check && !info.check(input, outputs, parameters).empty())
    wrong = std::max<std::uint64_t>(wrong, 1);
  return wrong;
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
