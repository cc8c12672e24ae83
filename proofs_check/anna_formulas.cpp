#include "roundtrip/proofs_check/anna_formulas.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "roundtrip/proofs_check/formulas.h"

namespace roundtrip::proofs_check {
namespace {

std::uint64_t up(std::uint64_t a, std::uint64_t b) {
  return (a + b - 1) / b;
}

/// Scan machines of B_v records: their number and the depth of the tree over them.
struct Scan {
  std::uint64_t machines = 0;
  std::uint64_t depth = 0;
};

/// Of least depth, and among these of most records a machine. A machine keeps the bucket that it ends in
/// (code, sum, count, flag), a sum and a count for each of its queries, at most half of the records, and a
/// word for each record; the rest is for summaries (code, flag, sum, count), twice the fan-in of them.
std::optional<Scan> scan_of(std::uint64_t n, std::uint64_t s, const LayerExpectation& layer) {
  const std::uint64_t sum = 1 + layer.value_dimension;
  const std::uint64_t record = layer.code_words + 1 + sum;
  const std::uint64_t summary = layer.code_words + 1 + sum;
  std::optional<Scan> best;
  for (std::uint64_t records = std::min(s / std::max(record, 1 + sum), 2 * n); records >= 1; --records) {
    const std::uint64_t machines = up(2 * n, records);
    std::uint64_t depth = 0;
    if (machines > 1) {
      const std::uint64_t kept = layer.code_words + 2 + sum + records / 2 * (1 + sum) + records;
      if (kept + 4 * summary > s) continue;
      depth = log_ceil(std::max<std::uint64_t>(2, std::min((s - kept) / (2 * summary), machines)), machines);
    }
    if (!best || depth < best->depth) best = Scan{machines, depth};
  }
  return best;
}

}  // namespace

double hyperplane_collision(double distance) {
  return 1 - 2 * std::asin(distance / 2) / std::numbers::pi;
}

Tables tables_for(std::uint64_t n, double eta, double p1, double p2) {
  const double pairs = static_cast<double>(n) * static_cast<double>(n);
  for (std::uint32_t z = 1;; ++z) {
    const double ell = std::ceil(std::log(2 * pairs / eta) / -std::log1p(-std::pow(p1, z)));
    if (pairs * ell * std::pow(p2, z) <= eta / 2) return {z, static_cast<std::uint64_t>(ell)};
  }
}

double tables_power_law(std::uint64_t n, double eta, double p1, double p2) {
  const double pairs = static_cast<double>(n) * static_cast<double>(n);
  const double rho = std::log(p1) / std::log(p2);
  const double a = std::log(2 * pairs / eta) / p1 * std::pow(2 * pairs / eta, rho);
  return std::pow(1 + a, 1 / (1 - rho));
}

std::optional<ProtocolExpectation> anna_protocol_expectation(std::uint64_t n, const Rational& epsilon,
                                                             const Rational& delta, std::uint64_t kappa_s,
                                                             std::span<const LayerExpectation> layers) {
  ProtocolExpectation expectation;
  const std::uint64_t s = expectation.memory_words = kappa_s * root_ceil(n, epsilon + delta);
  expectation.block_words = root_ceil(n, epsilon);
  const std::uint64_t fan = std::max<std::uint64_t>(2, root_floor(n, delta * Rational(1, 2)));  // f'
  for (const LayerExpectation& layer : layers) {
    const std::uint64_t row = 1 + layer.row_dimension;
    const std::uint64_t sum = 1 + layer.value_dimension;
    const std::uint64_t record = layer.code_words + 1;
    const std::uint64_t spread = layer.tables > 1 ? fan + 1 : 1;  // copies for others, and one's own
    expectation.token_words = std::max({expectation.token_words, spread * row, row + 2 * layer.heads * record,
                                        row + layer.heads * (2 * record + sum),
                                        row + spread * layer.heads * (1 + sum), layer.next_row_words});
    expectation.state_words = std::max(expectation.state_words, row + layer.heads * (1 + sum));
  }
  const std::uint64_t block = std::min(s / expectation.token_words, n);
  if (block == 0) return std::nullopt;
  expectation.blocks = up(n, block);
  expectation.machines =
      std::max({up(n, expectation.block_words), up(n * layers.back().next_row_words, expectation.block_words),
                expectation.blocks});
  expectation.rounds = 2;
  for (const LayerExpectation& layer : layers) {
    const std::uint64_t record = layer.code_words + 1;
    const auto sort = sort_sizes(2 * n, record, s, record);
    const auto scan = scan_of(n, s, layer);
    if (!sort || !scan) return std::nullopt;
    expectation.machines =
        std::max(expectation.machines,
                 layer.tables * (expectation.blocks + layer.heads * (sort->machines + scan->machines)));
    expectation.rounds += 2 * log_ceil(fan + 1, layer.tables) + sort->rounds + 2 * scan->depth + 4;
  }
  expectation.below_range = s > n / 4 || 16 * s > n * expectation.state_words;
  return expectation;
}

double standard_attention_machines(std::uint64_t n, std::uint64_t memory_words, std::uint64_t token_words) {
  const std::uint64_t block = std::max<std::uint64_t>(1, memory_words / (4 * token_words));
  const auto blocks = static_cast<double>(up(n, block));
  return blocks * blocks;
}

}  // namespace roundtrip::proofs_check
