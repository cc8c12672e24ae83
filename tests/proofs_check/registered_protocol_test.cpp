// Any registered protocol by its name: a sound one is verified, with all controls; one that lies in some way
// is refuted in that very check.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/registry.h"
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
