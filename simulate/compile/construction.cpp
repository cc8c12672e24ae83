#include "roundtrip/simulate/compile/construction.h"

#include <algorithm>
#include <string>

#include "roundtrip/base/quote.h"
#include "roundtrip/simulate/compile/direct.h"
#include "roundtrip/simulate/compile/routed.h"

namespace roundtrip::simulate {

std::optional<std::uint64_t> Construction::chosen(std::string_view) const {
  return std::nullopt;
}

const std::vector<const ConstructionInfo*>& all_constructions() {
  static const std::vector<const ConstructionInfo*> all = {&direct_construction(), &routed_construction()};
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
