#include <algorithm>
#include <bit>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/program/program.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/pattern_sort.h"
#include "roundtrip/mpc/protocols/program_input.h"
#include "roundtrip/mpc/stages/composition.h"

// A record is one number: the word, then its position. Sorted, a word's previous occurrence is the record before it, if that
// has the same word. Element i, on machine i from then on, knows of find_1(i), and of the power P and the rest A that
// doubling makes of it, the value and who has this value: find_k is injective where it is not 0. Elements are kept as their
// numbers plus 1, 0 for none.
namespace roundtrip::mpc {
namespace {

constexpr std::int64_t kMostHops = std::int64_t{1} << 40;
constexpr std::uint64_t kElementWords = 12;  // what an element keeps, and what it sends or receives

std::uint64_t hops_of(const Parameters& parameters) {
  return static_cast<std::uint64_t>(parameters.integer_option("k", 2, 1, kMostHops));
}

Sizes hop_sizes(const Parameters& parameters) {
  return pattern_sort_sizes(parameters, "k_hop_program", kElementWords);
}

Shape hop_shape(const Parameters& parameters) {
  const Parameters with =
      with_element_machines(parameters, hop_sizes(parameters), "k_hop_program", std::uint64_t{1} << 20);
  return program_shape(with, hop_sizes(parameters), parameters.n);
}

class KHopProgram final : public PatternSortProgram {
 public:
  explicit KHopProgram(const Parameters& parameters) : PatternSortProgram(hop_shape(parameters)) {
    const std::uint64_t n = shape().n, k = hops_of(parameters);
    const std::uint32_t b = static_cast<std::uint32_t>(shape().block_words);
    const std::uint32_t sorters = pattern_sort_machines(n, hop_sizes(parameters));
    const auto position_bits = static_cast<std::uint32_t>(std::bit_width(n - 1));
    const auto places = std::int64_t{1} << position_bits;
    const std::int64_t elements = static_cast<std::int64_t>(n), words = largest_input(shape()) + 1;
    const std::int64_t most = words * places;  // no record

    active(sorters);
    std::vector<Affine> records;
    const Affine first = tape().table([b](MachineId m) { return std::int64_t{m} * b; });
    for (std::uint32_t i = 0; i < b; ++i) {
      const Affine missing = tape().table([=](MachineId m) { return std::uint64_t{m} * b + i < n ? 0 : 1; });
      records.push_back(tape().clamp(places * received(i) + first + i + 2 * most * missing, most));
    }
    records = sorted_blocks(records, most, sorters);

    // The last record of the machine before.
    for (const Affine& record : records) keep(record, most);
    send(
        "to the next", {{records.back(), most}}, [=](MachineId m) { return m + 1 < sorters ? 1u : 0u; },
        [](MachineId m, std::uint32_t) {
          return Place{m + 1, 0};
        },
        1);
    const Affine none = tape().table([](MachineId m) { return m == 0 ? 1 : 0; });
    Affine before = received(0) + most * none;
    std::vector<Addressed> lists;
    for (std::uint32_t i = 0; i < b; ++i) {
      const Affine record = kept(i);
      const auto word_of = [&](const Affine& x) { return tape().floor_shift(x, position_bits); };
      const Affine position = record - places * word_of(record);
      const Affine there = tape().step(most - record);
      // Sorted, the word before is no larger; of two equal ones its position is smaller. No record has the word `words`.
      const Affine other = i == 0 ? tape().step(word_of(record) - word_of(before)) +
                                        tape().step(word_of(before) - word_of(record))
                                  : tape().step(word_of(record) - word_of(before));
      const Affine previous = before - places * word_of(before);
      lists.push_back(
          {{tape().gate(position + 1, there, places), elements},
           {{tape().gate(previous + 2, 1 - other, places + 1), elements}, {word_of(record), words - 1}}});
      before = record;
    }
    send_addressed("to elements", lists);
    active(shape().machines);
    Affine power, word;
    for (std::uint32_t i = 0; i < b; ++i) power += received(2 * i), word += received(2 * i + 1);

    // Who has the power.
    const Affine self = tape().table([](MachineId m) { return std::int64_t{m} + 1; });
    keep(word, words - 1), keep(power, elements);
    send_addressed("link", {{{tape().clamp(power, elements), elements}, {{self, elements}}}});
    word = kept(0), power = kept(1);
    Affine power_of = received(0), rest, rest_of;
    const std::uint32_t doublings = ceil_log(2, k);
    bool any = false;  // whether there is a rest yet
    for (std::uint32_t t = 0; t < doublings; ++t) {
      const bool set = (k >> t & 1) != 0, last = t + 1 == doublings;
      if (set && !any) rest = power, rest_of = power_of;
      const bool step = set && any, square = !last || k == std::uint64_t{1} << doublings;
      std::vector<Addressed> sent;
      if (square) {
        sent.push_back({{power_of, elements}, {{power, elements}}});
        sent.push_back({{power, elements}, {{power_of, elements}}});
      }
      if (step) {
        sent.push_back({{rest_of, elements}, {{power, elements}}});
        sent.push_back({{power, elements}, {{rest_of, elements}}});
      }
      any = any || set;
      if (sent.empty()) continue;
      keep(word, words - 1);
      if (any && !step) keep(rest, elements), keep(rest_of, elements);
      send_addressed("double", sent);
      word = kept(0);
      std::uint32_t at = 0;
      if (square) power = received(at), power_of = received(at + 1), at += 2;
      if (step) {
        rest = received(at), rest_of = received(at + 1);
      } else if (any) {
        rest = kept(1), rest_of = kept(2);
      }
    }
    // The word goes to whoever ends here.
    send_addressed("answer", {{{k == std::uint64_t{1} << doublings ? power_of : rest_of, elements},
                               {{word + 1, words}}}});
    deliver(
        {{received(0), words}}, [n](MachineId m) { return m < n ? 1u : 0u; },
        [](MachineId m, std::uint32_t) { return m; });
  }
};

}  // namespace

std::uint32_t k_hop_program_rounds(const Parameters& parameters) {
  const std::uint64_t k = hops_of(parameters);
  const auto levels = static_cast<std::uint32_t>(
      std::countr_zero(pattern_sort_machines(parameters.n, hop_sizes(parameters))));
  return levels * (levels + 1) / 2 + 5 + ceil_log(2, k);
}

ProtocolInfo k_hop_program_protocol() {
  ProtocolInfo info = k_hop_protocol();
  info.program = info.name = "k_hop_program";
  info.summary =
      "k-hop induction heads by a sort of fixed pattern, one element a machine, as a program of the step language";
  info.card = R"(Problem: as k_hop's, for symbols of p_in bits.
Guarantee: exact and deterministic, for any k >= 1.
Cost: R = l (l + 1) / 2 + 5 + ceil(log2 k) rounds, l = ceil(log2 ceil(N / b)), b a power of two; q = max(N, 2^l) machines: a
machine an element, so more than k_hop's; at most s = kappa_s b words sent and received by a machine, kappa_s = 2, raised
to 2 b and 12 words. Its steps are a tape, which compiles to explicit weights.
Source: the task is of Sanford, Hsu, Telgarsky 2024 (arXiv 2402.09268); Batcher 1968 (bitonic sort).)";
  info.rounds_formula = "l (l + 1) / 2 + 5 + ceil(log2 k), l = ceil(log2 ceil(N / b))";
  info.kappa_s = 2;
  info.uses_more_machines = false;
  info.options = {{"k", "2", "number of hops, an integer of at least 1; more than N is allowed"},
                  {"bits", "10", "bits of an input word, signed: 2 .. 32"}};
  info.make = [](const Parameters& parameters) {
    Parameters with = parameters;
    with.options.try_emplace("bits", "10");
    return std::make_unique<KHopProgram>(with);
  };
  return info;
}

}  // namespace roundtrip::mpc
