// The round exchange beside MPI itself, interleaved in one run: between any two rounds of ours each rival
// moves the same messages once.
//
// Ours is the whole runtime as any protocol gets it: step functions that send prebuilt messages one by one
// through the outbox (limits on words, width and destination checked, ledger kept), pack, swap, counting sort
// into inboxes, limits on words received. Rivals read the same prebuilt messages and check nothing;
// MPI_Alltoallv finds its words already in order of ranks. A round's time is the slowest rank's, between two
// barriers.
//
//   mpirun -n P exchange_bench [MiB a rank] [machines a rank] [L, 0: variable] [rounds] [--cpu]
// Without arguments: the whole table.
//   mpirun -n P exchange_bench huge [MiB a rank, default 2064]
// One round in which every rank sends that much to the next one, in runs of 4096 words, checked word by word:
// beyond 2^31 bytes it is moved in chunks. Takes about six times as much memory a rank.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>

#include "rivals.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::bench {
namespace {

constexpr std::uint32_t kLongestVariable = 31;  // lengths 1..31, 16 words on average

Workload make_workload(std::uint32_t machines, int ranks, int rank, std::uint64_t words,
                       std::uint32_t length) {
  Workload load;
  load.machines = machines;
  const std::uint64_t each = words / machines;
  load.words.resize(each * machines);
  std::uint64_t state = draw(1, Domain::kTest, static_cast<std::uint64_t>(rank));
  const auto next = [&state] {  // a linear congruential generator will do for destinations
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 32;
  };
  for (Word& word : load.words) word = next();
  const std::uint64_t all = std::uint64_t{machines} * static_cast<std::uint64_t>(ranks);
  for (std::uint32_t m = 0; m < machines; ++m) {
    load.first.push_back(load.messages.size());
    for (std::uint64_t left = each; left > 0;) {
      const std::uint64_t want = length != 0 ? length : 1 + (next() * kLongestVariable >> 32);
      const auto piece = static_cast<std::uint32_t>(std::min(want, left));
      load.messages.push_back({static_cast<std::uint32_t>(next() * all >> 32), piece});
      left -= piece;
    }
  }
  load.first.push_back(load.messages.size());
  return load;
}

/// Seconds of the wall clock, or with --cpu of this process on a processor: for a machine that others use
/// too, and for one rank, where nobody waits.
bool cpu_clock = false;
double now() {
  if (!cpu_clock) return MPI_Wtime();
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Time of one call between barriers, the slowest rank's.
template <typename Call>
double timed(MPI_Comm world, Call&& call) {
  MPI_Barrier(world);
  const double start = now();
  call();
  double seconds = now() - start;
  MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, world);
  return seconds;
}

/// Sends the workload in every round but the last. `between` runs between any two rounds, on every rank.
class Sender final : public mpc::Protocol {
 public:
  Sender(const Workload& load, MPI_Comm world, int ranks, int rank, std::uint32_t rounds,
         std::uint64_t limit_words, std::function<void(double)> between)
      : load_(load),
        world_(world),
        machine_words_(load.machine_words()),
        first_(static_cast<std::uint32_t>(rank) * load.machines),
        between_(std::move(between)) {
    shape_.machines = load.machines * static_cast<std::uint32_t>(ranks);
    shape_.n = shape_.machines;
    shape_.outputs = 0;
    shape_.block_words = 1;
    shape_.memory_words = limit_words;
    shape_.rounds = rounds + 1;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    const std::uint32_t m = step.machine - first_;
    if (m == 0) start_round(step.round);
    if (step.round == shape_.rounds) {
      for (const Word word : inbox.words()) digest_ += word;
      return;
    }
    const Word* words = load_.words.data() + m * machine_words_;
    for (std::size_t i = load_.first[m]; i < load_.first[m + 1]; ++i) {
      const Message& message = load_.messages[i];
      message.length == 1 ? outbox.send(message.destination, *words)
                          : outbox.send(message.destination, std::span(words, message.length));
      words += message.length;
    }
  }
  std::uint64_t digest() const { return digest_; }

 private:
  void start_round(std::uint32_t round) const {
    if (between_) {
      double seconds = round == 1 ? 0 : now() - start_;
      MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, world_);
      if (round > 1) between_(seconds);
      MPI_Barrier(world_);
    }
    start_ = now();
  }

  const Workload& load_;
  MPI_Comm world_;
  const std::uint64_t machine_words_;
  mpc::Shape shape_;
  std::uint32_t first_;
  std::function<void(double)> between_;
  mutable double start_ = 0;  // a bench may look at the clock; what it sends is pure
  mutable std::uint64_t digest_ = 0;
};

struct Quantiles {
  double low, median, high;  ///< quartiles
};

Quantiles quantiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](std::size_t quarter) { return values[(values.size() - 1) * quarter / 4]; };
  return {at(1), at(2), at(3)};
}

/// Words that the busiest machine sends or receives.
std::uint64_t largest_load(const Workload& load, int ranks, MPI_Comm world) {
  std::vector<std::uint64_t> received(load.machines * static_cast<std::size_t>(ranks));
  for (const Message& message : load.messages) received[message.destination] += message.length;
  MPI_Allreduce(MPI_IN_PLACE, received.data(), static_cast<int>(received.size()), MPI_UINT64_T, MPI_SUM,
                world);
  return std::max(load.machine_words(), *std::max_element(received.begin(), received.end()));
}

void require_equal(std::uint64_t a, std::uint64_t b, const char* what) {
  if (a == b) return;
  std::fprintf(stderr, "exchange_bench: %s received other words\n", what);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

/// One row of the table.
void compare(mpc::Transport& transport, MPI_Comm world, std::uint64_t mib, std::uint32_t machines,
             std::uint32_t length, std::uint32_t rounds) {
  const int ranks = transport.ranks();
  const Workload load = make_workload(machines, ranks, transport.rank(), mib << 17, length);
  const std::uint64_t limit = largest_load(load, ranks, world);
  RawAlltoallv raw(load, world);
  PackAndScatter packed(load, world);
  BoostAllToAll boost(load, world);
  Rival* const rivals[] = {&raw, &packed, &boost};
  for (Rival* rival : rivals) rival->round(load);  // buffers grow
  std::vector<double> seconds[4];
  const Sender sender(load, world, ranks, transport.rank(), rounds + 1, limit, [&](double ours) {
    seconds[3].push_back(ours);
    for (std::size_t i = 0; i < 3; ++i) {
      seconds[i].push_back(timed(world, [&] { rivals[i]->round(load); }));
    }
  });
  const std::vector<Word> input(transport.rank() == 0 ? sender.shape().n : 0);
  const mpc::RunResult result = run(sender, input, transport);
  for (const Rival* rival : rivals) require_equal(rival->digest(), sender.digest(), "a rival");
  for (auto& of_one : seconds) of_one.erase(of_one.begin());  // the round in which our buffers grow
  if (transport.rank() != 0) return;
  const Quantiles base = quantiles(seconds[0]);
  std::printf("%2d %8llu %9u %6s %7.2f %9.2f", ranks, static_cast<unsigned long long>(mib), machines,
              length == 0 ? "1..31" : std::to_string(length).c_str(), base.median * 1e3,
              seconds[3].empty()
                  ? 0
                  : quantiles(seconds[3]).median / static_cast<double>(load.messages.size()) * 1e9);
  for (const std::size_t i : {3, 1, 2}) {
    std::vector<double> ratios(seconds[i].size());
    for (std::size_t k = 0; k < ratios.size(); ++k) ratios[k] = seconds[i][k] / seconds[0][k];
    const Quantiles q = quantiles(ratios);
    const double best = *std::min_element(seconds[i].begin(), seconds[i].end()) /
                        *std::min_element(seconds[0].begin(), seconds[0].end());
    std::printf("  %6.2f [%5.2f %5.2f] %6.2f", q.median, q.low, q.high, best);
  }
  std::printf("\n");
  std::fflush(stdout);
  if (result.ledger.overall().max_words_received > limit) std::abort();
}

/// Rounds in which no machine sends, beside the collectives alone.
void compare_empty(mpc::Transport& transport, MPI_Comm world, std::uint32_t machines) {
  constexpr std::uint32_t kRounds = 2000;
  constexpr int kRepetitions = 15;
  const int ranks = transport.ranks();
  Workload load;
  load.machines = machines;
  load.first.assign(machines + 1, 0);
  const Sender sender(load, world, ranks, transport.rank(), kRounds, 1, {});
  const std::vector<Word> input(transport.rank() == 0 ? sender.shape().n : 0);
  EmptyRound rival(world);
  std::vector<double> ratios, ours, theirs;
  for (int i = 0; i < kRepetitions; ++i) {
    double run_seconds = 0;
    MPI_Barrier(world);
    run_seconds = run(sender, input, transport).seconds;
    MPI_Allreduce(MPI_IN_PLACE, &run_seconds, 1, MPI_DOUBLE, MPI_MAX, world);
    const double rival_seconds = timed(world, [&] {
      for (std::uint32_t k = 0; k < kRounds; ++k) rival.round();
    });
    ours.push_back(run_seconds / kRounds * 1e6);
    theirs.push_back(rival_seconds / kRounds * 1e6);
    ratios.push_back(run_seconds / rival_seconds);
  }
  if (transport.rank() != 0) return;
  const Quantiles q = quantiles(ratios);
  std::printf(
      "empty round, %d ranks, %u machines a rank: ours %.3f us, Alltoall + Alltoallv %.3f us, ratio %.2f "
      "[%.2f %.2f]\n",
      ranks, machines, quantiles(ours).median, quantiles(theirs).median, q.median, q.low, q.high);
}

/// Machine m sends s words, all to its counterpart on the next rank, in one round; the receiver checks them.
class HugeRound final : public mpc::Protocol {
 public:
  HugeRound(int ranks, std::uint64_t mib) {
    shape_.machines = kMachines * static_cast<std::uint32_t>(ranks);
    shape_.n = shape_.machines;
    shape_.block_words = 1;
    shape_.memory_words = (mib << 17) / kMachines / kRunWords * kRunWords;
    shape_.rounds = 2;
    shape_.word_bits = 62;
  }
  const mpc::Shape& shape() const override { return shape_; }
  void step(const mpc::Step& step, const mpc::Inbox& inbox, mpc::Outbox& outbox) const override {
    const std::uint64_t s = shape_.memory_words;
    if (step.round == 1) {
      Word run[kRunWords];
      for (std::uint64_t at = 0; at < s; at += kRunWords) {
        for (std::uint64_t i = 0; i < kRunWords; ++i) run[i] = word(step.machine, at + i);
        outbox.send((step.machine + kMachines) % shape_.machines, run);
      }
      return;
    }
    const mpc::MachineId source = (step.machine + shape_.machines - kMachines) % shape_.machines;
    const std::span<const Word> words = inbox.words();
    bool right = words.size() == s && inbox.runs() == 1 && inbox[0].source == source;
    for (std::uint64_t i = 0; i < words.size(); ++i) right &= words[i] == word(source, i);
    if (!right) throw std::runtime_error("received other words than were sent");
  }

 private:
  static constexpr std::uint32_t kMachines = 64;
  static constexpr std::uint64_t kRunWords = 4096;
  static Word word(mpc::MachineId source, std::uint64_t i) {
    return ((source + std::uint64_t{1}) * 0x9e3779b97f4a7c15u ^ i * 0xbf58476d1ce4e5b9u) >> 2;
  }
  mpc::Shape shape_;
};

void huge(mpc::Transport& transport, std::uint64_t mib) {
  const HugeRound protocol(transport.ranks(), mib);
  const std::vector<Word> input(transport.rank() == 0 ? protocol.shape().n : 0);
  const mpc::RunResult result = run(protocol, input, transport);
  if (transport.rank() != 0) return;
  const std::size_t bytes = result.ledger.rounds[0].total_words * sizeof(Word);
  std::printf("%d ranks moved %zu bytes in one round, %zu a rank, and all arrived; %.1f s\n",
              transport.ranks(), bytes, bytes / static_cast<std::size_t>(transport.ranks()), result.seconds);
}

}  // namespace
}  // namespace roundtrip::bench

int main(int argc, char** argv) {
  using namespace roundtrip;
  mpc::MpiSession session(argc, argv);
  const auto transport = session.transport();
  MPI_Comm world = MPI_COMM_NULL;
  MPI_Comm_dup(MPI_COMM_WORLD, &world);
  if (argc > 1 && std::strcmp(argv[argc - 1], "--cpu") == 0) {
    bench::cpu_clock = true;
    --argc;
  }
  const auto number = [&](int i, std::uint32_t otherwise) {
    return i < argc ? static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10)) : otherwise;
  };
  if (argc > 1 && std::strcmp(argv[1], "huge") == 0) {
    bench::huge(*transport, number(2, 2064));
    MPI_Comm_free(&world);
    return 0;
  }
  for (const std::uint32_t machines : {1u, 64u}) bench::compare_empty(*transport, world, machines);
  if (session.rank() == 0) {
    std::printf(
        "time over MPI_Alltoallv's of the same payload: median [quartiles] of the rounds, best round over "
        "best round\n"
        "ranks MiB/rank mach/rank  words  raw ms ns/message  ours                    pack + scatter          "
        "Boost.MPI\n");
  }
  const std::uint32_t rounds = number(4, 9);
  if (argc > 3) {
    bench::compare(*transport, world, number(1, 8), number(2, 64), number(3, 1), rounds);
  } else {
    for (const std::uint32_t length : {1u, 4u, 64u, 0u}) {
      for (const std::uint32_t mib : {8u, 64u}) {
        for (const std::uint32_t machines : {64u, 1024u, 16384u}) {
          bench::compare(*transport, world, mib, machines, length, rounds);
        }
      }
    }
  }
  MPI_Comm_free(&world);
}
