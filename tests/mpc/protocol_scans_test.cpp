// Broadcast, reduce, prefix scan and segmented scan against loops over 128-bit integers, at every size that
// trees make a case of their own.
#include <rapidcheck.h>

#include <algorithm>

#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {
namespace {

using testing::CaseResult;
using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

constexpr std::int64_t kHalf = std::int64_t{1} << 47;

std::int64_t combine(std::int64_t a, std::int64_t b, const std::string& op) {
  if (op == "min") return std::min(a, b);
  if (op == "max") return std::max(a, b);
  std::int64_t sum = (a + b) % (2 * kHalf);  // no overflow: both are below 2^47
  if (sum < -kHalf) sum += 2 * kHalf;
  return sum < kHalf ? sum : sum - 2 * kHalf;
}

/// What the protocol of that name shall output, from its problem.
Outputs expected(const std::string& name, const std::string& op, const Values& values) {
  Outputs outputs;
  std::int64_t so_far = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (name == "broadcast") {
      outputs.emplace_back(values[0]);
    } else if (name == "segmented_scan") {
      if (i % 2 == 0) continue;
      so_far = i == 1 || values[i - 1] != 0 ? values[i] : combine(so_far, values[i], op);
      outputs.emplace_back(so_far);
    } else {
      so_far = i == 0 ? values[i] : combine(so_far, values[i], op);
      outputs.emplace_back(so_far);
    }
  }
  if (name == "reduce") outputs = {outputs.back()};
  return outputs;
}

/// R from the cards, in the test's own words.
std::uint64_t formula(const std::string& name, std::uint64_t n, const Shape& shape) {
  const std::uint64_t s = shape.memory_words;
  const std::uint64_t b = shape.block_words;
  const std::uint64_t machines = (n + b - 1) / b;
  const std::uint64_t fan = name == "prefix_scan" ? (s - b) / 2 : name == "segmented_scan" ? (s - b) / 4 : s;
  std::uint64_t depth = 0;
  for (std::uint64_t reach = 1; reach < machines; reach *= fan) ++depth;
  if (name == "broadcast") return depth == 0 ? 1 : depth + 2;
  return name == "reduce" ? depth + 1 : 2 * depth + 1;
}

std::uint32_t declared_rounds(const std::string& name, const Parameters& parameters) {
  return name == "broadcast"     ? broadcast_rounds(parameters)
         : name == "reduce"      ? reduce_rounds(parameters)
         : name == "prefix_scan" ? prefix_scan_rounds(parameters)
                                 : segmented_scan_rounds(parameters);
}

CaseResult expect_scan(const std::string& name, const std::string& op, Parameters parameters,
                       const Values& values) {
  SCOPED_TRACE(fmt::format("{} {} N = {} eps = {}", name, op, parameters.n, parameters.epsilon.to_string()));
  if (name != "broadcast") parameters.options["op"] = op;
  const CaseResult result = run_case(name, parameters, values);
  const Outputs outputs = expected(name, op, values);
  EXPECT_EQ(result.outputs, outputs);
  EXPECT_EQ(find_protocol(name).oracle(values, parameters), outputs);
  const std::uint64_t rounds = formula(name, parameters.n, result.shape);
  EXPECT_EQ(result.shape.rounds, rounds);
  EXPECT_EQ(result.run.ledger.rounds.size(), rounds);
  EXPECT_EQ(declared_rounds(name, parameters), rounds);
  return result;
}

const std::vector<std::string> kNames = {"broadcast", "reduce", "prefix_scan", "segmented_scan"};
const std::vector<std::string> kOperations = {"sum", "min", "max"};

Values flagged(Values values, std::uint64_t every) {
  for (std::size_t i = 0; i < values.size(); i += 2)
    values[i] = every != 0 && i / 2 % every == 0 ? values[i] | 1 : 0;
  return values;
}

TEST(Scans, AnyShapeProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto name = *rc::gen::elementOf(kNames);
    const auto n = 2 * *rc::gen::inRange<std::uint64_t>(1, 700);
    Parameters parameters = parameters_of(n, Rational(*rc::gen::inRange(1, 10), 10));
    parameters.kappa_s = *rc::gen::inRange<std::uint64_t>(1, 9);
    Values values = random_values(n, -kHalf, kHalf - 1, *rc::gen::arbitrary<std::uint64_t>());
    if (name == "segmented_scan") values = flagged(values, *rc::gen::inRange<std::uint64_t>(0, 20));
    expect_scan(name, *rc::gen::elementOf(kOperations), parameters, values);
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(Scans, PowersOfTwoAndTheirNeighbours) {
  for (const std::string& name : kNames) {
    for (int bits = 0; bits <= 14; ++bits) {
      for (const std::int64_t shift : {-1, 0, 1}) {
        const std::int64_t size = (std::int64_t{1} << bits) + shift;
        if (size < 1) continue;
        auto n = static_cast<std::uint64_t>(size);
        if (name == "segmented_scan") n += n % 2;
        const Values values = random_values(n, -1000, 1000, n);
        for (const Rational epsilon : {Rational(1, 2), Rational(1, 4)})
          expect_scan(name, kOperations[n % 3], parameters_of(n, epsilon), values);
      }
    }
  }
}

TEST(Scans, SegmentsThatReachOverManyMachinesOrNone) {
  for (const std::uint64_t every : {0, 1, 2, 15, 16, 17, 100, 499}) {
    const Values values = flagged(random_values(1000, -kHalf, kHalf - 1, every), every);
    for (const std::string& op : kOperations)
      expect_scan("segmented_scan", op, parameters_of(1000, {1, 3}), values);
  }
}

TEST(Scans, RandomOrderLimitsAndRefusals) {
  for (const std::string& name : kNames) {
    const Parameters parameters = parameters_of(900, {1, 3});
    const Values values = random_values(900, -5, 5, 3);
    const CaseResult plain = run_case(name, parameters, values);
    const CaseResult other = run_case(name, parameters, values, shaken(name, parameters, 9));
    EXPECT_EQ(plain.run.outputs, other.run.outputs);
    EXPECT_EQ(plain.run.ledger, other.run.ledger);
    const RoundFacts facts = plain.run.ledger.overall();
    RunOptions options;
    options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
    EXPECT_THROW(run_case(name, parameters, values, options), ModelViolation) << name;
    if (name == "broadcast") continue;
    Parameters wrong = parameters;
    wrong.options["op"] = "mean";
    EXPECT_THROW(find_protocol(name).make(wrong), ContractError);
  }
  EXPECT_THROW(find_protocol("segmented_scan").make(parameters_of(9)), ContractError);
}

}  // namespace
}  // namespace roundtrip::mpc
