#include "roundtrip/proofs_check/spread.h"

#include <algorithm>
#include <exception>
#include <string>

#include "roundtrip/base/error.h"

namespace roundtrip::proofs_check {
namespace {

constexpr std::size_t kMessageBytes = 256;

/// Runs `work` and turns what it throws into a line; empty if it returns.
std::string message_of(const std::function<void()>& work) {
  try {
    work();
    return {};
  } catch (const std::exception& error) {
    return *error.what() != 0 ? error.what() : "an exception without a message";
  }
}

/// Collective: throws the message of the least failing item on every rank. `failed[i]` is set on the rank of
/// item i.
void throw_together(mpc::Transport& transport, std::vector<std::uint64_t> failed, std::size_t own,
                    const std::string& message) {
  transport.sum(failed);
  const auto first =
      static_cast<std::size_t>(std::ranges::find_if(failed, [](auto f) { return f != 0; }) - failed.begin());
  if (first == failed.size()) return;
  std::vector<std::uint64_t> bytes(kMessageBytes);
  if (first == own) std::copy_n(message.begin(), std::min(message.size(), kMessageBytes), bytes.begin());
  transport.sum(bytes);
  std::string text;
  for (const std::uint64_t byte : bytes) {
    if (byte != 0) text += static_cast<char>(byte);
  }
  throw InternalError(text);
}

}  // namespace

std::vector<std::vector<std::uint64_t>> spread(
    mpc::Transport& transport, std::size_t count, std::size_t width,
    const std::function<std::vector<std::uint64_t>(std::size_t)>& work) {
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  std::vector<std::uint64_t> numbers(count * width);
  std::vector<std::uint64_t> failed(count);
  std::size_t own = count;  // the first item of this rank that failed
  std::string message;
  for (auto i = static_cast<std::size_t>(transport.rank()); i < count && own == count; i += ranks) {
    message = message_of([&] {
      const std::vector<std::uint64_t> result = work(i);
      if (result.size() != width)
        throw InternalError(fmt::format("item {}: {} numbers instead of {}", i, result.size(), width));
      std::ranges::copy(result, numbers.begin() + static_cast<std::ptrdiff_t>(i * width));
    });
    if (!message.empty()) own = i, failed[i] = 1;
  }
  throw_together(transport, failed, own, message);
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
