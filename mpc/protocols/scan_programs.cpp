#include <algorithm>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/program_input.h"
#include "roundtrip/mpc/protocols/tree_program.h"
#include "roundtrip/mpc/stages/composition.h"

// Reduce, broadcast, prefix scan and segmented scan as programs.
namespace roundtrip::mpc {
namespace {

/// sum, min or max of words as they are stored, x + h, h = 2^(p_in - 1). 0 stands for nothing: min goes by what words lack
/// to the largest one.
struct Fold {
  enum class Kind : std::uint8_t { kSum, kMin, kMax } kind;
  std::int64_t largest, half;

  Fold(const Parameters& parameters, const Shape& shape)
      : kind(Kind::kSum), largest(largest_input(shape)), half((largest + 1) / 2) {
    const auto given = parameters.options.find("op");
    const std::string op = given == parameters.options.end() ? "sum" : given->second;
    require(op == "sum" || op == "min" || op == "max", "op is {}, allowed is sum, min or max", quote(op));
    if (op != "sum") kind = op == "min" ? Kind::kMin : Kind::kMax;
  }
  /// Of a word, or of none where the bit `missing` is 1.
  Affine enter(Tape& tape, const Affine& word, const Affine& missing) const {
    return kind == Kind::kMin ? tape.relu(largest - word - largest * missing) : word;
  }
  Affine both(Tape& tape, const Affine& a, const Affine& b) const {
    return kind == Kind::kSum ? a + b : tape.max(a, b);
  }
  /// As the sum of `count` stored numbers would be stored, so that outputs of all kinds are read alike.
  Affine leave(const Affine& x, const Affine& count) const {
    if (kind == Kind::kSum) return x;
    return (kind == Kind::kMin ? largest - x : x) + half * (count - 1);
  }
  std::int64_t most(const Shape& shape) const {
    return kind == Kind::kSum ? static_cast<std::int64_t>(shape.n) * largest : largest;
  }
  std::int64_t most_output(const Shape& shape) const {
    return static_cast<std::int64_t>(shape.n) * largest + largest;
  }
};

Sizes scan_sizes(const Parameters& parameters, std::uint64_t kappa, std::uint64_t blocks,
                 std::uint64_t width) {
  return choose_sizes(parameters, kappa, [&](const Sizes& sizes) {
    const std::uint64_t machines = ceil_div(parameters.n, sizes.block_words);
    return machines == 1 || widest_fan(sizes.memory_words, blocks * sizes.block_words, width, machines) >= 2;
  });
}

std::uint32_t fan_of(const Shape& shape, std::uint64_t blocks, std::uint64_t width) {
  return std::max(widest_fan(shape.memory_words, blocks * shape.block_words, width, shape.input_machines()),
                  2u);
}

constexpr std::uint32_t kSummands = 32;  // most words that a running sum is written out of
constexpr std::uint64_t kReduceKappa = 2, kScanKappa = 4;

class ReduceProgram final : public TreeProgram {
 public:
  explicit ReduceProgram(const Parameters& parameters)
      : TreeProgram(program_shape(parameters, scan_sizes(parameters, kReduceKappa, 0, 1), 1)) {
    const Fold fold(parameters, shape());
    Element element{fold.enter(tape(), received(0), missing(0))};
    for (std::uint32_t i = 1; i < shape().block_words; ++i)
      element[0] = fold.both(tape(), element[0], fold.enter(tape(), received(i), missing(i)));
    const std::uint32_t fan = fan_of(shape(), 0, 1);
    for (std::uint32_t level = 1; level <= ceil_log(fan, machines()); ++level) {
      const std::vector<Element> below = up(element, {fold.most(shape())}, fan, level);
      element = below[0];
      for (std::size_t c = 1; c < below.size(); ++c) element[0] = fold.both(tape(), element[0], below[c][0]);
    }
    deliver(
        {{fold.leave(element[0], static_cast<std::int64_t>(shape().n)), fold.most_output(shape())}},
        [](MachineId m) { return m == 0 ? 1u : 0u; }, [](MachineId, std::uint32_t) { return 0u; });
  }
};

class BroadcastProgram final : public TreeProgram {
 public:
  explicit BroadcastProgram(const Parameters& parameters)
      : TreeProgram(program_shape(parameters, scan_sizes(parameters, kReduceKappa, 0, 1), parameters.n)) {
    const std::uint32_t fan = fan_of(shape(), 0, 1), b = static_cast<std::uint32_t>(shape().block_words);
    const std::uint64_t n = shape().n;
    Element word{received(0)};
    for (std::uint32_t level = ceil_log(fan, machines()); level >= 1; --level) {
      const auto below = static_cast<std::uint32_t>(
          std::min<std::uint64_t>(fan, ceil_div(machines(), power(fan, level - 1))));
      word = down(std::vector<Element>(below, word), {largest_input(shape())}, fan, level);
    }
    deliver(
        std::vector<Value>(b, {word[0], largest_input(shape())}),
        [=](MachineId m) {
          return static_cast<std::uint32_t>(m * std::uint64_t{b} < n ? std::min<std::uint64_t>(b, n - m * b)
                                                                     : 0);
        },
        [=](MachineId m, std::uint32_t i) { return m * b + i; });
  }
};

class PrefixScanProgram final : public TreeProgram {
 public:
  explicit PrefixScanProgram(const Parameters& parameters)
      : TreeProgram(program_shape(parameters, scan_sizes(parameters, kScanKappa, 1, 1), parameters.n)) {
    const Fold fold(parameters, shape());
    const std::uint32_t b = static_cast<std::uint32_t>(shape().block_words);
    const std::uint64_t n = shape().n;
    std::vector<Affine> block;
    Element element{0};
    for (std::uint32_t i = 0; i < b; ++i) {
      block.push_back(fold.enter(tape(), received(i), missing(i)));
      element[0] = i == 0 ? block[0] : fold.both(tape(), element[0], block[i]);
    }
    const auto combine = [&](const Element& left, const Element& right) {
      return Element{fold.both(tape(), left[0], right[0])};
    };
    auto [before, own] =
        scan_way(parameters) == "doubling"
            ? doubling(element, fold.most(shape()), block, fold.largest, combine)
            : scan(element, {fold.most(shape())}, block, fold.largest, fan_of(shape(), 1, 1), combine);
    std::vector<Value> words;
    const Affine first = tape().table([b](MachineId m) { return std::int64_t{m} * b; });
    Affine so_far = before[0];
    for (std::uint32_t i = 0; i < b; ++i) {
      so_far = fold.both(tape(), so_far, own[i]);
      if (i % kSummands == kSummands - 1)
        so_far = tape().relu(so_far);  // a wire of its own, for those behind it
      words.push_back({fold.leave(so_far, first + (i + 1)), fold.most_output(shape())});
    }
    deliver(
        words,
        [=](MachineId m) {
          return static_cast<std::uint32_t>(m * std::uint64_t{b} < n ? std::min<std::uint64_t>(b, n - m * b)
                                                                     : 0);
        },
        [=](MachineId m, std::uint32_t i) { return m * b + i; });
  }

  static std::string scan_way(const Parameters& parameters) {
    const auto given = parameters.options.find("way");
    const std::string way = given == parameters.options.end() ? "tree" : given->second;
    require(way == "tree" || way == "doubling", "way is {}, allowed is tree or doubling", quote(way));
    return way;
  }

 private:
  /// The same as scan() by Hillis and Steele 1986: in round t every machine sends what it has to the machine 2^t behind it.
  /// The distance is in the row, so that all rounds are the same: their weights are one block. ceil(log2 q) + 1 rounds.
  Scanned doubling(Element element, std::int64_t most, std::vector<Affine> stay, std::int64_t stay_limit,
                   const Combine& combine) {
    const std::int64_t q = machines();
    if (q == 1) return {{0}, std::move(stay)};
    Affine distance = 1;
    const auto stays = static_cast<std::uint32_t>(stay.size());
    for (std::uint32_t round = 0; round <= ceil_log(2, machines()); ++round) {
      const bool last =
          round == ceil_log(2, machines());  // what is before: what the machine before has, all told
      const Affine self = tape().table([](MachineId m) { return std::int64_t{m}; });
      const Affine to = self + (last ? Affine(1) : distance);
      const Affine address = tape().gate(to + 1, 1 - tape().step(to - (q - 1)), 2 * q);
      for (const Affine& word : stay) keep(word, stay_limit);
      if (!last) keep(element[0], most), keep(2 * distance, 2 * q);
      send_addressed(last ? "to the next" : "double", {{{address, q}, {{element[0], most}}}});
      for (std::uint32_t i = 0; i < stays; ++i) stay[i] = kept(i);
      if (last) return {{received(0)}, std::move(stay)};
      element = combine({received(0)}, {kept(stays)});
      distance = kept(stays + 1);
    }
    return {};
  }
};

/// Items in a row: a flag that is not 0 starts a segment, a value adds to it. An element is whether a segment has started,
/// what is in it so far and, of sums, how many numbers: what their halves add up to is taken off in the end.
class SegmentedScanProgram final : public TreeProgram {
 public:
  static Sizes sizes_of(const Parameters& parameters) {
    require(parameters.n % 2 == 0,
            "N is {}, allowed for segmented_scan_program is an even number: pairs of a flag and a word",
            parameters.n);
    const auto even = [&](Sizes sizes) {  // no pair on two machines
      if (sizes.block_words % 2 == 0) return sizes;
      if (parameters.memory_words) {
        --sizes.block_words;
      } else {
        sizes.memory_words = sizes.kappa_s * ++sizes.block_words;
      }
      return sizes;
    };
    return even(choose_sizes(parameters, kScanKappa, [&](const Sizes& chosen) {
      const Sizes sizes = even(chosen);
      if (sizes.block_words == 0) return false;
      const std::uint64_t machines = ceil_div(parameters.n, sizes.block_words);
      return machines == 1 || widest_fan(sizes.memory_words, sizes.block_words, 3, machines) >= 2;
    }));
  }
  explicit SegmentedScanProgram(const Parameters& parameters)
      : TreeProgram(program_shape(parameters, sizes_of(parameters), parameters.n / 2)),
        fold_(parameters, shape()) {
    const std::uint32_t pairs = static_cast<std::uint32_t>(shape().block_words) / 2;
    const std::uint64_t n = shape().n;
    const std::vector<std::int64_t> limits{1, fold_.most(shape()), static_cast<std::int64_t>(n)};
    std::vector<Affine> items;  // flag, value, flag, value, ..
    Element element(3);
    for (std::uint32_t i = 0; i < pairs; ++i) {
      const Affine flag = received(2 * i), none = missing(2 * i);
      items.push_back(tape().step(flag - fold_.half - fold_.largest * none) +
                      tape().step(fold_.half - flag - fold_.largest * none));
      items.push_back(fold_.enter(tape(), received(2 * i + 1), none));
      element = then(element, {items[2 * i], items[2 * i + 1], 1 - none});
    }
    auto [before, own] =
        scan(element, limits, items, fold_.largest, fan_of(shape(), 1, 3),
             [this](const Element& left, const Element& right) { return then(left, right); });
    std::vector<Value> words;
    const Affine first = tape().table([pairs](MachineId m) { return std::int64_t{m} * pairs; });
    for (std::uint32_t i = 0; i < pairs; ++i) {
      before = then(before, {own[2 * i], own[2 * i + 1], 1});
      const Affine index = first + (i + 1);
      words.push_back({fold_.kind == Fold::Kind::kSum ? before[1] + fold_.half * (index - before[2])
                                                      : fold_.leave(before[1], index),
                       fold_.most_output(shape())});
    }
    deliver(
        words,
        [=](MachineId m) {
          const std::uint64_t from = std::uint64_t{m} * pairs;
          return static_cast<std::uint32_t>(from < n / 2 ? std::min<std::uint64_t>(pairs, n / 2 - from) : 0);
        },
        [=](MachineId m, std::uint32_t i) { return m * pairs + i; });
  }

 private:
  Element then(const Element& left, const Element& right) {
    const Affine on = 1 - right[0];
    return {tape().step(left[0] + right[0]),
            fold_.both(tape(), tape().gate(left[1], on, fold_.most(shape())), right[1]),
            tape().gate(left[2], on, static_cast<std::int64_t>(shape().n)) + right[2]};
  }
  Fold fold_;
};

OptionInfo operation_option() {
  return {"op", "sum", "the operation: sum, min or max"};
}

/// Outputs are sums of index + 1 stored numbers, or as if they were; of one that is all there is, of N.
std::optional<std::int64_t> decode_sum(const Protocol& protocol, std::uint64_t count, Word word) {
  return static_cast<std::int64_t>(word) -
         static_cast<std::int64_t>(count << (protocol.shape().input_bits - 1));
}

/// A program in the place of a protocol of the library, for the same task.
template <typename P>
ProtocolInfo program_of(ProtocolInfo info, const std::string& cost, std::uint64_t kappa) {
  info.program = info.name += "_program";
  info.summary += ", as a program of the step language";
  const std::size_t problem = info.card.find("Guarantee:");
  info.card =
      info.card.substr(0, problem) +
      "Guarantee: exact and deterministic. Its steps are a tape, which compiles to explicit weights.\nCost: " +
      cost + info.card.substr(info.card.find("\nSource:"));
  for (std::size_t at = 0; (at = info.card.find("48 bits", at)) != std::string::npos;)
    info.card.replace(at, 7, "p_in bits");
  info.kappa_s = kappa;
  std::erase_if(info.options, [](const OptionInfo& option) { return option.name == "op"; });
  info.options.push_back(bits_option());
  info.make = [](const Parameters& parameters) { return std::make_unique<P>(parameters); };
  return info;
}

}  // namespace

std::uint32_t reduce_program_rounds(const Parameters& parameters) {
  const Sizes sizes = scan_sizes(parameters, kReduceKappa, 0, 1);
  const std::uint64_t q = ceil_div(parameters.n, sizes.block_words);
  return ceil_log(std::max(widest_fan(sizes.memory_words, 0, 1, q), 2u), q) + 1;
}
std::uint32_t prefix_scan_program_rounds(const Parameters& parameters) {
  const Sizes sizes = scan_sizes(parameters, kScanKappa, 1, 1);
  const std::uint64_t q = ceil_div(parameters.n, sizes.block_words);
  if (PrefixScanProgram::scan_way(parameters) == "doubling") return q == 1 ? 1 : ceil_log(2, q) + 2;
  return 2 * ceil_log(std::max(widest_fan(sizes.memory_words, sizes.block_words, 1, q), 2u), q) + 1;
}
std::uint32_t segmented_scan_program_rounds(const Parameters& parameters) {
  const Sizes sizes = SegmentedScanProgram::sizes_of(parameters);
  const std::uint64_t q = ceil_div(parameters.n, sizes.block_words);
  return 2 * ceil_log(std::max(widest_fan(sizes.memory_words, sizes.block_words, 3, q), 2u), q) + 1;
}

ProtocolInfo reduce_program_protocol() {
  ProtocolInfo info = program_of<ReduceProgram>(
      reduce_protocol(),
      "R = ceil(log_f ceil(N / b)) + 1 rounds, f the widest fan-in with (d + 1) f <= s; s = kappa_s b, kappa_s = 2.",
      kReduceKappa);
  info.rounds_formula = "ceil(log_f ceil(N / b)) + 1";
  info.options.push_back(operation_option());
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) {
    return decode_sum(protocol, protocol.shape().n, word);
  };
  return info;
}

ProtocolInfo broadcast_program_protocol() {
  ProtocolInfo info = program_of<BroadcastProgram>(
      broadcast_protocol(),
      "R = ceil(log_f ceil(N / b)) + 1 rounds, f the widest fan-out with (d + 1) f <= s; s = kappa_s b, kappa_s = 2.",
      kReduceKappa);
  info.rounds_formula = "ceil(log_f ceil(N / b)) + 1";
  return info;
}

ProtocolInfo prefix_scan_program_protocol() {
  ProtocolInfo info = program_of<PrefixScanProgram>(
      prefix_scan_protocol(),
      "R = 2 ceil(log_f ceil(N / b)) + 1 rounds, f the widest fan-in with b + (d + 1) f <= s; s = kappa_s b,\nkappa_s = 4. By doubling, R = ceil(log2 ceil(N / b)) + 2, all but three of them alike.",
      kScanKappa);
  info.rounds_formula = "2 ceil(log_f ceil(N / b)) + 1";
  info.options.push_back(operation_option());
  info.options.push_back(
      {"way", "tree", "up and down a tree, or doubling: ceil(log2 q) rounds of the same weights"});
  info.decode = [](const Protocol& protocol, std::uint64_t index, Word word) {
    return decode_sum(protocol, index + 1, word);
  };
  return info;
}

ProtocolInfo segmented_scan_program_protocol() {
  ProtocolInfo info = program_of<SegmentedScanProgram>(
      segmented_scan_protocol(),
      "R = 2 ceil(log_f ceil(N / b)) + 1 rounds, b even, f the widest fan-in with b + 3 (d + 1) f <= s; s = kappa_s b,\nkappa_s = 4, raised to the least that has a plan.",
      kScanKappa);
  info.rounds_formula = "2 ceil(log_f ceil(N / b)) + 1";
  info.options.push_back(operation_option());
  info.decode = [](const Protocol& protocol, std::uint64_t index, Word word) {
    return decode_sum(protocol, index + 1, word);
  };
  return info;
}

}  // namespace roundtrip::mpc
