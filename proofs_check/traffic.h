// Purpose: a protocol of the verifier's own whose machines send full loads in patterns that wear a network out
// unless it routes by random intermediates: strides, transpose, bit reversal, all to one digit, few to one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "roundtrip/mpc/protocol.h"

namespace roundtrip::proofs_check {

struct TrafficPattern {
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};  ///< a destination: the word is not sent

  std::string name;
  std::uint64_t words = 0;    ///< that a machine sends in a round, at most s
  std::uint32_t senders = 0;  ///< machines 0 .. senders-1
  std::function<std::uint32_t(std::uint32_t machine, std::uint64_t word)> destination{};
};

/// On `machines` = side^2 machines of `memory_words` words, a multiple of side: nobody receives more than that.
std::vector<TrafficPattern> traffic_patterns(std::uint32_t side, std::uint64_t memory_words);

/// Problem: three rounds of the pattern; words are sums over what was received, so that a word that is lost or
/// misplaced changes outputs. b = 4, N = 4 side^2 = outputs, R = 4, p = 48.
std::unique_ptr<const mpc::Protocol> make_traffic(const TrafficPattern& pattern, std::uint32_t side,
                                                  std::uint64_t memory_words);

}  // namespace roundtrip::proofs_check
