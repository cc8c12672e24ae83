// Fixed point against exact fractions, and balls in bins against the exact tail and against a protocol that hashes.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "mpc/protocol_case.h"
#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/stages/fixed_point.h"
#include "roundtrip/mpc/stages/hashing.h"
#include "roundtrip/mpc/stages/public_coins.h"

namespace roundtrip::mpc {
namespace {

using Hundredths = Fixed<100>;

TEST(Fixed, RoundsToTheNearestAndHalvesAwayFromZero) {
  const auto of = [](std::int64_t units) { return Hundredths::of_units(units); };
  EXPECT_EQ((of(150) * of(33)).units(), 50);    // 1.5 * 0.33 = 0.495
  EXPECT_EQ((of(-150) * of(33)).units(), -50);  // a half, away from zero
  EXPECT_EQ((of(150) * of(31)).units(), 47);    // 0.465
  EXPECT_EQ((of(149) * of(31)).units(), 46);    // 0.4619
  EXPECT_EQ((of(100) / of(300)).units(), 33);
  EXPECT_EQ((of(-200) / of(300)).units(), -67);
  EXPECT_EQ((of(200) / of(-300)).units(), -67);
  EXPECT_EQ((of(-200) / of(-300)).units(), 67);
  EXPECT_EQ(Hundredths::ratio(1, 8).units(), 13);
  EXPECT_EQ((of(7) - of(9) + of(1)).units(), -1);
  EXPECT_LT(of(1), of(2));
}

TEST(Fixed, IsWithinHalfAUnitOfTheExactResult) {
  using Binary = Fixed<1 << 16>;
  for (const std::int64_t a : testing::random_values(200, -(1 << 24), 1 << 24, 1)) {
    for (const std::int64_t b : testing::random_values(20, -(1 << 22), 1 << 22, 2)) {
      if (b == 0) continue;
      const std::int64_t product = (Binary::of_units(a) * Binary::of_units(b)).units();
      EXPECT_LE(std::abs(2 * (product * 65536 - a * b)), 65536);
      const std::int64_t quotient = (Binary::of_units(a) / Binary::of_units(b)).units();
      EXPECT_LE(std::abs(2 * (quotient * b - a * 65536)), std::abs(b));
    }
  }
}

TEST(Fixed, RefusesWhatDoesNotFit) {
  const auto most = Hundredths::of_units(0x7fffffffffffffff);
  EXPECT_EQ((most * Hundredths::of_units(100)).units(), most.units());
  EXPECT_THROW((void)(most * Hundredths::of_units(101)), ContractError);
  EXPECT_THROW((void)(most + Hundredths::of_units(1)), ContractError);
  EXPECT_THROW((void)(Hundredths::of_units(-2) - most), ContractError);
  EXPECT_THROW((void)(most / Hundredths()), ContractError);
}

/// P[a bin of `bins` gets more than `capacity` of `items`], one bin alone, summed term by term.
double tail_of_one(std::uint64_t items, std::uint64_t bins, std::uint64_t capacity) {
  double sum = 0, term = std::pow(1 - 1.0 / static_cast<double>(bins), static_cast<double>(items));
  for (std::uint64_t k = 0; k <= items; ++k) {
    if (k > capacity) sum += term;
    term *= static_cast<double>(items - k) / static_cast<double>(k + 1) / static_cast<double>(bins - 1);
  }
  return sum;
}

TEST(Hashing, TheBoundIsTheExactTailOfAllBinsAndTheCapacityIsTheLeast) {
  for (const std::uint64_t items : {10, 64, 100, 1000}) {
    for (const std::uint64_t bins : {2, 8, 31, 100}) {
      for (std::uint64_t capacity = 0; capacity < items; ++capacity) {
        const double exact = std::min(1.0, static_cast<double>(bins) * tail_of_one(items, bins, capacity));
        if (exact > 1e-200) {
          EXPECT_NEAR(overflow_bound(items, bins, capacity) / exact, 1, 1e-9)
              << items << ' ' << bins << ' ' << capacity;
        }
      }
      for (const Rational& eta : {Rational(1, 2), Rational(1, 100), Rational(1, 1'000'000)}) {
        const std::uint64_t least = bin_capacity(items, bins, eta);
        EXPECT_LE(overflow_bound(items, bins, least), eta.to_double());
        EXPECT_TRUE(least == ceil_div(items, bins) ||
                    overflow_bound(items, bins, least - 1) > eta.to_double());
      }
    }
  }
  EXPECT_EQ(bin_capacity(50, 1, {1, 2}), 50u);
  EXPECT_EQ(overflow_bound(50, 7, 50), 0);
  EXPECT_THROW((void)bin_capacity(50, 7, Rational(1)), ContractError);
  EXPECT_THROW((void)overflow_bound(50, 0, 1), ContractError);
}

/// Sends every word to a machine by public coins, and then home: s is what bin_capacity() says.
class Hashed final : public Composition {
 public:
  Hashed(const Parameters& parameters, std::uint64_t capacity) {
    Sizes sizes = choose_sizes(parameters, 1, [](const Sizes&) { return true; });
    sizes.memory_words = capacity;
    shape_ = declare_shape(parameters, sizes, parameters.n, 1);
    then("hash", 1, 0,
         [this, coins = PublicCoins(parameters.seed, 1)](const Context& context, std::uint32_t) {
           Word position = context.machine * shape_.block_words;
           for (std::size_t i = 0; i < context.inbox.size(); ++i, ++position)
             context.out.send(static_cast<MachineId>(coins.below(shape_.machines, 0, position)), position);
         });
    then("deliver", 1, 0, [](const Context& context, std::uint32_t) {
      for (const Word position : context.inbox.words()) context.out.deliver(position, position);
    });
    shape_.validate();
  }
};

TEST(Hashing, AProtocolThatHashesOverflowsNoMoreOftenThanStated) {
  const Parameters base = testing::parameters_of(400);
  const std::uint64_t capacity = bin_capacity(400, 20, {1, 20});
  const auto transport = make_in_process_transport();
  const auto overflows = [&](std::uint64_t words) {
    int count = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
      Parameters parameters = base;
      parameters.seed = seed;
      try {
        (void)run(Hashed(parameters, words), std::vector<Word>(400), *transport);
      } catch (const ModelViolation&) {
        ++count;
      }
    }
    return count;
  };
  // 20 are expected at most; 47 or more with probability below 10^-7 (Chernoff). A third less memory overflows often.
  EXPECT_LT(overflows(capacity), 47);
  EXPECT_GT(overflows(capacity - capacity / 3), 47);
}

}  // namespace
}  // namespace roundtrip::mpc
