// Triangles, trees and the Fourier transform: inputs that would betray them, sizes that do not divide, rounds by formula,
// limits to the word, and what they refuse.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"

namespace roundtrip::mpc {
namespace {

using testing::CaseResult;
using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

CaseResult expect_right(const char* name, const Values& values, const Parameters& parameters,
                        std::uint32_t (*rounds)(const Parameters&)) {
  const ProtocolInfo& info = find_protocol(name);
  if (info.accept) info.accept(values, parameters);
  const CaseResult result = run_case(name, parameters, values);
  EXPECT_EQ(wrong_outputs(info, values, result.outputs, parameters), 0u)
      << name << ", N = " << values.size() << ", seed " << parameters.seed;
  EXPECT_EQ(rounds(parameters), result.shape.rounds);
  EXPECT_EQ(result.run.ledger.overall().max_heap_words, 0u);
  return result;
}

void expect_order_and_limits(const char* name, const Values& values, const Parameters& parameters) {
  const CaseResult plain = run_case(name, parameters, values);
  const CaseResult other = run_case(name, parameters, values, shaken(name, parameters, 9));
  EXPECT_EQ(plain.run.outputs, other.run.outputs);
  EXPECT_EQ(plain.run.ledger, other.run.ledger);
  const RoundFacts facts = plain.run.ledger.overall();
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case(name, parameters, values, options), ModelViolation);
}

// ---- triangles

Values edges_of(std::int64_t vertices, const std::function<bool(std::int64_t, std::int64_t)>& joined) {
  Values values;
  for (std::int64_t u = 0; u < vertices; ++u)
    for (std::int64_t v = u + 1; v < vertices; ++v)
      if (joined(u, v)) values.insert(values.end(), {(u + v) % 2 == 0 ? u : v, (u + v) % 2 == 0 ? v : u});
  return values;
}

std::int64_t triangles_in(const Values& values, const Parameters& parameters) {
  const Outputs outputs = expect_right("triangle_count", values, parameters, triangle_count_rounds).outputs;
  return outputs.at(0).value_or(-1);
}

TEST(TriangleCount, GraphsWhoseTrianglesAreKnown) {
  const auto count = [](const Values& values) { return triangles_in(values, parameters_of(values.size())); };
  for (const std::int64_t n : {3, 4, 5, 8, 16, 31}) {
    EXPECT_EQ(count(edges_of(n, [](auto, auto) { return true; })), n * (n - 1) * (n - 2) / 6) << n;
    // Two sides: none. A wheel: one for every edge of its rim. A star: none.
    EXPECT_EQ(count(edges_of(n, [](auto u, auto v) { return (u + v) % 2 == 1; })), 0) << n;
    EXPECT_EQ(count(edges_of(n, [](auto u, auto) { return u == 0; })), 0) << n;
    if (n < 5) continue;
    EXPECT_EQ(
        count(edges_of(n, [n](auto u, auto v) { return u == 0 || v == u + 1 || (u == 1 && v == n - 1); })),
        n - 1)
        << n;
  }
  EXPECT_EQ(count({0, 0}), 0);
  EXPECT_EQ(count({0, 1}), 0);
  // Every edge of a triangle many times and both ways, and loops: one.
  Values often;
  for (int i = 0; i < 60; ++i) often.insert(often.end(), {0, 1, 2, 1, 2, 0, 0, 2, 1, 1, 0, 1});
  EXPECT_EQ(count(often), 1);
  // A hub that is joined to all, and pairs of the others: edges of all kinds lead to the hub.
  Values friends;
  for (std::int64_t i = 0; i < 150; ++i)
    friends.insert(friends.end(), {0, 2 * i + 1, 2 * i + 1, 2 * i + 2, 2 * i + 2, 0});
  EXPECT_EQ(count(friends), 150);
}

TEST(TriangleCount, DenseRandomGraphsAtSizesThatDoNotDivide) {
  for (const std::uint64_t edges : {2, 3, 7, 20, 65, 130, 333, 500}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      // About as many different edges as are possible, many of them twice.
      const auto vertices = static_cast<std::int64_t>(ceil_power(4 * edges, Rational(1, 2)));
      Parameters parameters = parameters_of(2 * edges, seed == 3 ? Rational(1, 3) : Rational(1, 2));
      parameters.seed = seed;
      triangles_in(
          random_values(2 * edges, 0,
                        std::min<std::int64_t>(vertices, 2 * static_cast<std::int64_t>(edges) - 1), seed),
          parameters);
    }
  }
}

TEST(TriangleCount, GeneratedGraphsOfEveryKind) {
  const ProtocolInfo& info = find_protocol("triangle_count");
  for (const char* kind : {"random", "power", "grid", "planted"}) {
    for (const std::uint64_t n : {64, 1000, 2000}) {
      Parameters parameters = parameters_of(n, n == 1000 ? Rational(2, 3) : Rational(1, 2));
      parameters.options["graph"] = kind;
      triangles_in(info.generate(parameters), parameters);
    }
  }
}

TEST(TriangleCount, RandomOrderLimitsAndWhatIsRefused) {
  const Values clique = edges_of(17, [](auto, auto) { return true; });
  expect_order_and_limits("triangle_count", clique, parameters_of(clique.size()));
  const ProtocolInfo& info = find_protocol("triangle_count");
  EXPECT_THROW((void)info.make(parameters_of(9)), ContractError);
  EXPECT_THROW((void)info.make(parameters_of((1 << 20) + 2)), ContractError);
  EXPECT_THROW(info.accept(Values{0, 4, 1, 2}, parameters_of(4)), ContractError);
}

// ---- trees

/// A tree in which vertex v > 0 hangs below above(v), with other names and in another order.
Values tree(std::int64_t vertices, const std::function<std::int64_t(std::int64_t)>& above,
            std::uint64_t seed) {
  RandomStream stream(seed, Domain::kTest);
  const auto count = static_cast<std::uint64_t>(vertices);
  const auto names = random_order(count, stream), places = random_order(count - 1, stream);
  Values values(2 * (count - 1));
  for (std::int64_t v = 1; v < vertices; ++v) {
    const std::uint64_t turned = stream.below(2), at = 2 * places[static_cast<std::size_t>(v) - 1];
    values[at + turned] = static_cast<std::int64_t>(names[static_cast<std::size_t>(v)]);
    values[at + 1 - turned] = static_cast<std::int64_t>(names[static_cast<std::size_t>(above(v))]);
  }
  return values;
}

TEST(EulerTour, TreesOfEveryShapeFromEveryRoot) {
  for (const std::int64_t vertices : {2, 3, 4, 5, 8, 9, 17, 31, 64, 100, 257, 500}) {
    for (const auto& above : std::vector<std::function<std::int64_t(std::int64_t)>>{
             [](auto v) { return v - 1; }, [](auto) { return 0; }, [](auto v) { return (v - 1) / 2; },
             [](auto v) { return v % 2 == 0 ? v - 2 : v - 1; }, [](auto v) { return v < 3 ? 0 : v - 2; },
             [](auto v) { return v * 7 % 5 % v; }}) {
      const Values values = tree(vertices, above, static_cast<std::uint64_t>(vertices));
      for (const std::int64_t root : {std::int64_t{0}, vertices / 2, vertices - 1}) {
        Parameters parameters = parameters_of(values.size());
        parameters.options["root"] = std::to_string(root);
        expect_right("euler_tour", values, parameters, euler_tour_rounds);
      }
    }
  }
}

TEST(EulerTour, BySight) {
  // 2 has the children 0 and 3; 3 has 1 and 4.
  const Values values = {3, 1, 0, 2, 2, 3, 4, 3};
  Parameters parameters = parameters_of(8);
  parameters.options["root"] = "2";
  EXPECT_EQ(run_case("euler_tour", parameters, values).outputs,
            (Outputs{2, 1, 1, 3, 2, 1, 2, 0, 5, 2, 1, 3, 3, 2, 1}));
}

TEST(EulerTour, GeneratedTreesAndOtherExponents) {
  const ProtocolInfo& info = find_protocol("euler_tour");
  for (const std::uint64_t n : {2, 30, 1000, 5000}) {
    for (const Rational& epsilon : {Rational(1, 2), Rational(1, 3), Rational(2, 3)}) {
      const Parameters parameters = parameters_of(n, epsilon);
      expect_right("euler_tour", info.generate(parameters), parameters, euler_tour_rounds);
    }
  }
}

TEST(EulerTour, RandomOrderLimitsAndWhatIsRefused) {
  const Values values = tree(
      120, [](auto v) { return v / 3; }, 2);
  expect_order_and_limits("euler_tour", values, parameters_of(values.size()));
  const ProtocolInfo& info = find_protocol("euler_tour");
  EXPECT_THROW((void)info.make(parameters_of(9)), ContractError);
  Parameters other = parameters_of(8);
  other.options["root"] = "5";
  EXPECT_THROW((void)info.make(other), ContractError);
  for (const Values& wrong :
       {Values{0, 1, 1, 2, 2, 0}, Values{0, 1, 1, 4}, Values{0, 1, 2, 2}, Values{0, 1, 1, 0}})
    EXPECT_THROW(info.accept(wrong, parameters_of(wrong.size())), ContractError);
}

// ---- Fourier transforms

constexpr std::int64_t kPrime = 2013265921;

TEST(Fft, TheOracleIsTheDefinition) {
  for (const std::uint64_t n : {1, 2, 3, 4, 5, 6, 8, 15, 16, 30, 60}) {
    const Values values = random_values(n, -(std::int64_t{1} << 46), (std::int64_t{1} << 46) - 1, n);
    std::int64_t root = 1, square = 31;  // 31^((p - 1) / N)
    for (std::uint64_t i = (kPrime - 1) / n; i > 0; i /= 2, square = square * square % kPrime)
      if (i % 2 == 1) root = root * square % kPrime;
    const Outputs outputs = oracles::fourier(values, false);
    std::int64_t at = 1;
    for (std::uint64_t k = 0; k < n; ++k, at = at * root % kPrime) {
      std::int64_t sum = 0;
      for (std::uint64_t j = n; j-- > 0;) sum = (sum * at + (values[j] % kPrime + kPrime) % kPrime) % kPrime;
      EXPECT_EQ(outputs[k], sum) << n << ", " << k;
    }
  }
}

TEST(Fft, AllSizesAndExponentsThereAndBack) {
  for (const std::uint64_t n : {1, 2, 3, 4, 5, 6, 8, 10, 15, 16, 60, 64, 240, 256, 960, 1024, 2560}) {
    for (const Rational& epsilon : {Rational(1, 2), Rational(1, 4), Rational(3, 4)}) {
      Parameters parameters = parameters_of(n, epsilon);
      const Values values = random_values(n, -(std::int64_t{1} << 46), (std::int64_t{1} << 46) - 1, n);
      const CaseResult there = expect_right("fft", values, parameters, fft_rounds);
      // A pass takes the largest radix that divides the rest: more than s / 30 but for the last.
      std::uint64_t rest = n;
      std::uint32_t passes = n == 1 ? 1 : 0;
      for (; rest > 1; ++passes) {
        std::uint64_t radix = 1;
        for (std::uint64_t r = 1; r <= std::min(rest, there.shape.memory_words); ++r)
          if (rest % r == 0) radix = r;
        rest /= radix;
      }
      EXPECT_EQ(there.shape.rounds, passes + 1) << n;
      Values between;
      for (const auto& output : there.outputs) between.push_back(*output);
      parameters.options["inverse"] = "1";
      const CaseResult back = expect_right("fft", between, parameters, fft_rounds);
      for (std::uint64_t i = 0; i < n; ++i)
        EXPECT_EQ(back.outputs[i], (values[i] % kPrime + kPrime) % kPrime) << n;
    }
  }
}

TEST(Fft, MultipliesPolynomials) {
  // (1 + 2 x + .. + 8 x^7)^2 modulo x^16 - 1.
  Values values(16, 0);
  for (int i = 0; i < 8; ++i) values[static_cast<std::size_t>(i)] = i + 1;
  Parameters parameters = parameters_of(16);
  Values squares;
  for (const auto& output : run_case("fft", parameters, values).outputs)
    squares.push_back(*output * *output % kPrime);
  parameters.options["inverse"] = "1";
  EXPECT_EQ(run_case("fft", parameters, squares).outputs,
            (Outputs{1, 4, 10, 20, 35, 56, 84, 120, 147, 164, 170, 164, 145, 112, 64, 0}));
}

TEST(Fft, RandomOrderLimitsAndWhatIsRefused) {
  expect_order_and_limits("fft", random_values(1024, 0, 1000, 1), parameters_of(1024));
  const ProtocolInfo& info = find_protocol("fft");
  for (const std::uint64_t n : {7, 9, 100, 1000})
    EXPECT_THROW((void)info.make(parameters_of(n)), ContractError);
  Parameters other = parameters_of(8);
  other.options["inverse"] = "2";
  EXPECT_THROW((void)info.make(other), ContractError);
}

}  // namespace
}  // namespace roundtrip::mpc
