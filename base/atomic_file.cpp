#include "roundtrip/base/atomic_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "roundtrip/base/error.h"
#include "roundtrip/base/quote.h"

namespace roundtrip {
namespace {

[[noreturn]] void fail(const std::string& path, int cause) {
  throw ContractError(fmt::format("cannot write {}: {}",
                                  quote(path == "-" ? "standard output" : path, kMaxPathBytes),
                                  std::strerror(cause)));
}

std::atomic<int> interrupt = 0;  // the signal that came while a file was written
static_assert(std::atomic<int>::is_always_lock_free);

/// While this lives, signals that would end the process are noted instead. One that somebody handles stays theirs.
class HeldInterrupts {
 public:
  HeldInterrupts() {
    struct sigaction hold = {};
    hold.sa_handler = [](int signal) { interrupt = signal; };
    for (std::size_t i = 0; i < std::size(kSignals); ++i) {
      sigaction(kSignals[i], nullptr, &before_[i]);
      if (before_[i].sa_handler == SIG_DFL) sigaction(kSignals[i], &hold, nullptr);
    }
  }
  ~HeldInterrupts() {
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }
  HeldInterrupts(const HeldInterrupts&) = delete;
  HeldInterrupts& operator=(const HeldInterrupts&) = delete;

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction before_[std::size(kSignals)] = {};
};

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int descriptor() const { return descriptor_; }
  bool open() const { return descriptor_ >= 0; }
  /// Some file systems say only now what they could not store.
  bool close() { return !open() || ::close(std::exchange(descriptor_, -1)) == 0; }

 private:
  int descriptor_;
};

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), std::free);
  return real == nullptr ? std::string() : real.get();
}

/// N of /proc/self/fd/N, however the folder is written (/dev/fd is a link to it); -1 for other paths.
int own_descriptor(const std::string& path) {
  const std::string_view name = name_of(path);
  int descriptor = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), descriptor);
  if (error != std::errc() || end != name.data() + name.size() || descriptor < 0) return -1;
  const std::string folder = real_path(folder_of(path));
  return !folder.empty() && folder == real_path("/proc/self/fd") ? descriptor : -1;
}

bool on_proc(const std::string& path) {
  struct statfs facts = {};
  return ::statfs(folder_of(path).c_str(), &facts) == 0 && facts.f_type == PROC_SUPER_MAGIC;
}

/// What a path leads to.
struct Destination {
  std::string path;        ///< the last link's target
  int descriptor = -1;     ///< of this process, if it stands for one
  int error = 0;           ///< why it can't be looked at; 0 if it can, or isn't there yet
  bool exists = false;     ///< what follows is known
  struct stat facts = {};  ///< of what is there
};

Destination destination_of(const std::string& path) {
  Destination to{.path = path};
  if (path == "-") to.descriptor = STDOUT_FILENO;
  constexpr int kMaxLinks = 40;  // as the kernel has it
  for (int links = 0; to.descriptor < 0; ++links) {
    to.descriptor = own_descriptor(to.path);
    if (to.descriptor >= 0) break;
    char target[PATH_MAX];
    const ssize_t length = ::readlink(to.path.c_str(), target, sizeof target);
    // Links of /proc show text that need not be a path: they are only to be opened.
    if (length < 0 || on_proc(to.path)) break;
    if (links == kMaxLinks) {
      to.error = ELOOP;
      return to;
    }
    const std::string next(target, static_cast<std::size_t>(length));
    to.path = next.starts_with('/') ? next : folder_of(to.path) + "/" + next;
  }
  to.exists =
      (to.descriptor >= 0 ? ::fstat(to.descriptor, &to.facts) : ::stat(to.path.c_str(), &to.facts)) == 0;
  if (!to.exists && (to.descriptor >= 0 || errno != ENOENT)) to.error = errno;
  return to;
}

/// As far as it can be said without opening it.
void require_writable(const Destination& to, const std::string& path) {
  if (to.error != 0) fail(path, to.error);
  if (to.descriptor >= 0) {
    const int flags = ::fcntl(to.descriptor, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) fail(path, EBADF);
    return;
  }
  if (to.exists && S_ISDIR(to.facts.st_mode)) fail(path, EISDIR);
  if (!to.exists && name_of(to.path).empty()) fail(path, to.path.empty() ? ENOENT : EISDIR);
  const std::string changed = to.exists ? to.path : folder_of(to.path);
  if (::faccessat(AT_FDCWD, changed.c_str(), to.exists ? W_OK : W_OK | X_OK, AT_EACCESS) != 0)
    fail(path, errno);
}

enum class OnInterrupt : bool { kGoOn, kStop };

/// False with errno set. A descriptor that does not block is waited for.
bool write_all(int file, std::string_view bytes, OnInterrupt on_interrupt = OnInterrupt::kGoOn) {
  while (!bytes.empty()) {
    constexpr std::size_t kMaxBytesAtOnce = std::size_t{1} << 20;  // after which an interrupt is seen
    if (on_interrupt == OnInterrupt::kStop && interrupt != 0) return errno = EINTR, false;
    const ssize_t written = ::write(file, bytes.data(), std::min(bytes.size(), kMaxBytesAtOnce));
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    if (written == 0) return errno = ENOSPC, false;
    if (written > 0 || errno == EINTR) continue;
    if (errno != EAGAIN) return false;
    pollfd waiting = {file, POLLOUT, 0};
    if (::poll(&waiting, 1, -1) < 0 && errno != EINTR) return false;
  }
  return true;
}

bool flush(int file) {
  return ::fsync(file) == 0 || errno == EINVAL ||
         errno == ENOTSUP;  // some file systems have nothing to flush
}

/// Whether `file` could be given the owner, attributes and mode of what it is to replace.
bool takes_after(int file, const Destination& old) {
  struct stat facts = {};
  if (::fstat(file, &facts) != 0) return false;
  const struct stat& was = old.facts;
  if ((facts.st_uid != was.st_uid || facts.st_gid != was.st_gid) &&
      ::fchown(file, was.st_uid, was.st_gid) != 0)
    return false;
  const auto fetch = [](auto&& call) {  // a list of names, or a value
    const ssize_t size = call(nullptr, 0);
    std::string text(static_cast<std::size_t>(std::max<ssize_t>(size, 0)), '\0');
    return !text.empty() && call(text.data(), text.size()) != size ? std::string() : text;
  };
  const char* const path = old.path.c_str();
  const std::string names = fetch([&](char* to, std::size_t size) { return ::listxattr(path, to, size); });
  for (const char* name = names.c_str(); *name != '\0'; name += std::strlen(name) + 1) {
    const std::string value =
        fetch([&](char* to, std::size_t size) { return ::getxattr(path, name, to, size); });
    if (::fsetxattr(file, name, value.data(), value.size(), 0) != 0) return false;
  }
  return ::fchmod(file, was.st_mode & 07777) == 0;
}

/// False if `to` is not one that a new file can replace; nothing has happened then.
bool replace(const Destination& to, const std::string& path, std::string_view bytes) {
  if (to.exists && to.facts.st_nlink > 1) return false;
  static std::atomic<unsigned> number = 0;
  // Beside it, by the same name as far as names can be that long: whoever clears up finds both.
  const std::string stem = folder_of(to.path) + "/" + std::string(name_of(to.path).substr(0, 200));
  std::string temporary;
  int descriptor = -1;
  do {
    temporary = fmt::format("{}.roundtrip-{}-{}", stem, ::getpid(), ++number);
    descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, to.exists ? 0600 : 0666);
  } while (descriptor < 0 && errno == EEXIST);
  if (descriptor < 0) return false;
  File file(descriptor);
  struct Remover {
    const std::string& path;
    bool renamed = false;
    ~Remover() {
      if (!renamed) ::unlink(path.c_str());
    }
  } remover{temporary};
  if (to.exists && !takes_after(descriptor, to)) return false;
  if (!write_all(descriptor, bytes, OnInterrupt::kStop) || !flush(descriptor) || !file.close())
    fail(path, errno);
  if (interrupt != 0) fail(path, EINTR);
  return remover.renamed = ::rename(temporary.c_str(), to.path.c_str()) == 0;
}

/// Over the old bytes. Space is taken first, so that the old ones are still there if there is none.
void overwrite(const Destination& to, const std::string& path, std::string_view bytes) {
  File file(::open(to.path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (!file.open()) fail(path, errno);
  const auto size = static_cast<off_t>(bytes.size());
  const bool space = size == 0 || ::fallocate(file.descriptor(), 0, 0, size) == 0 ||
                     (errno != ENOSPC && errno != EDQUOT && errno != EFBIG);  // else it can't be said
  if (space && write_all(file.descriptor(), bytes) && ::ftruncate(file.descriptor(), size) == 0 &&
      flush(file.descriptor()) && file.close()) {
    return;
  }
  const int cause = errno;
  if (!to.exists) ::unlink(to.path.c_str());
  if (!space && to.exists && ::ftruncate(file.descriptor(), to.facts.st_size) != 0) fail(path, errno);
  fail(path, cause);
}

}  // namespace

void write_whole(const std::string& path, std::string_view bytes) {
  const Destination to = destination_of(path);
  require_writable(to, path);
  if (to.descriptor >= 0) {
    if (!write_all(to.descriptor, bytes)) fail(path, errno);
  } else if (to.exists && !S_ISREG(to.facts.st_mode)) {
    File file(::open(to.path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.open() || !write_all(file.descriptor(), bytes) || !file.close()) fail(path, errno);
  } else {
    std::optional<HeldInterrupts> held(std::in_place);
    if (!replace(to, path, bytes)) overwrite(to, path, bytes);
    held.reset();
    if (interrupt != 0) std::raise(interrupt);  // the file is whole
  }
}

void require_writable(const std::string& path) {
  require_writable(destination_of(path), path);
}

bool same_file(const std::string& a, const std::string& b) {
  const auto one = [](const struct stat& x, const struct stat& y) {
    return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
  };
  const Destination first = destination_of(a), second = destination_of(b);
  if (first.error != 0 || second.error != 0 || first.exists != second.exists) return false;
  if (first.exists) {
    return one(first.facts, second.facts) && (S_ISREG(first.facts.st_mode) || S_ISFIFO(first.facts.st_mode));
  }
  struct stat folders[2] = {};
  return name_of(first.path) == name_of(second.path) &&
         ::stat(folder_of(first.path).c_str(), &folders[0]) == 0 &&
         ::stat(folder_of(second.path).c_str(), &folders[1]) == 0 && one(folders[0], folders[1]);
}

bool is_standard_output(const std::string& path) {
  return destination_of(path).descriptor == STDOUT_FILENO;
}

int interrupted_by() {
  return interrupt;
}

}  // namespace roundtrip
