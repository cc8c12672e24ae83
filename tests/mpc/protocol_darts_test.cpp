// Protocols on the darts of a graph: graphs that would betray them, every size near powers of two, every seed, rounds by
// formula, limits to the word.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "mpc/formula_sort.h"
#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/graph_input.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/stages/darts.h"

namespace roundtrip::mpc {
namespace {

using testing::CaseResult;
using testing::formula_plan;
using testing::parameters_of;
using testing::run_case;
using testing::shaken;

using Edges = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// `edges` edges of a named shape on vertices 0, 1, ..
Edges shape(const std::string& name, std::int64_t edges) {
  Edges list;
  const auto side = static_cast<std::int64_t>(std::ceil(std::sqrt(2.0 * static_cast<double>(edges)))) + 1;
  for (std::int64_t i = 0; std::ssize(list) < edges; ++i) {
    if (name == "path") list.emplace_back(i, i + 1);
    if (name == "star") list.emplace_back(0, i + 1);
    if (name == "cycle") list.emplace_back(i, (i + 1) % edges);
    if (name == "pairs") list.emplace_back(2 * i, 2 * i + 1);
    if (name == "loops") list.emplace_back(i, i);
    if (name == "one edge") list.emplace_back(i % 2, (i + 1) % 2);
    if (name == "clique") {
      if (i / side < i % side) list.emplace_back(i / side, i % side);
    }
    if (name == "stars") list.emplace_back(i / 4 * 5, i / 4 * 5 + i % 4 + 1);
    if (name == "caterpillar") i % 2 == 0 ? list.emplace_back(i, i + 2) : list.emplace_back(i - 1, i);
    if (name == "two stars") list.emplace_back(i % 2, i == 0 ? 1 : i + 1);
  }
  return list;
}
const std::vector<std::string> kShapes = {"path",     "star",   "cycle", "pairs",       "loops",
                                          "one edge", "clique", "stars", "caterpillar", "two stars"};

/// Vertices renamed, edges in another order and turned; with E - 2 words of weights, of which many are equal.
Values shuffled(const Edges& edges, std::uint64_t words, std::uint64_t seed) {
  RandomStream stream(seed, Domain::kTest);
  std::map<std::int64_t, std::uint64_t> numbers;
  for (const auto& [u, v] : edges)
    numbers.try_emplace(u, numbers.size()), numbers.try_emplace(v, numbers.size());
  const auto names = random_order(numbers.size(), stream);
  const auto places = random_order(edges.size(), stream);
  Values values(words * edges.size());
  for (std::size_t e = 0; e < edges.size(); ++e) {
    const std::uint64_t turned = stream.below(2), at = words * places[e];
    values[at + turned] = static_cast<std::int64_t>(names[numbers[edges[e].first]]);
    values[at + 1 - turned] = static_cast<std::int64_t>(names[numbers[edges[e].second]]);
    for (std::uint64_t w = 2; w < words; ++w) values[at + w] = static_cast<std::int64_t>(stream.below(9)) - 4;
  }
  return values;
}

struct Subject {
  const char* name;
  std::uint64_t edge_words, value_words;
  std::uint32_t (*rounds)(const Parameters&);
  std::function<double(double darts, double d, const Shape&)> formula;  // beside the layout's
  // NOLINTNEXTLINE(readability-identifier-naming): the name that GoogleTest looks for
  friend void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.name; }
};

double up_log(double base, double value) {
  double turns = 0;
  for (double rest = value; rest > 1 + 1e-9; rest /= base) ++turns;
  return turns;
}

/// Depth, rounds and -B of the layout by the header's words: B even, the least d, then the fewest rounds of the sort, of four parts of s.
std::array<long, 3> layout_by_hand(std::uint64_t words, std::uint64_t values, const Shape& shape) {
  const auto n = static_cast<long>(2 * shape.n / words), w = static_cast<long>(words);
  const auto s = static_cast<long>(shape.memory_words), b = static_cast<long>(shape.block_words);
  const long child = 2 * (1 + 2 * std::max(2l, static_cast<long>(values)));
  std::array<long, 3> best{1000, 0, 0};
  for (long part = 1; part <= 4; ++part) {
    const long block = s / (part * std::max(w + 3, 2 * w)) / 2 * 2;
    if (block == 0) break;
    const long machines = (n + block - 1) / block, fan = (s - (w + 2) * block) / child;
    if (fan < 2 || 2 * b > s || b + machines > s || (block / 2 + 1) * w > s) continue;
    const auto sort = formula_plan(n, w - 1, s, 2, block);
    if (sort.T < 0 || sort.B != block) continue;
    long depth = 1;
    for (long reach = fan; reach < machines; reach *= fan) ++depth;
    best = std::min(best, {depth, sort.T + 2, -block});
  }
  return best;
}

double coins_rounds(double n, double d, const Shape& shape) {
  const auto block = static_cast<double>(-layout_by_hand(2, 2, shape)[2]);
  const double spare = static_cast<double>(shape.memory_words) - 2 * block, machines = std::ceil(n / block);
  double best = 1e9;
  for (double z = 2; z <= std::max(2.0, std::min(machines, spare)); ++z) {
    const double slots = std::floor(spare / z);
    const double turns = n <= slots ? 0 : up_log(1.6, 100 * std::ceil(n / slots));
    best = std::min(best, turns * (6 * d + 4) + 2 * std::max(1.0, up_log(z, machines)));
  }
  return best + 2 * d + 3;
}

const std::vector<Subject> kSubjects = {
    {"maximal_independent_set", 2, 1, maximal_independent_set_rounds,
     [](double n, double d, const Shape&) { return (up_log(2, 50 * n) + 1) * (4 * d + 2) + 2; }},
    {"minimum_spanning_forest", 3, 3, minimum_spanning_forest_rounds,
     [](double n, double d, const Shape&) { return up_log(4.0 / 3, 100 * n) * (6 * d + 4) + 2; }},
    {"maximal_matching", 2, 2, maximal_matching_rounds,
     [](double n, double d, const Shape&) {
       return (std::max(0.0, up_log(2, 100 * (n / 2) * (n / 2 - 1) / 2)) + 1) * (4 * d + 2) + 2;
     }},
    {"components_by_coins", 2, 2, components_by_coins_rounds, coins_rounds},
    {"bfs", 2, 1, bfs_rounds,
     [](double n, double d, const Shape&) { return 2 * up_log(2, n) * (2 * d + 1) + 2; }},
    {"components_by_labels", 2, 1, components_by_labels_rounds,
     [](double n, double d, const Shape&) { return 2 * up_log(2, n) * (2 * d + 1) + 2; }},
};

CaseResult expect_right(const Subject& subject, const Values& values, Parameters parameters) {
  SCOPED_TRACE(fmt::format("{}, N = {}, seed {}", subject.name, values.size(), parameters.seed));
  const ProtocolInfo& info = find_protocol(subject.name);
  const CaseResult result = run_case(subject.name, parameters, values);
  EXPECT_EQ(wrong_outputs(info, values, result.outputs, parameters), 0u);
  const auto [depth, layout, block] = layout_by_hand(subject.edge_words, subject.value_words, result.shape);
  const double darts = 2.0 * static_cast<double>(values.size()) / static_cast<double>(subject.edge_words);
  EXPECT_EQ(result.shape.rounds,
            static_cast<std::uint32_t>(static_cast<double>(layout) +
                                       subject.formula(darts, static_cast<double>(depth), result.shape)));
  EXPECT_EQ(subject.rounds(parameters), result.shape.rounds);
  return result;
}

class Darts : public ::testing::TestWithParam<Subject> {};
INSTANTIATE_TEST_SUITE_P(All, Darts, ::testing::ValuesIn(kSubjects),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_P(Darts, ShapesAtSizesThatDoNotDivide) {
  for (const std::string& name : kShapes) {
    SCOPED_TRACE(name);
    for (const std::int64_t edges : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 130, 500}) {
      for (std::uint64_t seed = 1; seed <= (edges < 20 ? 4u : 1u); ++seed) {
        const Values values = shuffled(shape(name, edges), GetParam().edge_words, seed);
        Parameters parameters = parameters_of(values.size());
        parameters.seed = seed;
        expect_right(GetParam(), values, parameters);
      }
    }
  }
}

TEST_P(Darts, GeneratedGraphsOfEveryKindAndOtherExponents) {
  const ProtocolInfo& info = find_protocol(GetParam().name);
  for (const char* kind : {"random", "gnp", "power", "grid", "planted"}) {
    SCOPED_TRACE(kind);
    for (const std::uint64_t edges : {1, 20, 128, 1000, 6000}) {
      for (const Rational& epsilon : {Rational(1, 2), Rational(1, 3), Rational(2, 3)}) {
        Parameters parameters = parameters_of(edges * GetParam().edge_words, epsilon);
        parameters.options["graph"] = kind;
        const Values values = info.generate(parameters);
        info.accept(values, parameters);
        EXPECT_EQ(values, info.generate(parameters));
        expect_right(GetParam(), values, parameters);
      }
    }
  }
}

TEST_P(Darts, RandomOrderAndRebuiltProtocolChangeNothing) {
  const std::string name = GetParam().name;
  const Values values = shuffled(shape("caterpillar", 150), GetParam().edge_words, 3);
  const Parameters parameters = parameters_of(values.size());
  const CaseResult plain = run_case(name, parameters, values);
  const CaseResult other = run_case(name, parameters, values, shaken(name, parameters, 9));
  EXPECT_EQ(plain.run.outputs, other.run.outputs);
  EXPECT_EQ(plain.run.ledger, other.run.ledger);
  const RoundFacts facts = plain.run.ledger.overall();
  EXPECT_EQ(facts.max_heap_words, 0u);
  RunOptions options;
  options.limit_words = std::max(facts.max_words_sent, facts.max_words_received) - 1;
  EXPECT_THROW(run_case(name, parameters, values, options), ModelViolation);
}

TEST_P(Darts, RefusesWhatItCannotServe) {
  const ProtocolInfo& info = find_protocol(GetParam().name);
  const std::uint64_t words = GetParam().edge_words;
  EXPECT_THROW(info.make(parameters_of(words * 4 + 1)), ContractError);
  EXPECT_THROW(info.make(parameters_of(words * ((1u << 21) + 1))), ContractError);
  Parameters other = parameters_of(words * 4);
  other.options["graph"] = "round";
  EXPECT_THROW(info.make(other), ContractError);
  for (const std::int64_t vertex : {-1, 4}) {
    Values values = shuffled(shape("path", 2), words, 1);
    values[1] = vertex;
    EXPECT_THROW(info.accept(values, parameters_of(values.size())), ContractError);
    EXPECT_THROW(run_case(GetParam().name, parameters_of(values.size()), values), ModelViolation);
  }
}

TEST(ComponentsByCoins, LessThanHalfOfTheRoundsOfComponents) {
  EXPECT_EQ(components_rounds(parameters_of(428406)), 598u);
  EXPECT_EQ(components_by_coins_rounds(parameters_of(428406)), 249u);
  EXPECT_LT(components_by_coins_rounds(parameters_of(1 << 12)), components_rounds(parameters_of(1 << 12)));
}

TEST(ComponentsByLabels, LessThanHalfOfTheRoundsByCoinsOnGraphsOfLowDiameter) {
  const ProtocolInfo& coins = find_protocol("components_by_coins");
  const Parameters parameters = parameters_of(1 << 12);
  const Values values = coins.generate(parameters);
  const CaseResult found = run_case("components_by_labels", parameters, values);
  EXPECT_EQ(found.outputs, coins.oracle(values, parameters));
  EXPECT_EQ(found.shape.rounds, 92u);
  EXPECT_EQ(components_by_coins_rounds(parameters), 185u);
}

TEST(Graphs, GnpHasDifferentEdgesAndNoLoops) {
  for (const std::uint64_t edges : {1, 2, 3, 4, 5, 100, 3000}) {
    Parameters parameters = parameters_of(2 * edges);
    parameters.options["graph"] = "gnp";
    const Values values = find_protocol("bfs").generate(parameters);
    std::set<std::pair<std::int64_t, std::int64_t>> different;
    for (std::size_t i = 0; i < values.size(); i += 2) {
      EXPECT_NE(values[i], values[i + 1]);
      different.insert(std::minmax(values[i], values[i + 1]));
    }
    EXPECT_EQ(different.size(), edges);
  }
}

TEST(ComponentsByLabels, LabelsGoAsFarAsTheDiameterSays) {
  const Values path = {3, 2, 2, 1, 1, 0, 4, 5};
  Parameters parameters = parameters_of(8);
  parameters.options["diameter"] = "2";
  const Outputs expected = {0, 0, 0, 1, 4, 4, std::nullopt, std::nullopt};
  EXPECT_EQ(find_protocol("components_by_labels").oracle(path, parameters), expected);
  EXPECT_EQ(run_case("components_by_labels", parameters, path).outputs, expected);
  parameters.options["diameter"] = "0";
  EXPECT_THROW((void)find_protocol("components_by_labels").make(parameters), ContractError);
}

TEST(Bfs, LevelsFromAnySourceUpToAnyDepth) {
  const Values path = {0, 1, 2, 1, 2, 3, 3, 4, 4, 4, 6, 7};
  for (const auto& [source, depth, expected] : std::vector<std::tuple<const char*, const char*, Outputs>>{
           {"2", "2", {2, 1, 0, 1, 2, {}, {}, {}, {}, {}, {}, {}}},
           {"0", "3", {0, 1, 2, 3, {}, {}, {}, {}, {}, {}, {}, {}}},
           {"5", "3", Outputs(12)},
           {"7", "1", {{}, {}, {}, {}, {}, {}, 1, 0, {}, {}, {}, {}}}}) {
    Parameters parameters = parameters_of(12);
    parameters.options = {{"source", source}, {"depth", depth}};
    EXPECT_EQ(find_protocol("bfs").oracle(path, parameters), expected);
    EXPECT_EQ(run_case("bfs", parameters, path).outputs, expected);
  }
}

TEST(MaximalIndependentSet, TheCheckSeesWhatIsWrong) {
  const ProtocolInfo& info = find_protocol("maximal_independent_set");
  const Values path = {0, 1, 1, 2};
  const auto says = [&](const Outputs& outputs) { return info.check(path, outputs, parameters_of(4)); };
  EXPECT_EQ(says({1, 0, 1, std::nullopt}), "");
  EXPECT_EQ(says({0, 1, 0, std::nullopt}), "");
  EXPECT_EQ(says({1, 1, 0, std::nullopt}), "vertices 0 and 1 are in the set, and neighbours");
  EXPECT_EQ(says({1, 0, 0, std::nullopt}), "vertex 2 could be in the set, too");
  EXPECT_EQ(says({1, 0, std::nullopt, std::nullopt}), "output 2 is not 0 or 1 as it should be, or is");
  EXPECT_EQ(says({1, 0, 1, 0}), "output 3 is not 0 or 1 as it should be, or is");
}

TEST(MaximalMatching, TheCheckSeesWhatIsWrong) {
  const ProtocolInfo& info = find_protocol("maximal_matching");
  const Values values = {0, 1, 1, 2, 2, 3, 4, 4};
  const auto says = [&](const Outputs& outputs) { return info.check(values, outputs, parameters_of(8)); };
  EXPECT_EQ(says({1, 0, 1, 0}), "");
  EXPECT_EQ(says({0, 1, 0, 0}), "");
  EXPECT_EQ(says({1, 1, 0, 0}), "edges 0 and 1 are in the matching, and meet");
  EXPECT_EQ(says({1, 0, 0, 0}), "edge 2 could be in the matching, too");
  EXPECT_EQ(says({1, 0, 1, 1}), "edges 3 and 3 are in the matching, and meet");
  EXPECT_EQ(says({1, 0, std::nullopt, 0}), "output 2 is not 0 or 1");
  EXPECT_EQ(says({1, 0, 1}), "3 outputs");
}

TEST(MinimumSpanningForest, OfEqualWeightsTheEarlierAndNegativeOnesFirst) {
  const ProtocolInfo& info = find_protocol("minimum_spanning_forest");
  const std::int64_t most = std::int64_t{1} << 46;
  // A triangle and an edge twice; the oracle is Kruskal's.
  for (const auto& [values, expected] :
       std::vector<std::pair<Values, Outputs>>{{{0, 1, 5, 1, 2, 5, 2, 0, 5}, {1, 1, 0}},
                                               {{0, 1, 5, 1, 2, 5, 2, 0, -5}, {1, 0, 1}},
                                               {{0, 1, 7, 1, 0, 7, 1, 0, 6}, {0, 0, 1}},
                                               {{0, 1, most, 1, 0, -most, 2, 2, -most}, {0, 1, 0}}}) {
    EXPECT_EQ(info.oracle(values, parameters_of(9)), expected);
    EXPECT_EQ(run_case("minimum_spanning_forest", parameters_of(9), values).outputs, expected);
  }
}

}  // namespace
}  // namespace roundtrip::mpc
