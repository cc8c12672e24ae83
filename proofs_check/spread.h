// Purpose: work that needs no messages (evaluating a transformer, repeating a draw), spread over the ranks,
// with equal results on every rank whatever their count.
#pragma once

#include <boost/serialization/array.hpp>
#include <boost/serialization/vector.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "roundtrip/mpc/runtime/archive.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::proofs_check {

/// Collective: work(i) for i = 0 .. count-1, each on one rank; its bytes on every rank. What work(i) throws, of the
/// least such i, is thrown on every rank, in its kind (mpc/agree.h).
std::vector<std::string> spread_bytes(mpc::Transport& transport, std::size_t count,
                                      const std::function<std::string(std::size_t)>& work);

/// The same for values that Boost.Serialization knows. For one value, see mpc::from_root().
template <typename Work>
auto spread(mpc::Transport& transport, std::size_t count, Work&& work) {
  using Value = std::invoke_result_t<Work, std::size_t>;
  std::vector<Value> values;
  for (const std::string& bytes :
       spread_bytes(transport, count, [&](std::size_t i) { return mpc::to_bytes<Value>(work(i)); }))
    values.push_back(mpc::from_bytes<Value>(bytes));
  return values;
}

/// Collective: how many of `trials` events happened; happened(i) is a pure function of i.
std::uint64_t spread_count(mpc::Transport& transport, std::uint64_t trials,
                           const std::function<bool(std::uint64_t)>& happened);

}  // namespace roundtrip::proofs_check
