// Construction 4b on protocols made here: digits, capacities, words, depth and width, overflow at its
// predicted rate, and the ways in which it could cheat.
#include "roundtrip/simulate/compile/routed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/poisson.hpp>
#include <map>
#include <set>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/digits.h"
#include "test_protocols.h"

namespace roundtrip::simulate {
namespace {

using testing::HasSubstr;

Compiled routed(std::shared_ptr<const mpc::Protocol> protocol, std::optional<std::uint32_t> digits = {},
                std::uint64_t seed = 1) {
  return compile(std::move(protocol),
                 {.construction = "routed", .specific = RoutedOptions{.digits = digits}, .seed = seed});
}

TEST(Digits, RadicesReachQAndNoneCanBeLowered) {
  EXPECT_EQ(choose_radices(1, 1), (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(choose_radices(1, 5), (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(choose_radices(37, 1), (std::vector<std::uint32_t>{37}));
  EXPECT_EQ(choose_radices(37, 2), (std::vector<std::uint32_t>{6, 7}));
  EXPECT_EQ(choose_radices(512, 3), (std::vector<std::uint32_t>{8, 8, 8}));
  EXPECT_EQ(choose_radices(513, 3), (std::vector<std::uint32_t>{8, 8, 9}));
  EXPECT_EQ(choose_radices(3, 9), (std::vector<std::uint32_t>{2, 2}));
  for (std::uint64_t q = 2; q < 700; ++q) {
    for (std::uint32_t digits = 1; digits < 14; ++digits) {
      const auto radices = choose_radices(q, digits);
      std::uint64_t product = 1;
      for (const std::uint32_t radix : radices) product *= radix;
      EXPECT_LE(radices.size(), digits);
      EXPECT_GE(product, q);
      EXPECT_LT(product, 2 * q);
      for (const std::uint32_t radix : radices) {
        EXPECT_GE(radix, 2u);
        EXPECT_LT(product / radix * (radix - 1), q);
      }
    }
  }
}

TEST(Digits, NumberOfDigitsFollowsDelta) {
  const auto shape = make_shape(1024, 32, 256, 32, 5, 1024);
  EXPECT_EQ(choose_digits(shape, {}, {}), 1u);                                 // q <= s, no delta
  EXPECT_EQ(choose_digits(shape, Rational(1, 5), {}), 3u);                     // k = 4: 4^3 >= 32
  EXPECT_EQ(choose_digits(shape, Rational(1, 10), {}), 5u);                    // k = 2
  EXPECT_EQ(choose_digits(shape, Rational(1, 2), {}), 1u);                     // k = 32
  EXPECT_EQ(choose_digits(shape, Rational(1, 5), 2), 2u);                      // forced
  EXPECT_EQ(choose_digits(make_shape(1024, 4, 4, 256, 5, 1024), {}, {}), 4u);  // q > s: as with 1/5
  EXPECT_THROW(choose_digits(shape, {}, 0), ContractError);
}

TEST(Digits, PartnersAndOffsetsAreInverse) {
  const DigitRouting routing({3, 4, 2}, {1, 1, 1});
  EXPECT_EQ(routing.nodes(), 24u);
  for (std::uint64_t v = 0; v < 24; ++v) {
    for (std::uint32_t t = 0; t < 3; ++t) {
      for (std::uint32_t h = 0; h < routing.radix(t); ++h) {
        const std::uint64_t u = routing.partner(v, t, h);
        EXPECT_EQ(routing.offset(v, u, t), h);
        for (std::uint32_t o = 0; o < 3; ++o)
          EXPECT_TRUE(o == t || routing.digit(u, o) == routing.digit(v, o));
      }
    }
  }
}

TEST(Digits, CapacitiesAreTheLeastWithThePoissonTail) {
  for (const auto& shape : {make_shape(1024, 32, 256, 32, 25, 1024), make_shape(4096, 64, 64, 64, 3, 4096),
                            make_shape(100, 1, 1, 100, 4, 100), make_shape(4096, 8, 2000, 700, 40, 4096)}) {
    for (std::uint32_t digits = 1; digits <= 3; ++digits) {
      const auto radices = choose_radices(shape.machines, digits);
      const auto capacities = choose_capacities(shape, radices, Rational(1, 100));
      double nodes = 1, sum = 0;
      for (const std::uint32_t radix : radices) nodes *= radix, sum += radix;
      const double allowed = .01 / (2 * shape.rounds * nodes * sum);
      for (std::size_t t = 0; t < radices.size(); ++t) {
        const double mean = static_cast<double>(shape.memory_words) / radices[t];
        const boost::math::poisson_distribution<> load(mean);
        EXPECT_GE(capacities[t], mean);
        EXPECT_LE(cdf(complement(load, capacities[t])), allowed);
        if (capacities[t] - 1 < mean) continue;
        EXPECT_GT(cdf(complement(load, capacities[t] - 1)), allowed);
      }
    }
  }
}

TEST(Routed, FullLoadGivesTheRunsWordsAtEveryNumberOfDigits) {
  for (const auto& shape :
       {make_shape(32, 4, 4, 8, 4, 32), make_shape(60, 2, 2, 37, 3, 60), make_shape(64, 8, 16, 9, 3, 50),
        make_shape(100, 1, 1, 128, 2, 100), make_shape(81, 9, 9, 27, 3, 81)}) {
    for (std::uint32_t digits = 1; digits <= 4; ++digits) {
      const Compiled compiled = routed(full_load(shape, 5), digits);
      const std::size_t used = choose_radices(shape.machines, digits).size();
      for (const std::string_view mechanism : {"ema", "anna"}) {
        const auto attention = make_attention(compiled, mechanism);
        const Comparison result = compare(compiled, random_input(shape, 3), *attention);
        EXPECT_TRUE(result.equal) << "q " << shape.machines << " D " << digits;
        EXPECT_FALSE(result.overflow);
        EXPECT_EQ(result.sizes.depth, 2 + 2 * used * shape.rounds);
        EXPECT_EQ(result.sizes, compiled.bound);
      }
    }
  }
}

// kappa_s = 1: every machine sends and receives exactly s words in every round.
TEST(Routed, FullLoadAtEveryExponentAndDelta) {
  for (const std::uint64_t n : {256, 1024}) {
    for (const Rational& epsilon : {Rational(1, 3), Rational(1, 2), Rational(2, 3)}) {
      const std::uint64_t s = ceil_power(n, epsilon);
      const auto q = static_cast<std::uint32_t>(ceil_div(n, s));
      const auto shape = make_shape(n, s, s, q, 4, n);
      const auto check = [&](const CompileOptions& options, std::uint64_t digits) {
        const Compiled compiled = compile(full_load(shape, 5), options);
        for (const std::string_view mechanism : {"ema", "anna"}) {
          const Comparison result =
              compare(compiled, random_input(shape, 3), *make_attention(compiled, mechanism));
          EXPECT_TRUE(result.equal) << "N " << n << " eps " << epsilon.to_string() << " D " << digits;
          EXPECT_EQ(result.sizes.depth, 2 + 2 * digits * shape.rounds);
          EXPECT_EQ(result.sizes, compiled.bound);
        }
      };
      if (q <= s) check({.construction = "routed"}, 1);
      for (const Rational& delta : {Rational(1, 10), Rational(1, 5), Rational(3, 10)}) {
        const std::uint64_t k = std::max<std::uint64_t>(2, ceil_power(n, delta));
        std::uint64_t digits = 1, reached = k;
        while (reached < q) reached *= k, ++digits;
        check({.construction = "routed", .delta = delta}, digits);
        for (const std::uint32_t forced : {2, 3})
          check({.construction = "routed", .specific = RoutedOptions{.digits = forced}, .delta = delta},
                forced);
      }
    }
  }
}

TEST(Routed, SizesAreTheFormulasLiterally) {
  const auto shape = make_shape(64, 8, 32, 12, 2, 64);
  const CompileOptions options{
      .construction = "routed",
      .specific = RoutedOptions{.digits = 2, .capacities = std::vector<std::uint32_t>{100, 20}}};
  ASSERT_EQ(plan_routing(shape, options).radix(0), 3u);
  ASSERT_EQ(plan_routing(shape, options).radix(1), 4u);
  // L = 2 + 2DR; H = 4; m_v = 2 * 100 + 1; d = 4 + 2 * 3 * 100; width max(3 * 201, 4 * 128).
  const TransformerSizes expected{10, 4, 128, 201, 604, 603};
  const Compiled compiled = compile(full_load(shape, 1), options);
  EXPECT_EQ(measure(compiled.transformer), expected);
  EXPECT_EQ(compiled.bound, expected);
}

TEST(Routed, WidthIsBelowThePowerLaw) {
  for (std::uint64_t log_n = 8; log_n <= 16; log_n += 2) {
    const std::uint64_t n = 1ull << log_n, b = 1ull << (log_n / 2);
    for (const std::uint64_t kappa : {1, 8, 16}) {
      const auto shape = make_shape(n, b, kappa * b, static_cast<std::uint32_t>(n / b), 30, n);
      const auto sizes = [&](const CompileOptions& options) {
        return routed_construction().make(shape, options)->sizes();
      };
      const TransformerSizes one = sizes({});
      EXPECT_LE(static_cast<double>(one.width), routed_power_law(shape, 1, one.heads, Rational(1, 2)));
      const CompileOptions options{.delta = Rational(1, 5)};
      const TransformerSizes more = sizes(options);
      EXPECT_LE(static_cast<double>(more.width),
                routed_power_law(shape, plan_routing(shape, options).digits(), more.heads, Rational(7, 10)))
          << "N = 2^" << log_n << " kappa " << kappa;
    }
  }
}

TEST(Routed, RandomShapes) {
  EXPECT_TRUE(rc::check([] {
    const auto b = *rc::gen::inRange<std::uint64_t>(1, 6);
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 40);
    const auto kappa = *rc::gen::inRange<std::uint64_t>(1, 4);
    const auto q = static_cast<std::uint32_t>(ceil_div(n, b)) + *rc::gen::inRange<std::uint32_t>(0, 30);
    const auto rounds = *rc::gen::inRange<std::uint32_t>(1, 4);
    const auto outputs = *rc::gen::inRange<std::uint64_t>(1, q * b + 1);
    const auto seed = *rc::gen::inRange<std::uint64_t>(0, 1000);
    const auto shape = make_shape(n, b, kappa * b, q, rounds, outputs);
    const auto protocol = full_load(shape, seed);
    const auto input = random_input(shape, seed);
    const Compiled compiled = routed(protocol, *rc::gen::inRange<std::uint32_t>(1, 5), seed);
    const auto exact = anna::make_exact_match();
    const Comparison result = compare(compiled, input, *exact);
    RC_ASSERT(result.equal || result.overflow);
    RC_ASSERT(result.sizes == compiled.bound);
    for (std::uint64_t t = 0; t < outputs; ++t) {  // a word is right or a fault
      if (std::ranges::count(result.outputs.faulty, t) == 0)
        RC_ASSERT(result.outputs.words[t] == result.run_words[t]);
    }
  }));
}

TEST(Routed, OneTransformerServesEveryInput) {
  const auto shape = make_shape(48, 4, 8, 12, 3, 48);
  const Compiled compiled = routed(full_load(shape, 5), 2);  // before any input is drawn
  const auto exact = anna::make_exact_match();
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    EXPECT_TRUE(compare(compiled, random_input(shape, seed), *exact).equal);
  EXPECT_TRUE(compare(compiled, std::vector<mpc::Word>(48, 0), *exact).equal);
  EXPECT_TRUE(compare(compiled, std::vector<mpc::Word>(48, (1ull << 48) - 1), *exact).equal);
}

TEST(Routed, RowOrderAndBruteForceAttentionChangeNothing) {
  const auto shape = make_shape(40, 4, 4, 12, 3, 40);
  const Compiled compiled = routed(full_load(shape, 5), 2);
  const auto input = random_input(shape, 8);
  const auto exact = anna::make_exact_match();
  EXPECT_TRUE(compare(compiled, input, *exact, {.order_seed = 9, .twice = true, .observe = {}}).equal);
  const auto brute = anna::make_brute_force_exact_match();
  EXPECT_TRUE(compare(compiled, input, *brute).equal);
}

TEST(Routed, WordsTravelByTheirKeysAndNotBesideThem) {
  const auto shape = make_shape(40, 4, 4, 12, 3, 40);
  for (const std::uint32_t digits : {1, 2}) {
    SwapKeys attention;
    const Compiled compiled = routed(full_load(shape, 5), digits);
    bool equal = false;
    try {
      equal = compare(compiled, random_input(shape, 8), attention).equal;
    } catch (const ContractError&) {  // a node holds words that are not its own: as good
    }
    EXPECT_FALSE(equal);
  }
}

TEST(Routed, PerturbingOneRowChangesItsReadersOnly) {
  const auto shape = make_shape(60, 2, 6, 30, 2, 60);
  const Compiled compiled = routed(full_load(shape, 5), 2);
  const DigitRouting routing = plan_routing(shape, {.specific = RoutedOptions{.digits = 2}});
  const auto exact = anna::make_exact_match();
  anna::Activations array = input_activations(random_input(shape, 8), compiled.transformer.tokens);
  for (std::uint32_t l = 0; l + 1 < compiled.transformer.depth(); ++l) {
    const anna::Layer& layer = *compiled.transformer.layers[l];
    const anna::Activations next = evaluate(layer, *exact, array);
    if (l > 0) {  // node 7's flag is raised: its partners of this layer's digit hear it, nobody else
      anna::Activations changed = anna::Activations::with_dimension(array.dimension());
      for (std::uint64_t u = 0; u < array.tokens(); ++u) {
        std::vector<anna::Entry> row(array.row(u).entries.begin(), array.row(u).entries.end());
        if (u == 7)
          row.insert(std::ranges::find_if(row, [](const auto& e) { return e.column > 3; }), {3, 1.0});
        changed.append_row(row);
      }
      const anna::Activations after = evaluate(layer, *exact, changed);
      std::set<std::uint64_t> different, partners;
      for (std::uint64_t u = 0; u < next.tokens(); ++u) {
        if (!std::ranges::equal(next.row(u).entries, after.row(u).entries)) different.insert(u);
      }
      const std::uint32_t digit = (l - 1) % 2;
      for (std::uint32_t h = 0; h < routing.radix(digit); ++h) partners.insert(routing.partner(7, digit, h));
      EXPECT_EQ(different, partners) << "layer " << l;
    }
    array = next;
  }
}

// ---- overflow

/// Whether some bundle overflows in `rounds` rounds of full_load(shape, load_seed), the delivering one
/// included if it is among them: loads counted with nothing of the construction but its public intermediates.
bool overloads(const mpc::Shape& shape, std::uint32_t rounds, const std::vector<std::uint32_t>& radices,
               const std::vector<std::uint32_t>& capacities, std::uint64_t seed, std::uint64_t load_seed) {
  struct Trip {
    std::uint64_t at, middle, to;
  };
  std::uint64_t nodes = 1;
  for (const std::uint32_t radix : radices) nodes *= radix;
  for (std::uint32_t round = 1; round <= rounds; ++round) {
    std::vector<Trip> trips;
    const auto add = [&](std::uint64_t source, std::uint64_t sequence, std::uint64_t to) {
      trips.push_back({source, draw_below(nodes, seed, Domain::kIntermediate, round, source, sequence), to});
    };
    if (round < shape.rounds) {
      const auto to = full_load_destinations(shape, load_seed, round);
      for (std::uint64_t g = 0; g < to.size(); ++g)
        add(g / shape.memory_words, g % shape.memory_words, to[g]);
    } else {
      for (std::uint64_t t = 0; t < shape.outputs; ++t)
        add(t % shape.machines, t / shape.machines, t / shape.block_words);
    }
    for (int half = 0; half < 2; ++half) {
      std::uint64_t below = 1;
      for (std::size_t t = 0; t < radices.size(); ++t) {
        std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> load;
        const std::uint64_t above = below * radices[t];
        for (Trip& trip : trips) {
          const std::uint64_t goal = half == 0 ? trip.middle : trip.to;
          const std::uint64_t next = trip.at / above * above + goal % above / below * below + trip.at % below;
          if (++load[{trip.at, next}] > capacities[t]) return true;
          trip.at = next;
        }
        below = above;
      }
    }
  }
  return false;
}

TEST(Routed, OverflowStaysWithinEta) {
  for (std::uint32_t digits = 1; digits <= 3; ++digits) {
    const auto shape = make_shape(64, 8, 8, 16, 4, 16);
    const auto radices = choose_radices(shape.machines, digits);
    const auto capacities = choose_capacities(shape, radices, Rational(1, 100));
    int failures = 0;
    for (std::uint64_t seed = 0; seed < 1000; ++seed)
      failures += overloads(shape, 3, radices, capacities, seed, 77);
    const double upper = boost::math::binomial_distribution<>::find_upper_bound_on_p(1000, failures, .01);
    std::printf("D = %u, full load: %d of 1000 seeds overflow, exact 99%% upper limit %.4f, eta .01\n",
                digits, failures, upper);
    EXPECT_LE(upper, .01);
  }
}

TEST(Routed, WithLessCapacityEveryOverflowIsFlaggedAndNoWordIsWrong) {
  const auto shape = make_shape(32, 4, 4, 8, 3, 32);
  const auto protocol = full_load(shape, 5);
  const auto input = random_input(shape, 1);
  const auto exact = anna::make_exact_match();
  for (std::uint32_t digits = 1; digits <= 3; ++digits) {
    const auto radices = choose_radices(shape.machines, digits);
    std::vector<std::uint32_t> capacities = choose_capacities(shape, radices, Rational(1, 100));
    int simulated = 0;
    while (simulated < 200) {  // lowered until at least one seed in five overflows
      for (auto& capacity : capacities) --capacity;
      simulated = 0;
      for (std::uint64_t seed = 0; seed < 1000; ++seed)
        simulated += overloads(shape, 3, radices, capacities, seed, 5);
    }
    int flagged = 0;
    constexpr int kTrials = 200;
    for (std::uint64_t seed = 0; seed < kTrials; ++seed) {
      const Compiled compiled =
          compile(protocol, {.construction = "routed",
                             .specific = RoutedOptions{.digits = digits, .capacities = capacities},
                             .seed = seed});
      const Comparison result = compare(compiled, input, *exact);
      EXPECT_EQ(result.overflow, overloads(shape, 3, radices, capacities, seed, 5))
          << "D " << digits << " seed " << seed;
      EXPECT_EQ(result.equal, !result.overflow);
      flagged += result.overflow;
      for (std::uint64_t t = 0; t < shape.outputs; ++t) {
        if (std::ranges::count(result.outputs.faulty, t) != 0) continue;
        EXPECT_EQ(result.outputs.words[t], result.run_words[t]);
      }
    }
    // Intermediates drawn elsewhere: the evaluated rate lies in the exact 99% interval of theirs.
    int elsewhere = 0;
    constexpr std::uint64_t kOthers = 1000, kFirstOther = 1u << 20;
    for (std::uint64_t seed = kFirstOther; seed < kFirstOther + kOthers; ++seed)
      elsewhere += overloads(shape, 3, radices, capacities, seed, 5);
    using Binomial = boost::math::binomial_distribution<>;
    // Both samples vary: the interval of their difference is wider than either's; .0025 on each of four ends.
    const double least = Binomial::find_lower_bound_on_p(kOthers, elsewhere, .0025),
                 most = Binomial::find_upper_bound_on_p(kOthers, elsewhere, .0025);
    EXPECT_GE(Binomial::find_upper_bound_on_p(kTrials, flagged, .0025), least);
    EXPECT_LE(Binomial::find_lower_bound_on_p(kTrials, flagged, .0025), most);
    std::printf(
        "D = %u, C_0 = %u: %d of 1000 overflow by the count, %d of %d evaluated ones flag it; "
        "independent load: %d of 1000, %.3f .. %.3f\n",
        digits, capacities[0], simulated, flagged, kTrials, elsewhere, least, most);
    EXPECT_GT(flagged, 0);
  }
}

// ---- faults

TEST(Routed, AViolationIsAFaultOfEveryOutput) {
  const mpc::Shape shape = make_shape(16, 2, 4, 8, 3, 16);
  const auto make = [&](auto act) {
    return std::make_shared<TestProtocol>(shape, [act](const mpc::Shape& s, const mpc::Step& step,
                                                       const mpc::Inbox& inbox, mpc::Outbox& outbox) {
      if (step.round < 3) outbox.send((step.machine + 1) % s.machines, digest(inbox) >> 16);
      for (std::uint64_t t = 2 * step.machine; step.round == 3 && t < 2 * step.machine + 2; ++t)
        outbox.deliver(t, t);
      act(step, outbox);
    });
  };
  struct Bad {
    FaultKind kind;
    std::function<void(const mpc::Step&, mpc::Outbox&)> act;
  };
  for (const Bad& bad : std::vector<Bad>{{FaultKind::kWordsSent,
                                          [](const mpc::Step&step, mpc::Outbox&out) {
                                            for (int i = 0; i < 4 && step.round == 1 && step.machine == 0;
                                                 ++i)
                                              out.send(3, 1);
                                          }},
                                         {FaultKind::kWordsReceived,
                                          [](const mpc::Step&step, mpc::Outbox&out) {
                                            if (step.round == 2) out.send(6, 1);
                                          }},
                                         {FaultKind::kScratch,
                                          [](const mpc::Step&step, mpc::Outbox&) {
                                            if (step.round == 2 && step.machine == 7)
                                              std::pmr::vector<std::uint64_t> much(65, step.scratch);
                                          }},
                                         {FaultKind::kStepFailed, [](const mpc::Step&step, mpc::Outbox&) {
                                            if (step.round == 3 && step.machine == 1)
                                              throw std::runtime_error("no");
                                          }}}) {
    for (std::uint32_t digits = 1; digits <= 3; ++digits) {
      const auto exact = anna::make_exact_match();
      const Comparison result = compare(routed(make(bad.act), digits), random_input(shape, 1), *exact);
      EXPECT_NE(result.run_violation, "");
      EXPECT_THAT(result.outputs.reasons, testing::Each(FaultKind::kElsewhere));
      EXPECT_EQ(result.outputs.faulty.size(), 16u) << to_string(bad.kind);
      EXPECT_FALSE(result.overflow);
      ASSERT_EQ(result.outputs.machine_faults.size(), 1u);
      EXPECT_EQ(result.outputs.machine_faults[0].fault.kind, bad.kind);
    }
  }
  // Outputs that are missing or delivered twice are faults of these outputs.
  const auto exact = anna::make_exact_match();
  const Comparison twice = compare(routed(make([](const mpc::Step& step, mpc::Outbox& out) {
                                     if (step.round == 3 && step.machine == 1) out.deliver(12, 5);
                                   })),
                                   random_input(shape, 1), *exact);
  EXPECT_EQ(twice.outputs.faulty, (std::vector<std::uint64_t>{12}));
  EXPECT_EQ(twice.outputs.reasons[0], FaultKind::kDuplicateOutput);
}

TEST(Routed, RefusesByName) {
  mpc::Shape shape = make_shape(16, 2, 4, 8, 3, 16);
  shape.word_bits = 62;
  const auto refusal = [](const mpc::Shape& bad) -> std::string {
    try {
      compile(std::make_shared<TestProtocol>(bad, StepFunction()),
              {.construction = "routed", .name = "too_big"});
    } catch (const ContractError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refusal(shape), testing::AllOf(HasSubstr("too_big"), HasSubstr("word_bits 62")));
  EXPECT_THAT(refusal(make_shape(1u << 20, 1024, 1ull << 30, 1u << 20, 3, 1u << 20)),
              testing::AllOf(HasSubstr("too_big"), HasSubstr("n_d q s")));
}

}  // namespace
}  // namespace roundtrip::simulate
