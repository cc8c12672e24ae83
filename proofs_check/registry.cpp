// The registry is a list written out, not static registration: the linker drops what nothing refers to.
#include <map>

#include "roundtrip/base/error.h"
#include "roundtrip/base/nearest_name.h"
#include "roundtrip/proofs_check/statement.h"
#include "roundtrip/proofs_check/statements/statements.h"

namespace roundtrip::proofs_check {

std::string_view to_string(Sizes sizes) {
  return sizes == Sizes::kSmall ? "small" : "full";
}

std::span<const std::unique_ptr<const Statement>> all_statements() {
  static const std::vector<std::unique_ptr<const Statement>> kAll = [] {
    std::vector<std::unique_ptr<const Statement>> all;
    for (const auto make : kStatements) all.push_back(make());
    return all;
  }();
  return kAll;
}

const Statement& find_statement(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& statement : all_statements()) {
    if (statement->name() == name) return *statement;
    names.push_back(statement->name());
  }
  static std::map<std::string, std::unique_ptr<const Statement>, std::less<>>
      of_protocols;  // made when asked for
  for (const mpc::ProtocolInfo* info : mpc::all_protocols()) {
    names.push_back(info->name);
    if (info->name != name) continue;
    auto& statement = of_protocols[info->name];
    if (!statement) statement = make_registered_protocol(*info);
    return *statement;
  }
  throw ContractError(fmt::format("theorem or protocol '{}' is unknown; the nearest is '{}'", name,
                                  nearest_name(name, names)));
}

}  // namespace roundtrip::proofs_check
