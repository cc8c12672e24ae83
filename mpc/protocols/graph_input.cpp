#include "roundtrip/mpc/protocols/graph_input.h"

#include <unordered_map>

#include "roundtrip/base/error.h"

namespace roundtrip::mpc {

void require_edges(std::uint64_t n, std::string_view protocol, std::uint64_t most) {
  require(n % 2 == 0 && n <= most, "N is {}, allowed for {} is an even number (two words an edge) up to {}",
          n, protocol, most);
}

void require_vertex(std::uint64_t index, std::int64_t vertex, std::uint64_t n) {
  require(vertex >= 0 && vertex < static_cast<std::int64_t>(n),
          "word {} is {}, allowed is the number of a vertex, 0 to {}", index, vertex, n - 1);
}

std::vector<std::uint64_t> random_order(std::uint64_t count, RandomStream& stream) {
  std::vector<std::uint64_t> order(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t j = stream.below(i + 1);
    order[i] = order[j];
    order[j] = i;
  }
  return order;
}

Values numbered_by_first_occurrence(const Values& values) {
  std::unordered_map<std::int64_t, std::int64_t> numbers;
  Values result;
  result.reserve(values.size());
  for (const std::int64_t value : values)
    result.push_back(numbers.try_emplace(value, static_cast<std::int64_t>(numbers.size())).first->second);
  return result;
}

}  // namespace roundtrip::mpc
