#include "mpc/protocols/oracles.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace roundtrip::mpc::oracles {

Output sum(Input values, int bits) {
  std::int64_t total = 0;
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  for (const std::int64_t value : values) {  // both below 2^61: no overflow
    total += value;
    while (total >= half) total -= 2 * half;
    while (total < -half) total += 2 * half;
  }
  return {total};
}

Output sort(Input values) {
  Output sorted(values.begin(), values.end());
  std::stable_sort(sorted.begin(), sorted.end());
  return sorted;
}

Output match2(Input values, std::int64_t modulus) {
  const auto reduced = [modulus](std::int64_t value) { return (value % modulus + modulus) % modulus; };
  std::unordered_set<std::int64_t> present;
  for (const std::int64_t value : values) present.insert(reduced(value));
  Output output;
  for (const std::int64_t value : values) output.push_back(present.contains(reduced(-value)) ? 1 : 0);
  return output;
}

Output k_hop(Input values, std::uint64_t k) {
  const std::size_t n = values.size();
  std::vector<std::size_t> power(n + 1, 0);  // positions from 1, 0 is nowhere
  std::unordered_map<std::int64_t, std::size_t> last;
  for (std::size_t i = 1; i <= n; ++i) {
    const auto [seen, is_new] = last.try_emplace(values[i - 1], i);
    if (!is_new) power[i] = seen->second + 1;
    seen->second = i;
  }
  std::vector<std::size_t> found(n + 1);
  for (std::size_t i = 0; i <= n; ++i) found[i] = i;
  for (; k > 0; k /= 2) {
    if (k % 2 == 1) {
      for (std::size_t& position : found) position = power[position];
    }
    std::vector<std::size_t> squared(n + 1);
    for (std::size_t i = 0; i <= n; ++i) squared[i] = power[power[i]];
    power = squared;
  }
  Output output(n);
  for (std::size_t i = 1; i <= n; ++i) {
    if (found[i] != 0) output[i - 1] = values[found[i] - 1];
  }
  return output;
}

}  // namespace roundtrip::mpc::oracles
