// Statement: k-hop and one-or-two-cycles become each other, so a network for k-hop of depth o(log k) would refute the
// conjecture that cycles take Omega(log n) rounds.
#include <algorithm>
#include <numeric>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/formulas.h"
#include "roundtrip/proofs_check/reductions.h"
#include "roundtrip/proofs_check/reference_attention.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/native/k_hop.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "k_hop_is_near_optimal";
constexpr const char* kAllSmall = "cycles as k-hop: all graphs: answers unlike";
constexpr const char* kRandom = "cycles as k-hop: answers unlike";
constexpr const char* kTokens = "cycles as k-hop: tokens";
constexpr const char* kNetwork = "cycles by the k-hop network: answers unlike";
constexpr const char* kLayers = "cycles by the k-hop network: layers";
constexpr const char* kAllWords = "k-hop as cycles: all words: answers unlike";
constexpr const char* kRandomWords = "k-hop as cycles: answers unlike";
constexpr const char* kVertices = "k-hop as cycles: vertices";
constexpr const char* kProtocol = "k-hop by the protocol for cycles: answers unlike";
constexpr std::uint64_t kGraphs = 1000, kWords = 1000;
constexpr std::uint32_t kLevels = 2;

/// Defects of a reduction, for controls.
struct Mutant {
  std::uint64_t fewer_hops = 0;   ///< k is that much less than it should be
  bool forgets_start = false;     ///< another answer is taken for the start's
  std::uint64_t more_tokens = 0;  ///< of the word
  std::uint32_t more_layers = 0;
  bool other_target = false;  ///< t + 1 in place of t
  std::uint64_t more_vertices = 0;
};

/// A cycle of n vertices or two of n / 2, by `order` of the vertices; edges by `shuffled` in random order and direction.
Edges cycles_of(std::uint64_t n, bool two, const std::vector<std::uint64_t>& order, RandomStream* shuffled) {
  Edges edges;
  const std::uint64_t length = two ? n / 2 : n;
  for (std::uint64_t i = 0; i < n; ++i)
    edges.push_back({order[i], order[i / length * length + (i % length + 1) % length]});
  if (shuffled != nullptr) {
    for (std::uint64_t i = 0; i < n; ++i) {
      std::swap(edges[i], edges[i + shuffled->below(n - i)]);
      if (shuffled->below(2) == 1) std::swap(edges[i].first, edges[i].second);
    }
  }
  return edges;
}

bool answered_two(const HopInstance& instance, const Mutant& mutant) {
  const auto answer = oracle_k_hop(instance.word, instance.k - mutant.fewer_hops).back();
  return answer && (*answer == instance.start) != mutant.forgets_start;
}

/// All orders of n vertices: every graph is met, each many times.
std::uint64_t unlike_all_graphs(std::uint64_t n, const Mutant& mutant) {
  std::uint64_t unlike = 0;
  std::vector<std::uint64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  do {
    for (const bool two : {false, true})
      unlike += answered_two(cycles_to_hops(cycles_of(n, two, order, nullptr)), mutant) != two;
  } while (std::next_permutation(order.begin() + 1, order.end()));
  return unlike;
}

Edges random_cycles(std::uint64_t n, std::uint64_t number, std::uint64_t seed, bool& two) {
  RandomStream random(seed, Domain::kInstance, n, number);
  std::vector<std::uint64_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  for (std::uint64_t i = 0; i < n; ++i) std::swap(order[i], order[i + random.below(n - i)]);
  two = random.below(2) == 1;
  return cycles_of(n, two, order, &random);
}

std::uint64_t unlike_random_graphs(const Mutant& mutant, std::uint64_t seed) {
  std::uint64_t unlike = 0;
  for (std::uint64_t i = 0; i < kGraphs; ++i) {
    bool two = false;
    const Edges edges = random_cycles(6 + 2 * (i % 14), i, seed, two);
    unlike += answered_two(cycles_to_hops(edges), mutant) != two;
  }
  return unlike;
}

Configuration at(std::uint64_t n, const Context& context) {
  return {.theorem = kName, .n = n, .seed = context.seed};
}

/// The network of k_hop_depth on reduced graphs of n vertices: its layers, and its answers.
std::vector<Check> check_network(std::uint64_t n, const Mutant& mutant, Context& context) {
  context.progress("cycles of " + std::to_string(n) + " vertices by the network for k-hop");
  const auto facts = mpc::from_root(context.transport, [&] {
    std::vector<Instance> instances;
    for (std::uint64_t i = 0; i < 4; ++i) {
      bool two = false;
      const HopInstance hops = cycles_to_hops(random_cycles(n, i, context.seed, two));
      const std::uint64_t last = hops.word.size() - 1;
      instances.push_back(
          {{hops.word.begin(), hops.word.end()},
           hops.word.size(),
           [last, two, start = static_cast<mpc::Word>(hops.start) + 1 + mutant.fewer_hops](
               std::uint64_t t, mpc::Word word) { return t != last || (word == start) == two; }});
    }
    const auto attention = make_reference_exact_match();
    return evaluate_mutant(
        simulate::make_k_hop(
            {.n = instances[0].input.size(), .k = n / 2, .levels = kLevels, .seed = context.seed}),
        {.extra_layers = mutant.more_layers}, *attention, instances);
  });
  return {compare(at(n, context), kNetwork, static_cast<double>(facts.wrong + facts.flagged),
                  Relation::kEqual, 0),
          compare(at(n, context), kLayers, static_cast<double>(facts.depth), Relation::kEqual,
                  kLevels + log_ceil(2, n / 2) + 1.0)};
}

Check check_tokens(std::uint64_t n, const Mutant& mutant, const Context& context) {
  bool two = false;
  const HopInstance hops = cycles_to_hops(random_cycles(n, 0, context.seed, two));
  return compare(at(n, context), kTokens, static_cast<double>(hops.word.size() + mutant.more_tokens),
                 Relation::kEqual, static_cast<double>((n / 2 - 1) * 4 * n + 3));
}

/// find_k(s) by the definition; 0: none.
std::uint64_t found(std::span<const std::int64_t> word, std::uint64_t k, std::uint64_t s) {
  for (; k > 0 && s > 0; --k) {
    std::uint64_t latest = 0;
    for (std::uint64_t j = 2; j <= s; ++j)
      if (word[j - 2] == word[s - 1]) latest = j;
    s = latest;
  }
  return s;
}

struct Question {
  Numbers word;
  std::uint64_t k, s, t;
  Edges graph(const Mutant& mutant) const {
    return hops_to_cycles(word, k - mutant.fewer_hops, s, mutant.other_target ? t % word.size() + 1 : t);
  }
  bool yes() const { return found(word, k, s) == t; }
};

/// 1 if the graph is not one cycle for a yes and two of equal length for a no.
std::uint64_t unlike(const Question& question, const Mutant& mutant) {
  const std::vector<std::uint64_t> lengths = cycle_lengths(question.graph(mutant));
  const bool one = lengths.size() == 1, two = lengths.size() == 2 && lengths[0] == lengths[1];
  return question.yes() ? !one : !two;
}

/// All words of 2 to 4 tokens over three symbols, 1 to 3 hops, all s and t.
std::uint64_t unlike_all_words(const Mutant& mutant) {
  std::uint64_t bad = 0;
  for (std::uint64_t n = 2, count = 9; n <= 4; ++n, count *= 3) {
    for (std::uint64_t number = 0; number < count; ++number) {
      Question question;
      for (std::uint64_t i = 0, rest = number; i < n; ++i, rest /= 3)
        question.word.push_back(static_cast<std::int64_t>(rest % 3));
      for (question.k = 1; question.k <= 3; ++question.k)
        for (question.s = 1; question.s <= n; ++question.s)
          for (question.t = 1; question.t <= n; ++question.t)
            if (question.k > mutant.fewer_hops) bad += unlike(question, mutant);
    }
  }
  return bad;
}

/// About half of them with the answer yes.
Question random_question(std::uint64_t number, std::uint64_t most_tokens, std::uint64_t seed) {
  RandomStream random(seed, Domain::kInstance, most_tokens, 1'000'000 + number);
  Question question;
  const std::uint64_t n = 2 + random.below(most_tokens - 1), symbols = 1 + random.below(4);
  for (std::uint64_t i = 0; i < n; ++i)
    question.word.push_back(static_cast<std::int64_t>(random.below(symbols)));
  question.k = 2 + random.below(5);
  question.s = 1 + n / 2 + random.below(n - n / 2);
  question.t = found(question.word, question.k, question.s);
  if (question.t == 0 || random.below(2) == 0) question.t = 1 + random.below(n);
  return question;
}

std::uint64_t unlike_random_words(const Mutant& mutant, std::uint64_t seed) {
  std::uint64_t bad = 0;
  for (std::uint64_t i = 0; i < kWords; ++i) bad += unlike(random_question(i, 24, seed), mutant);
  return bad;
}

Check check_vertices(const Mutant& mutant, const Context& context) {
  const Question question = random_question(0, 24, context.seed);
  const std::uint64_t n = question.word.size(), k = question.k;
  Numbers symbols = question.word;
  std::ranges::sort(symbols);
  symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
  const std::vector<std::uint64_t> lengths = cycle_lengths(question.graph({}));
  return compare(at(n, context), kVertices,
                 static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), mutant.more_vertices)),
                 Relation::kEqual,
                 static_cast<double>(4 * (n - 1) * (k + 1) + 2 * symbols.size() * k * (k + 1)));
}

/// The library's protocol on reduced words.
Check check_protocol(const Mutant& mutant, Context& context) {
  context.progress("k-hop by the protocol for one or two cycles");
  constexpr std::uint64_t kRuns = 12, kTokensOfRuns = 8;
  const std::uint64_t bad = mpc::from_root(context.transport, [&] {
    std::uint64_t unlike = 0;
    for (std::uint64_t i = 0; i < kRuns; ++i) {
      const Question question = random_question(i, kTokensOfRuns, context.seed + 1);
      Numbers input;
      for (const auto& [a, b] : question.graph(mutant)) {
        input.push_back(static_cast<std::int64_t>(a));
        input.push_back(static_cast<std::int64_t>(b));
      }
      mpc::Parameters parameters;
      parameters.n = input.size();
      const mpc::ProtocolInfo& info = mpc::find_protocol("one_or_two_cycles");
      const auto protocol = info.make(parameters);
      std::vector<mpc::Word> words;
      for (const std::int64_t value : input)
        words.push_back(mpc::encode_input(value, protocol->shape(), "vertex"));
      const auto transport = mpc::make_in_process_transport();
      const mpc::RunResult run = mpc::run(*protocol, words, *transport);
      const auto cycles = info.decode(*protocol, 0, run.outputs[0]);
      unlike += !cycles || *cycles != (question.yes() ? 1 : 2);
    }
    return unlike;
  });
  return compare(at(kTokensOfRuns, context), kProtocol, static_cast<double>(bad), Relation::kEqual, 0);
}

class KHopIsNearOptimal : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "k-hop and one-or-two-cycles become each other: depth O(log k) is near-optimal";
  }
  std::string card() const override {
    return R"(Problem:   telling one cycle of n vertices from two of n / 2, and k-hop induction heads, each as the other.
Guarantee: a graph becomes a word of (n / 2 - 1) 4 n + 3 tokens whose last answer, with k = n / 2 hops, is dart 0 if and only
           if there are two cycles. The question whether find_k(s) = t in a word of N tokens with sigma symbols becomes
           a graph of 4 (N - 1)(k + 1) + 2 sigma k (k + 1) vertices that is one cycle if so, else two of equal length. Both
           are O(1) sorts.
Meaning:   under the conjecture that no protocol with s = n^(1 - Omega(1)) tells cycles in o(log n) rounds, k-hop with
           k up to about (N / 2)^(1/2) takes Omega(log k) rounds, and so, by Theorem 4.2, Omega(log k) ANNA layers: the
           a + ceil(log2 k) + 1 layers of k_hop_depth are near-optimal. The conjecture itself is not checked.
Proof:     at the reductions (proofs_check/reductions.h).
Check:     answers by the definitions, on all graphs of 6 vertices and all words of 2 to 4 tokens over 3 symbols, and on 1000
           random ones each; graphs are walked. The network for k-hop on graphs of 6 to 16 vertices; the library's
           protocol for cycles on words of up to 8 tokens.
Source:    Sanford, Hsu, Telgarsky 2024 for the claim; both encodings are ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"instances", "1000 graphs of 6 to 32 vertices, 1000 words of up to 24 tokens", "by seed"},
            {"a", "2", "levels of the network's search"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    const auto equal = [&](std::uint64_t n, const char* quantity, std::uint64_t measured) {
      all.push_back(compare(at(n, context), quantity, static_cast<double>(measured), Relation::kEqual, 0));
    };
    if (context.wants(kAllSmall, 6)) equal(6, kAllSmall, unlike_all_graphs(6, {}));
    if (context.wants(kRandom, 32)) equal(32, kRandom, unlike_random_graphs({}, context.seed));
    for (const std::uint64_t n : {6, 8, 16}) {
      if (context.wants(kTokens, n)) all.push_back(check_tokens(n, {}, context));
      if (context.wants("cycles by", n))
        for (Check& check : check_network(n, {}, context)) all.push_back(std::move(check));
    }
    if (context.wants(kAllWords, 4)) equal(4, kAllWords, unlike_all_words({}));
    if (context.wants(kRandomWords, 24)) equal(24, kRandomWords, unlike_random_words({}, context.seed));
    if (context.wants(kVertices, random_question(0, 24, context.seed).word.size()))
      all.push_back(check_vertices({}, context));
    if (context.wants(kProtocol, 8)) all.push_back(check_protocol({}, context));
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    std::vector<Control> all;
    const auto judge = [&](const char* defect, const Check& defective, const Check& sound) {
      all.push_back(judge_control(kName, defect, sound.quantity, {defective}, {sound}));
    };
    const auto zero = [&](std::uint64_t n, const char* quantity, std::uint64_t measured) {
      return compare(at(n, context), quantity, static_cast<double>(measured), Relation::kEqual, 0);
    };
    judge("a hop less", zero(6, kAllSmall, unlike_all_graphs(6, {.fewer_hops = 1})),
          zero(6, kAllSmall, unlike_all_graphs(6, {})));
    judge("yes for no", zero(32, kRandom, unlike_random_graphs({.forgets_start = true}, context.seed)),
          zero(32, kRandom, unlike_random_graphs({}, context.seed)));
    judge("a token more", check_tokens(6, {.more_tokens = 1}, context), check_tokens(6, {}, context));
    const auto network = check_network(6, {}, context);
    judge("another dart taken for the start", check_network(6, {.fewer_hops = 1}, context)[0], network[0]);
    judge("a layer more", check_network(6, {.more_layers = 1}, context)[1], network[1]);
    judge("a hop less in the graph", zero(4, kAllWords, unlike_all_words({.fewer_hops = 1})),
          zero(4, kAllWords, unlike_all_words({})));
    judge("the graph of another target",
          zero(24, kRandomWords, unlike_random_words({.other_target = true}, context.seed)),
          zero(24, kRandomWords, unlike_random_words({}, context.seed)));
    judge("a vertex more", check_vertices({.more_vertices = 1}, context), check_vertices({}, context));
    judge("the graph of another target, by the protocol", check_protocol({.other_target = true}, context),
          check_protocol({}, context));
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_k_hop_is_near_optimal() {
  return std::make_unique<KHopIsNearOptimal>();
}

}  // namespace roundtrip::proofs_check
