#include <algorithm>
#include <bit>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/pattern_sort.h"

// Sorted, the words up to t are where the last t ends; what lies between where t begins and where it ends is its count. Whoever
// has a word's first or last place tells element t, which is on machine t.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kElementWords = 2;

Sizes count_sizes(const Parameters& parameters) {
  return pattern_sort_sizes(parameters, "word_count_program", kElementWords);
}

Shape count_shape(const Parameters& parameters) {
  const Parameters with = with_element_machines(parameters, count_sizes(parameters), "word_count_program",
                                                std::uint64_t{1} << 20);
  Shape shape = declare_shape(with, count_sizes(parameters), parameters.n, 1);
  shape.input_bits = static_cast<std::uint32_t>(std::bit_width(parameters.n)) + 1;
  shape.word_bits = shape.input_bits;
  return shape;
}

class WordCountProgram final : public PatternSortProgram {
 public:
  explicit WordCountProgram(const Parameters& parameters) : PatternSortProgram(count_shape(parameters)) {
    const std::uint64_t n = shape().n;
    const std::uint32_t b = static_cast<std::uint32_t>(shape().block_words);
    const std::uint32_t sorters = pattern_sort_machines(n, count_sizes(parameters));
    const std::int64_t elements = static_cast<std::int64_t>(n),
                       half = std::int64_t{1} << (shape().input_bits - 1);
    active(sorters);
    // Words plus 1; n + 1 is none, which comes after all others.
    std::vector<Affine> words;
    for (std::uint32_t i = 0; i < b; ++i)
      words.push_back(tape().clamp(received(i) - (half - 1) + (elements + half) * missing(i), elements + 1));
    words = sorted_blocks(words, elements + 1, sorters);

    for (const Affine& word : words) keep(word, elements + 1);
    send(
        "to both sides", {{words.back(), elements + 1}, {words.front(), elements + 1}},
        [=](MachineId m) { return m < sorters ? 2u : 0u; },
        [=](MachineId m, std::uint32_t i) {
          return Place{(m + (i == 0 ? 1 : sorters - 1)) % sorters, i};
        },
        2);
    const auto is = [this](auto what) {
      return tape().table([what](MachineId m) { return what(m) ? 1 : 0; });
    };
    const Affine before_all =
        tape().gate(received(0), 1 - is([](MachineId m) { return m == 0; }), elements + 1);
    const Affine after_all =
        received(1) + (elements + 2) * is([sorters](MachineId m) { return m + 1 == sorters; });
    const Affine place = tape().table([b](MachineId m) { return std::int64_t{m} * b; });
    std::vector<Addressed> lists;
    for (std::uint32_t i = 0; i < b; ++i) {
      const Affine word = kept(i), before = i == 0 ? before_all : kept(i - 1),
                   after = i + 1 == b ? after_all : kept(i + 1);
      const Affine none = tape().step(word - elements);
      const Affine first = tape().step(tape().step(word - before) - none),
                   last = tape().step(tape().step(after - word) - none);
      // A word's first and last place may have the same number on two machines: no list in common.
      lists.push_back({{tape().gate(word, first, elements + 1), elements}, {{place + i, elements}}});
      lists.push_back({{tape().gate(word, last, elements + 1), elements}, {{place + (i + 1), elements}}});
    }
    send_addressed("to elements", lists);
    active(shape().machines);
    Affine begin, end;
    for (std::uint32_t i = 0; i < b; ++i) begin += received(2 * i), end += received(2 * i + 1);
    deliver(
        {{end - begin, elements}}, [n](MachineId m) { return m < n ? 1u : 0u; },
        [](MachineId m, std::uint32_t) { return m; });
  }
};

}  // namespace

std::uint32_t word_count_program_rounds(const Parameters& parameters) {
  const auto levels = static_cast<std::uint32_t>(
      std::countr_zero(pattern_sort_machines(parameters.n, count_sizes(parameters))));
  return levels * (levels + 1) / 2 + 3;
}

ProtocolInfo word_count_program_protocol() {
  ProtocolInfo info = word_count_protocol();
  info.program = info.name = "word_count_program";
  info.summary = "how often every word occurs, by a sort of fixed pattern, as a program of the step language";
  info.card = R"(Problem: as word_count's.
Guarantee: exact and deterministic.
Precondition: every word is from 0 to N - 1.
Cost: R = l (l + 1) / 2 + 3 rounds, l = ceil(log2 ceil(N / b)), b a power of two; q = max(N, 2^l) machines, one a number; at most
s = kappa_s b words sent and received by a machine, kappa_s = 2, raised to 2 b and 2 words. Its steps are a tape.
Source: Batcher 1968 (bitonic sort).)";
  info.rounds_formula = "l (l + 1) / 2 + 3, l = ceil(log2 ceil(N / b))";
  info.kappa_s = 2;
  info.make = [](const Parameters& parameters) { return std::make_unique<WordCountProgram>(parameters); };
  return info;
}

}  // namespace roundtrip::mpc
