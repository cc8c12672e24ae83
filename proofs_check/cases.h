// Purpose: the protocols that statements are checked on, with the shape that the verifier derives for them
// from (N, eps, kappa) alone, inputs by seed, and oracles. Written from the statements of the tasks, not from
// the protocols.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "roundtrip/mpc/parameters.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/proofs_check/evaluation.h"
#include "roundtrip/proofs_check/oracles.h"
#include "roundtrip/proofs_check/statement.h"

namespace roundtrip::proofs_check {

/// A protocol at a size.
struct Case {
  std::string protocol;
  std::uint64_t n = 0;
  Rational epsilon{1, 2};
  std::uint64_t kappa_s = 0;
  std::map<std::string, std::string> options{};
};

/// What the theory says about a case.
struct Expectation {
  std::uint64_t block_words = 0;   ///< b
  std::uint64_t memory_words = 0;  ///< s
  std::uint64_t machines = 0;      ///< q
  std::uint64_t rounds = 0;        ///< R
  std::uint32_t word_bits = 0;     ///< p
  std::uint64_t outputs = 0;
  bool below_range() const { return memory_words > n / 4; }
  std::uint64_t n = 0;
};

/// The expectation for sum, sort, match2 and k_hop.
Expectation expectation_of(const Case& c);

mpc::Parameters parameters_of(const Case& c, std::uint64_t seed);
Configuration configuration_of(const std::string& theorem, const Case& c, const Expectation& expectation,
                               std::uint64_t seed);

/// Inputs on which a data-dependent protocol would betray itself.
enum class Family : std::uint8_t { kRandom, kAllEqual, kSorted, kReversed };
/// N numbers in the range that the protocol's task asks for.
Numbers input_of(const Case& c, Family family, std::uint64_t seed);
/// The task's answers, from its definition.
Answers answers_of(const Case& c, std::span<const std::int64_t> input);

/// The case as an instance for its transformer; `protocol` is the case's.
Instance instance_of(const Case& c, const mpc::Protocol& protocol, Family family, std::uint64_t seed);

/// x + 2^(bits-1): how a machine holds an input word.
std::vector<mpc::Word> encoded(std::span<const std::int64_t> input, std::uint32_t input_bits);

/// The control `name` of `quantity`: `defective` must hold a refuted check of that quantity, and `sound`, the
/// same checks of the same construction without the defect, must all be verified.
Control judge_control(const std::string& theorem, std::string name, const std::string& quantity,
                      const std::vector<Check>& defective, const std::vector<Check>& sound);

}  // namespace roundtrip::proofs_check
