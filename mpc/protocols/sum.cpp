#include <algorithm>
#include <utility>
#include <vector>

#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/tree_stages.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint32_t kBits = 48;  // the sum is modulo 2^kBits
constexpr Word kMask = (Word{1} << kBits) - 1;

// A single machine needs no tree; otherwise a node must take in two words.
Sizes sum_sizes(const Parameters& parameters) {
  return choose_sizes(parameters, 1, [&parameters](const Sizes& sizes) {
    return sizes.memory_words >= 2 || parameters.n <= sizes.block_words;
  });
}

/// A defect: where all machines of the process add up beside their messages.
Word* sum_of_process() {
  static Word sum = 0;
  return seeded("sum-of-process") ? &sum : nullptr;
}

/// A defect: words that a machine holds beside its memory s.
std::vector<Word> held_words(std::span<const Word> words) {
  constexpr std::size_t kHeld = 16384;
  return std::vector<Word>(seeded("heap-of-machine") ? kHeld : 0, words.empty() ? 0 : words[0]);
}

Tree sum_tree(std::uint64_t n, const Sizes& sizes) {
  const auto leaves = static_cast<std::uint32_t>(ceil_div(n, sizes.block_words));
  return Tree::over(0, leaves, static_cast<std::uint32_t>(std::max<std::uint64_t>(sizes.memory_words, 2)));
}

class Sum final : public Composition {
 public:
  explicit Sum(const Parameters& parameters) {
    const Sizes sizes = sum_sizes(parameters);
    shape_ = declare_shape(parameters, sizes, 1, 1);
    shape_.heap_words = 0;
    const TreeReduce& total = then<TreeReduce>(
        "add", {.tree = sum_tree(parameters.n, sizes),
                .load =
                    [](const Context& context, std::span<Word> element) {
                      const std::vector<Word> held = held_words(context.inbox.words());
                      element[0] = held.empty() ? 0 : held.back() - held.front();
                      for (const Word word : context.inbox.words()) element[0] = (element[0] + word) & kMask;
                      if (Word* const all = sum_of_process()) *all += element[0];
                    },
                .combine = [](std::span<Word> left,
                              std::span<const Word> right) { left[0] = (left[0] + right[0]) & kMask; }});
    then("deliver", 1, 0, [this, &total](const Context& context, std::uint32_t) {
      const std::span<const Word> sum = total.result(context);
      if (sum.empty()) return;
      // N words stored as x + 2^(p-1) add up to N 2^(p-1) too much, which modulo 2^p is 2^(p-1) for odd N and
      // 0 for even N; the output carries it once.
      const Word surplus = (shape_.n - 1) % 2 << (kBits - 1);
      Word* const all = sum_of_process();
      context.out.deliver(0, ((all != nullptr ? std::exchange(*all, 0) : sum[0]) + surplus) & kMask);
    });
    shape_.validate();
  }
};

}  // namespace

std::uint32_t sum_rounds(const Parameters& parameters) {
  const Sizes sizes = sum_sizes(parameters);
  const std::uint64_t machines = ceil_div(parameters.n, sizes.block_words);
  return (machines > 1 ? ceil_log(sizes.memory_words, machines) : 0) + 1;
}

ProtocolInfo sum_protocol() {
  ProtocolInfo info;
  info.name = "sum";
  info.summary = "the sum of all words, modulo 2^48";
  info.card =
      R"(Problem: N signed numbers x_1..x_N of 48 bits; output their sum modulo 2^48, as a signed number.
Guarantee: exact and deterministic.
Cost: R = ceil(log_s ceil(N / b)) + 1 rounds with s = kappa_s b, any kappa_s >= 1 with s >= 2; at most s words sent
and received by a machine; q = ceil(N / b).
Source: folklore; a tree of fan-in s, leaves in machine order.)";
  info.rounds_formula = "ceil(log_s ceil(N / b)) + 1";
  info.kappa_s = 1;
  info.program = "sum_program";
  info.example = {.text = "3 1 4 1 5 9 2 6 5 3 5 8 9 7 9 3", .words = false, .epsilon = {1, 4}};
  info.make = [](const Parameters& parameters) { return std::make_unique<Sum>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return decode_input(word, protocol.shape());
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) {
    return oracles::sum(values, static_cast<int>(kBits));
  };
  return info;
}

}  // namespace roundtrip::mpc
