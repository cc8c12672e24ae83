#include "roundtrip/cli/launch.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "roundtrip/cli/communicator.h"
#include "roundtrip/mpc/registry.h"

extern char** environ;

namespace roundtrip::cli {
namespace {

std::optional<std::uint64_t> number_of(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return {};
  const std::string_view all = text;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), value);
  if (error != std::errc() || end != all.data() + all.size() || value >= 1u << 31) return {};
  return value;
}

/// The first variable that begins with `prefix`, as NAME=VALUE; empty if there is none.
std::string first_variable(std::string_view prefix) {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::string_view(*variable).starts_with(prefix)) return *variable;
  }
  return {};
}

/// Whether somebody takes connections at "..;tcp4://HOST:PORT". An address of another form is taken to answer.
bool answers(std::string_view address) {
  const std::size_t host_begin = address.find("://"), port_begin = address.rfind(':');
  if (host_begin == std::string_view::npos || !address.substr(0, host_begin).ends_with("tcp4")) return true;
  const std::string host(address.substr(host_begin + 3, port_begin - host_begin - 3)),
      port(address.substr(port_begin + 1));
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return true;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  const int connection = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connection < 0) return true;
  const timeval patience = {.tv_sec = 2, .tv_usec = 0};
  setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const bool connected = connect(connection, found->ai_addr, found->ai_addrlen) == 0;
  close(connection);
  return connected;
}

// What launchers tell a process: how many they started, and which of them it is (from 0). PMI is MPICH's, Intel
// MPI's and srun --mpi=pmi2's; the SLURM variables are those of a step, which a batch script has none of but its
// rank, 0.
struct Claim {
  const char* variable;
  bool rank;
};
constexpr Claim kClaims[] = {{"OMPI_COMM_WORLD_SIZE", false},
                             {"OMPI_COMM_WORLD_RANK", true},
                             {"PMI_SIZE", false},
                             {"PMI_RANK", true},
                             {"PMIX_RANK", true},
                             {"MPI_LOCALNRANKS", false},
                             {"MPI_LOCALRANKID", true},
                             {"MV2_COMM_WORLD_SIZE", false},
                             {"MV2_COMM_WORLD_RANK", true},
                             {"PALS_RANKID", true},
                             {"ALPS_APP_PE", true},
                             {"FLUX_JOB_SIZE", false},
                             {"FLUX_TASK_RANK", true},
                             {"JSM_NAMESPACE_SIZE", false},
                             {"JSM_NAMESPACE_RANK", true},
                             {"SLURM_STEP_NUM_TASKS", false},
                             {"SLURM_PROCID", true}};

// Open MPI leaves MPI_Init by _exit(1) when it fails. The program's own _exit, which the dynamic linker puts
// before libc's, is the one place where that status can still be changed.
bool mpi_starts = false;

}  // namespace

Launch find_launch() {
  Launch launch;
  launch.started = mpc::under_launcher();
  const std::string daemon = first_variable("PMIX_SERVER_URI");
  if (!daemon.empty()) {
    launch.answers = answers(daemon);
    if (!launch.answers) launch.silent = daemon;
  }
  const auto believe = [&](const Claim& claim) {
    const std::optional<std::uint64_t> value = number_of(claim.variable);
    if (!value || *value + (claim.rank ? 1 : 0) <= launch.tasks) return;
    launch.tasks = *value + (claim.rank ? 1 : 0);
    launch.claim = std::string(claim.variable) + "=" + std::to_string(*value);
  };
  // Under Open MPI's mpirun its count alone holds: it may itself run in a step of another size.
  if (launch.answers && std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) {
    believe(kClaims[0]);
  } else {
    std::ranges::for_each(kClaims, believe);
  }
  return launch;
}

void start_mpi(const std::function<void()>& start) {
  mpi_starts = true;
  start();
  mpi_starts = false;
}

void complain(const std::string& message) {
  const std::string line = "roundtrip: error: " + one_line(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);  // in one piece: no other process writes inside the line
}

namespace {

std::string hash_of(std::string_view bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

/// The program file's contents; empty where /proc is not mounted.
std::string program_hash() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/exe", "rb"), std::fclose);
  if (!file) return {};
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  std::vector<char> bytes(1 << 20);
  while (const std::size_t read = std::fread(bytes.data(), 1, bytes.size(), file.get()))
    XXH3_64bits_update(&state, bytes.data(), read);
  return fmt::format("{:016x}", XXH3_64bits_digest(&state));
}

std::string protocols_hash() {
  std::string all;
  for (const mpc::ProtocolInfo* info : mpc::all_protocols())
    all += fmt::format("{}\n{}\n{}\n{}\n", info->name, info->card, info->rounds_formula, info->kappa_s);
  return hash_of(all);
}

/// What all ranks must have in common, a line each.
std::vector<std::string> identity(const Request& request) {
  std::vector<std::string> lines = {fmt::format("version {}", ROUNDTRIP_VERSION),
                                    fmt::format("program file {}", program_hash()),
                                    fmt::format("protocols {}", protocols_hash())};
  for (const std::string& argument : request.arguments) lines.push_back(one_line(argument));
  return lines;
}

/// The first line of `lines` that `others` lacks.
std::string first_only_in(const std::vector<std::string>& lines, const std::vector<std::string>& others) {
  const auto found = std::ranges::find_if(lines, [&](const std::string& line) {
    return std::ranges::count(others, line) < std::ranges::count(lines, line);
  });
  return found == lines.end() ? "nothing else" : *found;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1);
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines;
}

}  // namespace

bool started_alike(const Request& request, mpc::Transport& transport) {
  const auto rank = static_cast<std::uint64_t>(transport.rank());
  if (transport.ranks() == 1) {
    if (!request.error.empty()) complain(request.error);
    return request.error.empty();
  }
  const std::vector<std::string> mine = identity(request);
  std::string roots;
  if (rank == 0) roots = fmt::format("{}\n", fmt::join(mine, "\n"));
  transport.broadcast(roots);
  const std::vector<std::string> theirs = split(roots);
  // Who speaks: of those with an error of usage, else of those that differ from rank 0, the lowest rank.
  constexpr std::uint64_t kRanks = std::uint64_t{1} << 32;
  const std::uint64_t what = !request.error.empty() ? 2 : mine != theirs ? 1 : 0;
  const std::uint64_t bid = what * kRanks + kRanks - 1 - rank;
  std::array<std::uint64_t, 1> highest = {bid};
  transport.maximum(highest);
  if (highest[0] < kRanks) return true;
  if (highest[0] == bid) {
    if (what == 2) {
      complain(rank == 0 ? request.error : fmt::format("rank {}: {}", rank, request.error));
    } else {
      complain(fmt::format("rank {} was started with {}, rank 0 with {}: all ranks must be started alike",
                           rank, first_only_in(mine, theirs), first_only_in(theirs, mine)));
    }
  }
  transport.barrier();  // nobody's leaving ends the others before the line is written
  return false;
}

}  // namespace roundtrip::cli

extern "C" __attribute__((noreturn)) void _exit(int status) {  // as <unistd.h> declares it
  if (roundtrip::cli::mpi_starts) {
    roundtrip::cli::complain("MPI could not start, as it says above; --transport inprocess needs none");
    status = roundtrip::cli::kInternal;
  }
  for (;;) syscall(SYS_exit_group, status);
}
