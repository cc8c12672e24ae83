// Purpose: work that needs no messages (evaluating a transformer, repeating a draw), spread over the ranks,
// with equal numbers on every rank whatever their count.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "roundtrip/mpc/transport.h"

namespace roundtrip::proofs_check {

/// Collective: work(i) for i = 0 .. count-1, each on one rank; its `width` numbers on every rank. What
/// work(i) throws, of the least such i, is thrown on every rank, in its kind (mpc/agree.h).
std::vector<std::vector<std::uint64_t>> spread(
    mpc::Transport& transport, std::size_t count, std::size_t width,
    const std::function<std::vector<std::uint64_t>(std::size_t)>& work);

/// Collective: how many of `trials` events happened; happened(i) is a pure function of i.
std::uint64_t spread_count(mpc::Transport& transport, std::uint64_t trials,
                           const std::function<bool(std::uint64_t)>& happened);

}  // namespace roundtrip::proofs_check
