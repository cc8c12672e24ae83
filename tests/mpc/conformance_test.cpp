// One suite for both transports, run under mpirun at several rank counts: random protocols give the same
// outputs, ledger and messages as a sequential interpreter, whatever the ranks, the order of machines or the
// size of a message.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/resource.h>

#include <atomic>
#include <filesystem>

#include "mpi_main.h"
#include "random_protocol.h"
#include "roundtrip/mpc/transport.h"

namespace rc {

template <>
struct Arbitrary<roundtrip::mpc::tests::Transfer> {
  static auto arbitrary() {
    using roundtrip::mpc::tests::Transfer;
    // Mostly short runs; some that overflow a small length field.
    const auto length = gen::weightedOneOf<std::uint32_t>(
        {{8, gen::inRange<std::uint32_t>(0, 4)}, {1, gen::inRange<std::uint32_t>(0, 300)}});
    return gen::build<Transfer>(gen::set(&Transfer::source, gen::inRange<std::uint32_t>(0, 64)),
                                gen::set(&Transfer::destination, gen::inRange<std::uint32_t>(0, 64)),
                                gen::set(&Transfer::length, length));
  }
};

template <>
struct Arbitrary<roundtrip::mpc::tests::Case> {
  static auto arbitrary() {
    using roundtrip::mpc::tests::Case;
    using roundtrip::mpc::tests::Transfer;
    // Few rounds of few transfers, for speed, each transfer as arbitrary as can be.
    const auto transfers =
        gen::resize(20, gen::container<std::vector<Transfer>>(gen::resize(100, gen::arbitrary<Transfer>())));
    const auto rounds = gen::resize(6, gen::container<std::vector<std::vector<Transfer>>>(transfers));
    return gen::build<Case>(gen::set(&Case::n, gen::inRange<std::uint64_t>(1, 60)),
                            gen::set(&Case::block_words, gen::inRange<std::uint64_t>(1, 12)),
                            gen::set(&Case::idle_machines, gen::inRange<std::uint32_t>(0, 10)),
                            gen::set(&Case::outputs, gen::inRange<std::uint64_t>(0, 80)),
                            gen::set(&Case::seed, gen::arbitrary<std::uint64_t>()),
                            gen::set(&Case::rounds, rounds));
  }
};

}  // namespace rc

namespace roundtrip::mpc {
namespace {

using roundtrip::tests::on_all_ranks;
using roundtrip::tests::session;
using namespace tests;

std::vector<Word> input_of(const Case& c) {
  std::vector<Word> input(c.n);
  for (std::uint64_t i = 0; i < c.n; ++i) input[i] = draw(c.seed, Domain::kInstance, i) >> 16;
  return input;
}

Ledger without_scratch(Ledger ledger) {
  for (RoundFacts& facts : ledger.rounds) facts.max_scratch_words = facts.max_heap_words = 0;
  return ledger;
}

/// Collective: whether the run on this transport is the interpreter's, to the last message.
bool agrees(const Case& c, Transport& transport, const Interpreted& expected, RunOptions options = {},
            Ledger* ledger = nullptr) {
  const RandomProtocol protocol(c);
  Recorder recorder;
  options.observer = &recorder;
  // Other ranks have no input and must not need it.
  const RunResult result =
      run(protocol, transport.rank() == 0 ? input_of(c) : std::vector<Word>{}, transport, options);
  transport.sum(recorder.sent);
  transport.sum(recorder.received);
  transport.sum(recorder.delivered);
  bool same = recorder.canonical && without_scratch(result.ledger) == expected.ledger;
  same &= recorder.sent == expected.sent && recorder.received == expected.sent;
  same &= recorder.delivered == expected.delivered;
  same &= result.outputs == (transport.rank() == 0 ? expected.outputs : std::vector<Word>{});
  if (ledger != nullptr) *ledger = result.ledger;
  return same;
}

/// Memory for one page of words from each rank to each.
std::uint64_t scant_bytes() {
  constexpr std::uint64_t kPage = 4096;
  return static_cast<std::uint64_t>(session().ranks()) * 2 * kPage;
}

/// Every way to run a case: both transports, words in shared memory, in so little that some have to go by
/// messages, or all in tiny messages; steps in random order on protocols made anew.
bool agrees_everywhere(const Case& c) {
  static const auto kInProcess = make_in_process_transport();
  static const auto kMpi = session().transport();
  static const auto kMpiInCrumbs = session().transport(2 * sizeof(Word), 0);
  static const auto kMpiScant = session().transport(std::uint64_t{1} << 28, scant_bytes());
  const Interpreted expected = interpret(RandomProtocol(c), input_of(c));
  const RunOptions shuffled{.order_seed = c.seed,
                            .rebuild = [&] { return std::make_unique<RandomProtocol>(c); }};
  Ledger ledgers[4];
  bool same = agrees(c, *kMpi, expected, {}, &ledgers[0]);
  same &= agrees(c, *kMpiInCrumbs, expected, {}, &ledgers[1]);
  same &= agrees(c, *kMpiScant, expected, shuffled, &ledgers[2]);
  bool same_here = true;
  if (session().rank() == 0)
    same_here = agrees(c, *kInProcess, expected, {}, &ledgers[3]);
  else
    ledgers[3] = ledgers[0];
  for (const Ledger& ledger : ledgers) same_here &= ledger == ledgers[0];  // scratch included
  return on_all_ranks(same && same_here);
}

TEST(Conformance, RandomProtocolsAgreeWithTheInterpreter) {
  const bool holds = rc::check([](const Case& c) { RC_ASSERT(agrees_everywhere(c)); });
  EXPECT_TRUE(holds);
}

/// Stops the run at the end of a round, whichever rank is first to reach it.
struct Stopper final : Observer {
  explicit Stopper(std::uint32_t last) : last_round(last) {}
  Recorder recorder{};
  std::uint32_t last_round;
  std::atomic<bool> stop = false;
  void stepped(std::uint32_t round, MachineId machine, const Inbox& inbox, const Outbox& outbox) override {
    recorder.stepped(round, machine, inbox, outbox);
    if (round == last_round) stop = true;
  }
};

/// The profile's maxima and sums by round are the ledger's.
bool fits(const Profile& profile, const Ledger& ledger) {
  bool same = profile.first_round + profile.rounds.size() == ledger.rounds.size() + 1;
  for (std::size_t i = 0; same && i < profile.rounds.size(); ++i) {
    RoundFacts facts;
    for (const MachineFacts& machine : profile.rounds[i]) {
      facts.max_words_sent = std::max(facts.max_words_sent, machine.words_sent);
      facts.max_words_received = std::max(facts.max_words_received, machine.words_received);
      facts.max_scratch_words = std::max(facts.max_scratch_words, machine.scratch_words);
      facts.max_heap_words = std::max(facts.max_heap_words, machine.heap_words);
      facts.total_words += machine.words_sent;
    }
    same = facts == ledger.rounds[profile.first_round - 1 + i];
    for (const std::vector<RoundTimes>& times : profile.ranks) {
      const RoundTimes& t = times.at(i);
      same &= 0 <= t.begun && t.begun <= t.stepped && t.stepped <= t.exchanged && t.exchanged <= t.scattered;
    }
  }
  return same;
}

/// Stopped after a round, at a checkpoint, and resumed: the interpreter's run, to the last message.
bool survives(const Case& c, Transport& transport, const std::string& directory) {
  const Interpreted expected = interpret(RandomProtocol(c), input_of(c));
  const auto rounds = static_cast<std::uint32_t>(c.rounds.size()) + 1;
  const auto last = static_cast<std::uint32_t>(1 + c.seed % rounds);  // of R there is no checkpoint
  const std::vector<Word> input = transport.rank() == 0 ? input_of(c) : std::vector<Word>{};
  const RandomProtocol protocol(c);
  Stopper stopper(last);
  RunOptions options;
  options.observer = &stopper;
  options.profile = true;
  options.checkpoint.directory = directory;
  options.checkpoint.every = 1 + c.seed / rounds % 3;
  options.checkpoint.stop = &stopper.stop;
  RunResult result = run(protocol, input, transport, options);
  bool same = result.stopped_after == (last < rounds ? std::optional(last) : std::nullopt);
  if (last < rounds) {
    same &= result.outputs.empty();
    stopper.stop = false;
    stopper.last_round = rounds;
    options.checkpoint.resume = directory;
    options.order_seed = c.seed;
    result = run(protocol, input, transport, options);
  }
  Recorder& recorder = stopper.recorder;
  transport.sum(recorder.sent);
  transport.sum(recorder.received);
  transport.sum(recorder.delivered);
  same &= recorder.canonical && without_scratch(result.ledger) == expected.ledger;
  same &= recorder.sent == expected.sent && recorder.received == expected.sent;
  same &= recorder.delivered == expected.delivered;
  same &= result.outputs == (transport.rank() == 0 ? expected.outputs : std::vector<Word>{});
  same &= transport.rank() == 0 ? fits(result.profile, result.ledger) : result.profile.rounds.empty();
  return on_all_ranks(same);
}

TEST(Conformance, CheckpointsAndProfilesChangeNothing) {
  const auto mpi = session().transport();
  std::string base = (std::filesystem::temp_directory_path() / "roundtrip_conformance_XXXXXX").string();
  if (mpi->rank() == 0) {
    ASSERT_NE(mkdtemp(base.data()), nullptr);
  }
  mpi->broadcast(base);
  int runs = 0;
  const bool holds = rc::check([&](const Case& c) {
    if (c.seed % 5 != 0) return;  // a checkpoint waits for the disk
    RC_ASSERT(survives(c, *mpi, fmt::format("{}/{}", base, runs++)));
  });
  EXPECT_TRUE(holds);
  EXPECT_GE(runs, 10);
  if (mpi->rank() == 0) std::filesystem::remove_all(base);
}

TEST(Conformance, SizesAtTheEdge) {
  const std::vector<Transfer> all_to_one = {{0, 0, 3}, {1, 0, 300}, {2, 0, 1}, {3, 0, 2}};
  const std::vector<Transfer> interleaved = {{1, 0, 1}, {1, 2, 1}, {1, 0, 1},
                                             {1, 0, 2}, {1, 2, 1}, {1, 1, 1}};
  const std::vector<Transfer> long_runs = {{0, 1, 254}, {0, 2, 255}, {0, 1, 256}, {1, 0, 1000}, {2, 2, 255}};
  for (const Case& c :
       {Case{.n = 1, .outputs = 1}, Case{.n = 1, .outputs = 0}, Case{.n = 1, .rounds = {{}, {}}},
        Case{.n = 5, .block_words = 12, .outputs = 5, .rounds = {{{0, 0, 12}}}},
        Case{.n = 7, .block_words = 2, .outputs = 8, .rounds = {all_to_one, interleaved, {}, all_to_one}},
        Case{.n = 3, .outputs = 3, .rounds = {long_runs, long_runs}},
        Case{.n = 40, .idle_machines = 30, .outputs = 70, .rounds = {interleaved, all_to_one}}}) {
    EXPECT_TRUE(agrees_everywhere(c)) << c;
  }
}

/// Collective: how many ordered pairs of ranks share memory.
std::uint64_t sharing_pairs(Transport& transport) {
  std::uint64_t pairs = 0;
  for (int rank = 0; rank < transport.ranks(); ++rank) {
    const std::uint64_t writes = transport.outgoing(rank).size(), reads = transport.incoming(rank).size();
    pairs += rank != transport.rank() && writes != 0 && reads == writes ? 1 : 0;
  }
  transport.sum({&pairs, 1});
  return pairs;
}

// A limit on the size of files is an example of whatever keeps a rank from sharing memory: its words, and those of
// the others for it as long as they can't be mapped, go by messages.
TEST(Conformance, WhereMemoryCannotBeSharedWordsGoByMessages) {
  const auto ranks = static_cast<std::uint64_t>(session().ranks());
  const Case c{.n = 40, .idle_machines = 3, .outputs = 7, .rounds = {{{0, 30, 300}, {17, 2, 1}, {39, 0, 5}}}};
  const Interpreted expected = interpret(RandomProtocol(c), input_of(c));
  EXPECT_EQ(sharing_pairs(*session().transport()), ranks * (ranks - 1));
  EXPECT_EQ(sharing_pairs(*session().transport(1 << 20, 0)), 0u);
  for (const bool only_rank_0 : {true, false}) {
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit low{4096, before.rlim_max};
    if (session().rank() == 0 || !only_rank_0) setrlimit(RLIMIT_FSIZE, &low);
    const auto limited = session().transport();
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(sharing_pairs(*limited),
              only_rank_0 ? (ranks - 1) * (ranks - std::min<std::uint64_t>(ranks, 2)) : 0);
    EXPECT_TRUE(on_all_ranks(agrees(c, *limited, expected)));
  }
}

TEST(Conformance, OneMachinePerRankNeedsExactlyThatManyRanks) {
  const auto mpi = session().transport();
  const auto ranks = static_cast<std::uint64_t>(session().ranks());
  const std::vector<Transfer> ring = {{0, 1, 2}, {1, 2, 1}, {2, 3, 4}, {3, 4, 1},
                                      {4, 5, 1}, {5, 6, 2}, {6, 0, 3}};
  const RunOptions options{.one_machine_per_rank = true};
  const Case exact{.n = ranks * 3, .block_words = 3, .outputs = ranks, .rounds = {ring, ring}};
  EXPECT_TRUE(agrees(exact, *mpi, interpret(RandomProtocol(exact), input_of(exact)), options));
  Case more = exact;
  more.idle_machines = 1;
  try {
    run(RandomProtocol(more), input_of(more), *mpi, options);
    ADD_FAILURE() << "accepted";
  } catch (const ContractError& error) {
    EXPECT_EQ(error.what(),
              fmt::format("one machine per rank needs q = {} ranks, started are {}", ranks + 1, ranks));
  }
}

TEST(Conformance, ABadInputIsRefusedOnEveryRank) {
  const auto mpi = session().transport();
  const Case c{.n = 9, .block_words = 2, .outputs = 3};
  std::vector<Word> input = input_of(c);
  input.back() = Word{1} << 48;
  EXPECT_THROW(run(RandomProtocol(c), input, *mpi), ContractError);
  input.pop_back();
  EXPECT_THROW(run(RandomProtocol(c), input, *mpi), ContractError);
  EXPECT_TRUE(agrees_everywhere(c)) << "the transport is usable afterwards";
}

}  // namespace
}  // namespace roundtrip::mpc
