#include "roundtrip/base/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "roundtrip/base/error.h"

namespace roundtrip {

std::string read_whole(const std::string& path) {
  struct File {  // closes on every way out
    int number;
    ~File() {
      if (number >= 0) ::close(number);
    }
  } file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};  // a pipe without a writer must not hang
  require(file.number >= 0, "cannot read '{}': {}", path, std::strerror(errno));
  struct stat facts = {};
  require(::fstat(file.number, &facts) == 0, "cannot read '{}': {}", path, std::strerror(errno));
  require(S_ISREG(facts.st_mode), "cannot read '{}': it is not a regular file", path);
  std::string bytes(static_cast<std::size_t>(facts.st_size), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.number, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    require(got >= 0, "cannot read '{}': {}", path, std::strerror(errno));
    if (got == 0) break;  // it shrank meanwhile
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace roundtrip
