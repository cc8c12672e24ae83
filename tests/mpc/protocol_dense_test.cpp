// Matrix product and low-rank sums against exact arithmetic in 128 bits.
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
__extension__ typedef __int128 Wide;

std::int64_t modulo(Wide sum) {
  sum %= 2 * Wide{kHalf};
  if (sum < -kHalf) sum += 2 * Wide{kHalf};
  if (sum >= kHalf) sum -= 2 * Wide{kHalf};
  return static_cast<std::int64_t>(sum);
}

long log_up(long base, long value) {
  long e = 0;
  for (long power = 1; power < value; power *= base) ++e;
  return e;
}

// ---- matrix_product

using Matrix = std::vector<std::vector<std::int64_t>>;

Outputs product(const Values& values, std::size_t rows) {
  const std::size_t inner = values.size() / 2 / rows;
  Matrix a(rows, std::vector<std::int64_t>(inner)), b(inner, std::vector<std::int64_t>(rows));
  std::size_t next = 0;
  for (auto* const matrix : {&a, &b}) {
    for (auto& row : *matrix) {
      for (std::int64_t& entry : row) entry = values[next++];
    }
  }
  Outputs outputs;
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < rows; ++j) {
      Wide sum = 0;
      for (std::size_t k = 0; k < inner; ++k) sum += Wide{modulo(Wide{a[i][k]} * b[k][j])};
      outputs.emplace_back(modulo(sum));
    }
  }
  return outputs;
}

CaseResult expect_product(Parameters parameters, std::uint64_t rows, const Values& values) {
  parameters.options["rows"] = std::to_string(rows);
  SCOPED_TRACE(fmt::format("N = {}, r = {}, eps = {}", parameters.n, rows, parameters.epsilon.to_string()));
  const CaseResult result = run_case("matrix_product", parameters, values);
  const Outputs outputs = product(values, rows);
  EXPECT_EQ(result.outputs, outputs);
  EXPECT_EQ(find_protocol("matrix_product").oracle(values, parameters), outputs);
  // f = max(2, ceil(N^(delta/2))) and t = floor(sqrt(s / 2f)), by trial.
  const auto exponent = parameters.delta * Rational(1, 2);
  const auto f = std::max(2L, static_cast<long>(ceil_power(parameters.n, exponent)));
  long t = 0;
  while (2 * f * (t + 1) * (t + 1) <= static_cast<long>(result.shape.memory_words)) ++t;
  const auto tiles = [t](std::uint64_t size) { return (static_cast<long>(size) + t - 1) / t; };
  const std::uint64_t inner = parameters.n / 2 / rows;
  EXPECT_EQ(result.shape.rounds, 2 + log_up(f, tiles(rows)) + log_up(f, tiles(inner)));
  EXPECT_EQ(matrix_product_rounds(parameters), result.shape.rounds);
  EXPECT_GE(static_cast<long>(result.shape.machines), tiles(rows) * tiles(rows) * tiles(inner));
  return result;
}

TEST(MatrixProduct, AnyShapeProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto rows = *rc::gen::inRange<std::uint64_t>(1, 20);
    const auto inner = *rc::gen::inRange<std::uint64_t>(1, 40);
    Parameters parameters = parameters_of(2 * rows * inner, Rational(*rc::gen::inRange(1, 10), 10));
    parameters.delta = Rational(*rc::gen::inRange(1, 10), 10);
    parameters.kappa_s = *rc::gen::inRange<std::uint64_t>(1, 12);
    expect_product(parameters, rows,
                   random_values(parameters.n, -kHalf, kHalf - 1, *rc::gen::arbitrary<std::uint64_t>()));
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(MatrixProduct, SquareAndExtremeShapes) {
  for (const std::uint64_t side : {1, 2, 15, 16, 17, 31, 32, 33, 64, 91}) {
    const std::uint64_t n = 2 * side * side;
    expect_product(parameters_of(n), side, random_values(n, -kHalf, kHalf - 1, side));
    Values identity(n);
    for (std::uint64_t i = 0; i < side; ++i) identity[i * side + i] = 1;
    for (std::uint64_t i = 0; i < side * side; ++i)
      identity[side * side + i] = static_cast<std::int64_t>(i) - 7;
    const CaseResult result = expect_product(parameters_of(n), side, identity);
    EXPECT_EQ(result.outputs,
              Outputs(identity.begin() + static_cast<std::ptrdiff_t>(side * side), identity.end()));
    expect_product(parameters_of(n), 1, random_values(n, -9, 9, side));  // an inner product
    expect_product(parameters_of(n), side * side <= 1024 ? side * side : side,
                   random_values(n, -9, 9, side));  // an outer product
  }
}

TEST(MatrixProduct, DefaultsLimitsAndRefusals) {
  const Parameters parameters = parameters_of(256);  // 8 x 16 times 16 x 8
  const Values values = random_values(256, -50, 50, 1);
  const CaseResult plain = run_case("matrix_product", parameters, values);
  EXPECT_EQ(plain.outputs, product(values, 8));
  const CaseResult other =
      run_case("matrix_product", parameters, values, shaken("matrix_product", parameters, 9));
  EXPECT_EQ(plain.run.outputs, other.run.outputs);
  EXPECT_EQ(plain.run.ledger, other.run.ledger);
  const RoundFacts facts = plain.run.ledger.overall();
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case("matrix_product", parameters, values, options), ModelViolation);
  EXPECT_THROW(find_protocol("matrix_product").make(parameters_of(15)), ContractError);
  Parameters wrong = parameters;
  for (const char* rows : {"0", "3", "x", "256"}) {
    wrong.options["rows"] = rows;
    EXPECT_THROW(find_protocol("matrix_product").make(wrong), ContractError) << rows;
  }
}

// ---- low_rank_sums

/// Token by token, with the weights of attention.
Outputs attended(const Values& values, std::size_t rank, std::size_t dimension) {
  const std::size_t width = 2 * rank + dimension;
  Outputs outputs;
  for (std::size_t i = 0; i < values.size(); i += width) {
    std::vector<Wide> sums(dimension + 1);
    for (std::size_t j = 0; j < values.size(); j += width) {
      Wide weight = 0;
      for (std::size_t c = 0; c < rank; ++c) weight += Wide{values[i + c]} * values[j + rank + c];
      weight = modulo(weight);
      for (std::size_t d = 0; d < dimension; ++d) sums[d] += Wide{modulo(weight * values[j + 2 * rank + d])};
      sums[dimension] += weight;
    }
    for (const Wide sum : sums) outputs.emplace_back(modulo(sum));
  }
  return outputs;
}

CaseResult expect_sums(Parameters parameters, std::uint64_t rank, std::uint64_t dimension,
                       const Values& values) {
  SCOPED_TRACE(fmt::format("N = {}, r = {}, m = {}", parameters.n, rank, dimension));
  parameters.options = {{"rank", std::to_string(rank)}, {"dim", std::to_string(dimension)}};
  const CaseResult result = run_case("low_rank_sums", parameters, values);
  const Outputs outputs = attended(values, rank, dimension);
  EXPECT_EQ(result.outputs, outputs);
  EXPECT_EQ(find_protocol("low_rank_sums").oracle(values, parameters), outputs);
  const auto s = static_cast<long>(result.shape.memory_words);
  const auto width = static_cast<long>(2 * rank + dimension);
  const long block = s / (4 * width);
  const long machines = (static_cast<long>(parameters.n) / width + block - 1) / block;
  const long fan = s / static_cast<long>(2 * rank * (dimension + 1));
  EXPECT_EQ(result.shape.rounds, 2 * log_up(fan, machines) + 2);
  EXPECT_EQ(low_rank_sums_rounds(parameters), result.shape.rounds);
  return result;
}

TEST(LowRankSums, AnyShapeProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto rank = *rc::gen::inRange<std::uint64_t>(1, 7);
    const auto dimension = *rc::gen::inRange<std::uint64_t>(1, 7);
    const auto tokens = *rc::gen::inRange<std::uint64_t>(1, 120);
    Parameters parameters =
        parameters_of(tokens * (2 * rank + dimension), Rational(*rc::gen::inRange(2, 10), 10));
    parameters.kappa_s = *rc::gen::inRange<std::uint64_t>(1, 20);
    expect_sums(parameters, rank, dimension,
                random_values(parameters.n, -kHalf, kHalf - 1, *rc::gen::arbitrary<std::uint64_t>()));
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(LowRankSums, TokensNearPowersOfTwo) {
  for (int bits = 2; bits <= 10; ++bits) {
    for (const std::uint64_t tokens : {(1u << bits) - 1, 1u << bits, (1u << bits) + 1}) {
      const Parameters parameters = parameters_of(16 * tokens);
      expect_sums(parameters, 4, 8, find_protocol("low_rank_sums").generate(parameters));
    }
  }
}

TEST(LowRankSums, LimitsAndRefusals) {
  const Parameters parameters = parameters_of(1024);
  const Values values = find_protocol("low_rank_sums").generate(parameters);
  const CaseResult plain = run_case("low_rank_sums", parameters, values);
  const CaseResult other =
      run_case("low_rank_sums", parameters, values, shaken("low_rank_sums", parameters, 9));
  EXPECT_EQ(plain.run.outputs, other.run.outputs);
  EXPECT_EQ(plain.run.ledger, other.run.ledger);
  const RoundFacts facts = plain.run.ledger.overall();
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case("low_rank_sums", parameters, values, options), ModelViolation);
  EXPECT_THROW(find_protocol("low_rank_sums").make(parameters_of(1000)), ContractError);
  Parameters wrong = parameters;
  wrong.options["rank"] = "0";
  EXPECT_THROW(find_protocol("low_rank_sums").make(wrong), ContractError);
}

}  // namespace
}  // namespace roundtrip::mpc
