// The MPC sort with every machine held to s and every round counted, beside std::sort on one core in the same
// program run; and its memory.
//
//   mpirun -n P sort_bench [N, default 2^24] [repetitions, default 3] [kappa_s, default the protocol's]
//
// Prints wall clock of the run's rounds (slowest rank; input scattered before, outputs gathered after), the
// same for std::sort on rank 0 while the other ranks wait, and the peak of resident memory, summed over
// ranks, less that of a run of one word, over 8 w N bytes (w = 3 words a record).
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip {
namespace {

constexpr std::uint64_t kRecordWords = 3;

std::uint64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Of it, in the kernel: fresh pages, and copies between ranks.
double kernel_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_stime.tv_sec) + 1e-6 * static_cast<double>(usage.ru_stime.tv_usec);
}

/// 48 random bits each, on rank 0.
std::vector<mpc::Word> random_words(const mpc::Transport& transport, std::uint64_t n) {
  std::vector<mpc::Word> words(transport.rank() == 0 ? n : 0);
  for (std::uint64_t i = 0; i < words.size(); ++i) words[i] = draw(1, Domain::kInstance, i) >> 16;
  return words;
}

void bench(mpc::Transport& transport, std::uint64_t n, int repetitions,
           std::optional<std::uint64_t> kappa_s) {
  const mpc::ProtocolInfo& info = mpc::find_protocol("sort");
  run(*info.make({.n = 1}), random_words(transport, 1), transport);
  const std::uint64_t before = peak_bytes();
  const auto protocol = info.make({.n = n, .kappa_s = kappa_s});
  const mpc::Shape& shape = protocol->shape();
  const std::vector<mpc::Word> input = random_words(transport, n);
  if (transport.rank() == 0) {
    std::printf("N = %llu, s = %llu words, q = %u machines on %d ranks, R = %u rounds\n",
                static_cast<unsigned long long>(n), static_cast<unsigned long long>(shape.memory_words),
                shape.machines, transport.ranks(), shape.rounds);
  }
  for (int i = 0; i < repetitions; ++i) {
    const double cpu_start = cpu_seconds();
    const double kernel_start = kernel_seconds();
    const mpc::RunResult result = run(*protocol, input, transport);
    std::uint64_t nanoseconds = static_cast<std::uint64_t>(result.seconds * 1e9);
    transport.maximum({&nanoseconds, 1});
    std::uint64_t cpu = static_cast<std::uint64_t>((cpu_seconds() - cpu_start) * 1e9);
    transport.maximum({&cpu, 1});
    std::uint64_t kernel = static_cast<std::uint64_t>((kernel_seconds() - kernel_start) * 1e9);
    transport.maximum({&kernel, 1});
    if (i == 0) {
      std::uint64_t grown = peak_bytes() - before;
      transport.sum({&grown, 1});
      if (transport.rank() == 0) {
        std::printf("peak memory over that of N = 1: %.2f times 8 w N bytes (%.0f MiB)\n",
                    static_cast<double>(grown) / (8.0 * kRecordWords * static_cast<double>(n)),
                    static_cast<double>(grown) / (1 << 20));
      }
    }
    if (transport.rank() == 0) {
      std::vector<mpc::Word> sorted = input;
      const double std_cpu_start = cpu_seconds();
      const auto start = std::chrono::steady_clock::now();
      std::sort(sorted.begin(), sorted.end());
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      const double std_cpu = cpu_seconds() - std_cpu_start;
      const auto overall = result.ledger.overall();
      const double wall = static_cast<double>(nanoseconds) * 1e-9;
      const double busy = static_cast<double>(cpu) * 1e-9;
      std::printf(
          "sort %.2f s (processor time of the busiest rank %.2f, in the kernel %.2f), std::sort %.2f s "
          "(%.2f): ratio %.2f "
          "(%.2f); "
          "sent <= %llu, received <= %llu of s\n",
          wall, busy, static_cast<double>(kernel) * 1e-9, seconds, std_cpu, wall / seconds, busy / std_cpu,
          static_cast<unsigned long long>(overall.max_words_sent),
          static_cast<unsigned long long>(overall.max_words_received));
      std::fflush(stdout);
      if (result.outputs != sorted) {
        std::fprintf(stderr, "sort_bench: the outputs are not sorted\n");
        transport.abort(1);
      }
    }
  }
}

}  // namespace
}  // namespace roundtrip

int main(int argc, char** argv) {
  roundtrip::mpc::MpiSession session(argc, argv);
  const std::uint64_t n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : std::uint64_t{1} << 24;
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 3;
  if (n == 0 || repetitions < 1) {
    std::fprintf(stderr, "sort_bench: N and repetitions are at least 1\n");
    return 2;
  }
  const auto kappa_s = argc > 3 ? std::optional(std::strtoull(argv[3], nullptr, 10)) : std::nullopt;
  const auto transport = session.transport();
  roundtrip::bench(*transport, n, repetitions, kappa_s);
}
