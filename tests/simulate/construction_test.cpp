// What every construction promises, whichever they are: its record, its options, its layers beside the run.
#include "roundtrip/simulate/compile/construction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "roundtrip/anna/transformer/activations.h"
#include "roundtrip/base/read_file.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/direct.h"
#include "roundtrip/simulate/compile/export.h"
#include "roundtrip/simulate/compile/routed.h"
#include "test_protocols.h"

namespace roundtrip::simulate {
namespace {

using testing::HasSubstr;

template <typename Work>
std::string refusal(const Work& work) {
  try {
    work();
  } catch (const ContractError& error) {
    return error.what();
  }
  return "accepted";
}

const mpc::Shape kShape = make_shape(48, 4, 8, 12, 3, 48);

TEST(Construction, RecordsAreComplete) {
  std::set<std::string> names;
  for (const ConstructionInfo* info : all_constructions()) {
    SCOPED_TRACE(info->name);
    EXPECT_TRUE(names.insert(info->name).second);
    EXPECT_EQ(&find_construction(info->name), info);
    EXPECT_EQ(info->name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), std::string::npos);
    EXPECT_FALSE(info->summary.empty());
    EXPECT_FALSE(info->version.empty());
    for (const char* part : {"Problem:", "Guarantee:", "Cost:", "Source:", "Requires:"})
      EXPECT_THAT(info->card, HasSubstr(part));
  }
  EXPECT_TRUE(names.contains(CompileOptions{}.construction));
}

/// The table of docs/translators.md has a row for each, with the file that holds its card.
TEST(Construction, DocsListAllOfThem) {
  const std::string page = read_whole(TRANSLATORS_PAGE);
  const std::string start = "| protocol | transformer, ";
  std::vector<std::string> named, known;
  for (std::size_t at = page.find(start); at != std::string::npos; at = page.find(start, at + 1)) {
    const std::size_t begin = at + start.size();
    named.push_back(page.substr(begin, page.find(' ', begin) - begin));
    const std::string row = page.substr(at, page.find('\n', at) - at);
    EXPECT_THAT(row, HasSubstr("`simulate/compile/" + named.back() + ".cpp`"));
  }
  for (const ConstructionInfo* info : all_constructions()) known.push_back(info->name);
  EXPECT_EQ(named, known);
}

TEST(Construction, UnknownNamesAreRefusedWithTheKnownOnes) {
  const std::string message = refusal([] { find_construction("rooted"); });
  EXPECT_THAT(message, HasSubstr("construction is 'rooted'"));
  for (const ConstructionInfo* info : all_constructions()) EXPECT_THAT(message, HasSubstr(info->name));
  EXPECT_EQ(refusal([] { compile("sum", mpc::Parameters{.n = 16}, {.construction = ""}); }),
            refusal([] { find_construction(""); }));
}

TEST(Construction, OptionsOfAnotherConstructionAreRefused) {
  EXPECT_EQ(refusal([] {
              compile(full_load(kShape, 5),
                      {.construction = "direct", .specific = RoutedOptions{.digits = 2}, .name = "p"});
            }),
            "p: the options given are not those of the direct construction");
  EXPECT_EQ(refusal([] {
              compile(full_load(kShape, 5),
                      {.construction = "routed", .specific = DirectOptions{}, .name = "p"});
            }),
            "p: the options given are not those of the routed construction");
}

TEST(Construction, OptionsAreSetReadChosenAndSaved) {
  for (const ConstructionInfo* info : all_constructions()) {
    const Compiled plain = compile("sum", mpc::Parameters{.n = 256}, {.construction = info->name});
    EXPECT_FALSE(plain.construction->chosen("no such option"));
    for (const ConstructionOption& option : info->options) {
      SCOPED_TRACE(info->name + " " + option.name);
      EXPECT_LT(option.least, option.most);
      EXPECT_FALSE(option.given(plain.options));
      EXPECT_TRUE(plain.construction->chosen(option.name));
      CompileOptions options{.construction = info->name};
      const std::uint64_t value = option.least + 1;
      option.set(options, value);
      EXPECT_EQ(option.given(options), value);
      const Compiled compiled = compile("sum", mpc::Parameters{.n = 256}, options);
      EXPECT_EQ(compiled.construction->chosen(option.name), value);
      anna::ProtocolMaps maps = *as_model(compiled, "ema").protocol;
      EXPECT_EQ(maps.construction, info->name);
      EXPECT_EQ(maps.parameters.at(option.name), std::to_string(value));
      EXPECT_EQ(compile(maps).bound, compiled.bound);
      maps.parameters[option.name] = std::to_string(option.most + 1);
      EXPECT_EQ(refusal([&] { compile(maps); }),
                fmt::format("a model's {} is {}, allowed is {} to {}", option.name, option.most + 1,
                            option.least, option.most));
    }
  }
}

TEST(Construction, ModelsOfAnUnknownConstructionOrAnotherVersionAreNotResolved) {
  for (const ConstructionInfo* info : all_constructions()) {
    const Compiled compiled = compile("sum", mpc::Parameters{.n = 64}, {.construction = info->name});
    anna::ProtocolMaps maps = *as_model(compiled, "ema").protocol;
    const anna::Resolver resolve = protocol_resolver();
    ASSERT_TRUE(resolve(maps));
    EXPECT_EQ(resolve(maps)->transformer.depth(), compiled.transformer.depth());
    maps.version += "0";
    ASSERT_TRUE(resolve(maps));
    EXPECT_EQ(resolve(maps)->version, info->version);
    EXPECT_TRUE(resolve(maps)->transformer.layers.empty());
    maps.construction = "rooted";
    EXPECT_FALSE(resolve(maps));
  }
}

TEST(Construction, LayersArePartsOfPassesAndMoveEveryRoundToItsEnd) {
  for (const ConstructionInfo* info : all_constructions()) {
    SCOPED_TRACE(info->name);
    const Compiled compiled = compile(full_load(kShape, 5), {.construction = info->name});
    const std::vector<Pass> passes = compiled.construction->passes();
    const std::vector<LayerRole> layers = compiled.construction->layers();
    ASSERT_EQ(layers.size(), compiled.transformer.depth());
    std::set<std::string> names;
    for (const Pass& pass : passes) EXPECT_TRUE(names.insert(pass.name).second) << pass.name;
    std::uint32_t round = 0;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      ASSERT_LT(layers[l].pass, passes.size());
      EXPECT_FALSE(passes[layers[l].pass].effect.empty());
      EXPECT_FALSE(passes[layers[l].pass].caption.empty());
      EXPECT_FALSE(passes[layers[l].pass].averages.empty());
      // The words of a round go on until they are at their machines; only then those of the next one start.
      if (l > 0 && layers[l - 1].arrival != Arrival::kOnTheWay && round < kShape.rounds) ++round;
      EXPECT_EQ(layers[l].round, round);
      EXPECT_EQ(layers[l].arrival == Arrival::kOutput, l + 1 == layers.size());
    }
    EXPECT_EQ(round, kShape.rounds);
  }
}

/// Evaluates layer by layer; `look` sees every average that a query got.
class Averages final : public anna::Attention {
 public:
  using Look = std::function<void(std::uint32_t head, std::uint64_t token, anna::EntryView average)>;
  explicit Averages(Look look) : look_(std::move(look)) {}
  std::string name() const override { return "exact match, looked at"; }
  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    exact_->attend(codebook, head, out);
    for (std::size_t i = 0; i < out.tokens.size(); ++i) look_(head_, out.tokens[i], out.row(i));
    ++head_;
  }

 private:
  std::uint32_t head_ = 0;
  Look look_;
  std::unique_ptr<anna::Attention> exact_ = anna::make_exact_match();
};

TEST(Construction, AveragesCarryTheWordsOfTheRowsAndNoOthers) {
  for (const ConstructionInfo* info : all_constructions()) {
    SCOPED_TRACE(info->name);
    const Compiled compiled = compile(full_load(kShape, 5), {.construction = info->name});
    const Construction& construction = *compiled.construction;
    const std::vector<LayerRole> layers = construction.layers();
    anna::Activations array = input_activations(random_input(kShape, 2), compiled.transformer.tokens);
    std::vector<WordInRow> words;
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const bool last = layers[l].round == kShape.rounds;
      // Once they are at the machines of the outputs, rows hold outputs, and the words are those of before.
      if (l > 0 && (layers[l - 1].arrival == Arrival::kOnTheWay || layers[l - 1].round < layers[l].round)) {
        words.clear();
        for (std::uint64_t token = 0; token < array.tokens(); ++token)
          std::ranges::copy(construction.words(array.row(token)), std::back_inserter(words));
        EXPECT_EQ(words.size(), last ? kShape.outputs : kShape.machines * kShape.memory_words);
      }
      std::vector<std::uint64_t> found(words.size());
      Averages attention([&](std::uint32_t head, std::uint64_t token, anna::EntryView average) {
        for (std::size_t w = 0; w < words.size(); ++w) {
          if (layers[l].one_head_a_word && head != words[w].sequence) continue;
          if (layers[l].arrival == Arrival::kOutput && token != words[w].destination) continue;
          if (!construction.carries(l, average, words[w])) continue;
          ++found[w];
          WordInRow other = words[w];
          other.word += 1;
          EXPECT_FALSE(construction.carries(l, average, other));
        }
      });
      array = anna::evaluate(*compiled.transformer.layers[l], attention, array);
      for (std::size_t w = 0; w < words.size(); ++w)
        EXPECT_EQ(found[w], 1u) << "layer " << l << " word " << w;
    }
  }
}

TEST(Construction, ThePlanIsAnUpperBoundOnWhatIsHeld) {
  const auto shape = make_shape(64, 4, 8, 20, 4, 64);
  for (const ConstructionInfo* info : all_constructions()) {
    SCOPED_TRACE(info->name);
    const CompileOptions options{.construction = info->name};
    const Compiled compiled = compile(full_load(shape, 5), options);
    const EvaluationPlan planned = plan(shape, options);
    EXPECT_EQ(compiled.construction->load().tokens, compiled.transformer.tokens);
    EXPECT_EQ(planned.sizes, compiled.bound);
    EXPECT_EQ(planned.words_a_layer, 160u);
    const auto attention = make_attention(compiled, "ema");
    std::uint64_t most = 0;
    anna::evaluate(
        compiled.transformer, *attention,
        input_activations(random_input(shape, 1), compiled.transformer.tokens),
        {.order_seed = {}, .twice = false, .observe = [&](std::size_t, const anna::Activations& array) {
           most = std::max(most, 16 * array.nonzeros());
         }});
    EXPECT_GT(planned.peak_bytes, 2 * most);
  }
}

}  // namespace
}  // namespace roundtrip::simulate
