// Models: layers with a mechanism each; named random models.
#include "roundtrip/anna/transformer/random_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/anna/lsh/probability.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

using ::testing::HasSubstr;

Activations input_of(const RandomModel& parameters, std::uint64_t tokens) {
  Activations array = Activations::with_dimension(2);
  for (const std::uint64_t word : random_words(parameters, tokens)) {
    array.append_row(std::vector<Entry>{{0, 1}, {1, static_cast<double>(word)}});
  }
  return array;
}

Anna tables(std::uint32_t tables, std::uint32_t functions) {
  Anna anna;
  anna.parameters.tables = tables;
  anna.parameters.functions = functions;
  return anna;
}

std::string refusal(const std::string& name) {
  try {
    RandomModel::parse(name);
  } catch (const ContractError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(RandomModel, NamesAreParsedAndRefusedByKey) {
  const RandomModel model =
      RandomModel::parse("random:L=3,H=1,d=64,c=7/2,seed=18446744073709551615,m=5,w=6,p=20");
  EXPECT_EQ(model.layers, 3u);
  EXPECT_EQ(model.heads, 1u);
  EXPECT_EQ(model.dimension, 64u);
  EXPECT_EQ(model.factor, Rational(7, 2));
  EXPECT_EQ(model.seed, UINT64_MAX);
  EXPECT_EQ(model.value_dimension, 5u);
  EXPECT_EQ(model.row_dimension, 6u);
  EXPECT_EQ(model.word_bits, 20u);
  EXPECT_EQ(RandomModel::parse(model.name()).name(), model.name());
  EXPECT_EQ(RandomModel::parse("random:").name(), RandomModel().name());

  EXPECT_THAT(refusal("rndom:L=2"), HasSubstr("is not a random model"));
  EXPECT_THAT(refusal("random:L"), HasSubstr("'L' is not KEY=VALUE"));
  EXPECT_THAT(refusal("random:L=2,,H=1"), HasSubstr("'' is not KEY=VALUE"));
  EXPECT_THAT(refusal("random:sead=2"), HasSubstr("unknown key 'sead'; nearest is 'seed'"));
  EXPECT_THAT(refusal("random:L=2,L=2"), HasSubstr("L occurs twice"));
  EXPECT_THAT(refusal("random:L="), HasSubstr("L is ''"));
  EXPECT_THAT(refusal("random:L=-1"), HasSubstr("L is '-1'"));
  EXPECT_THAT(refusal("random:L=2x"), HasSubstr("L is '2x'; a whole number below 2^32 is needed"));
  EXPECT_THAT(refusal("random:L=4294967297"), HasSubstr("L is '4294967297'"));
  EXPECT_THAT(refusal("random:L=0"), HasSubstr("L is 0; allowed are 1 .. 64"));
  EXPECT_THAT(refusal("random:H=65"), HasSubstr("H is 65"));
  EXPECT_THAT(refusal("random:d=1"), HasSubstr("d is 1"));
  EXPECT_THAT(refusal("random:p=25"), HasSubstr("p is 25"));
  EXPECT_THAT(refusal("random:c=1"), HasSubstr("c is 1"));
  EXPECT_THAT(refusal("random:c=x"), HasSubstr("c"));
  EXPECT_THAT(refusal("random:\n=1"), HasSubstr("\\x0a"));
}

TEST(RandomModel, IsAFunctionOfItsNameAndDependsOnTheSeed) {
  const auto weights = [](std::uint64_t seed, std::size_t layer) {
    RandomModel parameters;
    parameters.seed = seed;
    const Model model = make_random_model(parameters, 100, ExactMatch{});
    return dynamic_cast<const WeightLayer&>(*model.transformer.layers[layer]).weights();
  };
  EXPECT_EQ(weights(1, 0), weights(1, 0));
  EXPECT_FALSE(weights(1, 0) == weights(2, 0));
  // A known number, so that a change of the generator does not go unseen: files and reports name these
  // models.
  EXPECT_EQ(weights(1, 1).heads[3].value[1].weight(0, 5), 2);
}

TEST(RandomModel, StaysInRangeAtEverySizeThatItsNameAllows) {
  // Construction proves the ranges; the next layer's limit is checked against the last one's outputs.
  for (const char* name : {"random:L=64,H=2", "random:H=64,m=32", "random:d=1024,H=1,L=1",
                           "random:m=1024,w=1024,L=2,H=2", "random:p=24,L=3", "random:p=8,w=1,m=1,d=2"}) {
    EXPECT_NO_THROW(make_random_model(RandomModel::parse(name), 1 << 20, ExactMatch{})) << name;
  }
  EXPECT_THROW(make_random_model(RandomModel(), 0, ExactMatch{}), ContractError);
}

TEST(RandomModel, EvaluatesEquallyByBucketsAndByAllPairsInAnyOrder) {
  for (const char* name : {"random:L=2,H=2,seed=5", "random:L=3,H=3,d=5,m=3,w=4,seed=6"}) {
    const RandomModel parameters = RandomModel::parse(name);
    const std::uint64_t tokens = 61;
    const Activations input = input_of(parameters, tokens);
    const Model exact = make_random_model(parameters, tokens, ExactMatch{});
    const Model anna = make_random_model(parameters, tokens, tables(9, 4));
    EvaluateOptions shuffled;
    shuffled.order_seed = 3;
    shuffled.twice = true;
    const Activations by_exact = evaluate(exact, input);
    EXPECT_EQ(by_exact, evaluate(exact.transformer, *make_brute_force_exact_match(), input)) << name;
    EXPECT_EQ(by_exact, evaluate(exact, input, shuffled)) << name;
    const Activations by_anna = evaluate(anna, input);
    EXPECT_EQ(by_anna, evaluate(anna.transformer, *make_brute_force_anna(tables(9, 4).parameters), input))
        << name;
    EXPECT_EQ(by_anna, evaluate(anna, input, shuffled)) << name;
    EXPECT_FALSE(by_anna == by_exact) << name;
  }
}

// Counts, of all queries, those that have a key in another token (by the inner mechanism's own outputs: the
// value of a token that is alone comes back unchanged).
class Mixing final : public Attention {
 public:
  explicit Mixing(std::unique_ptr<Attention> inner) : inner_(std::move(inner)) {}
  std::string name() const override { return "mixing"; }
  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) override {
    inner_->attend(codebook, head, out);
    const auto rows_of = [](const SparseRows& rows) {
      std::map<std::uint64_t, std::vector<Entry>> by_token;
      for (std::size_t i = 0; i < rows.tokens.size(); ++i) {
        by_token[rows.tokens[i]].assign(rows.row(i).begin(), rows.row(i).end());
      }
      return by_token;
    };
    auto values = rows_of(head.values), averages = rows_of(out);
    std::uint64_t mixed = 0, zero = 0;
    for (std::uint64_t token = 0; token < head.tokens; ++token) {
      if (averages[token].empty()) {
        ++zero;
      } else if (averages[token] != values[token]) {
        ++mixed;
      }
    }
    shares.push_back({double(mixed) / double(head.tokens), double(zero) / double(head.tokens)});
  }
  struct Share {
    double mixed, zero;
  };
  std::vector<Share> shares;  // one a head

 private:
  std::unique_ptr<Attention> inner_;
};

TEST(RandomModel, TokensMeetInEveryLayerAndRowsStayDifferent) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    RandomModel parameters;
    parameters.layers = 4;
    parameters.seed = seed;
    const std::uint64_t tokens = 256;
    const Model model = make_random_model(parameters, tokens, tables(20, 12));
    Mixing mixing(make_anna(tables(20, 12).parameters));
    EvaluateOptions options;
    std::vector<std::size_t> different;
    options.observe = [&](std::size_t, const Activations& array) {
      std::set<std::vector<double>> rows;
      for (std::uint64_t token = 0; token < tokens; ++token) {
        std::vector<double> row;
        for (std::uint32_t column = 0; column < array.dimension(); ++column)
          row.push_back(array.row(token)[column]);
        rows.insert(row);
      }
      different.push_back(rows.size());
    };
    evaluate(model.transformer, mixing, input_of(parameters, tokens), options);
    for (std::size_t l = 0; l < parameters.layers; ++l) {
      double most = 0;
      for (std::size_t h = 0; h < parameters.heads; ++h) {
        const Mixing::Share share = mixing.shares[l * parameters.heads + h];
        RecordProperty(fmt::format("seed{}_layer{}_head{}", seed, l, h),
                       fmt::format("{} {}", share.mixed, share.zero));
        if (share.mixed > most) most = share.mixed;
      }
      EXPECT_GT(most, 0.5) << "seed " << seed << " layer " << l;
      EXPECT_GT(different[l + 1], 100u) << "seed " << seed << " layer " << l;
    }
  }
}

TEST(Model, EveryMechanismHasAnEvaluator) {
  const auto message = [](const Mechanism& mechanism) {
    try {
      mechanism.make();
    } catch (const ContractError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(message(ExactMatch{}), "accepted");
  EXPECT_EQ(message(Anna{}), "accepted");
  EXPECT_THAT(message(tables(0, 1)), HasSubstr("tables is 0"));
  EXPECT_EQ(message(LowRank{}), "accepted");
  EXPECT_EQ(message(Softmax{}), "accepted");
  EXPECT_THAT(message(LowRank{0}), HasSubstr("low_rank: rank is 0"));
  EXPECT_EQ(message(Performer{}), "accepted");
  EXPECT_THAT(message(Performer{0}), HasSubstr("performer: rank is 0"));
  EXPECT_THAT(message(Performer{1, 1, HUGE_VAL}), HasSubstr("temperature is inf"));
  EXPECT_THAT(message(Performer{1, 1, 1, 701}), HasSubstr("shift is 701; allowed are 0 .. 700"));
  EXPECT_EQ(message(Polynomial{}), "accepted");
  EXPECT_THAT(message(Polynomial{362}), HasSubstr("sketch is 362; allowed are 1 .. 361"));
  EXPECT_THAT(message(Polynomial{1, 1, 0}), HasSubstr("unit is 0"));
  EXPECT_THAT(message(Window{Window::kMaxWidth + 1}), HasSubstr("width is 524289"));
  EXPECT_THAT(message(Window{1, 0, Window::kMaxWidth + 1}), HasSubstr("globals is 524289"));
  EXPECT_THAT(message(Window{1, -1}), HasSubstr("scale is -1"));
  EXPECT_EQ(message(Chunked{}), "accepted");
  EXPECT_THAT(message(Chunked{0}), HasSubstr("chunk is 0"));
  EXPECT_THAT(message(Chunked{1, 0}), HasSubstr("hashings is 0"));
  EXPECT_THAT(message(Chunked{1, 1, 0}), HasSubstr("functions is 0"));
  EXPECT_THAT(message(Chunked{1, 1, 1, 1, FamilyKind::kPStable}), HasSubstr("family is p-stable"));
  EXPECT_THAT(message(Softmax{HUGE_VAL}), HasSubstr("scale is inf"));
  for (const MechanismInfo* info : mechanisms()) {
    EXPECT_EQ(find_mechanism(info->name), info);
    EXPECT_FALSE(info->card.empty()) << info->name;
    for (const Mechanism& mechanism : info->samples()) {
      EXPECT_EQ(mechanism.make()->name(), mechanism.name());
      EXPECT_FALSE(mechanism.caption().empty()) << info->name;
    }
  }
  EXPECT_EQ(find_mechanism("exact"), nullptr);
  EXPECT_THAT(
      [] { make_random_model(RandomModel::parse("random:d=1024"), 4, LowRank{65536 * 8}).validate(); },
      testing::ThrowsMessage<ContractError>(HasSubstr("layer 0: low_rank: rank is 524288")));
}

TEST(RandomModel, TablesAreTheSmallestThatGiveTheGuarantee) {
  const RandomModel parameters = RandomModel::parse("random:d=16,c=8");
  const std::uint64_t n = 256;
  const Anna anna = random_model_tables(parameters, n, 1e-2);
  EXPECT_EQ(anna.parameters.family, FamilyKind::kCrossPolytope);
  EXPECT_EQ(anna.near_radius, std::sqrt(2.0) / 8);
  // The two inequalities at (z, ell), and the failure of one of them at ell - 1 and at z - 1 with its own
  // ell.
  const FamilyParameters family = anna.parameters.functions_of(16);
  const double p1 = collision_probability(family, *anna.near_radius).low;
  const double p2 = collision_probability(family, std::sqrt(2.0)).high;
  const double z = anna.parameters.functions, ell = anna.parameters.tables, pairs = double(n * n),
               half = 0.5e-2;
  EXPECT_LE(pairs * ell * std::pow(p2, z), half);
  EXPECT_LE(pairs * std::pow(1 - std::pow(p1, z), ell), half);
  EXPECT_GT(pairs * std::pow(1 - std::pow(p1, z), ell - 1), half);
  const double fewer = std::ceil(std::log(pairs / half) / -std::log1p(-std::pow(p1, z - 1)));
  EXPECT_GT(pairs * fewer * std::pow(p2, z - 1), half);
  // Evaluated with them, a model is the same by buckets and by all pairs.
  const Model model = make_random_model(parameters, 40, random_model_tables(parameters, 40, 1e-1));
  const Activations input = input_of(parameters, 40);
  EXPECT_EQ(evaluate(model, input),
            evaluate(model.transformer,
                     *make_brute_force_anna(model.mechanisms[0].get_if<Anna>()->parameters), input));
}

TEST(Model, EachLayerUsesItsOwnMechanism) {
  const RandomModel parameters;
  const std::uint64_t tokens = 64;
  Model model = make_random_model(parameters, tokens, ExactMatch{});
  model.mechanisms[1] = tables(5, 3);
  const Activations input = input_of(parameters, tokens);
  const Activations middle = evaluate(*model.transformer.layers[0], *make_exact_match(), input);
  EXPECT_EQ(evaluate(model, input),
            evaluate(*model.transformer.layers[1], *make_anna(tables(5, 3).parameters), middle));
}

TEST(Model, LayersThatDoNotFitEachOtherAreRefused) {
  const auto layer = [](std::int64_t limit, std::uint32_t bits, std::int64_t clamp) {
    Stage one;
    one.inputs = one.outputs = 1;
    one.weight = SparseMatrix::of_dense(1, std::vector{1});
    one.bias = {0};
    one.output_fraction_bits = bits;
    LayerWeights weights;
    weights.row_dimension = 1;
    weights.row_fraction_bits = bits;
    weights.row_limit = limit;
    weights.heads = {{{one}, {one}, {one}}};
    Stage output = one;
    output.inputs = 2;
    output.weight = SparseMatrix::of_dense(2, std::vector{0, 1});
    output.clamp = clamp;
    weights.output = {output};
    return std::make_shared<WeightLayer>(weights);
  };
  const auto chain = [](std::vector<std::shared_ptr<const Layer>> layers) {
    Model model;
    model.transformer.tokens = 1;
    model.transformer.input_dimension = 1;
    model.mechanisms.assign(layers.size(), ExactMatch{});
    model.transformer.layers = std::move(layers);
    try {
      model.validate();
    } catch (const ContractError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(chain({layer(9, 1, 5), layer(5, 1, 5)}), "accepted");
  EXPECT_THAT(chain({layer(9, 1, 5), layer(4, 1, 5)}),
              HasSubstr("layer 1 takes magnitudes up to 4; layer 0 can write -5 .. 5"));
  EXPECT_THAT(chain({layer(9, 1, 5), layer(5, 2, 5)}),
              HasSubstr("layer 1 takes rows with 2 fractional bits; layer 0 writes 1"));
}

}  // namespace
}  // namespace roundtrip::anna
