// libFuzzer's entry points. A folder given on the command line (the corpus) first gets the target's seeds.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "fuzz/target.h"

namespace roundtrip::fuzz {
void expect(bool condition, const char* message) {
  if (condition) return;
  std::fprintf(stderr, "finding: %s\n", message);
  std::abort();
}
}  // namespace roundtrip::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  roundtrip::fuzz::try_bytes({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int i = 1; i < *argc; ++i) {
    const std::string folder = (*argv)[i];
    if (folder.starts_with('-') || std::filesystem::is_regular_file(folder)) continue;
    std::filesystem::create_directories(folder);
    int number = 0;
    for (const std::string& seed : roundtrip::fuzz::seeds()) {
      std::ofstream(folder + "/seed" + std::to_string(number++), std::ios::binary) << seed;
    }
    break;
  }
  return 0;
}
