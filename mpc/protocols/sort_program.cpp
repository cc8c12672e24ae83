#include <algorithm>
#include <bit>
#include <vector>

#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/pattern_sort.h"
#include "roundtrip/mpc/protocols/program_input.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {
namespace {

Sizes sort_sizes(const Parameters& parameters) {
  return pattern_sort_sizes(parameters, "sort_program");
}

std::uint32_t machines_of(const Parameters& parameters) {
  return pattern_sort_machines(parameters.n, sort_sizes(parameters));
}

Shape sort_shape(const Parameters& parameters) {
  Parameters with = parameters;
  with.machines = std::max<std::uint64_t>(parameters.machines.value_or(0), machines_of(parameters));
  return program_shape(with, sort_sizes(parameters), parameters.n);
}

class SortProgram final : public PatternSortProgram {
 public:
  explicit SortProgram(const Parameters& parameters) : PatternSortProgram(sort_shape(parameters)) {
    const std::uint64_t n = shape().n;
    const std::uint32_t b = static_cast<std::uint32_t>(shape().block_words),
                        machines = machines_of(parameters);
    const std::int64_t most = largest_input(shape()) + 1;  // a word that is not there, after all others
    std::vector<Affine> block;
    for (std::uint32_t i = 0; i < b; ++i) {
      const Affine missing = tape().table([=](MachineId m) { return std::uint64_t{m} * b + i < n ? 0 : 1; });
      block.push_back(received(i) + most * missing);
    }
    block = sorted_blocks(block, most, machines);
    std::vector<Value> words;
    for (const Affine& word : block) words.push_back({word, most});
    deliver(
        words,
        [=](MachineId m) {
          const std::uint64_t first = std::uint64_t{m} * b;
          return static_cast<std::uint32_t>(first < n ? std::min<std::uint64_t>(b, n - first) : 0);
        },
        [=](MachineId m, std::uint32_t i) { return m * b + i; });
  }
};

}  // namespace

std::uint32_t sort_program_rounds(const Parameters& parameters) {
  const auto k = static_cast<std::uint32_t>(std::countr_zero(machines_of(parameters)));
  return 1 + k * (k + 1) / 2;
}

ProtocolInfo sort_program_protocol() {
  ProtocolInfo info = odd_even_sort_protocol();
  info.name = "sort_program";
  info.program = info.name;
  info.summary = "all words in ascending order, by a fixed pattern, as a program of the step language";
  info.card = R"(Problem: N signed numbers of p_in bits; output them in ascending order.
Guarantee: exact and deterministic.
Cost: R = k (k + 1) / 2 + 1 rounds on q = 2^k machines, the next power of two of ceil(N / b), b a power of two; 2 b words sent
and received by a machine: s = kappa_s b with kappa_s = 2. Its steps are a tape.
Source: Batcher 1968 (bitonic sort), Baudet, Stevenson 1978 (merge-split).)";
  info.rounds_formula = "k (k + 1) / 2 + 1, k = ceil(log2 ceil(N / b))";
  info.kappa_s = 2;
  info.options = {bits_option()};
  info.make = [](const Parameters& parameters) { return std::make_unique<SortProgram>(parameters); };
  return info;
}

}  // namespace roundtrip::mpc
