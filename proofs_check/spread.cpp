#include "roundtrip/proofs_check/spread.h"

#include <algorithm>
#include <exception>

#include "roundtrip/base/ensure.h"
#include "roundtrip/mpc/agree.h"

namespace roundtrip::proofs_check {

std::vector<std::vector<std::uint64_t>> spread(
    mpc::Transport& transport, std::size_t count, std::size_t width,
    const std::function<std::vector<std::uint64_t>(std::size_t)>& work) {
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  std::vector<std::uint64_t> numbers(count * width);
  std::uint64_t reached = count;  // the first item of this rank that failed
  std::exception_ptr failure;
  for (auto i = static_cast<std::size_t>(transport.rank()); i < count && !failure; i += ranks) {
    try {
      const std::vector<std::uint64_t> result = work(i);
      ensure(result.size() == width, "an item of a spread has other than its width of numbers");
      std::ranges::copy(result, numbers.begin() + static_cast<std::ptrdiff_t>(i * width));
    } catch (...) {
      failure = std::current_exception();
      reached = i;
    }
  }
  std::uint64_t furthest = ~reached;  // the least item is the one to report
  transport.maximum({&furthest, 1});
  mpc::agree(transport, reached == ~furthest ? failure : nullptr);
  transport.sum(numbers);
  std::vector<std::vector<std::uint64_t>> results;
  for (std::size_t i = 0; i < count; ++i) {
    const auto begin = numbers.begin() + static_cast<std::ptrdiff_t>(i * width);
    results.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(width));
  }
  return results;
}

std::uint64_t spread_count(mpc::Transport& transport, std::uint64_t trials,
                           const std::function<bool(std::uint64_t)>& happened) {
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  const auto parts = spread(transport, ranks, 1, [&](std::size_t part) {
    std::uint64_t count = 0;
    for (std::uint64_t i = part; i < trials; i += ranks) count += happened(i);
    return std::vector{count};
  });
  std::uint64_t count = 0;
  for (const auto& part : parts) count += part[0];
  return count;
}

}  // namespace roundtrip::proofs_check
