#include <rapidcheck.h>

#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {
namespace {

using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

constexpr std::int64_t kHalf = std::int64_t{1} << 47;

TEST(Registry, NamesTheNearestProtocol) {
  EXPECT_EQ(find_protocol("sum").name, "sum");
  try {
    (void)find_protocol("smu");
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_STREQ(error.what(), "unknown protocol 'smu', the nearest known one is 'sum'");
  }
}

TEST(Registry, RefusesTakenAndIllFormedNames) {
  ProtocolInfo info = find_protocol("sum");
  EXPECT_THROW(register_protocol(info), ContractError);
  info.name = "Sum!";
  EXPECT_THROW(register_protocol(info), ContractError);
  info.name = "sum_of_a_user";
  info.make = nullptr;
  EXPECT_THROW(register_protocol(info), ContractError);
  info.make = find_protocol("sum").make;
  register_protocol(info);
  EXPECT_EQ(find_protocol("sum_of_a_user").name, "sum_of_a_user");
}

TEST(Registry, InputsFitTheirWord) {
  Shape shape;
  shape.input_bits = 48;
  EXPECT_EQ(encode_input(-kHalf, shape, "line 1"), 0u);
  EXPECT_EQ(encode_input(kHalf - 1, shape, "line 1"), (Word{1} << 48) - 1);
  EXPECT_EQ(decode_input(encode_input(-5, shape, "line 1"), shape), -5);
  EXPECT_THROW((void)encode_input(kHalf, shape, "line 1"), ContractError);
  EXPECT_THROW((void)encode_input(-kHalf - 1, shape, "line 1"), ContractError);
}

TEST(Sum, WrapsAroundAsASignedNumber) {
  EXPECT_EQ(run_case("sum", parameters_of(2), {kHalf - 1, 1}).outputs[0], -kHalf);
  EXPECT_EQ(run_case("sum", parameters_of(3), {-kHalf, -1, 0}).outputs[0], kHalf - 1);
  EXPECT_EQ(run_case("sum", parameters_of(1), {-7}).outputs[0], -7);
}

TEST(Sum, EqualsItsOracleWithinItsBounds) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 700);
    const auto quarters = *rc::gen::inRange(1, 4);
    Parameters parameters = parameters_of(n, Rational(quarters, 4));
    if (*rc::gen::arbitrary<bool>()) parameters.kappa_s = *rc::gen::inRange<std::uint64_t>(1, 5);
    const Values values = random_values(n, -kHalf, kHalf - 1, *rc::gen::arbitrary<std::uint64_t>());
    const auto result = run_case("sum", parameters, values);
    RC_ASSERT(result.outputs == find_protocol("sum").oracle(values, parameters));
    RC_ASSERT(result.run.ledger.rounds.size() == sum_rounds(parameters));
    const auto again = run_case("sum", parameters, values, shaken("sum", parameters, n));
    RC_ASSERT(again.run.outputs == result.run.outputs);
    RC_ASSERT(again.run.ledger == result.run.ledger);
  }));
}

TEST(Sum, RoundsFollowTheFormula) {
  // b = 8, s = 8, 512 machines: three levels of eight, and one round to deliver.
  Parameters parameters = parameters_of(4096, Rational(1, 4));
  parameters.kappa_s = 1;
  const auto result = run_case("sum", parameters, random_values(4096, -9, 9, 1));
  EXPECT_EQ(result.shape.rounds, 4u);
  EXPECT_EQ(result.shape.machines, 512u);
  EXPECT_EQ(result.shape.memory_words, 8u);
  EXPECT_EQ(result.run.ledger.overall().max_words_received, 8u);
}

TEST(Sum, StopsWhereALimitIsBroken) {
  Parameters parameters = parameters_of(4096, Rational(1, 4));
  RunOptions options;
  options.limit_words = 7;
  try {
    run_case("sum", parameters, random_values(4096, -9, 9, 1), options);
    FAIL();
  } catch (const ModelViolation& violation) {
    EXPECT_EQ(violation.facts().kind, ModelViolation::Kind::kWordsReceived);
    EXPECT_EQ(violation.facts().round, 1u);
    EXPECT_EQ(violation.facts().machine, 1u);
    EXPECT_EQ(violation.facts().used, 8u);
    EXPECT_EQ(violation.facts().allowed, 7u);
  }
}

}  // namespace
}  // namespace roundtrip::mpc
