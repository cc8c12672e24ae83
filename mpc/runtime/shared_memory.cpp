#include "roundtrip/mpc/runtime/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <utility>

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kPage = 4096;  // the first page of a part holds the cookie
constexpr std::uint64_t kWordsPerPage = kPage / sizeof(std::uint64_t);

}  // namespace

SharedMemory::SharedMemory(int ranks, std::uint64_t bytes)
    : outgoing_(static_cast<std::size_t>(ranks)), incoming_(outgoing_.size()) {
  rlimit limit{};  // beyond it ftruncate would end the process
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0) bytes = std::min<std::uint64_t>(bytes, limit.rlim_cur);
  const std::uint64_t part = bytes / outgoing_.size() / kPage * kPage;
  if (part < 2 * kPage) return;
  bytes = part * outgoing_.size();
  file_ = memfd_create("roundtrip", MFD_CLOEXEC);
  if (file_ < 0) return;
  void* const mapped =
      ftruncate(file_, static_cast<off_t>(bytes)) == 0
          ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_, 0)
          : MAP_FAILED;
  if (mapped == MAP_FAILED) return;
  madvise(mapped, bytes, MADV_DONTDUMP);
  memory_ = static_cast<std::byte*>(mapped);
  std::random_device random;
  name_ = {static_cast<std::uint64_t>(getpid()), static_cast<std::uint64_t>(file_), bytes,
           (std::uint64_t{random()} << 32 | random()) | 1};
  for (std::size_t rank = 0; rank < outgoing_.size(); ++rank) {
    auto* const words = reinterpret_cast<std::uint64_t*>(memory_ + rank * part);
    words[0] = name_.cookie;
    outgoing_[rank] = {words + kWordsPerPage, part / sizeof(std::uint64_t) - kWordsPerPage};
  }
}

bool SharedMemory::open(int peer, const Name& name, int rank) {
  if (name.cookie == 0) return false;
  const std::string path = fmt::format("/proc/{}/fd/{}", name.process, name.descriptor);
  // On another node this may be anything, a device too, which must not even be opened.
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode) ||
      static_cast<std::uint64_t>(facts.st_size) != name.bytes)
    return false;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const std::uint64_t part = name.bytes / outgoing_.size();
  void* const mapped = mmap(nullptr, part, PROT_READ, MAP_SHARED | MAP_NORESERVE, file,
                            static_cast<off_t>(part * static_cast<std::uint64_t>(rank)));
  ::close(file);
  if (mapped == MAP_FAILED) return false;
  madvise(mapped, part, MADV_DONTDUMP);
  auto* const words = static_cast<std::uint64_t*>(mapped);
  if (words[0] != name.cookie) {
    munmap(mapped, part);
    return false;
  }
  incoming_[static_cast<std::size_t>(peer)] = {words + kWordsPerPage,
                                               part / sizeof(std::uint64_t) - kWordsPerPage};
  return true;
}

void SharedMemory::close(std::span<const std::uint64_t> opened_by) {
  for (std::size_t rank = 0; rank < outgoing_.size(); ++rank) {
    if (opened_by[rank] == 0) outgoing_[rank] = {};
  }
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

SharedMemory::~SharedMemory() {
  for (const auto& part : incoming_) {
    if (!part.empty()) munmap(part.data() - kWordsPerPage, (part.size() + kWordsPerPage) * sizeof(part[0]));
  }
  if (memory_ != nullptr) munmap(memory_, name_.bytes);
  if (file_ >= 0) ::close(file_);
}

}  // namespace roundtrip::mpc
