#include "roundtrip/anna/dense/blas.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>

#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

// Of OpenBLAS 0.3.21, as strace shows it: what the library maps, and what it maps for every thread that calls it.
constexpr std::size_t kLibraryBytes = std::size_t{64} << 20;
constexpr std::size_t kThreadBytes = std::size_t{128} << 20;

bool has_addresses(std::size_t bytes) {
  void* const probe =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return probe != MAP_FAILED && munmap(probe, bytes) == 0;
}

// Loaded for good: its threads, if another part of the program has made it start some, outlive any user of it.
void* library() {
  static std::mutex mutex;
  static void* loaded = nullptr;
  const std::lock_guard lock(mutex);
  if (loaded != nullptr) return loaded;
  // Read while it is loaded: it then starts no threads.
  const char* const name = "OPENBLAS_NUM_THREADS";
  const char* const before = std::getenv(name);
  const std::optional<std::string> kept =
      before != nullptr ? std::optional<std::string>(before) : std::nullopt;
  setenv(name, "1", 1);
  loaded = dlopen(kBlasLibrary, RTLD_NOW | RTLD_LOCAL);
  const std::string why = loaded == nullptr ? dlerror() : "";
  kept ? setenv(name, kept->c_str(), 1) : unsetenv(name);
  require(loaded != nullptr, "exact attention needs OpenBLAS (Debian: libopenblas0): {}", why);
  return loaded;
}

template <typename Function>
Function symbol(const char* name) {
  void* const found = dlsym(library(), name);
  require(found != nullptr, "{} has no {}", kBlasLibrary, name);
  return reinterpret_cast<Function>(found);
}

}  // namespace

Blas::Blas(int& threads) {
  const auto needed = [&] { return kLibraryBytes + static_cast<std::size_t>(threads) * kThreadBytes; };
  while (threads > 1 && !has_addresses(needed())) threads /= 2;
  require(has_addresses(needed()), "exact attention needs {} bytes of addresses for OpenBLAS, see ulimit -v",
          needed());
  sgemm = symbol<decltype(sgemm)>("cblas_sgemm");
  set_threads_ = symbol<decltype(set_threads_)>("openblas_set_num_threads");
  before_ = symbol<decltype(&openblas_get_num_threads)>("openblas_get_num_threads")();
  set_threads_(1);
}

Blas::~Blas() {
  set_threads_(before_);
}

}  // namespace roundtrip::anna
