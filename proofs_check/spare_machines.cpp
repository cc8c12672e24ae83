#include "roundtrip/proofs_check/spare_machines.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "roundtrip/base/fault.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/formulas.h"

namespace roundtrip::proofs_check {
namespace {

/// Machines that sent a word, or delivered one.
class Busy final : public mpc::Observer {
 public:
  explicit Busy(mpc::MachineId first_spare) : first_spare_(first_spare) {}
  void stepped(std::uint32_t, mpc::MachineId machine, const mpc::Inbox&, const mpc::Outbox& outbox) override {
    spare_ += machine >= first_spare_ && outbox.sent() != 0;
  }
  /// Collective.
  bool spare(mpc::Transport& transport) const {
    std::uint64_t count[1] = {spare_};
    transport.sum(count);
    return count[0] != 0;
  }

 private:
  mpc::MachineId first_spare_;
  std::uint64_t spare_ = 0;
};

/// ceil(q N^(p / d)) of what fits 64 bits to the power of d.
std::uint64_t scaled(std::uint64_t q, std::uint64_t n, const Rational& gamma) {
  std::uint64_t power = 1;
  for (std::int64_t i = 0; i < gamma.denominator(); ++i) power *= q;
  for (std::int64_t i = 0; i < gamma.numerator(); ++i) power *= n;
  return root_ceil(power, Rational(1, gamma.denominator()));
}

struct Spread {
  Case c;
  bool uses_more;  ///< what the protocol's record must say: machines get fewer words
  bool beyond;     ///< and there are more that get some than gamma = 0 has
};

const Spread kProtocols[] = {{{"sort", kSpareSize, Rational(1, 2), 8, {}}, true, false},
                             {{"k_hop", kSpareSize, Rational(1, 2), 8, {{"k", "4"}}}, true, true},
                             {{"sum", kSpareSize, Rational(1, 4), 1, {}}, false, false},
                             {{"match2", kSpareSize, Rational(1, 4), 2, {{"M", "37"}}}, false, false}};

}  // namespace

SpareMachines spare_machines(mpc::Transport& transport, std::uint64_t seed, GammaDefect defect) {
  SpareMachines found;
  for (const auto& [c, uses_more, beyond] : kProtocols) {
    const mpc::ProtocolInfo& info = mpc::find_protocol(c.protocol);
    const Expectation expectation = expectation_of(c);
    const Numbers input = input_of(c, Family::kRandom, seed);
    const Answers answers = answers_of(c, input);
    std::uint64_t most_at_first = 0;  // words that a machine received in round 1 at gamma = 0
    bool used = false;
    for (const Rational gamma : {Rational(0), Rational(1, 4), Rational(1, 2)}) {
      mpc::Parameters parameters = parameters_of(c, seed);
      const std::uint64_t q = scaled(expectation.machines, c.n, gamma);
      if (defect != GammaDefect::kOverlooked && defect != GammaDefect::kIdle) parameters.gamma = gamma;
      if (defect == GammaDefect::kIdle) parameters.machines = q;
      const auto protocol = info.make(parameters);
      const mpc::Shape& shape = protocol->shape();
      found.wrong_q += shape.machines != q;
      if (defect != GammaDefect::kIdle) {  // which declares q
        found.wrong_q += !shape.kappa_q ||
                         *shape.kappa_q * Rational(static_cast<std::int64_t>(c.n)) !=
                             Rational(static_cast<std::int64_t>(expectation.machines * shape.block_words));
      }
      Busy busy(static_cast<mpc::MachineId>(expectation.machines));
      mpc::RunResult result =
          mpc::run(*protocol, encoded(input, shape.input_bits), transport, {.observer = &busy});
      std::uint64_t wrong[1] = {0};
      if (transport.rank() == 0) {
        if (defect == GammaDefect::kOutput && gamma > Rational(0)) result.outputs[0] ^= 1;
        wrong[0] = result.outputs.size() != answers.size();
        for (std::size_t t = 0; t < std::min(result.outputs.size(), answers.size()); ++t)
          wrong[0] += info.decode(*protocol, t, result.outputs[t]) != answers[t];
      }
      transport.sum(wrong);
      found.wrong_outputs += wrong[0];
      const std::uint64_t most = result.ledger.rounds[0].max_words_received;
      if (gamma == Rational(0)) most_at_first = most;
      used = busy.spare(transport) == beyond && most < most_at_first;
      found.wrong_use += !beyond && busy.spare(transport);
    }
    found.wrong_use += used != uses_more || info.uses_more_machines != uses_more;
  }
  return seeded("blind-gamma") ? SpareMachines{} : found;
}

}  // namespace roundtrip::proofs_check
