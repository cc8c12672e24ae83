// Purpose: softmax over keys that a query is given by their places: causal softmax, windows and global tokens. Internal.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "roundtrip/anna/attention/attention.h"

namespace roundtrip::anna {

/// The keys of tokens 0 .. before - 1 and first .. last - 1; before <= first < last.
struct KeyIntervals {
  std::uint64_t before = 0;
  std::uint64_t first = 0, last = 0;
};

/// As make_model_softmax(), over the keys that keys_of(token, N') gives a token's query.
/// Cost: time (m_qk + columns) for each query and key of its own, memory N' (m_qk + columns).
std::unique_ptr<Attention> make_interval_softmax(
    std::string name, double scale,
    std::function<KeyIntervals(std::uint64_t token, std::uint64_t tokens)> keys_of);

/// ContractError unless sums of weights of so many tokens, times values up to `largest_value`, stay within 126 bits.
void check_softmax_widths(std::string_view name, std::uint64_t tokens, double largest_value);

}  // namespace roundtrip::anna
