// Any registered protocol by its name: a sound one is verified, with all controls; one that lies in some way
// is refuted in that very check.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {
namespace {

StatementReport verified(const std::string& name) {
  const auto transport = mpc::make_in_process_transport();
  return verify({.statements = {name}}, *transport).statements.at(0);
}

std::set<std::string> refuted(const StatementReport& report) {
  std::set<std::string> quantities;
  for (const Check& check : report.checks) {
    if (check.verdict == Verdict::kRefuted) quantities.insert(check.quantity);
  }
  return quantities;
}

/// The library's `reduce` under another name, with what `change` makes of it.
void register_variant(const std::string& name, const std::function<void(mpc::ProtocolInfo&)>& change) {
  mpc::ProtocolInfo info = mpc::find_protocol("reduce");
  info.name = name;
  change(info);
  mpc::register_protocol(std::move(info));
}

TEST(RegisteredProtocol, SoundOnesAreVerified) {
  for (const char* name : {"reduce", "segmented_scan", "matrix_product"}) {
    const StatementReport report = verified(name);
    EXPECT_EQ(report.outcome(), Outcome::kVerified) << name << ": " << report.failure_message;
    EXPECT_GE(report.controls.size(), 3u);
    std::set<std::uint64_t> sizes;
    for (const Check& check : report.checks) sizes.insert(check.configuration.n);
    EXPECT_TRUE(sizes.contains(256) && sizes.contains(4096));
    EXPECT_TRUE(sizes.contains(1) || sizes.contains(9) || sizes.contains(16)) << name;  // named instances
  }
}

TEST(RegisteredProtocol, AWrongAnswerIsRefuted) {
  register_variant("off_by_one", [](mpc::ProtocolInfo& info) {
    info.decode = [](const mpc::Protocol& protocol, std::uint64_t, mpc::Word word) {
      return std::optional(mpc::decode_input(word, protocol.shape()) + 1);
    };
  });
  const StatementReport report = verified("off_by_one");
  EXPECT_EQ(refuted(report), (std::set<std::string>{"outputs unlike the oracle's",
                                                    "named instances: outputs unlike the oracle's"}));
  EXPECT_EQ(report.outcome(), Outcome::kRefuted);  // and not failed: the controls' sound form is wrong itself
}

/// Adds how often it was stepped to what it delivers.
class Remembering final : public mpc::Protocol {
 public:
  explicit Remembering(std::unique_ptr<const mpc::Protocol> inner)
      : inner_(std::move(inner)), shape_(inner_->shape()) {
    shape_.heap_words = 1000;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    ++steps_;
    if (step.round < shape().rounds) return inner_->step(step, inbox, outbox);
    mpc::Outbox own;
    own.reset(outbox.limits());
    inner_->step(step, inbox, own);
    if (!own.words().empty()) outbox.deliver(0, own.words()[0] ^ (steps_ > 1 ? 1 : 0));
  }

 private:
  std::unique_ptr<const mpc::Protocol> inner_;
  mpc::Shape shape_;
  mutable std::uint64_t steps_ = 0;
};

TEST(RegisteredProtocol, AMemoryBetweenRoundsIsRefuted) {
  register_variant("remembering", [](mpc::ProtocolInfo& info) {
    info.make = [make = info.make](const mpc::Parameters& parameters) {
      return std::make_unique<Remembering>(make(parameters));
    };
    info.oracle = nullptr;
  });
  const StatementReport report = verified("remembering");
  EXPECT_TRUE(refuted(report).contains("outputs unlike in random order, rebuilt each step"));
  EXPECT_NE(report.outcome(), Outcome::kVerified);
}

/// Adds up beside its messages: machines of all runs in one number.
class AddingUp final : public mpc::Protocol {
 public:
  explicit AddingUp(std::unique_ptr<const mpc::Protocol> inner)
      : inner_(std::move(inner)), shape_(inner_->shape()) {
    shape_.heap_words = 1000;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    static std::map<mpc::MachineId, mpc::Word> kept;
    if (step.round == 1) kept[step.machine] = inbox.empty() ? 0 : inbox.words()[0];
    if (step.round < shape().rounds) return inner_->step(step, inbox, outbox);
    mpc::Outbox own;
    own.reset(outbox.limits());
    inner_->step(step, inbox, own);
    if (!own.words().empty()) outbox.deliver(0, (own.words()[0] + kept[step.machine]) & 0xffff);
  }

 private:
  std::unique_ptr<const mpc::Protocol> inner_;
  mpc::Shape shape_;
};

TEST(RegisteredProtocol, AMemoryOfTheProcessIsRefuted) {
  register_variant("adding_up", [](mpc::ProtocolInfo& info) {
    info.make = [make = info.make](const mpc::Parameters& parameters) {
      return std::make_unique<AddingUp>(make(parameters));
    };
    info.oracle = nullptr;
  });
  const StatementReport report = verified("adding_up");
  EXPECT_EQ(refuted(report), std::set<std::string>{"message lists unlike with two runs in turns"});
}

/// The position of a largest word, which one by the seed: any will do.
class AnyLargest final : public mpc::Protocol {
 public:
  explicit AnyLargest(const mpc::Parameters& parameters, bool first) : seed_(parameters.seed), first_(first) {
    const mpc::Sizes sizes = mpc::choose_sizes(parameters, 2, [&](const mpc::Sizes& at) {
      return at.memory_words * at.block_words >= 2 * parameters.n;
    });
    shape_ = mpc::declare_shape(parameters, sizes, 1, 1);
    shape_.rounds = 2;
    shape_.heap_words = 0;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    if (inbox.empty()) return;
    mpc::Word best = 0;
    mpc::Word position = 0;
    const std::span<const mpc::Word> words = inbox.words();
    const std::size_t stride = step.round == 1 ? 1 : 2;
    for (std::size_t i = 0; i < words.size(); i += stride) {
      const bool takes_equal = draw(seed_, Domain::kTest, step.machine, i) % 2 == 0;
      if (i > 0 && (words[i] < best || (words[i] == best && !takes_equal))) continue;
      best = words[i];
      position = step.round == 1 ? step.machine * shape_.block_words + i : words[i + 1];
    }
    if (step.round == 1) {
      const mpc::Word both[] = {best, position};
      outbox.send(0, both);
    } else {
      outbox.deliver(0, first_ ? 0 : position);
    }
  }

 private:
  mpc::Shape shape_;
  std::uint64_t seed_;
  bool first_;
};

void register_any_largest(const std::string& name, bool first) {
  mpc::ProtocolInfo info;
  info.name = name;
  info.kappa_s = 2;
  info.make = [first](const mpc::Parameters& parameters) {
    return std::make_unique<AnyLargest>(parameters, first);
  };
  info.decode = [](const mpc::Protocol&, std::uint64_t, mpc::Word word) {
    return std::optional(static_cast<std::int64_t>(word));
  };
  info.check = [](std::span<const std::int64_t> values, const mpc::Outputs& outputs, const mpc::Parameters&) {
    const auto largest = std::ranges::max(values);
    const auto position = outputs.at(0).value_or(-1);
    return position >= 0 && position < std::ssize(values) &&
                   values[static_cast<std::size_t>(position)] == largest
               ? ""
               : "position " + std::to_string(position) + " has no largest word";
  };
  mpc::register_protocol(info);
}

TEST(RegisteredProtocol, AnyRightAnswerWillDo) {
  register_any_largest("any_largest", false);
  const StatementReport sound = verified("any_largest");
  EXPECT_EQ(sound.outcome(), Outcome::kVerified)
      << sound.failure_message << testing::PrintToString(refuted(sound));
  EXPECT_THAT(sound.controls,
              testing::Contains(testing::Field(&Control::control, "one output word altered")));
  register_any_largest("first_word", true);
  EXPECT_EQ(
      refuted(verified("first_word")),
      (std::set<std::string>{"outputs unlike the oracle's", "named instances: outputs unlike the oracle's"}));
}

/// Whether the two halves of the input are the same multiset, by one value of two polynomials: prod (z - x) modulo a
/// prime P >= 8 N, z by the seed. They differ in degree N/2 at most, so it errs with probability up to 1/16.
class SameMultiset final : public mpc::Protocol {
 public:
  SameMultiset(const mpc::Parameters& parameters, bool draws)
      : prime_(prime(parameters.n)), at_(draws ? draw(parameters.seed, Domain::kTest, 7) % prime_ : 0) {
    require(parameters.n % 2 == 0, "N = {} is odd", parameters.n);
    const mpc::Sizes sizes = mpc::choose_sizes(parameters, 2, [&](const mpc::Sizes& at) {
      return at.memory_words * at.block_words >= 2 * parameters.n;
    });
    shape_ = mpc::declare_shape(parameters, sizes, 1, 1);
    shape_.rounds = 2;
    shape_.heap_words = 0;
  }
  static std::uint64_t prime(std::uint64_t n) {
    for (std::uint64_t p = 8 * n + 1;; p += 2) {
      bool is_prime = true;
      for (std::uint64_t d = 3; d * d <= p; d += 2) is_prime = is_prime && p % d != 0;
      if (is_prime) return p;
    }
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    if (inbox.empty()) return;
    const std::span<const mpc::Word> words = inbox.words();
    mpc::Word products[2] = {1, 1};
    for (std::size_t i = 0; i < words.size(); ++i) {
      const bool second =
          step.round == 1 ? 2 * (step.machine * shape_.block_words + i) >= shape_.n : i % 2 == 1;
      const mpc::Word value =
          step.round == 1 ? static_cast<mpc::Word>(mpc::decode_input(words[i], shape_)) : words[i];
      const mpc::Word factor = step.round == 1 ? at_ + prime_ - value : value;
      products[second] = products[second] * factor % prime_;
    }
    if (step.round == 1) {
      outbox.send(0, products);
    } else {
      outbox.deliver(0, products[0] == products[1] ? 1 : 0);
    }
  }

 private:
  mpc::Shape shape_;
  std::uint64_t prime_, at_;
};

void register_same_multiset(const std::string& name, bool draws, double failure_probability = 0.125) {
  mpc::ProtocolInfo info;
  info.name = name;
  info.kappa_s = 2;
  info.failure_probability = failure_probability;
  info.make = [draws](const mpc::Parameters& parameters) {
    return std::make_unique<SameMultiset>(parameters, draws);
  };
  info.decode = [](const mpc::Protocol&, std::uint64_t, mpc::Word word) {
    return std::optional(static_cast<std::int64_t>(word));
  };
  info.accept = [](std::span<const std::int64_t> values, const mpc::Parameters& parameters) {
    for (const std::int64_t value : values)
      require(value >= 0 && value < static_cast<std::int64_t>(4 * parameters.n), "word {} is out of range",
              value);
  };
  info.oracle = [](std::span<const std::int64_t> values, const mpc::Parameters&) {
    const auto half = static_cast<std::ptrdiff_t>(values.size() / 2);
    std::multiset<std::int64_t> first(values.begin(), values.begin() + half);
    return mpc::Outputs{first == std::multiset<std::int64_t>(values.begin() + half, values.end())};
  };
  mpc::register_protocol(info);
}

TEST(RegisteredProtocol, ARandomisedOneMayFailAsOftenAsItStates) {
  register_same_multiset("same_multiset", true);
  const StatementReport sound = verified("same_multiset");
  EXPECT_EQ(sound.outcome(), Outcome::kVerified)
      << sound.failure_message << testing::PrintToString(refuted(sound));
  std::size_t rates = 0;
  double most = 0;
  for (const Check& check : sound.checks) {
    if (!check.quantity.starts_with("P[answers wrong]")) continue;
    ++rates;
    EXPECT_EQ(check.verdict, Verdict::kVerified)
        << check.quantity << ' ' << check.measured << ' ' << check.reason;
    most = std::max(most, check.measured);
  }
  EXPECT_GE(rates, 5u);
  EXPECT_GT(most, 0);  // it does fail, and the verdict allows it
}

TEST(RegisteredProtocol, ARandomisedOneThatFailsOnOneInstanceIsRefuted) {
  register_same_multiset("seed_ignored", false);  // two halves with a zero each are then the same
  const StatementReport report = verified("seed_ignored");
  EXPECT_EQ(report.outcome(), Outcome::kRefuted);
  std::size_t bad = 0;
  std::size_t good = 0;
  for (const Check& check : report.checks) {
    if (!check.quantity.starts_with("P[answers wrong]")) continue;
    ++(check.verdict == Verdict::kRefuted ? bad : good);
  }
  EXPECT_GE(bad, 1u);
  EXPECT_GE(good, 1u);  // and one rate over all would have been another
}

TEST(RegisteredProtocol, AFailureTooRareToCountIsInconclusive) {
  register_same_multiset("nearly_never_wrong", true, 1e-6);
  const auto transport = mpc::make_in_process_transport();
  ProtocolInstance instance;
  instance.parameters.n = 64;
  instance.values = mpc::Values(64, 1);
  const VerifyOptions options{.statements = {"nearly_never_wrong"}, .given = instance};
  const StatementReport report = verify(options, *transport).statements.at(0);
  EXPECT_EQ(report.outcome(), Outcome::kInconclusive);
  EXPECT_THAT(report.checks.back().reason, testing::HasSubstr("draws would tell, at most 20000 are made"));
}

TEST(RegisteredProtocol, AFailureProbabilityIsBelowOne) {
  EXPECT_THROW(register_same_multiset("always_wrong", true, 1.0), ContractError);
  EXPECT_THROW(register_same_multiset("less_than_never", true, -0.1), ContractError);
}

TEST(RegisteredProtocol, NoSizeInRangeIsInconclusive) {
  register_variant("choosy", [](mpc::ProtocolInfo& info) {
    info.make = [](const mpc::Parameters&) -> std::unique_ptr<const mpc::Protocol> {
      throw ContractError("no N will do");
    };
  });
  const StatementReport report = verified("choosy");
  EXPECT_EQ(report.outcome(), Outcome::kInconclusive);
  ASSERT_EQ(report.checks.size(), 1u);
  EXPECT_EQ(report.checks[0].reason, "no N will do");
}

TEST(RegisteredProtocol, UnknownNamesAreRefused) {
  try {
    verified("redoce");
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'redoce' is unknown; the nearest is 'reduce'"));
  }
}

}  // namespace
}  // namespace roundtrip::proofs_check
