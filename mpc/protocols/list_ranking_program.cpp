#include <bit>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/program/program.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kMemory = 4;  // what is kept, and three addressed words

Shape list_shape(const Parameters& parameters) {
  require(parameters.n >= 1 && parameters.n <= std::uint64_t{1} << 24,
          "N is {}, allowed for list_ranking_program is 1 to 2^24", parameters.n);
  const std::uint64_t memory = parameters.memory_words.value_or(kMemory);
  require(memory >= kMemory, "s is {}, allowed for list_ranking_program is {} or more", memory, kMemory);
  Shape shape = declare_shape(
      parameters, {.kappa_s = memory, .block_words = 1, .memory_words = memory, .kappa_raised = false},
      parameters.n, 1);
  shape.input_bits = static_cast<std::uint32_t>(std::bit_width(parameters.n)) + 1;
  shape.word_bits = shape.input_bits;
  return shape;
}

// A machine holds one element i, and of it: the element after and the one before as their numbers plus 1, 0 if there is
// none, and its rank so far, how many elements are passed on the way to `next`.
class ListRankingProgram final : public Program {
 public:
  explicit ListRankingProgram(const Parameters& parameters) : Program(list_shape(parameters)) {
    const auto n = static_cast<std::int64_t>(shape().n);
    Affine next = tape().clamp(received(0) - ((std::int64_t{1} << (shape().input_bits - 1)) - 1), n);
    Affine rank = tape().step(next);
    keep(next, n);
    keep(rank, n);
    const Affine self = tape().table([](MachineId machine) { return std::int64_t{machine} + 1; });
    send_addressed("link", {{{next, n}, {{self, n}}}});
    next = kept(0), rank = kept(1);
    Affine previous = received(0);
    for (std::uint32_t doubling = 0; doubling < ceil_log(2, shape().n); ++doubling) {
      keep(rank, n);
      send_addressed("double", {{{previous, n}, {{next, n}, {rank, n}}}, {{next, n}, {{previous, n}}}});
      rank = tape().clamp(kept(0) + received(1), n);  // on a cycle there is no end to it
      next = received(0), previous = received(2);
    }
    deliver(
        {{tape().gate(rank + 1, 1 - tape().step(next), n + 1), n + 1}},
        [n](MachineId m) { return m < n ? 1u : 0u; },
        [](MachineId machine, std::uint32_t) { return machine; });
  }
};

}  // namespace

std::uint32_t list_ranking_program_rounds(const Parameters& parameters) {
  return 2 + ceil_log(2, parameters.n);
}

ProtocolInfo list_ranking_program_protocol() {
  ProtocolInfo info = list_ranking_protocol();
  info.name = "list_ranking_program";
  info.program = info.name;
  info.summary = "for every element of linked lists, how many come after it, one element a machine";
  info.card = R"(Problem: as list_ranking's.
Guarantee: exact and deterministic. Two elements followed by the same one end the round that they meet in.
Cost: R = ceil(log2 N) + 2 rounds on q = N machines of b = 1 input word and s = 4 words each; eps is not used. Its steps
are a tape, and its words addressed: no machine is sent two of a kind.
Source: Wyllie 1979 (pointer jumping), pushed along inverse pointers.)";
  info.kappa_s = kMemory;
  info.make = [](const Parameters& parameters) { return std::make_unique<ListRankingProgram>(parameters); };
  return info;
}

}  // namespace roundtrip::mpc
