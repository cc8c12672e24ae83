#include "roundtrip/base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "roundtrip/base/error.h"

namespace roundtrip {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw ContractError(fmt::format("cannot write '{}': {}", path, std::strerror(errno)));
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

void write_whole(const std::string& path, std::string_view bytes) {
  if (path == "-") {
    if (!write_all(STDOUT_FILENO, bytes)) fail("standard output");
    return;
  }
  struct stat existing = {};
  const bool exists = ::stat(path.c_str(), &existing) == 0;
  if (exists &&
      !S_ISREG(existing.st_mode)) {  // a device or a pipe has no whole to protect; a directory fails in open
    const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) fail(path);
    const bool written = write_all(file, bytes);
    if (::close(file) != 0 || !written) fail(path);
    return;
  }
  std::string temporary = path + ".XXXXXX";
  const int file = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (file < 0) fail(path);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  const mode_t mode = exists ? existing.st_mode & 07777 : 0666 & ~mask;
  const bool written = write_all(file, bytes) && ::fchmod(file, mode) == 0 && ::fsync(file) == 0;
  const int cause = errno;
  if (::close(file) != 0 || !written || ::rename(temporary.c_str(), path.c_str()) != 0) {
    if (!written) errno = cause;
    const int kept = errno;
    ::unlink(temporary.c_str());
    errno = kept;
    fail(path);
  }
}

}  // namespace roundtrip
