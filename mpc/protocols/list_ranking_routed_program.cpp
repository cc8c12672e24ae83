#include <algorithm>
#include <bit>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/program/program.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kBlocks = 5;  // two numbers of an element are kept, and three sent and received

Sizes routed_sizes(const Parameters& parameters) {
  constexpr std::uint64_t kMostBlock = 1024;  // of which each is compared with all keys of the block
  const auto block_of = [&](const Sizes& sizes) {
    return std::bit_floor(std::min(sizes.block_words, parameters.n));
  };
  Sizes sizes = choose_sizes(parameters, kBlocks, [&](const Sizes& chosen) {
    return chosen.memory_words >= kBlocks * block_of(chosen);
  });
  sizes.block_words = block_of(sizes);
  require(sizes.memory_words >= kBlocks * sizes.block_words,
          "s is {}, allowed for list_ranking_routed_program is {} or more", sizes.memory_words,
          kBlocks * sizes.block_words);
  require(
      sizes.block_words <= kMostBlock,
      "N is {}, allowed for list_ranking_routed_program is what has blocks of at most {} words; here b is {}",
      parameters.n, kMostBlock, sizes.block_words);
  return sizes;
}

Shape routed_shape(const Parameters& parameters) {
  require(parameters.n <= std::uint64_t{1} << 20,
          "N is {}, allowed for list_ranking_routed_program is 1 to 2^20", parameters.n);
  Shape shape = declare_shape(parameters, routed_sizes(parameters), parameters.n, 1);
  shape.input_bits = static_cast<std::uint32_t>(std::bit_width(parameters.n)) + 1;
  shape.word_bits = shape.input_bits;
  return shape;
}

// As list_ranking_program, with b elements a machine. A word says for which place of its machine it is and what it tells,
// together its key, and the number.
class ListRankingRoutedProgram final : public Program {
 public:
  explicit ListRankingRoutedProgram(const Parameters& parameters)
      : Program(routed_shape(parameters)),
        b_(static_cast<std::uint32_t>(shape().block_words)),
        most_(static_cast<std::int64_t>(shape().n)) {
    const std::uint64_t n = shape().n;
    const std::int64_t half = std::int64_t{1} << (shape().input_bits - 1);
    std::vector<Affine> next(b_), rank(b_), previous(b_);
    std::vector<Addressed> records;
    const Affine first = tape().table([b = b_](MachineId m) { return std::int64_t{m} * b; });
    for (std::uint32_t i = 0; i < b_; ++i) {
      next[i] = tape().clamp(received(i) - (half - 1), most_);
      rank[i] = tape().step(next[i]);
      records.push_back(to(next[i], kPrevious, first + (i + 1)));
      keep(next[i], most_), keep(rank[i], most_);
    }
    send_routed("link", records, b_);
    std::vector<Affine> found = placed(b_);
    for (std::uint32_t i = 0; i < b_; ++i)
      next[i] = kept(2 * i), rank[i] = kept(2 * i + 1), previous[i] = found[i * kKinds + kPrevious];
    for (std::uint32_t doubling = 0; doubling < ceil_log(2, n); ++doubling) {
      records.clear();
      for (std::uint32_t i = 0; i < b_; ++i) {
        records.push_back(to(previous[i], kNext, next[i]));
        records.push_back(to(previous[i], kRank, rank[i]));
        records.push_back(to(next[i], kPrevious, previous[i]));
        keep(rank[i], most_);
      }
      send_routed("double", records, kKinds * b_);
      found = placed(kKinds * b_);
      for (std::uint32_t i = 0; i < b_; ++i) {
        rank[i] =
            tape().clamp(kept(i) + found[i * kKinds + kRank], most_);  // on a cycle there is no end to it
        next[i] = found[i * kKinds + kNext], previous[i] = found[i * kKinds + kPrevious];
      }
    }
    std::vector<Value> words;
    for (std::uint32_t i = 0; i < b_; ++i)
      words.push_back({tape().gate(rank[i] + 1, 1 - tape().step(next[i]), most_ + 1), most_ + 1});
    deliver(
        words,
        [n, b = b_](MachineId m) {
          const std::uint64_t from = std::uint64_t{m} * b;
          return static_cast<std::uint32_t>(from < n ? std::min<std::uint64_t>(b, n - from) : 0);
        },
        [b = b_](MachineId m, std::uint32_t i) { return m * b + i; });
  }

 private:
  enum Kind : std::uint32_t { kNext, kRank, kPrevious, kKinds };

  /// A number for an element, which is given plus 1; 0 is nobody.
  Addressed to(const Affine& element, Kind kind, const Affine& number) {
    const Affine machine = tape().floor_shift(element - 1, static_cast<std::uint32_t>(std::countr_zero(b_)));
    const Affine place = tape().relu(element - 1) - std::int64_t{b_} * machine;
    const Affine key = std::int64_t{kKinds} * place + (kind + 1);
    const auto machines = static_cast<std::int64_t>(shape().machines);
    return {{tape().gate(machine + 1, tape().step(element), machines), machines},
            {{width() * key + number, width() * (std::int64_t{kKinds} * b_ + 1) - 1}}};
  }
  /// The numbers that came, place by place and kind by kind.
  std::vector<Affine> placed(std::uint32_t slots) {
    std::vector<Affine> came;
    for (std::uint32_t slot = 0; slot < slots; ++slot) came.push_back(received(slot));
    return tape().placed(came, kKinds * b_, width());
  }
  std::int64_t width() const {
    return static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(most_) + 1));
  }

  std::uint32_t b_;
  std::int64_t most_;
};

}  // namespace

ProtocolInfo list_ranking_routed_program_protocol() {
  ProtocolInfo info = list_ranking_protocol();
  info.program = info.name = "list_ranking_routed_program";
  info.summary = "as list_ranking_program, with b elements a machine and routed words";
  info.card = R"(Problem: as list_ranking's.
Guarantee: exact and deterministic. Two elements followed by the same one end the round that they meet in, or the limit of
their machine does.
Cost: R = ceil(log2 N) + 2 rounds; at most 5 b words sent and received by a machine, s = kappa_s b, kappa_s = 5, b a power of
two; q = ceil(N / b). Its steps are a tape, and its words routed: a machine may get any, so that a round is two layers.
Source: Wyllie 1979 (pointer jumping), pushed along inverse pointers.)";
  info.kappa_s = kBlocks;
  info.make = [](const Parameters& parameters) {
    return std::make_unique<ListRankingRoutedProgram>(parameters);
  };
  return info;
}

}  // namespace roundtrip::mpc
