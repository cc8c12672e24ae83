// Dealt intermediates: what a bundle may get, whatever is sent; that the bound is met; and the library's outputs.
#include <gtest/gtest.h>

#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/digits.h"
#include "roundtrip/simulate/compile/routed.h"
#include "test_protocols.h"

namespace roundtrip::simulate {
namespace {

using Traffic = std::vector<std::vector<std::uint32_t>>;  // destinations [machine][word]

CompileOptions dealt(std::optional<std::vector<std::uint32_t>> capacities = {}) {
  return {
      .construction = "routed",
      .specific = RoutedOptions{.capacities = std::move(capacities), .intermediates = Intermediates::kDealt},
      .name = "p"};
}

std::uint64_t fullest(const Traffic& traffic) {
  const std::uint64_t q = traffic.size();
  std::vector<std::uint64_t> to(q * q), from(q * q);
  std::vector<std::uint32_t> nodes;
  for (std::uint64_t u = 0; u < q; ++u) {
    nodes.assign(traffic[u].size(), 0);
    deal_words(u, q, traffic[u], nodes);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      ++to[u * q + nodes[i]];
      ++from[nodes[i] * q + traffic[u][i]];
    }
  }
  return std::max(std::ranges::max(to), std::ranges::max(from));
}

/// One machine has q (floor(s / q) - 1) + 1 words for the last machine, every other one, after as many words for
/// others as bring the first of these to node 0.
Traffic adversary(std::uint64_t q, std::uint64_t s) {
  Traffic traffic(q);
  for (std::uint64_t u = 0; u < q; ++u) {
    for (std::uint64_t i = 0; i < (q - u) % q; ++i) traffic[u].push_back(static_cast<std::uint32_t>(i));
    traffic[u].insert(traffic[u].end(), u == 0 ? q * (s / q - 1) + 1 : 1, static_cast<std::uint32_t>(q - 1));
  }
  return traffic;
}

struct Machines {
  std::uint64_t q, s;
};
constexpr Machines kMachines[] = {{4, 16}, {8, 16}, {8, 32}, {8, 112}};

TEST(Dealt, EachMachineDealsInTurnByDestination) {
  const std::vector<std::uint32_t> destinations{3, 0, 3, 1, 0};
  std::vector<std::uint32_t> nodes(5);
  deal_words(2, 4, destinations, nodes);
  // In order of destinations: words 1, 4, 3, 0, 2, to nodes 2, 3, 0, 1, 2.
  EXPECT_EQ(nodes, (std::vector<std::uint32_t>{1, 2, 2, 0, 3}));
}

TEST(Dealt, TheAdversaryFillsABundle) {
  EXPECT_EQ(dealt_capacity(16, 4), 7u);
  EXPECT_EQ(dealt_capacity(16, 8), 9u);
  EXPECT_EQ(dealt_capacity(112, 8), 21u);
  EXPECT_EQ(dealt_capacity(3, 8), 3u);
  EXPECT_EQ(dealt_capacity(5, 1), 5u);
  for (const auto& [q, s] : kMachines)
    EXPECT_EQ(fullest(adversary(q, s)), dealt_capacity(s, q)) << q << " " << s;
}

TEST(Dealt, NoTrafficOverflowsABundle) {
  constexpr int kMatrices = 100'000;
  for (const auto& [q, s] : kMachines) {
    RandomStream random(q * s, Domain::kTest);
    Traffic traffic(q);
    std::vector<std::uint32_t> all(q * s);
    std::uint64_t most = 0;
    for (int matrix = 0; matrix < kMatrices; ++matrix) {
      if (matrix % 4 ==
          3) {  // the adversary's, with some words taken away and some turned to another machine
        traffic = adversary(q, s);
        for (std::uint64_t times = random.below(4); times > 0; --times) {
          auto& words = traffic[random.below(q)];
          if (!words.empty())
            words.erase(words.begin() + static_cast<std::ptrdiff_t>(random.below(words.size())));
          if (!words.empty())
            words[random.below(words.size())] = static_cast<std::uint32_t>(random.below(q - 1));
        }
      } else {  // full loads, from few to few or from all to all
        for (std::uint64_t i = 0; i < q * s; ++i) all[i] = static_cast<std::uint32_t>(i / s);
        for (std::uint64_t swaps = matrix % 4 == 0 ? q * s : random.below(3 * q); swaps > 0; --swaps)
          std::swap(all[random.below(q * s)], all[random.below(q * s)]);
        for (std::uint64_t u = 0; u < q; ++u)
          traffic[u].assign(all.begin() + static_cast<std::ptrdiff_t>(u * s),
                            all.begin() + static_cast<std::ptrdiff_t>(u * s + s));
      }
      most = std::max(most, fullest(traffic));
    }
    EXPECT_LE(most, dealt_capacity(s, q)) << q << " " << s;
    EXPECT_GT(most, dealt_capacity(s, q) / 2) << q << " " << s;
  }
}

TEST(Dealt, AWordLessOverflowsOnTheAdversary) {
  for (const auto& [q, s] : kMachines) {
    const auto shape = make_shape(2 * q, 2, s, static_cast<std::uint32_t>(q), 3, 2 * q);
    const auto protocol = std::make_shared<TestProtocol>(
        shape, [traffic = adversary(q, s)](const mpc::Shape& of, const mpc::Step& step,
                                           const mpc::Inbox& inbox, mpc::Outbox& outbox) {
          const std::uint64_t hash = digest(inbox);
          if (step.round < of.rounds) {
            for (const std::uint32_t to : traffic[step.machine]) outbox.send(to, hash >> 16);
          } else {
            for (std::uint64_t i = 0; i < 2; ++i) outbox.deliver(2 * step.machine + i, (hash + i) >> 16);
          }
        });
    const auto exact = anna::make_exact_match();
    const auto run = [&](const CompileOptions& options) {
      return compare(compile(protocol, options), random_input(shape, 3), *exact);
    };
    EXPECT_TRUE(run(dealt()).equal) << q << " " << s;
    const Comparison less = run(dealt(std::vector{dealt_capacity(s, q) - 1}));
    EXPECT_FALSE(less.equal) << q << " " << s;
    EXPECT_TRUE(less.overflow) << q << " " << s;
  }
}

TEST(Dealt, TheSeedPlaysNoPart) {
  const auto shape = make_shape(64, 8, 112, 8, 3, 64);
  CompileOptions one = dealt(), other = dealt();
  one.seed = 1;
  other.seed = 2;
  other.eta = Rational(1, 3);
  const auto passes = [&](const CompileOptions& options) {
    std::string text;
    for (const Pass& pass : routed_construction().make(shape, options)->passes()) text += pass.effect + "\n";
    return text;
  };
  EXPECT_EQ(passes(one), passes(other));
  EXPECT_EQ(passes(one).find("probability"), std::string::npos);
  EXPECT_EQ(passes(one).find("random intermediates"), std::string::npos);
}

std::uint64_t width(const std::string& protocol, std::uint64_t n, Rational epsilon,
                    Intermediates intermediates) {
  mpc::Parameters parameters;
  parameters.n = n;
  parameters.epsilon = epsilon;
  const auto made = mpc::find_protocol(protocol).make(parameters);
  return routed_construction()
      .make(made->shape(),
            {.construction = "routed", .specific = RoutedOptions{.intermediates = intermediates}})
      ->sizes()
      .width;
}

// q = ceil(1024 / 102) = 11, s = 816: C = 74 + 10; q = 16, s = 2048: C = 128 + 15.
TEST(Dealt, WidthsByHand) {
  EXPECT_EQ(width("sort", 1024, {2, 3}, Intermediates::kDealt), 11u * 169);
  EXPECT_EQ(width("sort", 4096, {2, 3}, Intermediates::kDealt), 16u * 287);
  EXPECT_GT(width("sort", 4096, {2, 3}, Intermediates::kRandom), 16u * 287);
}

TEST(Dealt, AutomaticTakesTheNarrower) {
  for (const std::string protocol : {"sort", "k_hop", "sum"}) {
    for (const std::uint64_t n : {256, 1024, 4096}) {
      for (const Rational epsilon : {Rational(1, 2), Rational(2, 3), Rational(3, 4)}) {
        EXPECT_EQ(width(protocol, n, epsilon, Intermediates::kAutomatic),
                  std::min(width(protocol, n, epsilon, Intermediates::kDealt),
                           width(protocol, n, epsilon, Intermediates::kRandom)))
            << protocol << " " << n << " " << epsilon.to_string();
      }
    }
  }
}

TEST(Dealt, MoreDigitsAreRefused) {
  CompileOptions options = dealt();
  options.delta = Rational(1, 5);
  const auto shape = make_shape(1024, 32, 256, 32, 5, 1024);
  try {
    routed_construction().make(shape, options);
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_STREQ(error.what(), "p: routing is deterministic with D = 3 digits, allowed with 1");
  }
}

/// All of them of N = n that have q <= s.
void expect_library_equal(std::uint64_t n) {
  for (const mpc::ProtocolInfo* info : mpc::all_protocols()) {
    for (const Rational epsilon : {Rational(2, 3), Rational(3, 4)}) {
      mpc::Parameters parameters;
      parameters.n = n - (info->takes_weights ? n % 3 : 0);  // three words an edge
      parameters.epsilon = epsilon;
      if (info->name == "three_sum") parameters.delta = Rational(1, 20);
      SCOPED_TRACE(info->name + " " + epsilon.to_string());
      const std::shared_ptr<const mpc::Protocol> protocol = info->make(parameters);
      if (protocol->shape().machines > protocol->shape().memory_words) continue;
      const mpc::Shape& shape = protocol->shape();
      mpc::Values values(parameters.n);
      for (std::uint64_t i = 0; i < parameters.n; ++i) values[i] = static_cast<std::int64_t>(i * 7919 % n);
      if (info->generate) values = info->generate(parameters);
      std::vector<mpc::Word> input;
      for (const std::int64_t value : values)
        input.push_back(static_cast<mpc::Word>(value + (std::int64_t{1} << (shape.input_bits - 1))));
      const auto exact = anna::make_exact_match();
      EXPECT_TRUE(compare(compile(protocol, dealt()), input, *exact).equal);
    }
  }
}

TEST(Dealt, LibraryProtocolsGiveTheSameOutputs) {
  expect_library_equal(1024);
}

TEST(DealtLong, LibraryProtocolsGiveTheSameOutputsAt4096) {
  expect_library_equal(4096);
}

}  // namespace
}  // namespace roundtrip::simulate
