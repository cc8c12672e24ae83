#include "mpc/protocols/library.h"

namespace roundtrip::mpc {

std::vector<ProtocolInfo> library_protocols() {
  return {sum_protocol(),
          sort_protocol(),
          match2_protocol(),
          k_hop_protocol(),
          join_protocol(),
          list_ranking_protocol(),
          one_or_two_cycles_protocol(),
          components_protocol(),
          three_sum_protocol()};
}

}  // namespace roundtrip::mpc
