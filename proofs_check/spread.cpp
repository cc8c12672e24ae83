#include "roundtrip/proofs_check/spread.h"

#include <boost/serialization/string.hpp>
#include <exception>

#include "roundtrip/mpc/agree.h"

namespace roundtrip::proofs_check {

std::vector<std::string> spread_bytes(mpc::Transport& transport, std::size_t count,
                                      const std::function<std::string(std::size_t)>& work) {
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  std::vector<std::string> own;
  std::uint64_t reached = count;  // the first item of this rank that failed
  std::exception_ptr failure;
  for (auto i = static_cast<std::size_t>(transport.rank()); i < count && !failure; i += ranks) {
    try {
      own.push_back(work(i));
    } catch (...) {
      failure = std::current_exception();
      reached = i;
    }
  }
  std::uint64_t furthest = ~reached;  // the least item is the one to report
  transport.maximum({&furthest, 1});
  mpc::agree(transport, reached == ~furthest ? failure : nullptr);
  std::vector<std::vector<std::string>> by_rank;
  for (const std::string& bytes : mpc::all_gather(transport, mpc::to_bytes(own)))
    by_rank.push_back(mpc::from_bytes<std::vector<std::string>>(bytes));
  std::vector<std::string> results;
  for (std::size_t i = 0; i < count; ++i) results.push_back(std::move(by_rank[i % ranks][i / ranks]));
  return results;
}

std::uint64_t spread_count(mpc::Transport& transport, std::uint64_t trials,
                           const std::function<bool(std::uint64_t)>& happened) {
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  std::uint64_t count = 0;
  for (const std::uint64_t part : spread(transport, ranks, [&](std::size_t first) {
         std::uint64_t own = 0;
         for (std::uint64_t i = first; i < trials; i += ranks) own += happened(i);
         return own;
       }))
    count += part;
  return count;
}

}  // namespace roundtrip::proofs_check
