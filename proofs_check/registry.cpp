// The registry is a list written out, not static registration: the linker drops what nothing refers to.
#include "base/error.h"
#include "base/nearest_name.h"
#include "proofs_check/statement.h"
#include "proofs_check/statements/statements.h"

namespace roundtrip::proofs_check {

std::string_view to_string(Sizes sizes) {
  return sizes == Sizes::kSmall ? "small" : "full";
}

std::span<const std::unique_ptr<const Statement>> all_statements() {
  static const std::vector<std::unique_ptr<const Statement>> kAll = make_statements();
  return kAll;
}

const Statement& find_statement(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& statement : all_statements()) {
    if (statement->name() == name) return *statement;
    names.push_back(statement->name());
  }
  throw ContractError(
      fmt::format("theorem '{}' is unknown; the nearest is '{}'", name, nearest_name(name, names)));
}

}  // namespace roundtrip::proofs_check
