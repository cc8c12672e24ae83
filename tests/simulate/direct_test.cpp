// Construction 4a on protocols made here: depth, sizes, words, faults, and the ways in which it could cheat.
#include "roundtrip/simulate/compile/direct.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/simulate/compile/compare.h"
#include "test_protocols.h"

namespace roundtrip::simulate {
namespace {

using testing::HasSubstr;

Comparison compare_with(const Compiled& compiled, const std::vector<mpc::Word>& input,
                        std::string_view mechanism, const anna::EvaluateOptions& options = {}) {
  const auto attention = make_attention(compiled, mechanism);
  return compare(compiled, input, *attention, options);
}

TEST(Direct, FullLoadGivesTheRunsWordsOnBothMechanismsAndBothCodes) {
  for (const auto& shape : {make_shape(32, 4, 4, 8, 4, 32), make_shape(60, 2, 2, 37, 5, 60),
                            make_shape(64, 8, 16, 9, 3, 50), make_shape(100, 1, 1, 128, 6, 100)}) {
    for (const PacketCode code : {PacketCode::kIdentity, PacketCode::kCoverFree}) {
      const Compiled compiled = compile(full_load(shape, 5), {.specific = DirectOptions{.code = code}});
      for (const std::string_view mechanism : {"ema", "anna"}) {
        const Comparison result = compare_with(compiled, random_input(shape, 3), mechanism);
        EXPECT_TRUE(result.equal) << shape.n << ": " << result.run_violation;
        EXPECT_FALSE(result.fault);
        EXPECT_EQ(result.sizes.depth, shape.rounds + 1u);
        EXPECT_EQ(result.sizes, compiled.bound);
      }
    }
  }
}

TEST(Direct, SizesAreTheFormulasLiterally) {
  const auto sizes = [](const mpc::Shape& shape, PacketCode code) {
    return measure(compile(full_load(shape, 1), {.specific = DirectOptions{.code = code}}).transformer);
  };
  // q = 8, s = 16: identity 2q = 16; H = s + 1, d = 3 + 2s.
  EXPECT_EQ(sizes(make_shape(32, 4, 16, 8, 4, 32), PacketCode::kIdentity),
            (TransformerSizes{5, 17, 128, 16, 35, 17 * 128}));
  // q = 512, s = 8: cover-free 4 * 8 * 23 = 736, chosen without being asked.
  EXPECT_EQ(sizes(make_shape(512, 8, 8, 512, 3, 8), PacketCode::kAutomatic),
            (TransformerSizes{4, 9, 128, 736, 19, 8 * 736}));
  EXPECT_EQ(sizes(make_shape(512, 8, 8, 512, 3, 8), PacketCode::kIdentity),
            (TransformerSizes{4, 9, 128, 1024, 19, 8 * 1024}));
  // One round: gather and deliver alone.
  EXPECT_EQ(sizes(make_shape(512, 300, 300, 2, 1, 5), PacketCode::kAutomatic),
            (TransformerSizes{2, 301, 128, 300, 603, 301 * 128}));
}

TEST(Direct, RandomShapes) {
  EXPECT_TRUE(rc::check([] {
    const auto b = *rc::gen::inRange<std::uint64_t>(1, 6);
    const auto n = *rc::gen::inRange<std::uint64_t>(1, 40);
    const auto kappa = *rc::gen::inRange<std::uint64_t>(1, 4);
    const auto q = static_cast<std::uint32_t>(ceil_div(n, b)) + *rc::gen::inRange<std::uint32_t>(0, 30);
    const auto rounds = *rc::gen::inRange<std::uint32_t>(1, 5);
    const auto outputs = *rc::gen::inRange<std::uint64_t>(1, q * b + 1);
    const auto seed = *rc::gen::inRange<std::uint64_t>(0, 1000);
    const auto shape = make_shape(n, b, kappa * b, q, rounds, outputs);
    const auto code =
        *rc::gen::element(PacketCode::kIdentity, PacketCode::kCoverFree, PacketCode::kAutomatic);
    const Compiled compiled =
        compile(full_load(shape, seed), {.specific = DirectOptions{.code = code}, .seed = seed});
    const Comparison result = compare_with(compiled, random_input(shape, seed), "ema");
    RC_ASSERT(result.equal);
    RC_ASSERT(result.sizes == compiled.bound);
  }));
}

TEST(Direct, OneTransformerServesEveryInput) {
  const auto shape = make_shape(48, 4, 8, 12, 4, 48);
  const Compiled compiled = compile(full_load(shape, 5));  // before any input is drawn
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_TRUE(compare_with(compiled, random_input(shape, seed), "ema").equal);
  }
  EXPECT_TRUE(compare_with(compiled, std::vector<mpc::Word>(48, 0), "anna").equal);
  EXPECT_TRUE(compare_with(compiled, std::vector<mpc::Word>(48, (1ull << 48) - 1), "anna").equal);
}

TEST(Direct, SmallAndLopsidedSizes) {
  for (const auto& shape :
       {make_shape(1, 1, 1, 1, 1, 1), make_shape(1, 4, 4, 1, 3, 1), make_shape(3, 8, 8, 4, 3, 3),
        make_shape(2, 4, 8, 6, 3, 24), make_shape(5, 2, 2, 3, 2, 1)}) {  // N = 1, N < b, outputs > N
    const Compiled compiled = compile(full_load(shape, 2));
    EXPECT_EQ(compiled.transformer.tokens, std::max({shape.n, std::uint64_t{shape.machines}, shape.outputs}));
    EXPECT_TRUE(compare_with(compiled, random_input(shape, 4), "ema").equal) << shape.n;
  }
}

TEST(Direct, RowsInRandomOrderAndTwiceChangeNothing) {
  const auto shape = make_shape(64, 4, 8, 20, 4, 64);
  const Compiled compiled = compile(full_load(shape, 5));
  const auto input = random_input(shape, 8);
  const Comparison plain = compare_with(compiled, input, "ema");
  const Comparison shuffled =
      compare_with(compiled, input, "ema", {.order_seed = 9, .twice = true, .observe = {}});
  ASSERT_TRUE(plain.equal);
  EXPECT_EQ(plain.outputs.words, shuffled.outputs.words);
}

TEST(Direct, BruteForceAttentionOnTheSameQueriesKeysAndValuesChangesNothing) {
  const auto shape = make_shape(40, 4, 4, 12, 3, 40);
  for (const PacketCode code : {PacketCode::kIdentity, PacketCode::kCoverFree}) {
    const Compiled compiled = compile(full_load(shape, 5), {.specific = DirectOptions{.code = code}});
    const auto brute = anna::make_brute_force_exact_match();
    EXPECT_TRUE(compare(compiled, random_input(shape, 8), *brute).equal);
  }
}

TEST(Direct, WordsTravelByTheirKeysAndNotBesideThem) {
  const auto shape = make_shape(40, 4, 4, 12, 3, 40);
  SwapKeys attention;
  EXPECT_FALSE(compare(compile(full_load(shape, 5)), random_input(shape, 8), attention).equal);
}

TEST(Direct, PerturbingOneRowChangesItsReadersOnly) {
  const auto shape = make_shape(64, 4, 8, 20, 4, 64);
  const Compiled compiled = compile(full_load(shape, 5));
  const auto attention = make_attention(compiled, "ema");
  anna::Activations array = input_activations(random_input(shape, 8), compiled.transformer.tokens);
  for (std::uint32_t l = 0; l < 4; ++l) {
    const anna::Layer& layer = *compiled.transformer.layers[l];
    const anna::Activations next = evaluate(layer, *attention, array);
    if (l > 0) {  // one word of machine 7, its fifth, is another
      anna::Activations changed = anna::Activations::with_dimension(array.dimension());
      std::set<std::uint64_t> readers;
      for (std::uint64_t t = 0; t < array.tokens(); ++t) {
        std::vector<anna::Entry> row(array.row(t).entries.begin(), array.row(t).entries.end());
        for (anna::Entry& entry : row) {
          if (t == 7 && entry.column == 3 + 2 * 4)
            readers.insert(static_cast<std::uint64_t>(entry.value) - 1);
          if (t == 7 && entry.column == 4 + 2 * 4) entry.value = entry.value == 1 ? 2 : 1;
        }
        changed.append_row(row);
      }
      ASSERT_EQ(readers.size(), 1u);
      const anna::Activations after = evaluate(layer, *attention, changed);
      std::set<std::uint64_t> different;
      for (std::uint64_t t = 0; t < next.tokens(); ++t) {
        if (!std::ranges::equal(next.row(t).entries, after.row(t).entries)) different.insert(t);
      }
      EXPECT_EQ(different, readers) << "layer " << l;
    }
    array = next;
  }
}

// ---- faults

struct Violator {
  const char* what;
  FaultKind machine_fault;  // kNone: only outputs see it
  StepFunction step;
};

/// 8 machines, s = 4, 3 rounds; every machine passes its digest on to its neighbour and delivers 2 outputs.
const mpc::Shape kHonestShape = make_shape(16, 2, 4, 8, 3, 16);
void honest(const mpc::Shape& shape, const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) {
  const mpc::Word word = digest(inbox) >> 17 << 1;
  if (step.round < 3) return outbox.send((step.machine + 1) % shape.machines, word);
  for (std::uint64_t t = 2 * step.machine; t < 2 * step.machine + 2; ++t) outbox.deliver(t, word + t % 2);
}

std::vector<Violator> violators() {
  const auto at = [](std::uint32_t round, std::uint32_t machine, auto act) -> StepFunction {
    return [=](const mpc::Shape& shape, const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) {
      honest(shape, step, inbox, outbox);
      if (step.round == round && (step.machine == machine || machine == 99)) act(step, outbox);
    };
  };
  std::vector<Violator> all;
  all.push_back({"sends s + 1 words", FaultKind::kWordsSent, at(1, 0, [](const mpc::Step&, mpc::Outbox& out) {
                   for (int i = 0; i < 4; ++i) out.send(5, 7);
                 })});
  all.push_back({"sends a wide word", FaultKind::kWordWidth,
                 at(2, 3, [](const mpc::Step&, mpc::Outbox& out) { out.send(5, 1ull << 48); })});
  all.push_back({"sends to nobody", FaultKind::kDestination,
                 at(2, 3, [](const mpc::Step&, mpc::Outbox& out) { out.send(8, 1); })});
  all.push_back({"sends in the last round", FaultKind::kMessageAfterEnd,
                 at(3, 3, [](const mpc::Step&, mpc::Outbox& out) { out.send(1, 1); })});
  all.push_back({"delivers early", FaultKind::kEarlyOutput,
                 at(2, 3, [](const mpc::Step&, mpc::Outbox& out) { out.deliver(1, 1); })});
  all.push_back(
      {"takes too much scratch", FaultKind::kScratch, at(1, 6, [](const mpc::Step& step, mpc::Outbox&) {
         std::pmr::vector<std::uint64_t> much(65, step.scratch);
       })});
  all.push_back({"throws", FaultKind::kStepFailed,
                 at(3, 2, [](const mpc::Step&, mpc::Outbox&) { throw std::runtime_error("no"); })});
  all.push_back(
      {"makes one machine receive s + 1 words in one head", FaultKind::kWordsReceived,
       [](const mpc::Shape& shape, const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) {
         if (step.round == 1 && step.machine < 5) return outbox.send(4, step.machine);
         honest(shape, step, inbox, outbox);
       }});
  all.push_back({"makes one machine receive s + 1 words over several heads", FaultKind::kWordsReceived,
                 at(2, 99, [](const mpc::Step& step, mpc::Outbox& out) {
                   // 2 words in each of heads 1..3 and 1 in head 0: no head is overloaded
                   for (std::uint32_t i = 0; i < 3 && step.machine < 2; ++i) out.send(0, i);
                 })});
  all.push_back({"delivers an output twice, the second time in another head", FaultKind::kNone,
                 at(3, 5, [](const mpc::Step&, mpc::Outbox& out) { out.deliver(10, 1); })});
  all.push_back(
      {"two machines deliver an output, both as their second word", FaultKind::kNone,
       [](const mpc::Shape& shape, const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) {
         if (step.round < 3 || step.machine != 5) return honest(shape, step, inbox, outbox);
         outbox.deliver(10, digest(inbox) >> 17 << 1);
         outbox.deliver(9, 1);  // machine 4 delivers an odd word there, too: their mean is an integer
         outbox.deliver(11, (digest(inbox) >> 17 << 1) + 1);
       }});
  all.push_back(
      {"leaves an output out", FaultKind::kNone,
       [](const mpc::Shape& shape, const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) {
         if (step.round < 3 || step.machine != 4) honest(shape, step, inbox, outbox);
       }});
  return all;
}

TEST(Direct, EveryViolationIsAFaultInTheRowsAndNeverAWrongWord) {
  const auto input = random_input(kHonestShape, 3);
  const Comparison good =
      compare_with(compile(std::make_shared<TestProtocol>(kHonestShape, honest)), input, "ema");
  ASSERT_TRUE(good.equal) << good.run_violation;
  for (const Violator& violator : violators()) {
    for (const PacketCode code : {PacketCode::kIdentity, PacketCode::kCoverFree}) {
      const Compiled compiled = compile(std::make_shared<TestProtocol>(kHonestShape, violator.step),
                                        {.specific = DirectOptions{.code = code}, .name = "bad"});
      const Comparison result = compare_with(compiled, input, "ema");
      SCOPED_TRACE(violator.what);
      EXPECT_NE(result.run_violation, "");  // the run agrees that the model is broken
      EXPECT_TRUE(result.fault);
      EXPECT_FALSE(result.equal);
      ASSERT_TRUE(result.first_difference);
      if (violator.machine_fault == FaultKind::kNone) {
        EXPECT_TRUE(result.outputs.machine_faults.empty());
      } else {
        EXPECT_EQ(result.outputs.faulty.size(),
                  16u);  // anything may have hung on what that machine did not send
        bool named = false;
        for (const MachineFault& fault : result.outputs.machine_faults) {
          named |= fault.fault.kind == violator.machine_fault;
        }
        EXPECT_TRUE(named);
      }
      for (std::uint64_t t = 0; t < 16; ++t) {  // what is not faulty is what an honest run delivers
        if (std::ranges::count(result.outputs.faulty, t) != 0) continue;
        EXPECT_EQ(result.outputs.words[t], good.run_words[t]);
      }
    }
  }
}

TEST(Direct, WithoutTheWarningHeadAWordWouldBeWrong) {
  // Machine 0 stops in round 1; machine 1 never hears of it and would deliver the digest of an empty inbox.
  const Compiled compiled = compile(std::make_shared<TestProtocol>(kHonestShape, violators().front().step));
  const Comparison result = compare_with(compiled, random_input(kHonestShape, 3), "ema");
  ASSERT_EQ(result.outputs.machine_faults.size(), 1u);
  EXPECT_EQ(result.outputs.machine_faults[0].machine, 0u);
  EXPECT_EQ(result.outputs.machine_faults[0].fault, (RowFault{FaultKind::kWordsSent, 1, 5}));
  EXPECT_THAT(result.outputs.reasons, testing::Each(FaultKind::kElsewhere));
}

TEST(Direct, OverloadWithoutTheVarianceTestDeliversWrongWords) {
  // s = 1: one slot by parity. Sources 28 34 .. 48 all send to machine 5, which takes them for one packet
  // from 40.
  const mpc::Shape shape = make_shape(64, 1, 1, 64, 2, 1);
  const auto protocol = std::make_shared<TestProtocol>(
      shape, [](const mpc::Shape&, const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) {
        constexpr std::uint32_t kSenders[] = {28, 34, 36, 38, 40, 42, 44, 46, 48};
        if (step.round == 1 && std::ranges::count(kSenders, step.machine) == 1) outbox.send(0, 5);
        if (step.round == 2 && step.machine == 0) outbox.deliver(0, inbox.empty() ? 0 : inbox[0].source);
      });
  const auto input = random_input(shape, 1);
  const Comparison with = compare_with(
      compile(protocol, {.specific = DirectOptions{.code = PacketCode::kCoverFree}}), input, "ema");
  EXPECT_TRUE(with.fault);
  const Comparison without = compare_with(
      compile(protocol, {.specific = DirectOptions{.code = PacketCode::kCoverFree, .variance_test = false}}),
      input, "ema");
  EXPECT_FALSE(without.fault);
  EXPECT_EQ(without.outputs.words[0], 40u);
  EXPECT_NE(without.run_violation, "");
}

TEST(Direct, RefusesWideWordsByName) {
  mpc::Shape shape = make_shape(16, 2, 4, 8, 3, 16);
  shape.word_bits = 62;
  try {
    compile(full_load(shape, 1), {.name = "wide_words"});
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_THAT(error.what(), HasSubstr("wide_words"));
    EXPECT_THAT(error.what(), HasSubstr("word_bits 62"));
    EXPECT_THAT(error.what(), HasSubstr("48"));
  }
}

}  // namespace
}  // namespace roundtrip::simulate
