// Purpose: the makers of all statements, one source file each. A new statement is declared and listed here.
#pragma once

#include <memory>

#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/statement.h"

namespace roundtrip::proofs_check {

std::unique_ptr<const Statement> make_model_limits();
std::unique_ptr<const Statement> make_exact_match_by_anna();
std::unique_ptr<const Statement> make_direct_simulation();
std::unique_ptr<const Statement> make_routed_simulation();
std::unique_ptr<const Statement> make_deterministic_routing();
std::unique_ptr<const Statement> make_scattered_simulation();
std::unique_ptr<const Statement> make_softmax_simulation();
std::unique_ptr<const Statement> make_short_ids();
std::unique_ptr<const Statement> make_program_weights();
std::unique_ptr<const Statement> make_match2_one_layer();
std::unique_ptr<const Statement> make_k_hop_depth();
std::unique_ptr<const Statement> make_k_hop_is_near_optimal();
std::unique_ptr<const Statement> make_anna_definition();
std::unique_ptr<const Statement> make_hash_functions();
std::unique_ptr<const Statement> make_lsh_algorithm();
std::unique_ptr<const Statement> make_three_sum_width();
std::unique_ptr<const Statement> make_mpc_simulates_anna();
std::unique_ptr<const Statement> make_low_rank_by_anna();
std::unique_ptr<const Statement> make_low_rank_layers();
std::unique_ptr<const Statement> make_connectivity_rounds();
std::unique_ptr<const Statement> make_chunked_attention_reach();
std::unique_ptr<const Statement> make_averaging_mechanisms();
std::unique_ptr<const Statement> make_mask_receptive_field();
std::unique_ptr<const Statement> make_feature_rank();
std::unique_ptr<const Statement> make_recurrent_state();
std::unique_ptr<const Statement> make_state_space_rounds();
std::unique_ptr<const Statement> make_building_blocks();
std::unique_ptr<const Statement> make_reports();

/// All of them, in the order of the report.
inline constexpr std::unique_ptr<const Statement> (*kStatements[])() = {make_model_limits,
                                                                        make_anna_definition,
                                                                        make_hash_functions,
                                                                        make_lsh_algorithm,
                                                                        make_exact_match_by_anna,
                                                                        make_direct_simulation,
                                                                        make_scattered_simulation,
                                                                        make_softmax_simulation,
                                                                        make_routed_simulation,
                                                                        make_deterministic_routing,
                                                                        make_short_ids,
                                                                        make_program_weights,
                                                                        make_three_sum_width,
                                                                        make_mpc_simulates_anna,
                                                                        make_low_rank_by_anna,
                                                                        make_low_rank_layers,
                                                                        make_match2_one_layer,
                                                                        make_k_hop_depth,
                                                                        make_k_hop_is_near_optimal,
                                                                        make_connectivity_rounds,
                                                                        make_chunked_attention_reach,
                                                                        make_averaging_mechanisms,
                                                                        make_mask_receptive_field,
                                                                        make_feature_rank,
                                                                        make_recurrent_state,
                                                                        make_state_space_rounds,
                                                                        make_building_blocks,
                                                                        make_reports};

/// Of a registered protocol, by its name; `info` outlives it.
std::unique_ptr<const Statement> make_registered_protocol(const mpc::ProtocolInfo& info);

}  // namespace roundtrip::proofs_check
