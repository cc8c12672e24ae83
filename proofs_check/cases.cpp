#include "roundtrip/proofs_check/cases.h"

#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/proofs_check/formulas.h"

namespace roundtrip::proofs_check {
namespace {

std::int64_t option(const Case& c, const std::string& name) {
  const auto it = c.options.find(name);
  require(it != c.options.end(), "case {}: option {} must be given", c.protocol, name);
  return std::stoll(it->second);
}

}  // namespace

Expectation expectation_of(const Case& c) {
  Expectation expectation;
  expectation.n = c.n;
  expectation.outputs = c.n;
  expectation.word_bits = 48;
  expectation.block_words = root_ceil(c.n, c.epsilon);
  const auto ceil_of = [](std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; };
  const std::uint64_t input_machines = ceil_of(c.n, expectation.block_words);
  if (c.protocol == "sum") {
    expectation.outputs = 1;
    expectation.memory_words = c.kappa_s * expectation.block_words;
    expectation.machines = input_machines;
    expectation.rounds = log_ceil(expectation.memory_words, input_machines) + 1;
    return expectation;
  }
  if (c.protocol == "match2") {
    // The set of residues, one bit each and 48 to a word, goes up and down a tree beside the machine's own
    // words.
    expectation.memory_words = c.kappa_s * expectation.block_words;
    expectation.machines = input_machines;
    const std::uint64_t set_words = ceil_of(static_cast<std::uint64_t>(option(c, "M")), 48);
    expectation.rounds =
        2 * log_ceil((expectation.memory_words - expectation.block_words) / set_words, input_machines) + 1;
    return expectation;
  }
  if (c.protocol == "sort" || c.protocol == "k_hop") {
    // Records are values, for hops with their positions, on machines of B records.
    const std::uint64_t record_words = c.protocol == "sort" ? 1 : 2;
    const SortMemory memory = sort_memory(c.n, record_words, c.kappa_s, expectation.block_words);
    expectation.memory_words = memory.memory_words;
    expectation.machines = std::max(input_machines, memory.sort.machines);
    expectation.rounds = memory.sort.rounds + 1;
    if (c.protocol == "k_hop")
      expectation.rounds += 2 + log_ceil(2, static_cast<std::uint64_t>(option(c, "k")));
    return expectation;
  }
  throw InternalError(fmt::format("no expectation is written for protocol '{}'", c.protocol));
}

Numbers input_of(const Case& c, Family family, std::uint64_t seed) {
  RandomStream random(seed, Domain::kInstance, c.n, static_cast<std::uint64_t>(family));
  const auto below = [&](std::uint64_t bound) { return static_cast<std::int64_t>(random.below(bound)); };
  Numbers x(c.n);
  if (c.protocol == "k_hop") {
    // Few symbols make chains of hops.
    for (std::int64_t& value : x) value = below(root_ceil(c.n, Rational(1, 2)));
  } else if (c.protocol == "match2") {
    // Half of the residues only: with all of them present every answer would be 1.
    const std::int64_t modulus = option(c, "M");
    Numbers residues;
    for (std::int64_t r = 0; r < std::min<std::int64_t>(modulus, 4096); ++r) {
      if (random.below(2) == 0 || residues.empty()) residues.push_back(r);
    }
    for (std::int64_t& value : x)
      value = residues[random.below(residues.size())] + modulus * (below(2000) - 1000);
  } else {
    // A wide range with repeats makes a sort work on all digits and on ties.
    constexpr std::int64_t kRange = std::int64_t{1} << 40;
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = i > 0 && random.below(4) == 0 ? x[random.below(i)] : below(kRange) - kRange / 2;
    }
  }
  if (family == Family::kAllEqual) std::ranges::fill(x, x[0]);
  if (family == Family::kSorted) std::ranges::sort(x);
  if (family == Family::kReversed) std::ranges::sort(x, std::greater<>());
  return x;
}

Answers answers_of(const Case& c, std::span<const std::int64_t> input) {
  if (c.protocol == "sum") return oracle_sum(input, 48);
  if (c.protocol == "match2") return oracle_match2(input, option(c, "M"));
  if (c.protocol == "sort") return oracle_sort(input);
  if (c.protocol == "k_hop") return oracle_k_hop(input, static_cast<std::uint64_t>(option(c, "k")));
  throw InternalError(fmt::format("no oracle is written for protocol '{}'", c.protocol));
}

Instance instance_of(const Case& c, const mpc::Protocol& protocol, Family family, std::uint64_t seed) {
  const Numbers input = input_of(c, family, seed);
  const Answers answers = answers_of(c, input);
  const mpc::ProtocolInfo& info = mpc::find_protocol(c.protocol);
  return {encoded(input, protocol.shape().input_bits), answers.size(),
          [&protocol, &info, answers](std::uint64_t t, mpc::Word word) {
            return info.decode(protocol, t, word) == answers[t];
          }};
}

mpc::Parameters parameters_of(const Case& c, std::uint64_t seed) {
  mpc::Parameters parameters;
  parameters.n = c.n;
  parameters.epsilon = c.epsilon;
  parameters.kappa_s = c.kappa_s;
  parameters.seed = seed;
  parameters.options = c.options;
  return parameters;
}

Configuration configuration_of(const std::string& theorem, const Case& c, const Expectation& expectation,
                               std::uint64_t seed) {
  return {.theorem = theorem,
          .n = c.n,
          .epsilon = c.epsilon,
          .below_range = expectation.below_range(),
          .seed = seed};
}

std::vector<mpc::Word> encoded(std::span<const std::int64_t> input, std::uint32_t input_bits) {
  std::vector<mpc::Word> words;
  const std::int64_t half = std::int64_t{1} << (input_bits - 1);
  for (const std::int64_t x : input) {
    require(x >= -half && x < half, "input {}: allowed {} .. {}", x, -half, half - 1);
    words.push_back(static_cast<mpc::Word>(x + half));
  }
  return words;
}

Control judge_control(const std::string& theorem, std::string name, const std::string& quantity,
                      const std::vector<Check>& defective, const std::vector<Check>& sound) {
  const auto is = [&](Verdict verdict) {
    return [&quantity, verdict](const Check& check) {
      return check.quantity == quantity && check.verdict == verdict;
    };
  };
  return {
      theorem, std::move(name), quantity, std::ranges::any_of(defective, is(Verdict::kRefuted)),
      std::ranges::any_of(sound, is(Verdict::kVerified)) &&
          std::ranges::all_of(sound, [](const Check& check) { return check.verdict == Verdict::kVerified; })};
}

}  // namespace roundtrip::proofs_check
