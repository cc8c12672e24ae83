#include "mpc/protocols/library.h"

namespace roundtrip::mpc {

std::vector<ProtocolInfo> library_protocols() {
  return {sum_protocol(), sort_protocol(), match2_protocol(), k_hop_protocol()};
}

}  // namespace roundtrip::mpc
