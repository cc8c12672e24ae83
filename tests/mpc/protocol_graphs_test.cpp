// Components, cycles, list ranking and join: graphs that would betray a protocol, every size near powers of
// two, rounds by formula.
#include <gmock/gmock.h>
#include <rapidcheck.h>

#include <algorithm>
#include <numeric>

#include "mpc/formula_sort.h"
#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {
namespace {

using testing::CaseResult;
using testing::formula_plan;
using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

long log_up(long base, long value) {
  long e = 0;
  for (long power = 1; power < value; power *= base) ++e;
  return e;
}

using Edges = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// The list with vertices renamed, edges reordered and turned at random.
Values shuffled(const Edges& edges, std::uint64_t seed) {
  RandomStream stream(seed, Domain::kTest);
  std::int64_t vertices = 0;
  for (const auto& [u, v] : edges) vertices = std::max({vertices, u + 1, v + 1});
  const auto names = random_order(static_cast<std::uint64_t>(vertices), stream);
  const auto places = random_order(edges.size(), stream);
  Values values(2 * edges.size());
  for (std::size_t e = 0; e < edges.size(); ++e) {
    const std::uint64_t turned = stream.below(2);
    values[2 * places[e] + turned] =
        static_cast<std::int64_t>(names[static_cast<std::size_t>(edges[e].first)]);
    values[2 * places[e] + 1 - turned] =
        static_cast<std::int64_t>(names[static_cast<std::size_t>(edges[e].second)]);
  }
  return values;
}

Edges path(std::int64_t edges) {
  Edges list;
  for (std::int64_t i = 0; i < edges; ++i) list.emplace_back(i, i + 1);
  return list;
}

/// Cycles of these lengths, one after the other.
Edges cycles(const std::vector<std::int64_t>& lengths) {
  Edges list;
  std::int64_t first = 0;
  for (const std::int64_t length : lengths) {
    for (std::int64_t i = 0; i < length; ++i) list.emplace_back(first + i, first + (i + 1) % length);
    first += length;
  }
  return list;
}

// ---- components

/// Each vertex's least fellow by repeated relaxing of all edges: quadratic.
Outputs relaxed(const Values& values) {
  Outputs label(values.size());
  for (const std::int64_t v : values) label[static_cast<std::size_t>(v)] = v;
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t e = 0; e < values.size(); e += 2) {
      auto& a = label[static_cast<std::size_t>(values[e])];
      auto& b = label[static_cast<std::size_t>(values[e + 1])];
      if (a == b) continue;
      a = b = std::min(*a, *b);
      changed = true;
    }
  }
  return label;
}

/// R from the card, in words of the test's own, with at most `most` records a machine; -1 if there is no plan.
long components_formula(long n, long s, long most) {
  const auto [t, B, M] = formula_plan(n, 2, s, 2, most);
  if (t <= 0) return t == 0 ? 3 : -1;  // everything on one machine
  const long S = s - 2 * B - 4;        // NOLINT(readability-identifier-naming): of the derivation
  long bits = 0;
  while ((1L << bits) < n) ++bits;
  long chunk_rounds = -1;
  for (long c = 1; c <= std::min(bits, 12L); ++c) {
    const long f = S / (2 * (1 + (2L << c)));
    if (f < 2) break;
    const long rounds = (bits + c - 1) / c * log_up(f, M);
    if (chunk_rounds < 0 || rounds < chunk_rounds) chunk_rounds = rounds;
  }
  if (S < 4 || chunk_rounds < 0) return -1;
  long best = -1;
  for (long z = 2; z <= std::min(M, S); ++z) {
    long phases = 0;
    for (long live = n; live > S / z; ++phases) live -= (live + 3) / 4;
    const long rounds = phases * (t + 2 * chunk_rounds + 1) + 2 * log_up(z, M);
    if (best < 0 || rounds < best) best = rounds;
  }
  return best + t + 2 * log_up(S / 2, M) + 3;
}

CaseResult expect_components(const Parameters& parameters, const Values& values) {
  SCOPED_TRACE(fmt::format("N = {}, eps = {}", parameters.n, parameters.epsilon.to_string()));
  const CaseResult result = run_case("components", parameters, values);
  EXPECT_EQ(result.outputs, find_protocol("components").oracle(values, parameters));
  const auto s = static_cast<long>(result.shape.memory_words);
  long rounds = -1;
  for (const long part : {4, 6, 8}) {
    const long with = components_formula(static_cast<long>(parameters.n), s, s / part);
    if (with >= 0 && (rounds < 0 || with < rounds)) rounds = with;
  }
  EXPECT_EQ(result.shape.rounds, rounds);
  EXPECT_EQ(components_rounds(parameters), rounds);
  EXPECT_EQ(result.run.ledger.rounds.size(), static_cast<std::size_t>(rounds));
  return result;
}

void expect_components(const Values& values) {
  expect_components(parameters_of(values.size()), values);
}

TEST(Components, OracleAgreesWithTheDefinition) {
  EXPECT_TRUE(rc::check([] {
    const auto edges = *rc::gen::inRange<std::uint64_t>(1, 60);
    const auto vertices = *rc::gen::inRange<std::int64_t>(1, static_cast<std::int64_t>(2 * edges) + 1);
    const Values values = random_values(2 * edges, 0, vertices - 1, *rc::gen::arbitrary<std::uint64_t>());
    RC_ASSERT(find_protocol("components").oracle(values, parameters_of(2 * edges)) == relaxed(values));
  }));
}

TEST(Components, TinyGraphs) {
  for (std::uint64_t n = 2; n <= 60; n += 2) {
    for (const std::uint64_t kappa : {1, 8, 16}) {
      Parameters parameters = parameters_of(n, n % 4 == 0 ? Rational(1, 2) : Rational(1, 3));
      parameters.kappa_s = kappa;
      expect_components(parameters, random_values(n, 0, static_cast<std::int64_t>(n) - 1, n));
    }
  }
}

TEST(Components, AnyShapeProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto edges = *rc::gen::inRange<std::uint64_t>(1, 700);
    const auto vertices = *rc::gen::inRange<std::int64_t>(1, static_cast<std::int64_t>(2 * edges) + 1);
    Parameters parameters = parameters_of(2 * edges, Rational(*rc::gen::inRange(4, 9), 10));
    parameters.kappa_s = *rc::gen::inRange<std::uint64_t>(4, 33);
    expect_components(parameters,
                      random_values(2 * edges, 0, vertices - 1, *rc::gen::arbitrary<std::uint64_t>()));
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(Components, GraphsThatTakeLong) {
  for (const std::int64_t edges : {100, 511, 1024, 2050}) {
    for (const std::uint64_t seed : {1, 2}) {
      expect_components(shuffled(path(edges), seed));
      expect_components(shuffled(cycles({edges / 3, edges - edges / 3}), seed));
      Edges star, pairs, caterpillar, grid, tree, loops;
      for (std::int64_t i = 0; i < edges; ++i) {
        star.emplace_back(0, i + 1);
        pairs.emplace_back(2 * i, 2 * i + 1);
        caterpillar.emplace_back(i % 2 == 0 ? i : i - 1, i % 2 == 0 ? i + 2 : i);
        grid.emplace_back(i / 2, i % 2 == 0 ? i / 2 + 1 : i / 2 + 20);
        tree.emplace_back(i / 2, i + 1);
        loops.emplace_back(i / 3, i % 3 == 0 ? i / 3 : 0);
      }
      for (const Edges& graph : {star, pairs, caterpillar, grid, tree, loops})
        expect_components(shuffled(graph, seed));
    }
    // Vertices in order, so that the least neighbour is always the one before: one long chain of hooks.
    Values ordered, reversed;
    for (std::int64_t i = 0; i < edges; ++i) {
      ordered.insert(ordered.end(), {i, i + 1});
      reversed.insert(reversed.end(), {edges - i, edges - i - 1});
    }
    expect_components(ordered);
    expect_components(reversed);
  }
}

TEST(Components, VerticesWithoutEdgesHaveNoOutput) {
  const Values values = {5, 9, 9, 2, 7, 7, 0, 3, 3, 0};
  const CaseResult result = run_case("components", parameters_of(10), values);
  const Outputs expected = {0, {}, 2, 0, {}, 2, {}, 7, {}, 2};
  EXPECT_EQ(result.outputs, expected);
}

TEST(Components, RoundsAgainstLogN) {
  // R / log2 N is bounded: N grows by 2^8, R by far less than the squared logarithm would.
  fmt::print("log2 N   b     s  machines      R   R / log2 N\n");
  for (int bits = 8; bits <= 16; ++bits) {
    const Parameters parameters = parameters_of(1u << bits);
    const CaseResult result = expect_components(parameters, find_protocol("components").generate(parameters));
    const double ratio = static_cast<double>(result.shape.rounds) / bits;
    fmt::print("{:6} {:4} {:5} {:9} {:6} {:8.1f}\n", bits, result.shape.block_words,
               result.shape.memory_words, result.shape.machines, result.shape.rounds, ratio);
    EXPECT_LE(ratio, 45);
  }
  for (const std::uint64_t n : {254, 258, 1022, 1026, 4094, 4098, 16382, 16386}) {
    const Values values = find_protocol("components").generate(parameters_of(n));
    expect_components(values);
  }
}

TEST(Components, RandomOrderAndRebuiltProtocolChangeNothing) {
  const Parameters parameters = parameters_of(400);
  const Values values = shuffled(path(200), 3);
  const CaseResult plain = run_case("components", parameters, values);
  const CaseResult other = run_case("components", parameters, values, shaken("components", parameters, 9));
  EXPECT_EQ(plain.run.outputs, other.run.outputs);
  EXPECT_EQ(plain.run.ledger, other.run.ledger);
  const RoundFacts facts = plain.run.ledger.overall();
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case("components", parameters, values, options), ModelViolation);
}

TEST(Components, RefusesWhatItCannotServe) {
  EXPECT_THROW(find_protocol("components").make(parameters_of(7)), ContractError);
  EXPECT_THROW(find_protocol("components").make(parameters_of(1u << 24)), ContractError);
  EXPECT_THROW(run_case("components", parameters_of(4), {0, 1, 2, 4}), ModelViolation);
  EXPECT_THROW(run_case("components", parameters_of(4), {0, 1, -1, 3}), ModelViolation);
}

// ---- one or two cycles

CaseResult expect_cycles(const Values& values, std::uint64_t kappa = 8) {
  SCOPED_TRACE(fmt::format("N = {}", values.size()));
  Parameters parameters = parameters_of(values.size());
  parameters.kappa_s = kappa;
  const CaseResult result = run_case("one_or_two_cycles", parameters, values);
  EXPECT_EQ(result.outputs, find_protocol("one_or_two_cycles").oracle(values, parameters));
  const auto n = static_cast<long>(values.size());
  const auto s = static_cast<long>(result.shape.memory_words);
  const long owners =
      (n + static_cast<long>(result.shape.block_words) - 1) / static_cast<long>(result.shape.block_words);
  const long rounds = formula_plan(n, 2, s, 2, s / 4 - 1).T + log_up(2, n / 2) + log_up(s, owners) + 3;
  EXPECT_EQ(result.shape.rounds, rounds);
  EXPECT_EQ(one_or_two_cycles_rounds(parameters), rounds);
  return result;
}

TEST(OneOrTwoCycles, AllLengths) {
  for (std::int64_t edges = 1; edges <= 40; ++edges) {
    EXPECT_EQ(expect_cycles(shuffled(cycles({edges}), 1)).outputs, Outputs{1});
    for (std::int64_t first = 1; first < edges; ++first)
      EXPECT_EQ(expect_cycles(shuffled(cycles({first, edges - first}), 2)).outputs, Outputs{2});
  }
  for (int bits = 8; bits <= 15; ++bits) {
    for (const std::int64_t edges : {(1 << bits) / 2 - 1, (1 << bits) / 2, (1 << bits) / 2 + 1}) {
      EXPECT_EQ(expect_cycles(shuffled(cycles({edges}), 3)).outputs, Outputs{1});
      EXPECT_EQ(expect_cycles(shuffled(cycles({edges / 2, edges - edges / 2}), 4), 16).outputs, Outputs{2});
      EXPECT_EQ(expect_cycles(shuffled(cycles({1, edges - 1}), 5)).outputs, Outputs{2});
    }
  }
  std::vector<std::int64_t> lengths(60);
  std::iota(lengths.begin(), lengths.end(), 1);
  EXPECT_EQ(expect_cycles(shuffled(cycles(lengths), 6)).outputs, Outputs{60});
  EXPECT_EQ(expect_cycles(shuffled(cycles(std::vector<std::int64_t>(500, 1)), 7)).outputs, Outputs{500});
  EXPECT_EQ(expect_cycles(shuffled(cycles(std::vector<std::int64_t>(300, 2)), 7)).outputs, Outputs{300});
}

TEST(OneOrTwoCycles, OtherGraphsHaveNoOutput) {
  const Outputs none(1);
  for (const std::int64_t edges : {2, 3, 10, 100, 1000}) {
    EXPECT_EQ(expect_cycles(shuffled(path(edges), 1)).outputs, none);
    Edges star, chord = cycles({edges - 1}), eight = cycles({edges / 2, edges - edges / 2});
    for (std::int64_t i = 0; i < edges; ++i) star.emplace_back(0, i + 1);
    chord.emplace_back(0, (edges - 1) / 2);  // two vertices of degree 3, or one of degree 4
    for (auto& [u, v] : eight) {             // two cycles that share a vertex
      if (u == edges / 2) u = 0;
      if (v == edges / 2) v = 0;
    }
    for (const Edges& graph : {star, chord, eight})
      for (const std::uint64_t seed : {1, 2, 3})
        EXPECT_EQ(expect_cycles(shuffled(graph, seed)).outputs, none);
  }
}

TEST(OneOrTwoCycles, DegreesProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto edges = *rc::gen::inRange<std::uint64_t>(1, 12);
    const auto vertices = *rc::gen::inRange<std::int64_t>(1, static_cast<std::int64_t>(edges) + 2);
    expect_cycles(random_values(2 * edges, -1, vertices - 2, *rc::gen::arbitrary<std::uint64_t>()));
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(OneOrTwoCycles, GeneratesBoth) {
  int two = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Parameters parameters = parameters_of(200);
    parameters.seed = seed;
    const Outputs count = expect_cycles(find_protocol("one_or_two_cycles").generate(parameters)).outputs;
    EXPECT_TRUE(count == Outputs{1} || count == Outputs{2});
    two += count == Outputs{2} ? 1 : 0;
  }
  EXPECT_GT(two, 0);
  EXPECT_LT(two, 20);
}

TEST(OneOrTwoCycles, RandomOrderLimitsAndRefusals) {
  const Parameters parameters = parameters_of(400);
  const Values values = shuffled(cycles({70, 130}), 3);
  const CaseResult plain = run_case("one_or_two_cycles", parameters, values);
  const CaseResult other =
      run_case("one_or_two_cycles", parameters, values, shaken("one_or_two_cycles", parameters, 9));
  EXPECT_EQ(plain.run.outputs, other.run.outputs);
  EXPECT_EQ(plain.run.ledger, other.run.ledger);
  const RoundFacts facts = plain.run.ledger.overall();
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case("one_or_two_cycles", parameters, values, options), ModelViolation);
  EXPECT_THROW(find_protocol("one_or_two_cycles").make(parameters_of(9)), ContractError);
}

// ---- list ranking

CaseResult expect_ranks(const Parameters& parameters, const Values& values, const Outputs& expected) {
  SCOPED_TRACE(fmt::format("N = {}", parameters.n));
  const CaseResult result = run_case("list_ranking", parameters, values);
  EXPECT_EQ(result.outputs, expected);
  EXPECT_EQ(find_protocol("list_ranking").oracle(values, parameters), expected);
  EXPECT_EQ(result.shape.rounds, 2 + log_up(2, static_cast<long>(parameters.n)));
  EXPECT_EQ(list_ranking_rounds(parameters), result.shape.rounds);
  return result;
}

/// Lists (or, closed, cycles) of these lengths over elements in random order, and the ranks.
void expect_lists(const std::vector<std::pair<std::uint64_t, bool>>& lists, const Rational& epsilon) {
  std::uint64_t n = 0;
  for (const auto& [length, closed] : lists) n += length;
  RandomStream stream(n, Domain::kTest);
  const auto order = random_order(n, stream);
  Values values(n, -1);
  Outputs ranks(n);
  std::uint64_t first = 0;
  for (const auto& [length, closed] : lists) {
    for (std::uint64_t i = 0; i < length; ++i) {
      const std::uint64_t element = order[first + i];
      if (i + 1 < length || closed)
        values[element] = static_cast<std::int64_t>(order[first + (i + 1) % length]);
      if (!closed) ranks[element] = static_cast<std::int64_t>(length - 1 - i);
    }
    first += length;
  }
  Parameters parameters = parameters_of(n, epsilon);
  expect_ranks(parameters, values, ranks);
}

TEST(ListRanking, ListsAndCyclesOfAllLengths) {
  for (std::uint64_t n = 1; n <= 70; ++n) {
    expect_lists({{n, false}}, {1, 2});
    expect_lists({{n, true}}, {1, 3});
    expect_lists({{n, false}, {n + 3, true}, {1, false}, {1, true}}, {1, 2});
  }
  for (int bits = 8; bits <= 14; ++bits) {
    for (const std::uint64_t n : {(1u << bits) - 1, 1u << bits, (1u << bits) + 1}) {
      expect_lists({{n, false}}, {1, 2});
      expect_lists({{n / 3, false}, {n / 3, true}, {n - 2 * (n / 3), false}}, {1, 4});
    }
  }
  expect_lists(std::vector<std::pair<std::uint64_t, bool>>(500, {1, false}), {1, 2});
}

TEST(ListRanking, GeneratedListsAndLimits) {
  const Parameters parameters = parameters_of(1000);
  const Values values = find_protocol("list_ranking").generate(parameters);
  EXPECT_GT(*std::ranges::max_element(values), 0);
  const CaseResult plain =
      expect_ranks(parameters, values, find_protocol("list_ranking").oracle(values, parameters));
  const CaseResult other =
      run_case("list_ranking", parameters, values, shaken("list_ranking", parameters, 9));
  EXPECT_EQ(plain.run.outputs, other.run.outputs);
  EXPECT_EQ(plain.run.ledger, other.run.ledger);
  const RoundFacts facts = plain.run.ledger.overall();
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case("list_ranking", parameters, values, options), ModelViolation);
}

TEST(GraphInputs, AreAcceptedOrRefusedBeforeTheRun) {
  const auto refusal = [](const char* name, const Values& values) -> std::string {
    try {
      find_protocol(name).accept(values, parameters_of(values.size()));
    } catch (const ContractError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_EQ(refusal("components", {0, 3, 3, 2}), "accepted");
  EXPECT_EQ(refusal("components", {0, 1, 2, 4}), "word 3 is 4, allowed is the number of a vertex, 0 to 3");
  EXPECT_EQ(refusal("components", {0, -1, 2, 3}), "word 1 is -1, allowed is the number of a vertex, 0 to 3");
  EXPECT_EQ(refusal("list_ranking", {1, 2, -1, 3}), "accepted");
  EXPECT_EQ(refusal("list_ranking", {1, 4, -1, 3}),
            "element 1 is followed by 4, allowed is 0 to 3 or, at an end, -1");
  EXPECT_EQ(refusal("list_ranking", {1, -2, -1, 3}),
            "element 1 is followed by -2, allowed is 0 to 3 or, at an end, -1");
  EXPECT_EQ(refusal("list_ranking", {2, -1, 3, 2}),
            "elements 0 and 3 are both followed by 2; allowed is one");
}

TEST(ListRanking, RefusesWhatIsNoList) {
  const auto refusal = [](const Values& values) -> std::string {
    try {
      run_case("list_ranking", parameters_of(values.size()), values);
    } catch (const ModelViolation& violation) {
      return violation.what();
    }
    return "accepted";
  };
  EXPECT_THAT(refusal({1, 2, 3, 4}),
              ::testing::HasSubstr("element 3 is followed by 4, allowed is 0 to 3 or, at an end, -1"));
  EXPECT_THAT(refusal({1, -2, 3, -1}), ::testing::HasSubstr("element 1 is followed by -2"));
  EXPECT_THAT(refusal({3, -1, 3, -1}), ::testing::HasSubstr("elements 0 and 2 are both followed by 3"));
  Values star(1000, 7);
  EXPECT_THAT(refusal(star), ::testing::HasSubstr("received"));
}

// ---- join

CaseResult expect_join(const Parameters& parameters, const Values& values) {
  SCOPED_TRACE(fmt::format("N = {}", parameters.n));
  const CaseResult result = run_case("join", parameters, values);
  Outputs expected;
  const auto n = static_cast<std::int64_t>(parameters.n);
  for (const std::int64_t x : values)
    expected.push_back(x < 0 || x >= n ? std::nullopt : std::optional(values[static_cast<std::size_t>(x)]));
  EXPECT_EQ(result.outputs, expected);
  EXPECT_EQ(find_protocol("join").oracle(values, parameters), expected);
  const auto s = static_cast<long>(result.shape.memory_words);
  const auto sort = formula_plan(n, 2, s, 2, (s - 3) / 5);
  const long fan = std::max(2L, (s - 3 * sort.B - 3) / 2);
  EXPECT_EQ(result.shape.rounds, sort.T + 2 * log_up(fan, sort.M) + 4);
  EXPECT_EQ(join_rounds(parameters), result.shape.rounds);
  return result;
}

TEST(Join, AnyShapeProperty) {
  EXPECT_TRUE(rc::check([] {
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 1500);
    const auto low = *rc::gen::element<std::int64_t>(-5, 0, 0);
    const auto high =
        *rc::gen::element<std::int64_t>(0, 3, static_cast<std::int64_t>(n), static_cast<std::int64_t>(2 * n));
    Parameters parameters = parameters_of(n, Rational(*rc::gen::inRange(3, 10), 10));
    parameters.kappa_s = *rc::gen::inRange<std::uint64_t>(1, 20);
    expect_join(parameters, random_values(n, low, high, *rc::gen::arbitrary<std::uint64_t>()));
    RC_ASSERT(!::testing::Test::HasFailure());
  }));
}

TEST(Join, PowersOfTwoAndTheirNeighboursAndHotSpots) {
  const std::int64_t half = std::int64_t{1} << 46;
  for (int bits = 8; bits <= 14; ++bits) {
    for (const std::uint64_t n : {(1u << bits) - 1, 1u << bits, (1u << bits) + 1}) {
      const auto size = static_cast<std::int64_t>(n);
      Values all_read_last(n, size - 1), own(n), wide = random_values(n, -half, half - 1, n);
      std::iota(own.begin(), own.end(), 0);
      for (std::size_t i = 0; i < n; i += 2) wide[i] = static_cast<std::int64_t>(i * i % n);
      for (const Values& values : {all_read_last, own, wide, Values(n, 0), random_values(n, 0, size - 1, n)})
        expect_join(parameters_of(n), values);
    }
  }
}

TEST(Join, RandomOrderAndLimits) {
  const Parameters parameters = parameters_of(700);
  const Values values = random_values(700, -3, 701, 5);
  const CaseResult plain = expect_join(parameters, values);
  const CaseResult other = run_case("join", parameters, values, shaken("join", parameters, 9));
  EXPECT_EQ(plain.run.outputs, other.run.outputs);
  EXPECT_EQ(plain.run.ledger, other.run.ledger);
  const RoundFacts facts = plain.run.ledger.overall();
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case("join", parameters, values, options), ModelViolation);
}

}  // namespace
}  // namespace roundtrip::mpc
