// Purpose: the protocols that come with the project, and their round formulas as functions of the parameters
// alone, for checks that compare them with what a run took. A new protocol is declared and listed here.
#pragma once

#include <cstdint>

#include "roundtrip/mpc/registry.h"

namespace roundtrip::mpc {

ProtocolInfo sum_protocol();
/// ceil(log_f ceil(N / b)) + 1 with f = s.
std::uint32_t sum_rounds(const Parameters& parameters);

ProtocolInfo sort_protocol();
/// 1 + T_sort(N / L, L) for records of L words; if that is 1 but the input is on several machines, 2.
std::uint32_t sort_rounds(const Parameters& parameters);

ProtocolInfo match2_protocol();
/// 2 ceil(log_f ceil(N / b)) + 1, or by sorting T_sort(2N, 2) + 2 ceil(log_f M_s) + 2: see the protocol's
/// card.
std::uint32_t match2_rounds(const Parameters& parameters);

ProtocolInfo k_hop_protocol();
/// T_sort(N, 2) + 3 + ceil(log2 k).
std::uint32_t k_hop_rounds(const Parameters& parameters);

ProtocolInfo broadcast_protocol();
/// ceil(log_s ceil(N / b)) + 2, or 1 on a single machine.
std::uint32_t broadcast_rounds(const Parameters& parameters);

ProtocolInfo reduce_protocol();
/// ceil(log_s ceil(N / b)) + 1.
std::uint32_t reduce_rounds(const Parameters& parameters);

ProtocolInfo prefix_scan_protocol();
/// 2 ceil(log_f ceil(N / b)) + 1, f = floor((s - b) / 2).
std::uint32_t prefix_scan_rounds(const Parameters& parameters);

ProtocolInfo segmented_scan_protocol();
/// 2 ceil(log_f ceil(N / b)) + 1, f = floor((s - b) / 4).
std::uint32_t segmented_scan_rounds(const Parameters& parameters);

ProtocolInfo matrix_product_protocol();
/// 2 ceil(log_f ceil(g / t)) + 2 for g x g matrices in blocks of t x t: see the protocol's card.
std::uint32_t matrix_product_rounds(const Parameters& parameters);

ProtocolInfo low_rank_sums_protocol();
/// 2 ceil(log_f ceil(n / T_b)) + 2 for n tokens: see the protocol's card.
std::uint32_t low_rank_sums_rounds(const Parameters& parameters);

ProtocolInfo three_sum_protocol();
/// T_sort(N, 2) + 5 + 2 d1 + db + dd + dr: see the protocol's card.
std::uint32_t three_sum_rounds(const Parameters& parameters);

ProtocolInfo list_ranking_protocol();
/// ceil(log2 N) + 2.
std::uint32_t list_ranking_rounds(const Parameters& parameters);

ProtocolInfo one_or_two_cycles_protocol();
/// T_sort(N, 2) + ceil(log2(N / 2)) + ceil(log_s ceil(N / b)) + 3.
std::uint32_t one_or_two_cycles_rounds(const Parameters& parameters);

ProtocolInfo components_protocol();
/// P (T_sort(N, 2) + 2 C d + 1) + 2 dz + T_sort(N, 2) + 2 d1 + 3: see the protocol's card.
std::uint32_t components_rounds(const Parameters& parameters);

ProtocolInfo join_protocol();
/// T_sort(N, 2) + 2 ceil(log_f M) + 4.
std::uint32_t join_rounds(const Parameters& parameters);

ProtocolInfo odd_even_sort_protocol();
/// ceil(N / b) + 1.
std::uint32_t odd_even_sort_rounds(const Parameters& parameters);

ProtocolInfo k_hop_walk_protocol();
/// ceil(N / b) + k + 3.
std::uint32_t k_hop_walk_rounds(const Parameters& parameters);

ProtocolInfo word_count_protocol();
/// ceil(log2 ceil(N / b)) + 1.
std::uint32_t word_count_rounds(const Parameters& parameters);

ProtocolInfo maximal_independent_set_protocol();
/// T_sort(N, 1) + (ceil(log2(50 N)) + 1) (4 d + 2) + 4: see the protocol's card.
std::uint32_t maximal_independent_set_rounds(const Parameters& parameters);

ProtocolInfo minimum_spanning_forest_protocol();
/// T_sort(n, 2) + ceil(log_(4/3)(100 n)) (6 d + 4) + 4, n = 2 N / 3: see the protocol's card.
std::uint32_t minimum_spanning_forest_rounds(const Parameters& parameters);

ProtocolInfo components_by_coins_protocol();
/// T_sort(N, 1) + T (6 d + 4) + 2 d + 2 dz + 5: see the protocol's card.
std::uint32_t components_by_coins_rounds(const Parameters& parameters);

/// Programs of the step language (mpc/program): sum_rounds; k (k + 1) / 2 + 1 on 2^k machines; ceil(log2 N) + 2.
ProtocolInfo sum_program_protocol();
ProtocolInfo sort_program_protocol();
std::uint32_t sort_program_rounds(const Parameters& parameters);
ProtocolInfo list_ranking_program_protocol();
ProtocolInfo k_hop_program_protocol();
std::uint32_t k_hop_program_rounds(const Parameters& parameters);
ProtocolInfo matrix_product_program_protocol();       ///< 3
ProtocolInfo low_rank_sums_program_protocol();        ///< 4
ProtocolInfo list_ranking_routed_program_protocol();  ///< list_ranking_rounds
ProtocolInfo word_count_program_protocol();
std::uint32_t word_count_program_rounds(const Parameters& parameters);
ProtocolInfo join_program_protocol();
std::uint32_t join_program_rounds(const Parameters& parameters);
ProtocolInfo match2_program_protocol();
std::uint32_t match2_program_rounds(const Parameters& parameters);
ProtocolInfo reduce_program_protocol();
std::uint32_t reduce_program_rounds(const Parameters& parameters);
ProtocolInfo broadcast_program_protocol();
ProtocolInfo prefix_scan_program_protocol();
std::uint32_t prefix_scan_program_rounds(const Parameters& parameters);
ProtocolInfo segmented_scan_program_protocol();
std::uint32_t segmented_scan_program_rounds(const Parameters& parameters);
std::uint32_t list_ranking_program_rounds(const Parameters& parameters);

ProtocolInfo maximal_matching_protocol();
/// T_sort(N, 1) + T (4 d + 2) + 4: see the protocol's card.
std::uint32_t maximal_matching_rounds(const Parameters& parameters);

ProtocolInfo bfs_protocol();
/// T_sort(N, 1) + depth (2 d + 1) + 4: see the protocol's card.
std::uint32_t bfs_rounds(const Parameters& parameters);

ProtocolInfo components_by_labels_protocol();
/// T_sort(N, 1) + diameter (2 d + 1) + 4: see the protocol's card.
std::uint32_t components_by_labels_rounds(const Parameters& parameters);

ProtocolInfo triangle_count_protocol();
/// 2 T_sort(N, 1) + T_sort(W + N / 2, 2) + 4 d + 2 dx + 2 dl + ds + 6: see the protocol's card.
std::uint32_t triangle_count_rounds(const Parameters& parameters);

ProtocolInfo euler_tour_protocol();
/// T_sort(N, 1) + 4 d + ceil(log2 N) + 6: see the protocol's card.
std::uint32_t euler_tour_rounds(const Parameters& parameters);

ProtocolInfo fft_protocol();
/// 1 + the passes: see the protocol's card.
std::uint32_t fft_rounds(const Parameters& parameters);

/// All of them, in the order of `roundtrip list`; the registry takes them in on first use.
inline constexpr ProtocolInfo (*kLibraryProtocols[])() = {broadcast_protocol,
                                                          reduce_protocol,
                                                          prefix_scan_protocol,
                                                          segmented_scan_protocol,
                                                          sum_protocol,
                                                          sort_protocol,
                                                          match2_protocol,
                                                          k_hop_protocol,
                                                          join_protocol,
                                                          list_ranking_protocol,
                                                          components_protocol,
                                                          one_or_two_cycles_protocol,
                                                          matrix_product_protocol,
                                                          three_sum_protocol,
                                                          low_rank_sums_protocol,
                                                          odd_even_sort_protocol,
                                                          k_hop_walk_protocol,
                                                          word_count_protocol,
                                                          maximal_independent_set_protocol,
                                                          minimum_spanning_forest_protocol,
                                                          components_by_coins_protocol,
                                                          maximal_matching_protocol,
                                                          sum_program_protocol,
                                                          sort_program_protocol,
                                                          list_ranking_program_protocol,
                                                          k_hop_program_protocol,
                                                          reduce_program_protocol,
                                                          broadcast_program_protocol,
                                                          prefix_scan_program_protocol,
                                                          segmented_scan_program_protocol,
                                                          matrix_product_program_protocol,
                                                          low_rank_sums_program_protocol,
                                                          word_count_program_protocol,
                                                          join_program_protocol,
                                                          match2_program_protocol,
                                                          list_ranking_routed_program_protocol,
                                                          bfs_protocol,
                                                          components_by_labels_protocol,
                                                          triangle_count_protocol,
                                                          euler_tour_protocol,
                                                          fft_protocol};

}  // namespace roundtrip::mpc
