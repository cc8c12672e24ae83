#include "roundtrip/cli/memory.h"

#include <fstream>
#include <string>

#include "roundtrip/base/error.h"

namespace roundtrip::cli {
namespace {

/// Bytes of memory that this host can still give, or 0 if the system doesn't say.
std::uint64_t available_bytes() {
  std::ifstream facts("/proc/meminfo");
  std::string name;
  std::uint64_t kibibytes = 0;
  while (facts >> name >> kibibytes) {
    if (name == "MemAvailable:") return kibibytes * 1024;
    facts.ignore(256, '\n');
  }
  return 0;
}

}  // namespace

void require_memory(std::uint64_t bytes, std::string_view work) {
  const std::uint64_t free_bytes = available_bytes();
  require(free_bytes == 0 || bytes <= free_bytes, "{} needs {} bytes of memory, {} are free", work, bytes,
          free_bytes);
}

}  // namespace roundtrip::cli
