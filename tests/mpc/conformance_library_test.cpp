// Every registered protocol on both transports, under mpirun at several rank counts: outputs, ledger and the
// multiset of all messages are those of the sequential interpreter, machines stepped in order or shuffled and
// rebuilt, and one machine a rank.
#include <gtest/gtest.h>

#include "mpi_main.h"
#include "random_protocol.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::mpc {
namespace {

using roundtrip::tests::on_all_ranks;
using roundtrip::tests::session;
using namespace tests;

std::vector<Word> generated_input(const ProtocolInfo& info, const Parameters& parameters,
                                  const Shape& shape) {
  Values values;
  if (info.generate) values = info.generate(parameters);
  RandomStream stream(parameters.seed, Domain::kInstance);
  while (values.size() < parameters.n)
    values.push_back(static_cast<std::int64_t>(stream.below(parameters.n)));
  std::vector<Word> words;
  for (const std::int64_t value : values) words.push_back(encode_input(value, shape, "a test value"));
  return words;
}

Ledger without_scratch(Ledger ledger) {
  for (RoundFacts& facts : ledger.rounds) facts.max_scratch_words = 0;
  return ledger;
}

/// Collective: whether the run is the interpreter's, to the last message.
bool agrees(const Protocol& protocol, const std::vector<Word>& input, const Interpreted& expected,
            Transport& transport, RunOptions options) {
  Recorder recorder;
  options.observer = &recorder;
  const RunResult result =
      run(protocol, transport.rank() == 0 ? input : std::vector<Word>{}, transport, options);
  transport.sum(recorder.sent);
  transport.sum(recorder.received);
  transport.sum(recorder.delivered);
  return recorder.canonical && without_scratch(result.ledger) == expected.ledger &&
         recorder.sent == expected.sent && recorder.received == expected.sent &&
         recorder.delivered == expected.delivered &&
         result.outputs == (transport.rank() == 0 ? expected.outputs : std::vector<Word>{});
}

void expect_agreement(const ProtocolInfo& info, const Parameters& parameters, bool one_machine_per_rank) {
  const auto mpi = session().transport();
  const auto in_process = make_in_process_transport();
  const std::unique_ptr<const Protocol> protocol = info.make(parameters);
  const std::vector<Word> input = generated_input(info, parameters, protocol->shape());
  const Interpreted expected = interpret(*protocol, input);
  const RunOptions straight{.one_machine_per_rank = one_machine_per_rank};
  RunOptions shaken = straight;
  shaken.order_seed = 5;
  // Before every step; a larger program would be recorded thousands of times.
  if (info.program != info.name || parameters.n <= 16) shaken.rebuild = [&] { return info.make(parameters); };
  bool same = agrees(*protocol, input, expected, *mpi, straight);
  same &= agrees(*protocol, input, expected, *mpi, shaken);
  if (session().rank() == 0 && !one_machine_per_rank)
    same &= agrees(*protocol, input, expected, *in_process, straight);
  EXPECT_TRUE(on_all_ranks(same)) << info.name << " N = " << parameters.n;
}

/// The machines that the protocol needs at this N, or none if it has no such N.
std::optional<std::uint32_t> machines_at(const ProtocolInfo& info, std::uint64_t n) {
  try {
    return info.make({.n = n})->shape().machines;
  } catch (const ContractError&) {
    return std::nullopt;
  }
}

TEST(LibraryConformance, EveryProtocolAgreesWithTheInterpreter) {
  for (const ProtocolInfo* info : all_protocols()) {
    int sizes = 0;
    for (const std::uint64_t n : {2, 16, 60, 240}) {
      if (!machines_at(*info, n)) continue;
      ++sizes;
      expect_agreement(*info, {.n = n, .seed = n}, false);
    }
    EXPECT_GE(sizes, 2) << info->name;
  }
}

TEST(LibraryConformance, MemoriesSoLargeThatKeptWordsAreNotCopied) {
  for (const ProtocolInfo* info : all_protocols())
    expect_agreement(*info, {.n = 960, .memory_words = 1600}, false);
}

TEST(LibraryConformance, OneMachinePerRank) {
  const auto ranks = static_cast<std::uint32_t>(session().ranks());
  for (const ProtocolInfo* info : all_protocols()) {
    bool found = false;
    for (const std::uint64_t n : {120, 60, 36, 24, 16, 4, 2, 1}) {
      if (machines_at(*info, n).value_or(ranks + 1) > ranks) continue;
      expect_agreement(*info, {.n = n, .machines = ranks, .seed = n}, true);
      found = true;
      break;
    }
    EXPECT_TRUE(found || ranks < 5) << info->name;  // three_sum has no fewer
  }
}

}  // namespace
}  // namespace roundtrip::mpc
