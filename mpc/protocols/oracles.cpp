#include "roundtrip/mpc/protocols/oracles.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

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

namespace {

std::int64_t combined(std::int64_t a, std::int64_t b, std::string_view operation) {
  if (operation == "min") return std::min(a, b);
  if (operation == "max") return std::max(a, b);
  const std::int64_t both[2] = {a, b};
  return *sum(both, 48).front();
}

}  // namespace

Output prefix_scan(Input values, std::string_view operation) {
  Output output = {values[0]};
  for (std::size_t i = 1; i < values.size(); ++i)
    output.push_back(combined(*output.back(), values[i], operation));
  return output;
}

Output segmented_scan(Input values, std::string_view operation) {
  Output output;
  for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
    const bool starts = i == 0 || values[i] != 0;
    output.push_back(starts ? values[i + 1] : combined(*output.back(), values[i + 1], operation));
  }
  return output;
}

Output sort(Input values, std::uint64_t record) {
  std::vector<Input> records;
  for (std::size_t i = 0; i + record <= values.size(); i += record)
    records.push_back(values.subspan(i, record));
  std::stable_sort(records.begin(), records.end(),
                   [](const Input& a, const Input& b) { return a[0] < b[0]; });
  Output sorted;
  for (const Input& one : records) sorted.insert(sorted.end(), one.begin(), one.end());
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

namespace {

/// A sum modulo 2^64, as the signed number of 48 bits that it is modulo 2^48.
std::int64_t signed_48(std::uint64_t sum) {
  return static_cast<std::int64_t>(sum << 16) / 65536;  // exact: the low 16 bits are 0
}

}  // namespace

Output matrix_product(Input values, std::uint64_t rows) {
  const std::size_t inner = values.size() / 2 / rows;
  Output output;
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < rows; ++j) {
      std::uint64_t sum = 0;
      for (std::size_t k = 0; k < inner; ++k) {
        sum += static_cast<std::uint64_t>(values[i * inner + k]) *
               static_cast<std::uint64_t>(values[rows * inner + k * rows + j]);
      }
      output.push_back(signed_48(sum));
    }
  }
  return output;
}

Output low_rank_sums(Input values, std::uint64_t rank, std::uint64_t dimension) {
  // Attention's own order, token by token: weights phi(q_i) . phi(k_j) first. Quadratic.
  const std::size_t width = 2 * rank + dimension;
  Output output;
  for (std::size_t i = 0; i < values.size(); i += width) {
    std::vector<std::uint64_t> sums(dimension + 1);
    for (std::size_t j = 0; j < values.size(); j += width) {
      std::uint64_t weight = 0;
      for (std::size_t c = 0; c < rank; ++c)
        weight +=
            static_cast<std::uint64_t>(values[i + c]) * static_cast<std::uint64_t>(values[j + rank + c]);
      for (std::size_t d = 0; d < dimension; ++d)
        sums[d] += weight * static_cast<std::uint64_t>(values[j + 2 * rank + d]);
      sums[dimension] += weight;
    }
    for (const std::uint64_t sum : sums) output.push_back(signed_48(sum));
  }
  return output;
}

Output join(Input values) {
  Output output;
  for (const std::int64_t value : values) {
    const bool is_position = value >= 0 && value < static_cast<std::int64_t>(values.size());
    output.push_back(is_position ? std::optional(values[static_cast<std::size_t>(value)]) : std::nullopt);
  }
  return output;
}

Output list_ranking(Input values) {
  Output output(values.size());
  std::vector<bool> is_followed_by_none(values.size(), true);
  for (const std::int64_t next : values) {
    if (next >= 0) is_followed_by_none[static_cast<std::size_t>(next)] = false;  // heads of lists are left
  }
  for (std::size_t head = 0; head < values.size(); ++head) {
    if (!is_followed_by_none[head]) continue;
    std::vector<std::size_t> list = {head};
    while (values[list.back()] >= 0) list.push_back(static_cast<std::size_t>(values[list.back()]));
    for (std::size_t i = 0; i < list.size(); ++i)
      output[list[i]] = static_cast<std::int64_t>(list.size() - 1 - i);
  }
  return output;
}

namespace {

/// Every vertex's least fellow, by union and find.
std::map<std::int64_t, std::int64_t> least_fellows(Input values) {
  std::map<std::int64_t, std::int64_t> parent;
  for (const std::int64_t vertex : values) parent[vertex] = vertex;
  const auto find = [&parent](std::int64_t vertex) {
    while (parent[vertex] != vertex) vertex = parent[vertex] = parent[parent[vertex]];
    return vertex;
  };
  for (std::size_t edge = 0; edge + 1 < values.size(); edge += 2) {
    const std::int64_t u = find(values[edge]);
    const std::int64_t v = find(values[edge + 1]);
    parent[std::max(u, v)] = std::min(u, v);
  }
  for (const auto& [vertex, above] : parent) parent[vertex] = find(vertex);
  return parent;
}

}  // namespace

Output cycles(Input values) {
  std::map<std::int64_t, int> degree;
  for (const std::int64_t vertex : values) ++degree[vertex];
  for (const auto& [vertex, edges] : degree) {
    if (edges != 2) return {std::nullopt};
  }
  std::int64_t count = 0;
  for (const auto& [vertex, least] : least_fellows(values)) count += vertex == least ? 1 : 0;
  return {count};
}

Output components(Input values) {
  Output output(values.size());
  for (const auto& [vertex, least] : least_fellows(values)) output[static_cast<std::size_t>(vertex)] = least;
  return output;
}

std::string not_maximal_independent(Input values, const Output& in_set) {
  std::vector<char> seen(in_set.size(), 0), near(in_set.size(), 0);
  for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
    const auto u = static_cast<std::size_t>(values[i]), v = static_cast<std::size_t>(values[i + 1]);
    if (std::max(u, v) >= in_set.size()) return "an edge of vertex " + std::to_string(std::max(u, v));
    seen[u] = seen[v] = 1;
    if (u == v) continue;
    if (in_set[u] == 1 && in_set[v] == 1)
      return "vertices " + std::to_string(u) + " and " + std::to_string(v) +
             " are in the set, and neighbours";
    if (in_set[u] == 1) near[v] = 1;
    if (in_set[v] == 1) near[u] = 1;
  }
  for (std::size_t v = 0; v < in_set.size(); ++v) {
    const bool told = in_set[v].has_value() && (*in_set[v] == 0 || *in_set[v] == 1);
    if (told != (seen[v] != 0))
      return "output " + std::to_string(v) + " is not 0 or 1 as it should be, or is";
    if (told && *in_set[v] == 0 && near[v] == 0)
      return "vertex " + std::to_string(v) + " could be in the set, too";
  }
  return {};
}

std::string not_maximal_matching(Input values, const Output& in_matching) {
  const std::size_t edges = values.size() / 2;
  if (in_matching.size() != edges) return std::to_string(in_matching.size()) + " outputs";
  std::unordered_map<std::int64_t, std::size_t> edge_of;
  for (std::size_t e = 0; e < edges; ++e) {
    if (in_matching[e] != 0 && in_matching[e] != 1) return "output " + std::to_string(e) + " is not 0 or 1";
    if (in_matching[e] == 0) continue;
    for (const std::int64_t end : {values[2 * e], values[2 * e + 1]}) {
      const auto [first, fresh] = edge_of.try_emplace(end, e);
      if (!fresh)
        return "edges " + std::to_string(first->second) + " and " + std::to_string(e) +
               " are in the matching, and meet";
    }
  }
  for (std::size_t e = 0; e < edges; ++e) {
    const std::int64_t u = values[2 * e], v = values[2 * e + 1];
    if (u != v && !edge_of.contains(u) && !edge_of.contains(v))
      return "edge " + std::to_string(e) + " could be in the matching, too";
  }
  return {};
}

Output minimum_spanning_forest(Input values) {
  const std::size_t edges = values.size() / 3;
  std::vector<std::size_t> order(edges);
  for (std::size_t e = 0; e < edges; ++e) order[e] = e;
  std::ranges::stable_sort(order, {}, [&](std::size_t e) { return values[3 * e + 2]; });
  std::unordered_map<std::int64_t, std::int64_t> parents;
  const auto root = [&parents](std::int64_t v) {
    for (auto at = parents.find(v); at != parents.end(); at = parents.find(v)) v = at->second;
    return v;
  };
  Output taken(edges, 0);
  for (const std::size_t e : order) {
    const std::int64_t u = root(values[3 * e]), v = root(values[3 * e + 1]);
    if (u == v) continue;
    parents[u] = v;
    for (std::int64_t x = values[3 * e]; x != v;) x = std::exchange(parents[x], v);
    taken[e] = 1;
  }
  return taken;
}

namespace {

std::vector<std::vector<std::size_t>> neighbours(Input values, std::size_t vertices) {
  std::vector<std::vector<std::size_t>> lists(vertices);
  for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
    const auto u = static_cast<std::size_t>(values[i]), v = static_cast<std::size_t>(values[i + 1]);
    lists[u].push_back(v);
    lists[v].push_back(u);
  }
  return lists;
}

}  // namespace

Output bfs(Input values, std::int64_t source, std::uint64_t depth) {
  const auto lists = neighbours(values, values.size());
  Output output(values.size());
  const auto start = static_cast<std::size_t>(source);
  if (start >= lists.size() || lists[start].empty()) return output;
  std::vector<std::size_t> queue = {start};
  output[start] = 0;
  for (std::size_t next = 0; next < queue.size(); ++next) {
    const std::int64_t level = *output[queue[next]];
    if (static_cast<std::uint64_t>(level) == depth) break;
    for (const std::size_t v : lists[queue[next]]) {
      if (output[v]) continue;
      output[v] = level + 1;
      queue.push_back(v);
    }
  }
  return output;
}

Output least_within(Input values, std::uint64_t distance) {
  const auto lists = neighbours(values, values.size());
  Output output(values.size());
  // From every vertex in order, but not beyond one that a lesser vertex has reached on as short a way.
  std::vector<std::uint64_t> nearest(lists.size(), ~std::uint64_t{0});
  for (std::size_t v = 0; v < lists.size(); ++v) {
    if (lists[v].empty()) continue;
    std::vector<std::size_t> level = {v};
    for (std::uint64_t away = 0; away <= distance && !level.empty(); ++away) {
      std::vector<std::size_t> next;
      for (const std::size_t u : level) {
        if (nearest[u] <= away) continue;
        nearest[u] = away;
        if (!output[u]) output[u] = static_cast<std::int64_t>(v);
        next.insert(next.end(), lists[u].begin(), lists[u].end());
      }
      level = std::move(next);
    }
  }
  return output;
}

Output triangles(Input values) {
  std::map<std::int64_t, std::unordered_set<std::int64_t>> greater;
  for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
    if (values[i] != values[i + 1])
      greater[std::min(values[i], values[i + 1])].insert(std::max(values[i], values[i + 1]));
  }
  std::int64_t count = 0;
  for (const auto& [u, all] : greater) {
    for (const std::int64_t v : all) {
      const auto found = greater.find(v);
      if (found == greater.end()) continue;
      const bool fewer = all.size() < found->second.size();
      for (const std::int64_t w : fewer ? all : found->second)
        count += (fewer ? found->second : all).contains(w) ? 1 : 0;
    }
  }
  return {count};
}

Output rooted_tree(Input values, std::int64_t root) {
  const auto lists = neighbours(values, values.size() / 2 + 1);
  Output output(3 * lists.size());
  const auto start = static_cast<std::size_t>(root);
  std::vector<std::size_t> order = {start};
  output[3 * start] = root;
  output[3 * start + 1] = 0;
  for (std::size_t next = 0; next < order.size(); ++next) {
    const std::size_t u = order[next];
    for (const std::size_t v : lists[u]) {
      if (output[3 * v]) continue;
      output[3 * v] = static_cast<std::int64_t>(u);
      output[3 * v + 1] = *output[3 * u + 1] + 1;
      order.push_back(v);
    }
  }
  for (std::size_t i = order.size(); i-- > 0;) {
    const std::size_t v = order[i];
    output[3 * v + 2] = output[3 * v + 2].value_or(0) + 1;
    if (i == 0) break;
    auto& above = output[3 * static_cast<std::size_t>(*output[3 * v]) + 2];
    above = above.value_or(0) + *output[3 * v + 2];
  }
  return output;
}

namespace {

constexpr std::int64_t kField = 15 * (std::int64_t{1} << 27) + 1;

std::int64_t power_in_field(std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = result * base % kField;
    base = base * base % kField;
  }
  return result;
}

/// Of every q-th value by itself, q the least prime factor, and then together.
std::vector<std::int64_t> fourier_in_field(const std::vector<std::int64_t>& values, std::int64_t root) {
  if (values.size() == 1) return values;
  std::size_t factor = 2;
  while (values.size() % factor != 0) ++factor;
  const std::size_t rest = values.size() / factor;
  std::vector<std::int64_t> result(values.size(), 0);
  const std::int64_t root_of_rest = power_in_field(root, static_cast<std::int64_t>(factor));
  for (std::size_t shift = 0; shift < factor; ++shift) {
    std::vector<std::int64_t> part;
    for (std::size_t i = 0; i < rest; ++i) part.push_back(values[i * factor + shift]);
    part = fourier_in_field(part, root_of_rest);
    const std::int64_t step = power_in_field(root, static_cast<std::int64_t>(shift));
    std::int64_t turned = 1;
    for (std::size_t k = 0; k < result.size(); ++k, turned = turned * step % kField)
      result[k] = (result[k] + turned * part[k % rest]) % kField;
  }
  return result;
}

}  // namespace

Output fourier(Input values, bool inverse) {
  std::vector<std::int64_t> reduced;
  for (const std::int64_t value : values) reduced.push_back((value % kField + kField) % kField);
  const auto n = static_cast<std::int64_t>(values.size());
  std::int64_t root = power_in_field(31, (kField - 1) / n);
  if (inverse) root = power_in_field(root, kField - 2);
  const std::int64_t scale = inverse ? power_in_field(n, kField - 2) : 1;
  Output output;
  for (const std::int64_t value : fourier_in_field(reduced, root))
    output.emplace_back(value * scale % kField);
  return output;
}

Output three_sum(Input values) {
  std::unordered_map<std::int64_t, std::vector<std::int64_t>> positions;
  for (std::size_t i = 0; i < values.size(); ++i)
    positions[values[i]].push_back(static_cast<std::int64_t>(i) + 1);
  std::vector<std::int64_t> distinct;
  for (const auto& [value, where] : positions) distinct.push_back(value);
  std::sort(distinct.begin(), distinct.end());
  for (std::size_t i = 0; i < distinct.size(); ++i) {
    for (std::size_t j = i; j < distinct.size(); ++j) {
      const std::int64_t third = -distinct[i] - distinct[j];
      if (third < distinct[j]) break;
      if (!positions.contains(third)) continue;
      std::map<std::int64_t, std::size_t> used;
      Output output;
      for (const std::int64_t value : {distinct[i], distinct[j], third}) {
        const std::vector<std::int64_t>& where = positions[value];
        if (used[value] < where.size()) output.push_back(where[used[value]++]);
      }
      if (output.size() == 3) return output;
    }
  }
  return Output(3);
}

Output word_count(Input values) {
  Output counts(values.size(), 0);
  for (const std::int64_t value : values) ++*counts[static_cast<std::size_t>(value)];
  return counts;
}

}  // namespace roundtrip::mpc::oracles
