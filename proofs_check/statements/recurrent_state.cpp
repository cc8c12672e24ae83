// Statement: k-hop by recurrences takes as much state as there are prefixes to tell apart; k sigma words, over all
// layers, are enough. Prefixes are told apart by a search over all of them and all continuations.
#include <algorithm>
#include <array>
#include <map>

#include "roundtrip/anna/attention/lstm.h"
#include "roundtrip/anna/attention/rnn.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/simulate/native/recurrent_k_hop.h"

namespace roundtrip::proofs_check {
namespace {

__extension__ using Wide = __int128;
constexpr const char* kName = "recurrent_state";

/// What a control does.
struct Defect {
  std::uint32_t layers = 0;     ///< more
  std::uint32_t symbols = 0;    ///< more, in the network alone
  bool altered = false;         ///< an output, or a number
  std::uint32_t forgotten = 0;  ///< numbers of a state that are taken for 0
  std::uint32_t states = 0;     ///< more
};

std::string words(const std::string& mechanism, std::uint64_t k, std::uint32_t symbols) {
  return mechanism + ", k = " + std::to_string(k) + ", sigma = " + std::to_string(symbols) + ": ";
}

// --- Networks of the mechanisms that a model can have.

struct Hop {
  std::string mechanism;
  std::uint64_t n, k;
  std::uint32_t symbols;
};

std::vector<Hop> hops_of(Sizes sizes) {
  std::vector<Hop> hops;
  for (const char* mechanism : {"rnn", "lstm", "state_space"}) {
    hops.push_back({mechanism, 100, 1, 7});
    hops.push_back({mechanism, 300, 3, 4});
    if (sizes == Sizes::kFull) hops.push_back({mechanism, 2000, 5, 16});
  }
  return hops;
}

std::uint64_t state_words(const anna::Mechanism& mechanism, const anna::LayerShape& shape) {
  if (const auto* rnn = mechanism.get_if<anna::Rnn>()) return rnn->recurrence()->state_numbers();
  if (const auto* lstm = mechanism.get_if<anna::Lstm>()) return lstm->recurrence()->state_numbers();
  return std::uint64_t{shape.query_dimension} * shape.value_dimension;
}

/// Texts of one symbol in runs, and at random.
Numbers text_of(const Hop& hop, bool runs, std::uint64_t seed) {
  RandomStream random(seed, Domain::kInstance, hop.n, hop.k);
  Numbers text(hop.n);
  for (std::uint64_t i = 0; i < hop.n; ++i)
    text[i] = static_cast<std::int64_t>(runs ? i / 3 % hop.symbols : random.below(hop.symbols));
  return text;
}

std::vector<Check> network_checks(const Hop& hop, const Defect& defect, Context& context) {
  context.progress("k-hop by " + hop.mechanism + ", N = " + std::to_string(hop.n));
  const auto facts = mpc::from_root(context.transport, [&] {
    const anna::Model model = simulate::recurrent_k_hop_model(
        hop.mechanism, {.n = hop.n, .k = hop.k + defect.layers, .symbols = hop.symbols + defect.symbols});
    std::uint64_t wrong = 0;
    for (const bool runs : {false, true}) {
      const Numbers text = text_of(hop, runs, context.seed);
      const std::vector<mpc::Word> input(text.begin(), text.end());
      simulate::OutputWords out =
          simulate::read_outputs(evaluate(model, simulate::input_activations(input, hop.n)), hop.n);
      if (defect.altered) out.words[hop.n / 2] ^= 1;
      const Answers answers = oracle_k_hop(text, hop.k);
      wrong += out.faulty.size();
      for (std::uint64_t t = 0; t < hop.n; ++t)
        wrong += out.words[t] != (answers[t] ? static_cast<mpc::Word>(*answers[t]) + 1 : 0);
    }
    const std::uint64_t words = state_words(model.mechanisms[1], model.transformer.layers[1]->shape());
    return std::array<std::uint64_t, 3>{model.transformer.depth(), words, wrong};
  });
  const Configuration configuration{.theorem = kName, .n = hop.n, .seed = context.seed};
  const std::string which = words(hop.mechanism, hop.k, hop.symbols);
  const std::uint64_t state = std::uint64_t{hop.mechanism == "state_space" ? 1u : 2u} * hop.symbols;
  return {compare(configuration, which + "layers L = k + 1", static_cast<double>(facts[0]), Relation::kEqual,
                  static_cast<double>(hop.k + 1)),
          compare(configuration, which + "words of a hop's state", static_cast<double>(facts[1]),
                  Relation::kEqual, static_cast<double>(state)),
          compare(configuration, which + "outputs unlike the oracle's", static_cast<double>(facts[2]),
                  Relation::kEqual, 0)};
}

// --- Any recurrence: h_t = f(x_t, h_{t-1}) for any f.

struct Any {
  std::uint64_t n, k;
  std::uint32_t symbols, layers;
};
constexpr Any kAny[] = {{100, 4, 3, 1}, {100, 4, 3, 2}, {100, 4, 3, 4}, {300, 3, 5, 1}};

std::vector<Check> any_checks(const Any& any, const Defect& defect, Context& context) {
  const Hop hop{"any recurrence", any.n, any.k, any.symbols};
  const Numbers text = text_of(hop, false, context.seed);
  const std::vector<mpc::Word> input(text.begin(), text.end());
  std::vector<mpc::Word> out =
      simulate::k_hop_by_any_recurrence(input, any.k, any.symbols + defect.symbols, any.layers);
  if (defect.altered) out[any.n / 2] ^= 1;
  const Answers answers = oracle_k_hop(text, any.k);
  std::uint64_t wrong = 0;
  for (std::uint64_t t = 0; t < any.n; ++t)
    wrong += out[t] != (answers[t] ? static_cast<mpc::Word>(*answers[t]) + 1 : 0);
  const auto hops = static_cast<std::uint32_t>(any.k / any.layers);
  const std::uint64_t held = simulate::AnyRecurrence(hops, any.symbols + defect.symbols).state_numbers() - 1;
  const Configuration configuration{.theorem = kName, .n = any.n, .seed = context.seed};
  const std::string which = "any recurrence, L = " + std::to_string(any.layers) +
                            ", k = " + std::to_string(any.k) + ", sigma = " + std::to_string(any.symbols) +
                            ": ";
  return {
      compare(configuration, which + "layers times width, k sigma", static_cast<double>(any.layers * held),
              Relation::kEqual, static_cast<double>(any.k * any.symbols)),
      compare(configuration, which + "outputs unlike the oracle's", static_cast<double>(wrong),
              Relation::kEqual, 0)};
}

// --- Prefixes that must be told apart.

struct Prefixes {
  std::uint64_t n;  // tokens of a prefix
  std::uint64_t k;
  std::uint32_t symbols;
  std::uint32_t more;  // tokens of a continuation
};
constexpr Prefixes kPrefixes[] = {{5, 1, 2, 2}, {6, 2, 2, 3}, {5, 1, 3, 2}};

/// Number `which` in base sigma as a text.
Numbers numbered(std::uint64_t which, std::uint64_t length, std::uint32_t symbols) {
  Numbers text(length);
  for (std::int64_t& x : text) x = static_cast<std::int64_t>(which % symbols), which /= symbols;
  return text;
}

std::uint64_t power(std::uint64_t base, std::uint64_t exponent) {
  std::uint64_t result = 1;
  for (; exponent > 0; --exponent) result *= base;
  return result;
}

/// The answers at the tokens of every continuation, one after another.
Answers future_of(const Prefixes& task, const Numbers& prefix) {
  Answers future;
  for (std::uint64_t c = 0; c < power(task.symbols, task.more); ++c) {
    Numbers text = prefix;
    for (const std::int64_t x : numbered(c, task.more, task.symbols)) text.push_back(x);
    const Answers answers = oracle_k_hop(text, task.k);
    future.insert(future.end(), answers.begin() + static_cast<std::ptrdiff_t>(prefix.size()), answers.end());
  }
  return future;
}

std::vector<std::int64_t> state_after(const Prefixes& task, const Numbers& prefix, std::uint32_t forgotten) {
  const simulate::AnyRecurrence recurrence(static_cast<std::uint32_t>(task.k), task.symbols);
  std::vector<std::int64_t> state(recurrence.state_numbers(), 0), after(state);
  for (const std::int64_t symbol : prefix) {
    const std::int64_t x[] = {symbol + 1, symbol + 1};
    recurrence.step(x, state, after);
    state.swap(after);
  }
  std::fill_n(state.rbegin(), forgotten, 0);
  return state;
}

std::vector<Check> prefix_checks(const Prefixes& task, const Defect& defect, Context& context) {
  context.progress("prefixes of " + std::to_string(task.n) + " tokens");
  const auto facts = mpc::from_root(context.transport, [&] {
    std::map<Answers, std::uint64_t> classes;                      // by future, in order of discovery
    std::map<std::vector<std::int64_t>, Answers> future_of_state;  // of the first prefix with it
    std::uint64_t merged = 0;
    std::vector<const Answers*> futures;
    for (std::uint64_t p = 0; p < power(task.symbols, task.n); ++p) {
      const Numbers prefix = numbered(p, task.n, task.symbols);
      const Answers future = future_of(task, prefix);
      const auto [known, fresh] = classes.try_emplace(future, futures.size());
      if (fresh) futures.push_back(&known->first);
      merged +=
          future_of_state.try_emplace(state_after(task, prefix, defect.forgotten), future).first->second !=
          future;
    }
    // One state fewer than there are classes: class c goes to state c modulo that, and some continuation has two right
    // answers in one state.
    const std::uint64_t states = futures.size() - 1 + defect.states;
    std::uint64_t errs = 0;
    for (std::uint64_t c = states; c < futures.size(); ++c) errs += *futures[c] != *futures[c % states];
    return std::array<std::uint64_t, 3>{futures.size(), merged, errs};
  });
  const Configuration configuration{.theorem = kName, .n = task.n, .seed = context.seed};
  const std::string which = words("prefixes", task.k, task.symbols);
  const auto most = static_cast<double>(power(task.symbols + 1, task.k * task.symbols + 1));
  return {compare(configuration,
                  which + "told apart by some continuation, at most the states of k sigma + 1 words",
                  static_cast<double>(facts[0]) + (defect.altered ? most : 0), Relation::kAtMost, most),
          compare(configuration, which + "told apart and yet of one state", static_cast<double>(facts[1]),
                  Relation::kEqual, 0),
          compare(configuration, which + "of one state and told apart, with one state fewer than needed",
                  static_cast<double>(facts[2]), Relation::kAtLeast, 1)};
}

// --- The mechanisms themselves, beside their definitions.

Wide nearest(Wide numerator, Wide denominator) {  // half to even
  Wide quotient = numerator / denominator, rest = numerator % denominator;
  if (rest < 0) rest += denominator, --quotient;
  return quotient + (2 * rest > denominator || (2 * rest == denominator && quotient % 2 != 0));
}

/// Numbers of h that differ, over tokens and cells, from the definition's.
std::uint64_t unlike_definition(bool lstm, std::uint64_t tokens, std::uint64_t seed) {
  constexpr std::uint32_t kState = 3, kUnit = 5;
  constexpr std::int64_t kScale = 8, kOne = 1 << kUnit, kLimit = 50;
  anna::RecurrentWeights w;
  w.state = kState;
  w.inputs = 2;
  w.fraction_bits = 3;
  RandomStream random(seed, Domain::kTest, tokens, lstm ? 1 : 0);
  const auto integer = [&](std::int64_t magnitude) {
    return static_cast<std::int64_t>(random.below(2 * static_cast<std::uint64_t>(magnitude) + 1)) - magnitude;
  };
  const std::uint32_t rows = (lstm ? 4 : 1) * kState;
  for (std::uint32_t i = 0; i < rows * w.state; ++i)
    w.recurrent.push_back(static_cast<std::int32_t>(integer(9)));
  for (std::uint32_t i = 0; i < rows * w.inputs; ++i)
    w.input.push_back(static_cast<std::int32_t>(integer(9)));
  for (std::uint32_t i = 0; i < rows; ++i) w.bias.push_back(integer(80) | 1);
  std::uint64_t wrong = 0;
  for (const bool relu : {true, false}) {
    anna::Rnn rnn;
    rnn.weights = w;
    rnn.relu = relu;
    rnn.limit = kLimit;
    anna::Lstm cells;
    cells.weights = w;
    cells.unit_bits = kUnit;
    cells.limit = kLimit;
    const auto recurrence = lstm ? cells.recurrence() : rnn.recurrence();
    std::vector<std::int64_t> state(recurrence->state_numbers(), 0), after(state);
    std::vector<Wide> h(kState, 0), c(kState, 0);
    for (std::uint64_t t = 0; t < tokens; ++t) {
      const std::int64_t x[] = {integer(40), integer(40)};
      recurrence->step(x, state, after);
      state.swap(after);
      const auto z = [&](std::uint32_t row) {
        Wide sum = w.bias[row] + Wide{w.input[2 * row]} * x[0] + Wide{w.input[2 * row + 1]} * x[1];
        for (std::uint32_t j = 0; j < kState; ++j) sum += w.recurrent[row * kState + j] * h[j];
        return sum;
      };
      const auto gate = [&](std::uint32_t row) {
        return std::clamp<Wide>(nearest(z(row) + 2 * kScale * kOne, 4 * kScale), 0, kOne);
      };
      std::vector<Wide> next(kState);
      for (std::uint32_t i = 0; i < kState; ++i) {
        if (lstm) {
          const Wide candidate = std::clamp<Wide>(nearest(z(2 * kState + i), kScale), -kOne, kOne);
          c[i] =
              std::clamp<Wide>(nearest(gate(kState + i) * c[i] + gate(i) * candidate, kOne), -kLimit, kLimit);
          next[i] = nearest(gate(3 * kState + i) * std::clamp<Wide>(c[i], -kOne, kOne), kOne);
        } else {
          next[i] = std::clamp<Wide>(nearest(z(i), kScale), relu ? 0 : -kLimit, kLimit);
        }
      }
      h = next;
      for (std::uint32_t i = 0; i < kState; ++i) wrong += h[i] != state[i];
    }
  }
  return wrong;
}

std::vector<Check> definition_checks(const Defect& defect, Context& context) {
  constexpr std::uint64_t kTokens = 64;
  std::vector<Check> all;
  for (const bool lstm : {false, true}) {
    all.push_back(
        compare({.theorem = kName, .n = kTokens, .seed = context.seed},
                std::string(lstm ? "lstm" : "rnn") + ": numbers unlike the definition's",
                static_cast<double>(unlike_definition(lstm, kTokens, context.seed) + defect.altered),
                Relation::kEqual, 0));
  }
  return all;
}

class RecurrentState : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "k-hop by recurrences takes k sigma words of state, over all layers";
  }
  std::string card() const override {
    return R"(Problem:   k-hop over sigma symbols by recurrent layers, h_t = f(x_t, h_{t-1}), y_t = g(x_t, h_t).
Guarantee: L layers of ceil(k/L) sigma + 1 words do it, for any L from 1 to k. So layers times width is k sigma: a
           depth of k or a width of k sigma. Networks of the mechanisms that models have take one layer more than k, of
           2 sigma words (RNN, LSTM) or sigma (state space).
           Prefixes that some continuation tells apart need states of their own, in any recurrence of one layer.
Check:     answers, layers and words of state; prefixes are told apart by a search over all of them and all
           continuations, no two of them share a state; with one state fewer some two do, and one of them errs.
           RNN and LSTM with random weights, number by number, beside their definitions.
Range:     the theory's statement for recurrent networks and state-space models, depth k or width N / k^6, is about
           alphabets that grow with N. It says nothing while N / k^6 < 1, and sigma words a layer suffice here.
Source:    Sanford, Hsu, Telgarsky 2024 (the task and the bound); the constructions and the search are ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"sigma", "2 to 7", "symbols"},
            {"k", "1 to 4", "hops"},
            {"prefixes", "5, 6 tokens", "all are searched"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    const auto append = [&](const std::vector<Check>& checks) {
      all.insert(all.end(), checks.begin(), checks.end());
    };
    for (const Hop& hop : hops_of(context.sizes)) {
      if (context.wants(words(hop.mechanism, hop.k, hop.symbols), hop.n))
        append(network_checks(hop, {}, context));
    }
    for (const Any& any : kAny) append(any_checks(any, {}, context));
    for (const Prefixes& task : kPrefixes) append(prefix_checks(task, {}, context));
    append(definition_checks({}, context));
    return all;
  }
  std::vector<Metric> metrics(const Context& context) const override {
    std::vector<Metric> all;
    for (const Hop& hop : hops_of(context.sizes)) {
      if (hop.mechanism != "rnn") continue;
      const double sixth = static_cast<double>(power(hop.k, 6));
      all.push_back(
          {"k = " + std::to_string(hop.k) + ": N / k^6, the width that the theory asks of depth below k",
           hop.n, static_cast<double>(hop.n) / sixth});
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    std::vector<Control> all;
    const auto judge = [&](const char* control, std::size_t at, const auto& make, const Defect& defect) {
      const std::vector<Check> sound = make(Defect{});
      all.push_back(judge_control(kName, control, sound[at].quantity, make(defect), sound));
    };
    const auto network = [&](const Defect& defect) {
      return network_checks({"rnn", 100, 2, 3}, defect, context);
    };
    judge("one hop more", 0, network, {.layers = 1});
    judge("a state for one symbol more", 1, network, {.symbols = 1});
    judge("one output altered", 2, network, {.altered = true});
    const auto any = [&](const Defect& defect) { return any_checks(kAny[1], defect, context); };
    judge("a state for one symbol more, any recurrence", 0, any, {.symbols = 1});
    judge("one output altered, any recurrence", 1, any, {.altered = true});
    const auto prefixes = [&](const Defect& defect) { return prefix_checks(kPrefixes[0], defect, context); };
    judge("more prefixes than states", 0, prefixes, {.altered = true});
    judge("a number of the state forgotten", 1, prefixes, {.forgotten = 1});
    judge("a state for every prefix", 2, prefixes, {.states = 1});
    const auto definition = [&](const Defect& defect) { return definition_checks(defect, context); };
    judge("one number altered", 0, definition, {.altered = true});
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_recurrent_state() {
  return std::make_unique<RecurrentState>();
}

}  // namespace roundtrip::proofs_check
