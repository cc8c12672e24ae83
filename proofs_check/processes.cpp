#include "roundtrip/proofs_check/processes.h"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <exception>

#include "roundtrip/base/error.h"

namespace roundtrip::proofs_check {
namespace {

// A message of a child: what it is, how many bytes it has, and they.
enum class Kind : std::uint64_t { kSaid, kBytes, kFailure };
using Head = std::array<std::uint64_t, 2>;

void put(int pipe, const void* data, std::size_t bytes) {
  const auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = write(pipe, at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) _exit(1);  // nobody listens
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void tell(int pipe, Kind kind, std::string_view text) {
  const Head head{static_cast<std::uint64_t>(kind), text.size()};
  put(pipe, head.data(), sizeof head);
  put(pipe, text.data(), text.size());
}

/// A child and what has arrived of it.
struct Child {
  std::size_t piece;
  pid_t process;
  int pipe;
  std::string arrived{};
  Piece result{.bytes = {}, .failure = "its process ended without a word"};
};

}  // namespace

unsigned processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(std::max(1, CPU_COUNT(&set)))
                                                     : 1;
}

void in_processes(std::size_t count, unsigned at_a_time,
                  const std::function<std::string(std::size_t piece,
                                                  const std::function<void(std::string_view)>& say)>& work,
                  const std::function<void(std::size_t piece, std::string_view said)>& heard,
                  const std::function<void(std::size_t piece, Piece result)>& ended) {
  std::vector<Child> children;
  const auto start = [&](std::size_t piece) {
    int ends[2];
    if (pipe(ends) != 0) throw InternalError("no pipe for a piece of work");
    const pid_t parent = getpid();
    const pid_t process = fork();
    if (process < 0) {
      close(ends[0]);
      close(ends[1]);
      throw InternalError("no process for a piece of work");
    }
    if (process == 0) {
      // It ends with its parent, also where that is killed.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      close(ends[0]);
      for (const Child& other : children) close(other.pipe);
      try {
        const std::string bytes =
            work(piece, [&](std::string_view said) { tell(ends[1], Kind::kSaid, said); });
        tell(ends[1], Kind::kBytes, bytes);
      } catch (const std::exception& error) {
        tell(ends[1], Kind::kFailure, error.what());
      } catch (...) {
        tell(ends[1], Kind::kFailure, "threw something that is not a std::exception");
      }
      _exit(0);  // no buffer of the parent is written twice
    }
    close(ends[1]);
    children.push_back({piece, process, ends[0]});
  };
  const auto take_messages = [&](Child& child) {
    Head head;
    std::size_t at = 0;
    while (child.arrived.size() - at >= sizeof head) {
      std::memcpy(head.data(), child.arrived.data() + at, sizeof head);
      if (child.arrived.size() - at - sizeof head < head[1]) break;
      std::string text = child.arrived.substr(at + sizeof head, head[1]);
      at += sizeof head + head[1];
      switch (static_cast<Kind>(head[0])) {
        case Kind::kSaid:
          heard(child.piece, text);
          break;
        case Kind::kBytes:
          child.result = {.bytes = std::move(text), .failure = {}};
          break;
        case Kind::kFailure:
          child.result = {.bytes = {}, .failure = std::move(text)};
          break;
      }
    }
    child.arrived.erase(0, at);
  };
  const auto end = [&](Child child) {
    close(child.pipe);
    int status = 0;
    while (waitpid(child.process, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFSIGNALED(status))
      child.result = {.bytes = {},
                      .failure = fmt::format("its process ended by signal {}", WTERMSIG(status))};
    ended(child.piece, std::move(child.result));
  };

  std::size_t next = 0;
  while (next < count || !children.empty()) {
    while (next < count && children.size() < std::max(1u, at_a_time)) {
      try {
        start(next);
      } catch (const InternalError&) {
        if (children.empty()) throw;  // else it is tried again when another has ended
        break;
      }
      ++next;
    }
    std::vector<pollfd> waiting;
    for (const Child& child : children) waiting.push_back({child.pipe, POLLIN, 0});
    if (poll(waiting.data(), waiting.size(), -1) < 0) continue;  // by a signal
    for (std::size_t i = children.size(); i-- > 0;) {
      if (waiting[i].revents == 0) continue;
      std::array<char, 1 << 16> buffer;
      const ssize_t got = read(children[i].pipe, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got > 0) {
        children[i].arrived.append(buffer.data(), static_cast<std::size_t>(got));
        take_messages(children[i]);
        continue;
      }
      Child last = std::move(children[i]);
      children.erase(children.begin() + static_cast<std::ptrdiff_t>(i));
      end(std::move(last));
    }
  }
}

}  // namespace roundtrip::proofs_check
