// Recurrent layers against an oracle that computes each token's state anew from the definition, and what they refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <functional>

#include "anna/generators.h"
#include "roundtrip/anna/attention/lstm.h"
#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/attention/rnn.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/anna/transformer/random_model.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

using ::testing::HasSubstr;
__extension__ using Wide = __int128;

/// The integer nearest to numerator / denominator, the even one of two.
Wide nearest(Wide numerator, Wide denominator) {
  Wide quotient = numerator / denominator, rest = numerator % denominator;
  if (rest < 0) rest += denominator, --quotient;
  if (2 * rest < denominator) return quotient;
  if (2 * rest > denominator) return quotient + 1;
  return quotient % 2 == 0 ? quotient : quotient + 1;
}

Wide within(Wide x, Wide least, Wide largest) {
  return x < least ? least : x > largest ? largest : x;
}

struct Head {
  std::vector<std::vector<Wide>> x;  // [tokens, 4]
};

Head dense(const HeadInput& head) {
  Head out{std::vector(head.tokens, std::vector<Wide>(4, 0))};
  for (std::size_t i = 0; i < head.values.tokens.size(); ++i) {
    for (const Entry& entry : head.values.row(i))
      out.x[head.values.tokens[i]][entry.column] = static_cast<Wide>(entry.value);
  }
  return out;
}

/// Row `row` of W h + U x + b.
Wide preactivation(const RecurrentWeights& w, std::size_t row, const std::vector<Wide>& x,
                   const std::vector<Wide>& h) {
  Wide z = w.bias[row];
  for (std::uint32_t j = 0; j < std::min<std::uint32_t>(4, w.inputs); ++j)
    z += x[j] * w.input[row * w.inputs + j];
  for (std::uint32_t j = 0; j < w.state; ++j) z += h[j] * w.recurrent[row * w.state + j];
  return z;
}

/// h after the first `tokens` tokens.
std::vector<Wide> state(const Rnn& rnn, const Head& head, std::size_t tokens) {
  if (tokens == 0) return std::vector<Wide>(rnn.weights.state, 0);
  const std::vector<Wide> before = state(rnn, head, tokens - 1);
  std::vector<Wide> h;
  for (std::uint32_t i = 0; i < rnn.weights.state; ++i) {
    Wide y = nearest(preactivation(rnn.weights, i, head.x[tokens - 1], before),
                     Wide{1} << rnn.weights.fraction_bits);
    if (rnn.relu && y < 0) y = 0;
    h.push_back(within(y, -rnn.limit, rnn.limit));
  }
  return h;
}

/// h and then c.
std::vector<Wide> state(const Lstm& lstm, const Head& head, std::size_t tokens) {
  const std::uint32_t d = lstm.weights.state;
  if (tokens == 0) return std::vector<Wide>(2 * d, 0);
  const std::vector<Wide> before = state(lstm, head, tokens - 1);
  const Wide one = Wide{1} << lstm.unit_bits, scale = Wide{1} << lstm.weights.fraction_bits;
  std::vector<Wide> after(2 * d);
  for (std::uint32_t i = 0; i < d; ++i) {
    const auto z = [&](std::uint32_t block) {
      return preactivation(lstm.weights, block * d + i, head.x[tokens - 1], before);
    };
    // 1/2 + z/4, in units of one: (2 one scale + z) / (4 scale).
    const auto gate = [&](std::uint32_t block) {
      return within(nearest(2 * one * scale + z(block), 4 * scale), 0, one);
    };
    const Wide candidate = within(nearest(z(2), scale), -one, one);
    const Wide cell = nearest(gate(1) * before[d + i] + gate(0) * candidate, one);
    after[d + i] = within(cell, -lstm.limit, lstm.limit);
    after[i] = nearest(gate(3) * within(after[d + i], -one, one), one);
  }
  return after;
}

template <typename P>
void expect_oracle(const P& parameters, const HeadInput& head, const Codebook& codebook) {
  SparseRows out;
  parameters.make()->attend(codebook, head, out);
  const Head values = dense(head);
  SparseRows expected;
  for (std::size_t token = 0; token < head.tokens; ++token) {
    const std::vector<Wide> h = state(parameters, values, token + 1);
    for (std::uint32_t i = 0; i < parameters.weights.state; ++i) {
      if (h[i] != 0) expected.entries.push_back({i, static_cast<double>(h[i])});
    }
    if (expected.entries.size() == expected.offsets.back()) continue;
    expected.tokens.push_back(token);
    expected.offsets.push_back(expected.entries.size());
  }
  RC_ASSERT(equal(out, expected));
}

RecurrentWeights random_weights(std::uint32_t gates, std::int64_t magnitude) {
  RecurrentWeights w;
  w.state = *rc::gen::inRange(1u, 4u);
  w.inputs = *rc::gen::inRange(1u, 7u);
  w.fraction_bits = *rc::gen::element(0u, 1u, 3u, 40u);
  const std::size_t rows = std::size_t{gates} * w.state;
  RandomStream stream(*rc::gen::arbitrary<std::uint64_t>(), Domain::kTest);
  const auto number = [&] { return static_cast<std::int64_t>(stream.below(2 * magnitude + 1)) - magnitude; };
  for (std::size_t i = 0; i < rows * w.state; ++i) w.recurrent.push_back(static_cast<std::int32_t>(number()));
  for (std::size_t i = 0; i < rows * w.inputs; ++i) w.input.push_back(static_cast<std::int32_t>(number()));
  for (std::size_t i = 0; i < rows; ++i) w.bias.push_back(number() * 3);
  return w;
}

TEST(Rnn, EqualsTheDefinition) {
  EXPECT_TRUE(rc::check([] {
    const TableCodebook codebook = random_codebook();
    const HeadInput head = random_head(codebook, *rc::gen::element(4.0, 1e9, 9007199254740990.0));
    expect_oracle(Rnn{random_weights(1, *rc::gen::element(1, 9, 2147483647)), *rc::gen::arbitrary<bool>(),
                      *rc::gen::element<std::int64_t>(1, 100, (std::int64_t{1} << 53) - 1)},
                  head, codebook);
  }));
}

TEST(Lstm, EqualsTheDefinition) {
  EXPECT_TRUE(rc::check([] {
    const TableCodebook codebook = random_codebook();
    const HeadInput head = random_head(codebook, *rc::gen::element(4.0, 300.0, 9007199254740990.0));
    const std::uint32_t unit_bits = *rc::gen::element(0u, 1u, 6u, 20u);
    expect_oracle(Lstm{random_weights(Lstm::kGates, *rc::gen::element(1, 9, 2147483647)), unit_bits,
                       (std::int64_t{1} << unit_bits) * *rc::gen::element(1, 3, 1000)},
                  head, codebook);
  }));
}

/// Two tokens with one value each.
SparseRows of_values(const Mechanism& mechanism, std::vector<double> values) {
  HeadInput head{.tokens = values.size(), .queries = {}, .keys = {}, .values = {}};
  for (std::size_t token = 0; token < values.size(); ++token) {
    head.values.tokens.push_back(token);
    head.values.entries.push_back({0, values[token]});
    head.values.offsets.push_back(token + 1);
  }
  SparseRows out;
  mechanism.make()->attend(TableCodebook(1, {{0}}), head, out);
  return out;
}

// Literal numbers, so that mechanism and oracle cannot be wrong together.
TEST(Rnn, RoundsTheSumOnce) {
  RecurrentWeights w;
  w.state = 1;
  w.inputs = 1;
  w.fraction_bits = 1;
  w.recurrent = {1}, w.input = {1}, w.bias = {0};
  const SparseRows out = of_values(Rnn{w, false, 4}, {3, 1, -9, 100});
  ASSERT_EQ(out.tokens, (std::vector<std::uint64_t>{0, 1, 2, 3}));
  EXPECT_EQ(out.row(0)[0].value, 2);   // 3/2
  EXPECT_EQ(out.row(1)[0].value, 2);   // 3/2: not 2/2 and 1/2, rounded apart to 1
  EXPECT_EQ(out.row(2)[0].value, -4);  // -7/2
  EXPECT_EQ(out.row(3)[0].value, 4);   // clamped
  EXPECT_EQ(of_values(Rnn{w, true, 4}, {3, -9, 1}).tokens, (std::vector<std::uint64_t>{0}));  // 1/2 is 0
}

TEST(Lstm, KeepsWritesAndShows) {
  RecurrentWeights w;
  w.state = 1;
  w.inputs = 1;
  w.recurrent = {0, 0, 0, 0};
  w.input = {8, -8, 1, 0};  // positive values are written over the cell, others keep it
  w.bias = {0, 0, 0, 32};   // shown always: 1/2 + 32/(4 16) is 1
  const SparseRows out = of_values(Lstm{w, 4, 16}, {5, -9, 7, -16});
  ASSERT_EQ(out.tokens, (std::vector<std::uint64_t>{0, 1, 2, 3}));
  // 8 * 5 / 4 + 8 is above 1 = 16, so the gates are 1 and 0; and the other way round.
  EXPECT_EQ(out.row(0)[0].value, 5);
  EXPECT_EQ(out.row(1)[0].value, 5);
  EXPECT_EQ(out.row(2)[0].value, 7);
  EXPECT_EQ(out.row(3)[0].value, 7);
  w.bias[3] = 0;  // half of it is shown: 2.5 and 3.5, to even
  const SparseRows half = of_values(Lstm{w, 4, 16}, {5, -9, 7, -16});
  EXPECT_EQ(half.row(0)[0].value, 2);
  EXPECT_EQ(half.row(2)[0].value, 4);
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const ContractError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Recurrent, RefusesWhatDoesNotFit) {
  RecurrentWeights w;
  w.state = 1;
  w.inputs = 2;
  w.recurrent = {1}, w.input = {1, 1}, w.bias = {0};
  EXPECT_EQ(message_of([&] { Rnn{w}.make(); }), "accepted");
  const auto refused = [&](const std::string& text, auto change) {
    RecurrentWeights bad = w;
    change(bad);
    EXPECT_THAT(message_of([&] { (void)Rnn{bad}.make(); }), HasSubstr("rnn: " + text));
  };
  refused("the state has 0 numbers; allowed are 1 .. 4096", [](auto& b) { b.state = 0; });
  refused("the state has 5000 numbers", [](auto& b) { b.state = 5000; });
  refused("0 inputs; allowed are 1 .. 4096", [](auto& b) { b.inputs = 0; });
  refused("fraction_bits is 53; allowed are 0 .. 52", [](auto& b) { b.fraction_bits = 53; });
  refused("2 recurrent weights, 2 input weights and 1 biases; 1, 2 and 1", [](auto& b) {
    b.recurrent = {1, 1};
  });
  refused("1 recurrent weights, 1 input weights and 1 biases", [](auto& b) { b.input = {1}; });
  refused("1 recurrent weights, 2 input weights and 0 biases", [](auto& b) { b.bias = {}; });
  refused("bias is 9007199254740992", [](auto& b) { b.bias = {std::int64_t{1} << 53}; });
  EXPECT_THAT(message_of([&] {
                (void)Rnn{w, true, 0}.make();
              }),
              HasSubstr("rnn: limit is 0; allowed are 1 .."));
  EXPECT_THAT(message_of([&] { (void)Lstm{w}.make(); }), HasSubstr("lstm: 1 recurrent weights, 2 input"));
  RecurrentWeights gates;
  gates.state = 1;
  gates.inputs = 1;
  gates.recurrent = gates.input = {1, 1, 1, 1}, gates.bias = {0, 0, 0, 0};
  EXPECT_THAT(message_of([&] {
                (void)Lstm{gates, 4, 15}.make();
              }),
              HasSubstr("lstm: limit is 15; allowed are 16"));
  EXPECT_THAT(message_of([&] { (void)Lstm{gates, 53, 15}.make(); }), HasSubstr("lstm: unit_bits is 53"));
}

// A state leaves what the values' maps allow: found before anything is evaluated.
TEST(Recurrent, LayersAreMadeForTheRangeOfTheState) {
  RecurrentWeights w;
  w.state = 2;
  w.inputs = 1;
  w.recurrent = {1, 0, 0, 1}, w.input = {1, 1}, w.bias = {0, 0};
  const RandomModel parameters = RandomModel::parse("random:L=1,H=1,d=2,m=2,w=1");
  Model model = make_random_model(parameters, 4, Rnn{w, false, 5000});
  EXPECT_NO_THROW(model.validate());
  model.mechanisms[0] = Rnn{w, false, 5003};  // in rows, which have no fractional bits, 1251 and not 1250
  EXPECT_THAT(message_of([&] { model.validate(); }),
              HasSubstr("layer 0: the state's numbers are -5003 .. 5003; head 0"));
  model.mechanisms[0] = ExactMatch{};  // averages of values are within the range, too
  EXPECT_NO_THROW(model.validate());
  EXPECT_THAT(
      message_of([&] { make_random_model(RandomModel::parse("random:L=1,H=1,d=2,m=1,w=1"), 4, Rnn{w}); }),
      HasSubstr("layer 0: rnn gives 2 numbers; the layer's values have 1"));
}

TEST(Recurrent, FilesAreReadStrictly) {
  const auto read = [](const std::string& changed, const nlohmann::json& value) {
    nlohmann::json json = {{"kind", "rnn"},
                           {"activation", "relu"},
                           {"limit", 9},
                           {"fraction_bits", 1},
                           {"recurrent_weight", {{1, 2}, {3, 4}}},
                           {"input_weight", {{5}, {6}}},
                           {"bias", {7, -8}}};
    json[changed] = value;
    json = nlohmann::json::parse(json.dump());  // numbers are of the types that a file's have
    return message_of([&] { Rnn::info().read(JsonField(json, "m.json", "mechanism")); });
  };
  EXPECT_EQ(read("kind", "rnn"), "accepted");
  EXPECT_THAT(read("activation", "tanh"),
              HasSubstr("mechanism.activation is 'tanh'; allowed are relu and hard_tanh"));
  EXPECT_THAT(read("limit", -1), HasSubstr("mechanism.limit is -1; allowed are whole numbers 1 .."));
  EXPECT_THAT(read("limit", 18446744073709551615u), HasSubstr("limit is 18446744073709551615"));
  EXPECT_THAT(read("limit", 1.5), HasSubstr("limit is 1.5"));
  EXPECT_THAT(read("recurrent_weight", {{1, 2}, {3}}),
              HasSubstr("mechanism.recurrent_weight[1] has 1 numbers; 2"));
  EXPECT_THAT(read("recurrent_weight", nlohmann::json::array()), HasSubstr("the state has 0 numbers"));
  EXPECT_THAT(read("recurrent_weight", {{1, 2}, {3, 2147483648u}}),
              HasSubstr("recurrent_weight[1][1] is 2147483648"));
  EXPECT_THAT(read("input_weight", {{5}}), HasSubstr("rnn: 4 recurrent weights, 1 input weights"));
  EXPECT_THAT(read("more", 1), HasSubstr("has the unknown field 'more'"));
}

}  // namespace
}  // namespace roundtrip::anna
