// Where a broken transformer and the run part, on both constructions, and how far the input shrinks.
#include "roundtrip/simulate/compile/counterexample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "roundtrip/simulate/compile/routed.h"
#include "test_protocols.h"

namespace roundtrip::simulate {
namespace {

/// Exact match, but from the given call (head of a layer) on it adds 1 to the largest number of the first
/// output.
class Spoiler final : public anna::Attention {
 public:
  explicit Spoiler(std::uint64_t call) : call_(call) {}
  std::string name() const override { return "spoiler"; }
  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    exact_->attend(codebook, head, out);
    out.copy_borrowed();
    if (calls_++ == call_ && !out.entries.empty()) out.entries.back().value += 1;
  }

 private:
  std::uint64_t call_, calls_ = 0;
  std::unique_ptr<anna::Attention> exact_ = anna::make_exact_match();
};

/// Exact match that takes every value equal to `word` for one more.
class Confuser final : public anna::Attention {
 public:
  explicit Confuser(double word) : word_(word) {}
  std::string name() const override { return "confuser"; }
  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    anna::HeadInput changed = head;
    changed.values.copy_borrowed();
    for (anna::Entry& entry : changed.values.entries) {
      if (entry.value == word_) entry.value = word_ + 1;
    }
    exact_->attend(codebook, changed, out);
  }

 private:
  double word_;
  std::unique_ptr<anna::Attention> exact_ = anna::make_exact_match();
};

TEST(Divergence, NoneWhereAllAgree) {
  const auto shape = make_shape(48, 4, 8, 12, 3, 48);
  const auto exact = anna::make_exact_match();
  for (const ConstructionInfo* construction : all_constructions()) {
    SCOPED_TRACE(construction->name);
    for (const std::uint64_t value : {1, 2}) {  // of every option
      CompileOptions options{.construction = construction->name};
      for (const ConstructionOption& option : construction->options) option.set(options, value);
      try {
        const Compiled compiled = compile(full_load(shape, 5), options);
        EXPECT_FALSE(find_divergence(compiled, random_input(shape, 1), *exact));
      } catch (const ContractError& error) {  // two digits are not dealt
        EXPECT_THAT(error.what(), testing::HasSubstr("routing is deterministic with D = 2 digits"));
      }
    }
  }
}

TEST(Divergence, NamesTheLayerAndTheRoundOfTheFirstDefect) {
  const auto shape = make_shape(48, 4, 8, 12, 3, 48);
  const auto input = random_input(shape, 1);
  {  // direct: layer 0 has 1 head, layers 1 and 2 have 8 each; call 9 is head 0 of layer 2, which carries
     // round 2
    const Compiled compiled = compile(full_load(shape, 5));
    Spoiler spoiler(9);
    const auto found = find_divergence(compiled, input, spoiler);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->layer, 2u);
    EXPECT_EQ(found->round, 3u);  // what the receiver then sends is wrong
    ASSERT_TRUE(found->token);
    EXPECT_EQ(*found->token, found->source);
    ASSERT_TRUE(found->run && found->transformer);
    EXPECT_NE(found->run->second, found->transformer->second);
    EXPECT_FALSE(found->around.empty());
  }
  {  // routed, q' = 3 x 4: layer 1 has 3 heads, layer 2 has 4; call 4 is head 0 of layer 2, inside round 1
    const Compiled compiled =
        compile(full_load(shape, 5), {.construction = "routed", .specific = RoutedOptions{.digits = 2}});
    Spoiler spoiler(4);
    const auto found = find_divergence(compiled, input, spoiler);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->layer, 2u);
    EXPECT_EQ(found->round, 1u);
  }
}

TEST(Counterexample, ShrinksToTheWordThatMatters) {
  // The defect spoils the word 77 wherever it travels; the protocol passes its input on untouched.
  const auto compile_at = [](std::uint64_t n) -> std::optional<Compiled> {
    const auto shape = make_shape(n, 2, 2, static_cast<std::uint32_t>(ceil_div(n, 2)), 2, n);
    return compile(std::make_shared<TestProtocol>(
        shape, [](const mpc::Shape& s, const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) {
          if (step.round == 1) return outbox.send(step.machine, inbox.words());
          for (std::size_t i = 0; i < inbox.words().size(); ++i) {
            outbox.deliver(step.machine * s.block_words + i, inbox.words()[i]);
          }
        }));
  };
  std::vector<mpc::Word> input(40, 5);
  for (std::size_t i = 0; i < input.size(); ++i) input[i] = 100 + i;
  input[12] = 77;
  Confuser confuser(77);
  const auto found = find_counterexample(compile_at, input, 0, confuser);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->input.size(), 13u);
  std::vector<mpc::Word> expected(13, 0);
  expected[12] = 77;
  EXPECT_EQ(found->input, expected);
  EXPECT_EQ(found->divergence.layer, 0u);
  EXPECT_THAT(describe(*found), testing::HasSubstr("they part after layer 0 (round 1), word 0 of machine 6"));
  const auto exact = anna::make_exact_match();
  EXPECT_FALSE(find_counterexample(compile_at, input, 0, *exact));
}

}  // namespace
}  // namespace roundtrip::simulate
