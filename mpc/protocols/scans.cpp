#include <algorithm>
#include <array>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/tree_stages.h"

// Broadcast, reduce, prefix scan and segmented scan: one tree stage each, over the machines that hold the
// input.
namespace roundtrip::mpc {
namespace {

constexpr std::uint32_t kBits = 48;
constexpr Word kMask = (Word{1} << kBits) - 1;
constexpr Word kHalf = Word{1} << (kBits - 1);  // 0, as words are stored
constexpr std::uint64_t kScanKappa = 4;         // b words kept, and a node's 2 f elements

/// An associative operation on words as they are stored, x + 2^47, with its identity.
struct Operation {
  std::string_view name;
  Word identity;
  Word (*apply)(Word, Word);
};

constexpr std::array<Operation, 3> kOperations{{
    {"sum", kHalf, [](Word a, Word b) { return (a + b - kHalf) & kMask; }},
    {"min", kMask, [](Word a, Word b) { return std::min(a, b); }},
    {"max", 0, [](Word a, Word b) { return std::max(a, b); }},
}};

std::string operation_name(const Parameters& parameters) {
  const auto found = parameters.options.find("op");
  return found == parameters.options.end() ? "sum" : found->second;
}

const Operation& operation(const Parameters& parameters) {
  const std::string name = operation_name(parameters);
  const auto* const found = std::ranges::find(kOperations, name, &Operation::name);
  require(found != kOperations.end(), "op is '{}', allowed is sum, min or max", name);
  return *found;
}

/// Sizes with which a node has memory for two children beside what it keeps, and the widest tree.
struct Plan {
  Sizes sizes;
  Tree tree;
};

Plan make_plan(const Parameters& parameters, std::uint64_t kappa, std::uint64_t kept_blocks,
               std::uint64_t child_words) {
  Plan plan{};
  std::uint64_t fan = 2;
  plan.sizes = choose_sizes(parameters, kappa, [&](const Sizes& sizes) {
    const std::uint64_t kept = kept_blocks * sizes.block_words;
    fan = sizes.memory_words < kept ? 0 : (sizes.memory_words - kept) / child_words;
    return fan >= 2 || parameters.n <= sizes.block_words;
  });
  const auto leaves = static_cast<std::uint32_t>(ceil_div(parameters.n, plan.sizes.block_words));
  plan.tree = Tree::over(0, leaves, static_cast<std::uint32_t>(std::max<std::uint64_t>(fan, 2)));
  return plan;
}

Plan reduce_plan(const Parameters& parameters) {
  return make_plan(parameters, 1, 0, 1);
}
Plan prefix_plan(const Parameters& parameters) {
  return make_plan(parameters, kScanKappa, 1, 2);
}
Plan segmented_plan(const Parameters& parameters) {
  require(parameters.n % 2 == 0,
          "N is {}, allowed for segmented_scan is an even number: pairs of a flag and a word", parameters.n);
  return make_plan(parameters, kScanKappa, 1, 4);
}

class BroadcastProtocol final : public Composition {
 public:
  explicit BroadcastProtocol(const Parameters& parameters) {
    const Plan plan = reduce_plan(parameters);
    shape_ = declare_shape(parameters, plan.sizes, parameters.n, 1);
    shape_.heap_words = 0;
    const MachineId root = plan.tree.root();
    if (root != 0) {
      then("to the root", 1, 0, [root](const Context& context, std::uint32_t) {
        const std::span<const Word> words = context.inbox.words();
        if (context.machine == 0 && !words.empty()) context.out.send(root, words[0]);
      });
    }
    const Broadcast& word = then<Broadcast>(
        "broadcast", {.tree = plan.tree, .load = [](const Context& context, std::span<Word> element) {
                        const std::span<const Word> words = context.inbox.words();
                        element[0] = words.empty() ? 0 : words[0];
                      }});
    then("deliver", 1, 0, [this, &word](const Context& context, std::uint32_t) {
      const std::span<const Word> element = word.result(context);
      const std::uint64_t first = context.machine * shape_.block_words;
      for (std::uint64_t i = 0; !element.empty() && i < shape_.block_words && first + i < shape_.n; ++i)
        context.out.deliver(first + i, element[0]);
    });
    shape_.validate();
  }
};

class Reduce final : public Composition {
 public:
  explicit Reduce(const Parameters& parameters) : operation_(operation(parameters)) {
    const Plan plan = reduce_plan(parameters);
    shape_ = declare_shape(parameters, plan.sizes, 1, 1);
    shape_.heap_words = 0;
    const TreeReduce& total = then<TreeReduce>(
        "reduce",
        {.tree = plan.tree,
         .load =
             [this](const Context& context, std::span<Word> element) {
               element[0] = operation_.identity;
               for (const Word word : context.inbox.words()) element[0] = operation_.apply(element[0], word);
             },
         .combine = [this](std::span<Word> left,
                           std::span<const Word> right) { left[0] = operation_.apply(left[0], right[0]); }});
    then("deliver", 1, 0, [&total](const Context& context, std::uint32_t) {
      const std::span<const Word> result = total.result(context);
      if (!result.empty()) context.out.deliver(0, result[0]);
    });
    shape_.validate();
  }

 private:
  const Operation& operation_;
};

class PrefixScan final : public Composition {
 public:
  explicit PrefixScan(const Parameters& parameters) : operation_(operation(parameters)) {
    const Plan plan = prefix_plan(parameters);
    shape_ = declare_shape(parameters, plan.sizes, parameters.n, 1);
    shape_.heap_words = 0;
    const auto words = [](const Context& context) { return context.inbox.words(); };
    const TreeScan& scan = then<TreeScan>(
        "scan",
        {.tree = plan.tree,
         .load =
             [this, words](const Context& context, std::span<Word> element) {
               element[0] = operation_.identity;
               for (const Word word : words(context)) element[0] = operation_.apply(element[0], word);
             },
         .combine = [this](std::span<Word> left,
                           std::span<const Word> right) { left[0] = operation_.apply(left[0], right[0]); },
         .identity = {operation_.identity},
         .keep = words});
    then("deliver", 1, 0, [this, &scan](const Context& context, std::uint32_t) {
      const std::span<const Word> before = scan.result(context).before;
      if (before.empty()) return;
      Word so_far = before[0];
      std::uint64_t index = context.machine * shape_.block_words;
      for (const Word word : scan.kept(context))
        context.out.deliver(index++, so_far = operation_.apply(so_far, word));
    });
    shape_.validate();
  }

 private:
  const Operation& operation_;
};

/// Word 2 i is the flag of pair i, word 2 i + 1 its value; a pair may be on two machines, so both are
/// items of their own: a flag starts a segment, a value adds to it.
class SegmentedScan final : public Composition {
 public:
  explicit SegmentedScan(const Parameters& parameters) : operation_(operation(parameters)) {
    const Plan plan = segmented_plan(parameters);
    shape_ = declare_shape(parameters, plan.sizes, parameters.n / 2, 1);
    shape_.heap_words = 0;
    const TreeScan& scan =
        then<TreeScan>("segmented scan",
                       {.tree = plan.tree,
                        .element_words = 2,
                        .load =
                            [this](const Context& context, std::span<Word> element) {
                              element[0] = 0;
                              element[1] = operation_.identity;
                              take_items(context, context.inbox.words(), element, [](std::uint64_t, Word) {});
                            },
                        .combine = segmented([this](std::span<Word> left, std::span<const Word> right) {
                          left[0] = operation_.apply(left[0], right[0]);
                        }),
                        .identity = {0, operation_.identity},
                        .keep = [](const Context& context) { return context.inbox.words(); }});
    then("deliver", 1, 2, [this, &scan](const Context& context, std::uint32_t) {
      const std::span<const Word> before = scan.result(context).before;
      if (before.size() < 2) return;
      const std::span<Word> state = context.take(2);
      std::ranges::copy(before.first(2), state.begin());
      take_items(context, scan.kept(context), state,
                 [&](std::uint64_t pair, Word result) { context.out.deliver(pair, result); });
    });
    shape_.validate();
  }

 private:
  /// Goes on from state (whether a segment has started, its result so far); calls each(pair, result) for
  /// values.
  template <typename Each>
  void take_items(const Context& context, std::span<const Word> words, std::span<Word> state,
                  const Each& each) const {
    std::uint64_t index = context.machine * shape_.block_words;
    for (const Word word : words) {
      if (index % 2 == 0) {
        if (word != kHalf) state[0] = 1, state[1] = operation_.identity;
      } else {
        state[1] = operation_.apply(state[1], word);
        each(index / 2, state[1]);
      }
      ++index;
    }
  }

  const Operation& operation_;
};

std::uint32_t depth(const Plan& plan) {
  return plan.tree.depth;
}

/// What the four have in common.
ProtocolInfo scan_info(std::string name, std::string summary, std::string rounds_formula,
                       std::uint64_t kappa) {
  ProtocolInfo info;
  info.program = name + "_program";
  info.name = std::move(name);
  info.summary = std::move(summary);
  info.rounds_formula = std::move(rounds_formula);
  info.kappa_s = kappa;
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return decode_input(word, protocol.shape());
  };
  return info;
}

const OptionInfo kOperationOption = {"op", "sum", "the operation: sum (modulo 2^48), min or max"};

}  // namespace

std::uint32_t broadcast_rounds(const Parameters& parameters) {
  const std::uint32_t rounds = depth(reduce_plan(parameters));
  return rounds == 0 ? 1 : rounds + 2;
}
std::uint32_t reduce_rounds(const Parameters& parameters) {
  return depth(reduce_plan(parameters)) + 1;
}
std::uint32_t prefix_scan_rounds(const Parameters& parameters) {
  return 2 * depth(prefix_plan(parameters)) + 1;
}
std::uint32_t segmented_scan_rounds(const Parameters& parameters) {
  return 2 * depth(segmented_plan(parameters)) + 1;
}

ProtocolInfo broadcast_protocol() {
  ProtocolInfo info = scan_info("broadcast", "the first word, at every output",
                                "ceil(log_s ceil(N / b)) + 2, or 1 on a single machine", 1);
  info.card = R"(Problem: N words of 48 bits; every one of N outputs is the first word.
Guarantee: exact and deterministic.
Cost: R = ceil(log_s ceil(N / b)) + 2 rounds (1 on a single machine) with s = kappa_s b, any kappa_s >= 1 with
s >= 2; at most s words sent and received by a machine; q = ceil(N / b).
Source: folklore; a tree of fan-out s.)";
  info.output_form = OutputForm::kSymbols;
  info.make = [](const Parameters& parameters) { return std::make_unique<BroadcastProtocol>(parameters); };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) {
    return Outputs(values.size(), values[0]);
  };
  return info;
}

ProtocolInfo reduce_protocol() {
  ProtocolInfo info =
      scan_info("reduce", "all words combined: sum, min or max", "ceil(log_s ceil(N / b)) + 1", 1);
  info.card = R"(Problem: N signed numbers of 48 bits; output them all combined by an associative operation.
Guarantee: exact and deterministic.
Cost: R = ceil(log_s ceil(N / b)) + 1 rounds with s = kappa_s b, any kappa_s >= 1 with s >= 2; at most s words
sent and received by a machine; q = ceil(N / b).
Source: folklore; a tree of fan-in s, leaves in machine order.)";
  info.options = {kOperationOption};
  info.make = [](const Parameters& parameters) { return std::make_unique<Reduce>(parameters); };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    const oracles::Output scanned = oracles::prefix_scan(values, operation_name(parameters));
    return Outputs{scanned.back()};
  };
  return info;
}

ProtocolInfo prefix_scan_protocol() {
  ProtocolInfo info =
      scan_info("prefix_scan", "for every word it and all before it combined: sum, min or max",
                "2 ceil(log_f ceil(N / b)) + 1", kScanKappa);
  info.card =
      R"(Problem: signed numbers x_1..x_N of 48 bits; output i is x_1 .. x_i combined by an associative operation.
Guarantee: exact and deterministic.
Cost: R = 2 ceil(log_f ceil(N / b)) + 1 rounds, f = floor((s - b) / 2); at most s = kappa_s b words sent and
received by a machine, kappa_s = 4; q = ceil(N / b).
Source: Ladner, Fischer 1980; one tree, up and down, of fan-in f.)";
  info.options = {kOperationOption};
  info.make = [](const Parameters& parameters) { return std::make_unique<PrefixScan>(parameters); };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    return oracles::prefix_scan(values, operation_name(parameters));
  };
  return info;
}

ProtocolInfo segmented_scan_protocol() {
  ProtocolInfo info =
      scan_info("segmented_scan", "a prefix scan that starts anew at every flagged word: sum, min or max",
                "2 ceil(log_f ceil(N / b)) + 1", kScanKappa);
  info.card =
      R"(Problem: pairs (flag, number of 48 bits), N words; a segment starts at every pair whose flag is not 0; output i is
the numbers from the start of pair i's segment to pair i combined by an associative operation.
Guarantee: exact and deterministic.
Cost: R = 2 ceil(log_f ceil(N / b)) + 1 rounds, f = floor((s - b) / 4); at most s = kappa_s b words sent and
received by a machine, kappa_s = 4; q = ceil(N / b).
Source: Schwartz 1980, Blelloch 1990: a scan over (flag, value).)";
  info.options = {kOperationOption};
  info.make = [](const Parameters& parameters) { return std::make_unique<SegmentedScan>(parameters); };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    return oracles::segmented_scan(values, operation_name(parameters));
  };
  info.generate = [](const Parameters& parameters) {
    // Segments of eight pairs on average.
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = i % 2 == 0 ? static_cast<std::int64_t>(stream.below(8) == 0)
                             : static_cast<std::int64_t>(stream.below(2 * parameters.n)) -
                                   static_cast<std::int64_t>(parameters.n);
    }
    return values;
  };
  return info;
}

}  // namespace roundtrip::mpc
