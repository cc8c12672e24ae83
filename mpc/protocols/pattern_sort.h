// Purpose: sorting by a pattern that depends on the number of machines alone, for programs of the step language.
#pragma once

#include <bit>
#include <functional>
#include <string_view>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/tree_program.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {

/// Most words of a block: a network has about log2(b)^2 / 4 comparators for each.
constexpr std::uint64_t kPatternBlock = std::uint64_t{1} << 13;

/// b rounded down to a power of two, and memory for so many blocks and for `least` words.
inline Sizes pattern_sort_sizes(const Parameters& parameters, std::string_view name, std::uint64_t least = 0,
                                std::uint64_t blocks = 2) {
  const auto block_of = [&](std::uint64_t block) { return std::bit_floor(std::min(block, parameters.n)); };
  const auto needed = [=](std::uint64_t block) { return std::max(blocks * block_of(block), least); };
  Sizes sizes = choose_sizes(parameters, blocks, [&](const Sizes& chosen) {
    return chosen.memory_words >= needed(chosen.block_words);
  });
  require(sizes.memory_words >= needed(sizes.block_words), "s is {}, allowed for {} is {} or more",
          sizes.memory_words, name, needed(sizes.block_words));
  sizes.block_words = block_of(sizes.block_words);
  require(sizes.block_words <= kPatternBlock,
          "N is {}, allowed for {} is what has blocks of at most {} words; here b is {}", parameters.n, name,
          kPatternBlock, sizes.block_words);
  return sizes;
}
/// That hold blocks: a power of two.
inline std::uint32_t pattern_sort_machines(std::uint64_t n, const Sizes& sizes) {
  return std::bit_ceil(static_cast<std::uint32_t>(ceil_div(n, sizes.block_words)));
}

/// The parameters with machines for blocks and, beside them, one for each of the N elements; ContractError beyond `most`.
inline Parameters with_element_machines(const Parameters& parameters, const Sizes& sizes,
                                        std::string_view name, std::uint64_t most) {
  require(parameters.n <= most, "N is {}, allowed for {} is 1 to {}", parameters.n, name, most);
  Parameters with = parameters;
  with.machines = std::max({parameters.machines.value_or(0), parameters.n,
                            std::uint64_t{pattern_sort_machines(parameters.n, sizes)}});
  return with;
}

/// Problem:   numbers up to `most`, b on each of 2^l machines, b a power of two, in ascending order over all machines.
/// Method:    bitonic sort, in which merge-split of two blocks stands for a comparator.
/// Cost:      l (l + 1) / 2 rounds; a machine keeps b words and sends and receives b.
/// Source:    Batcher 1968; Baudet, Stevenson 1978.
class PatternSortProgram : public TreeProgram {
 protected:
  using TreeProgram::TreeProgram;

  std::vector<Affine> sorted_blocks(std::vector<Affine> block, std::int64_t most, std::uint32_t machines) {
    const auto b = static_cast<std::uint32_t>(block.size());
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
        const bool descends = size < machines;  // some pairs of blocks have the larger numbers first
        block = half(
            b, [=](MachineId m) { return ((m & distance) != 0) != (descends && (m & size) != 0) ? 1 : 0; },
            most);
      }
    }
    return block;
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

}  // namespace roundtrip::mpc
