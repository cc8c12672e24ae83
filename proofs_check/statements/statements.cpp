#include "proofs_check/statements/statements.h"

namespace roundtrip::proofs_check {

std::vector<std::unique_ptr<const Statement>> make_statements() {
  std::vector<std::unique_ptr<const Statement>> all;
  all.push_back(make_model_limits());
  all.push_back(make_exact_match_by_anna());
  all.push_back(make_direct_simulation());
  all.push_back(make_routed_simulation());
  return all;
}

}  // namespace roundtrip::proofs_check
