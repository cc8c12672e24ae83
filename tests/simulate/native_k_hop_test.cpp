// Native k-hop against a quadratic oracle, its formulas, and the cheats that a construction of this kind
// could hide.
#include "roundtrip/simulate/native/k_hop.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"

namespace roundtrip::simulate {
namespace {

using Words = std::vector<mpc::Word>;

// By the definition, positions from 1; find[0] = 0.
std::vector<std::uint64_t> find_one(const Words& x) {
  std::vector<std::uint64_t> find(x.size() + 1, 0);
  for (std::uint64_t i = 2; i <= x.size(); ++i) {
    for (std::uint64_t j = i; j >= 2 && find[i] == 0; --j) {
      if (x[j - 2] == x[i - 1]) find[i] = j;
    }
  }
  return find;
}

// Hop by hop; all positions are at 0 after N hops, as find(i) <= i and i = find(i) would repeat for ever:
// then stop early.
Words oracle(const Words& x, const std::vector<std::uint64_t>& find, std::uint64_t k) {
  Words outputs;
  for (std::uint64_t i = 1; i <= x.size(); ++i) {
    std::uint64_t at = i;
    for (std::uint64_t hop = 0; hop < k && at != 0 && (hop == 0 || find[at] != at); ++hop) at = find[at];
    outputs.push_back(at == 0 ? kKHopNone : x[at - 1] + 1);
  }
  return outputs;
}

OutputWords outputs_of(const anna::Transformer& network, anna::Attention& attention, const Words& x,
                       const anna::EvaluateOptions& options = {}) {
  return read_outputs(evaluate(network, attention, input_activations(x, network.tokens), options), x.size());
}

Words random_words(std::uint64_t n, std::uint64_t alphabet, std::uint32_t word_bits, std::uint64_t seed) {
  RandomStream stream(seed, Domain::kTest, n, alphabet);
  Words symbols(alphabet), x(n);
  for (mpc::Word& symbol : symbols) symbol = stream.below(std::uint64_t{1} << word_bits);
  for (mpc::Word& word : x) word = symbols[stream.below(alphabet)];
  return x;
}

std::uint64_t depth_formula(const KHopOptions& options) {
  std::uint64_t doublings = 0;
  while (doublings < 63 && (std::uint64_t{1} << doublings) < options.k) ++doublings;
  return options.levels + doublings + 1;
}

void expect_sizes(const KHopOptions& options, const anna::Transformer& network) {
  EXPECT_EQ(measure(network), k_hop_sizes(options));
  EXPECT_EQ(network.depth(), depth_formula(options));
  EXPECT_LE(network.heads(), std::max(options.levels, 2u));
}

TEST(NativeKHop, SixHundredRandomInstances) {
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    RandomStream stream(seed, Domain::kTest);
    const std::uint64_t n = 1 + stream.below(seed % 4 == 0 ? 300 : 40);
    const std::uint64_t alphabet = 1 + stream.below(seed % 3 == 0 ? 3 : n);
    const std::uint64_t ks[] = {
        1, 2, 3, 4, 5, 7, 8, 1 + stream.below(n), n, n + 1 + stream.below(1ull << 40)};
    const std::uint32_t word_bits = 1 + static_cast<std::uint32_t>(stream.below(47));
    const KHopOptions options{.n = n,
                              .k = ks[stream.below(10)],
                              .levels = 1 + static_cast<std::uint32_t>(stream.below(seed % 10 == 0 ? 9 : 3)),
                              .word_bits = word_bits,
                              .seed = seed,
                              .binary = seed % 5 == 0};
    const anna::Transformer network = make_k_hop(options);
    expect_sizes(options, network);
    const Words x = random_words(n, alphabet, word_bits, seed);
    const OutputWords out = outputs_of(network, *anna::make_exact_match(), x);
    EXPECT_TRUE(out.faulty.empty());
    ASSERT_EQ(out.words, oracle(x, find_one(x), options.k))
        << "n " << n << " k " << options.k << " levels " << options.levels << " seed " << seed;
  }
}

TEST(NativeKHop, EveryShortText) {
  const auto attention = anna::make_exact_match();
  for (std::uint64_t n = 1; n <= 6; ++n) {
    std::uint64_t texts = 1;
    for (std::uint64_t i = 0; i < n; ++i) texts *= 3;
    for (const std::uint64_t k : {1, 2, 3, 6}) {
      for (const std::uint32_t levels : {1u, 2u, 3u}) {
        const anna::Transformer network = make_k_hop({.n = n, .k = k, .levels = levels, .word_bits = 2});
        for (std::uint64_t text = 0; text < texts; ++text) {
          Words x;
          for (std::uint64_t i = 0, rest = text; i < n; ++i, rest /= 3) x.push_back(rest % 3);
          ASSERT_EQ(outputs_of(network, *attention, x).words, oracle(x, find_one(x), k))
              << "n " << n << " k " << k << " levels " << levels << " text " << text;
        }
      }
    }
  }
}

void expect_all_hops(std::uint64_t n, std::uint64_t alphabet, const std::vector<std::uint64_t>& ks) {
  const auto attention = anna::make_exact_match();
  const Words x = random_words(n, alphabet, 47, n);
  const auto find = find_one(x);
  for (const std::uint64_t k : ks) {
    const KHopOptions options{.n = n, .k = k, .levels = 2 + static_cast<std::uint32_t>(k % 2)};
    const anna::Transformer network = make_k_hop(options);
    expect_sizes(options, network);
    ASSERT_EQ(outputs_of(network, *attention, x).words, oracle(x, find, k))
        << "n " << n << " alphabet " << alphabet << " k " << k;
  }
}

// The named k, sqrt N = `root`, and 30 random ones.
std::vector<std::uint64_t> all_hops(std::uint64_t n, std::uint64_t root) {
  std::vector<std::uint64_t> ks{1, 2, 3, 4, 5, 7, 8, root, n - 1, n, n + 1, 1ull << 62};
  RandomStream stream(n, Domain::kTest);
  for (int i = 0; i < 30; ++i) ks.push_back(1 + stream.below(n));
  return ks;
}

TEST(NativeKHop, AllK) {
  for (const std::uint64_t n : {1000, 1024}) {
    for (const std::uint64_t alphabet : {std::uint64_t{1}, std::uint64_t{4}, n / 8}) {
      expect_all_hops(n, alphabet, all_hops(n, 32));
    }
  }
}

TEST(NativeKHop, LargeN) {
  expect_all_hops(1 << 14, 1, {8});
  expect_all_hops(1 << 14, 50, {1, 7, 128, (1 << 14) - 1, 1 << 14});
  expect_all_hops(1 << 14, 1 << 11, {8});
}

TEST(NativeKHopLong, AllKAtLargeN) {
  for (const std::uint64_t n : {1 << 12, 10000, 1 << 14}) {
    for (const std::uint64_t alphabet : {std::uint64_t{1}, std::uint64_t{4}, n / 8}) {
      expect_all_hops(n, alphabet, all_hops(n, n == 10000 ? 100 : n == 1 << 12 ? 64 : 128));
    }
  }
}

// As AnnaAtALargerSize, at 2^14: 2^15 pairs and as many positions told apart by hashing.
TEST(NativeKHopLong, AnnaAtLargeN) {
  const KHopOptions options{.n = 1 << 14, .k = 128};
  const Words x = random_words(options.n, 200, 47, 1);
  const OutputWords out = outputs_of(make_k_hop(options), *anna::make_anna(k_hop_tables(options, 1e-9)), x);
  EXPECT_EQ(out.words, oracle(x, find_one(x), 128));
}

TEST(NativeKHop, OnEveryMechanismInAnyOrder) {
  for (const std::uint32_t levels : {1u, 2u, 3u}) {
    const KHopOptions options{.n = 150, .k = 5, .levels = levels, .seed = levels};
    const anna::Transformer network = make_k_hop(options);
    for (const std::uint64_t alphabet : {1, 4, 30}) {
      const Words x = random_words(150, alphabet, 47, levels);
      const Words expected = oracle(x, find_one(x), 5);
      EXPECT_EQ(outputs_of(network, *anna::make_brute_force_exact_match(), x).words, expected);
      EXPECT_EQ(
          outputs_of(network, *anna::make_exact_match(), x, {.order_seed = 7, .twice = true, .observe = {}})
              .words,
          expected);
      EXPECT_EQ(outputs_of(network, *anna::make_anna(k_hop_tables(options, 1e-9)), x).words, expected);
      EXPECT_EQ(outputs_of(network, *anna::make_anna(k_hop_tables(options, 1e-9, 3)), x).words, expected);
    }
  }
}

TEST(NativeKHop, TolerantOutputsAreTheSameWithoutFalseCollisions) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const std::uint64_t n = 1 + seed % 29;
    const KHopOptions options{.n = n, .k = 1 + seed % 9, .levels = 1, .seed = seed, .tolerant = true};
    const anna::Transformer network = make_k_hop(options);
    expect_sizes(options, network);
    const Words x = random_words(n, 1 + seed % 7, 47, seed);
    const Words expected = oracle(x, find_one(x), options.k);
    EXPECT_EQ(outputs_of(network, *anna::make_exact_match(), x).words, expected);
    EXPECT_EQ(outputs_of(network, *anna::make_anna(k_hop_tables(options, 1e-9)), x).words, expected);
  }
  EXPECT_THROW(make_k_hop({.n = 5, .levels = 2, .tolerant = true}), ContractError);
}

TEST(NativeKHop, AnnaAtALargerSize) {
  const KHopOptions options{.n = 1024, .k = 8};
  const Words x = random_words(1024, 26, 47, 1);
  const OutputWords out = outputs_of(make_k_hop(options), *anna::make_anna(k_hop_tables(options, 1e-9)), x);
  EXPECT_EQ(out.words, oracle(x, find_one(x), 8));
}

// z far below the formula: the bound is needed.
TEST(NativeKHop, TooFewFunctionsGiveWrongWords) {
  const KHopOptions options{.n = 150, .k = 3};
  const Words x = random_words(150, 4, 47, 1);
  const OutputWords out =
      outputs_of(make_k_hop(options), *anna::make_anna({.tables = 1, .functions = 4, .seed = 1}), x);
  EXPECT_NE(out.words, oracle(x, find_one(x), 3));
}

// State beside the array would be lost: every layer of a network made anew, reading the array from a file.
TEST(NativeKHop, LayersKnowNothingButTheArray) {
  const KHopOptions options{.n = 200, .k = 6, .levels = 3};
  const Words x = random_words(200, 5, 47, 2);
  const std::string path = ::testing::TempDir() + "native_k_hop_array";
  anna::Activations array = input_activations(x, 200);
  for (std::size_t layer = 0; layer < depth_formula(options); ++layer) {
    array.save(path);
    array = evaluate(*make_k_hop(options).layers[layer], *anna::make_exact_match(),
                     anna::Activations::load(path));
  }
  std::remove(path.c_str());
  EXPECT_EQ(read_outputs(array, 200).words, oracle(x, find_one(x), 6));
}

// A map that read other rows, or positions looked up rather than attended to, would change more than the
// readers' rows.
TEST(NativeKHop, AChangedWordReachesOnlyWhatMayDependOnIt) {
  const KHopOptions options{.n = 100, .k = 1};
  const anna::Transformer network = make_k_hop(options);
  const Words x = random_words(100, 4, 47, 3);
  const auto attention = anna::make_exact_match();
  const Words before = outputs_of(network, *attention, x).words;
  for (std::uint64_t changed = 0; changed < 100; changed += 7) {
    Words y = x;
    y[changed] = (x[changed] + 1) % (1ull << 47);
    const Words after = outputs_of(network, *attention, y).words;
    EXPECT_EQ(after, oracle(y, find_one(y), 1));
    for (std::uint64_t i = 0; i < changed; ++i) EXPECT_EQ(after[i], before[i]);
  }
}

TEST(NativeKHop, TextsThatShrink) {
  EXPECT_TRUE(rc::check("equal to the oracle", [] {
    const auto x = *rc::gen::nonEmpty(rc::gen::container<Words>(rc::gen::inRange<mpc::Word>(0, 6)));
    const std::uint64_t k = *rc::gen::inRange<std::uint64_t>(1, 40);
    const std::uint32_t levels = *rc::gen::inRange<std::uint32_t>(1, 5);
    const OutputWords out = outputs_of(make_k_hop({.n = x.size(), .k = k, .levels = levels, .word_bits = 3}),
                                       *anna::make_exact_match(), x);
    RC_ASSERT(out.words == oracle(x, find_one(x), k));
  }));
}

TEST(NativeKHop, WidthIsTheFormula) {
  EXPECT_EQ(k_hop_fan({.n = 15, .levels = 2}), 4u);
  EXPECT_EQ(k_hop_fan({.n = 16, .levels = 2}), 5u);
  EXPECT_EQ(k_hop_fan({.n = (1 << 18) - 1, .levels = 3}), 64u);
  EXPECT_EQ(k_hop_fan({.n = 1 << 18, .levels = 3}), 65u);
  EXPECT_EQ(k_hop_fan({.n = 16, .levels = 2, .binary = true}), 8u);
  EXPECT_EQ(k_hop_fan({.n = 15, .levels = 2, .binary = true}), 4u);
  EXPECT_EQ(k_hop_fan({.n = 1, .levels = 9, .binary = true}), 2u);
  const KHopOptions wide{.n = 1 << 16, .k = 100, .levels = 2};
  EXPECT_EQ(k_hop_sizes(wide).width, 2u * 257);
  EXPECT_EQ(k_hop_sizes({.n = 1 << 16, .k = 1, .levels = 1}).width, 65537u);
  EXPECT_EQ(k_hop_sizes({.n = 1, .k = 2, .levels = 1}).width, 256u);
}

TEST(NativeKHop, RefusesWhatItCannotServe) {
  EXPECT_THROW(make_k_hop({.n = 0}), ContractError);
  EXPECT_THROW(make_k_hop({.n = (1 << 24) + 1}), ContractError);
  EXPECT_THROW(make_k_hop({.n = 4, .k = 0}), ContractError);
  EXPECT_THROW(make_k_hop({.n = 4, .k = (1ull << 62) + 1}), ContractError);
  EXPECT_THROW(make_k_hop({.n = 4, .levels = 0}), ContractError);
  EXPECT_THROW(make_k_hop({.n = 4, .levels = 25}), ContractError);
  EXPECT_THROW(make_k_hop({.n = 4, .word_bits = 48}), ContractError);
  EXPECT_THROW(make_k_hop({.n = 1 << 24, .levels = 3, .word_bits = 47}), ContractError);  // 16 bits of blocks
  EXPECT_NO_THROW(make_k_hop({.n = 1 << 24, .levels = 3, .word_bits = 44}));
  // A word that is wider than declared must not pass for another.
  EXPECT_THROW(outputs_of(make_k_hop({.n = 2, .word_bits = 3}), *anna::make_exact_match(), {1, 8}),
               ContractError);
}

}  // namespace
}  // namespace roundtrip::simulate
