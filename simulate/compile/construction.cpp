#include "roundtrip/simulate/compile/construction.h"

#include <algorithm>
#include <string>

#include "roundtrip/base/quote.h"
#include "roundtrip/simulate/compile/direct.h"
#include "roundtrip/simulate/compile/routed.h"
#include "roundtrip/simulate/compile/scattered.h"

namespace roundtrip::simulate {

std::optional<std::uint64_t> Construction::chosen(std::string_view) const {
  return std::nullopt;
}

const ConstructionOption& ids_option() {
  static const ConstructionOption option{
      .name = "ids",
      .value_name = "NAME",
      .help =
          "vectors of ids: long (default: 128 random signs), short (binary digits), or fallback (the same and a "
          "key for queries without a match, which softmax needs)",
      .least = 0,
      .most = 2,
      .names = {"long", "short", "fallback"},
      .set = [](CompileOptions& options, std::uint64_t value) { options.ids = static_cast<Ids>(value); },
      .given = [](const CompileOptions& options) -> std::optional<std::uint64_t> {
        if (options.ids == Ids::kLong) return std::nullopt;
        return static_cast<std::uint64_t>(options.ids);
      }};
  return option;
}

const std::vector<const ConstructionInfo*>& all_constructions() {
  static const std::vector<const ConstructionInfo*> all = {&direct_construction(), &scattered_construction(),
                                                           &routed_construction()};
  return all;
}

const ConstructionInfo& find_construction(std::string_view name) {
  const auto& all = all_constructions();
  const auto found = std::ranges::find(all, name, &ConstructionInfo::name);
  if (found != all.end()) return **found;
  std::string names;
  for (const ConstructionInfo* info : all) names += (names.empty() ? "" : ", ") + info->name;
  throw ContractError(fmt::format("construction is {}, allowed is one of: {}", quote(name), names));
}

}  // namespace roundtrip::simulate
