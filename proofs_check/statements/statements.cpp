#include "roundtrip/proofs_check/statements/statements.h"

namespace roundtrip::proofs_check {

std::vector<std::unique_ptr<const Statement>> make_statements() {
  std::vector<std::unique_ptr<const Statement>> all;
  all.push_back(make_model_limits());
  all.push_back(make_anna_definition());
  all.push_back(make_hash_functions());
  all.push_back(make_lsh_algorithm());
  all.push_back(make_exact_match_by_anna());
  all.push_back(make_direct_simulation());
  all.push_back(make_routed_simulation());
  all.push_back(make_three_sum_width());
  all.push_back(make_mpc_simulates_anna());
  all.push_back(make_low_rank_by_anna());
  all.push_back(make_match2_one_layer());
  all.push_back(make_k_hop_depth());
  all.push_back(make_connectivity_rounds());
  all.push_back(make_chunked_attention_reach());
  all.push_back(make_reports());
  return all;
}

}  // namespace roundtrip::proofs_check
