// Programs of the step language as protocols: outputs against the oracles of their tasks, rounds against their formulas, at
// sizes that do not divide. What they are as weights, tests/simulate/program_weights_test.cpp says.
#include <rapidcheck.h>

#include <functional>
#include <map>

#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"

namespace roundtrip::mpc {
namespace {

using testing::parameters_of;
using testing::random_values;
using testing::run_case;
using testing::shaken;

const std::map<std::string, std::function<std::uint32_t(const Parameters&)>> kRounds = {
    {"sum_program", sum_rounds},
    {"reduce_program", reduce_program_rounds},
    {"prefix_scan_program", prefix_scan_program_rounds},
    {"segmented_scan_program", segmented_scan_program_rounds},
    {"sort_program", sort_program_rounds},
    {"list_ranking_program", list_ranking_program_rounds},
    {"list_ranking_routed_program", list_ranking_program_rounds},
    {"k_hop_program", k_hop_program_rounds},
    {"word_count_program", word_count_program_rounds},
    {"join_program", join_program_rounds},
    {"match2_program", match2_program_rounds},
    {"matrix_product_program", [](const Parameters&) { return 3u; }},
    {"low_rank_sums_program", [](const Parameters&) { return 4u; }},
    {"broadcast_program", [](const Parameters& parameters) { return reduce_program_rounds(parameters); }}};

TEST(Programs, AllHaveAFormula) {
  for (const ProtocolInfo* info : all_protocols())
    EXPECT_EQ(info->program == info->name, kRounds.contains(info->name)) << info->name;
}

Values values_of(const ProtocolInfo& info, const Parameters& parameters) {
  if (info.generate) return info.generate(parameters);
  return random_values(parameters.n, 0, static_cast<std::int64_t>(parameters.n) - 1, parameters.seed);
}

TEST(Programs, EqualTheirOraclesInTheirRounds) {
  for (const auto& [name, rounds] : kRounds) {
    const ProtocolInfo& info = find_protocol(name);
    int served = 0;
    for (const std::uint64_t n : {1, 2, 7, 16, 30, 33, 48, 100, 160, 200}) {
      for (const int quarters : {1, 2, 3}) {
        Parameters parameters = parameters_of(n, Rational(quarters, 4));
        parameters.seed = n;
        try {
          (void)info.make(parameters);
        } catch (const ContractError&) {  // no whole pairs, matrices or tokens
          continue;
        }
        ++served;
        SCOPED_TRACE(name + " at " + std::to_string(n) + ", eps " + std::to_string(quarters) + "/4");
        const Values values = values_of(info, parameters);
        const auto result = run_case(name, parameters, values);
        EXPECT_EQ(result.outputs, info.oracle(values, parameters));
        EXPECT_EQ(result.run.ledger.rounds.size(), rounds(parameters));
        if (n > 48) continue;  // every step records the program anew
        const auto again = run_case(name, parameters, values, shaken(name, parameters, n));
        EXPECT_EQ(again.run.outputs, result.run.outputs);
        EXPECT_EQ(again.run.ledger, result.run.ledger);
      }
    }
    EXPECT_GE(served, 6) << name;
  }
}

TEST(Programs, TakeMinAndMaxAndTheWayTheyAreTold) {
  for (const char* name : {"reduce_program", "prefix_scan_program", "segmented_scan_program"}) {
    for (const char* operation : {"sum", "min", "max"}) {
      Parameters parameters = parameters_of(60, Rational(1, 4));
      parameters.options["op"] = operation;
      const Values values = random_values(60, -40, 40, 7);
      EXPECT_EQ(run_case(name, parameters, values).outputs, find_protocol(name).oracle(values, parameters))
          << name << " " << operation;
    }
  }
  Parameters doubling = parameters_of(100, Rational(1, 4));
  doubling.options["way"] = "doubling";
  const Values values = random_values(100, -40, 40, 7);
  const auto result = run_case("prefix_scan_program", doubling, values);
  EXPECT_EQ(result.outputs, find_protocol("prefix_scan_program").oracle(values, doubling));
  EXPECT_EQ(result.run.ledger.rounds.size(), prefix_scan_program_rounds(doubling));
}

TEST(Programs, RefuseBlocksBeyondATape) {
  for (const auto& [name, n] :
       {std::pair<const char*, std::uint64_t>{"sum_program", 1 << 20}, {"sort_program", 1 << 18}}) {
    try {
      (void)find_protocol(name).make(parameters_of(n, Rational(99, 100)));
      ADD_FAILURE() << name;
    } catch (const ContractError& error) {
      EXPECT_NE(std::string(error.what()).find("is what has blocks of at most"), std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace roundtrip::mpc
