#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {

std::vector<ProtocolInfo> library_protocols() {
  return {broadcast_protocol(),      reduce_protocol(),     prefix_scan_protocol(),
          segmented_scan_protocol(), sum_protocol(),        sort_protocol(),
          match2_protocol(),         k_hop_protocol(),      join_protocol(),
          list_ranking_protocol(),   components_protocol(), one_or_two_cycles_protocol(),
          matrix_product_protocol(), three_sum_protocol(),  low_rank_sums_protocol()};
}

}  // namespace roundtrip::mpc
