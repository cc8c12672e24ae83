#include <algorithm>
#include <bit>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/program/program.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/program_input.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {
namespace {

// Two blocks: one kept, one on its way. Both a power of two of words on a power of two of machines, so that every merge is
// of two full blocks.
Sizes sort_sizes(const Parameters& parameters) {
  Sizes sizes = choose_sizes(parameters, 2, [](const Sizes& chosen) {
    return chosen.memory_words >= 2 * std::bit_ceil(chosen.block_words);
  });
  if (2 * std::bit_ceil(sizes.block_words) <= sizes.memory_words)
    sizes.block_words = std::bit_ceil(sizes.block_words);
  require(2 * sizes.block_words <= sizes.memory_words,
          "s is {}, allowed for sort_program is 2 b or more, b = {}", sizes.memory_words, sizes.block_words);
  return sizes;
}

std::uint32_t machines_of(const Parameters& parameters) {
  return std::bit_ceil(
      static_cast<std::uint32_t>(ceil_div(parameters.n, sort_sizes(parameters).block_words)));
}

Shape sort_shape(const Parameters& parameters) {
  Parameters with = parameters;
  with.machines = std::max<std::uint64_t>(parameters.machines.value_or(0), machines_of(parameters));
  return program_shape(with, sort_sizes(parameters), parameters.n);
}

class SortProgram final : public Program {
 public:
  explicit SortProgram(const Parameters& parameters) : Program(sort_shape(parameters)) {
    const std::uint64_t n = shape().n;
    const std::uint32_t b = static_cast<std::uint32_t>(shape().block_words),
                        machines = machines_of(parameters);
    const std::int64_t most = largest_input(shape()) + 1;  // a word that is not there, after all others
    std::vector<Affine> block;
    for (std::uint32_t i = 0; i < b; ++i) {
      const Affine missing = tape().table([=](MachineId m) { return std::uint64_t{m} * b + i < n ? 0 : 1; });
      block.push_back(received(i) + most * missing);
    }
    block = tape().sorted(block);
    for (std::uint32_t size = 2; size <= machines; size *= 2) {
      for (std::uint32_t distance = size / 2; distance >= 1; distance /= 2) {
        std::vector<Value> words;
        for (const Affine& word : block) keep(word, most), words.push_back({word, most});
        send(
            "exchange", words, [=](MachineId m) { return m < machines ? b : 0; },
            [=](MachineId m, std::uint32_t i) {
              return Place{m ^ distance, i};
            },
            b);
        block = half(
            b,
            [=](MachineId m) {
              return ((m & distance) != 0) != ((m & size) != 0 && size < machines) ? 1 : 0;
            },
            most);
      }
    }
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

 private:
  /// Of the kept block and the received one, both ascending, the lower half, or the `upper` one: each number of one with
  /// its counterpart of the other from the other end, which is bitonic, and sorted then.
  std::vector<Affine> half(std::uint32_t b, std::function<std::int64_t(MachineId)> upper, std::int64_t most) {
    const Affine up = tape().table(std::move(upper));
    std::vector<Affine> chosen;
    for (std::uint32_t i = 0; i < b; ++i) {
      const Affine own = kept(i), other = received(b - 1 - i);
      chosen.push_back(own - tape().relu(own - other - most * up) +
                       tape().relu(other - own - most * (1 - up)));
    }
    return tape().sorted_bitonic(chosen);
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
and received by a machine: s = kappa_s b with kappa_s = 2, raised until b is rounded up. Its steps are a tape.
Source: Batcher 1968 (bitonic sort), Baudet, Stevenson 1978 (merge-split).)";
  info.rounds_formula = "k (k + 1) / 2 + 1, k = ceil(log2 ceil(N / b))";
  info.kappa_s = 2;
  info.options = {bits_option()};
  info.make = [](const Parameters& parameters) { return std::make_unique<SortProgram>(parameters); };
  return info;
}

}  // namespace roundtrip::mpc
