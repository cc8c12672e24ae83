// The array file carries a checksum, which no mutation would meet: each input is tried as it is and with its
// checksum put right.
#include "roundtrip/anna/transformer/activations.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "fuzz/target.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/read_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace roundtrip::fuzz {
namespace {

constexpr std::size_t kChecksumAt = 32, kHeaderBytes = 40;

// A file in memory, by its path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : number_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    expect(number_ >= 0 && ::write(number_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
           "no memory file");
  }
  ~MemoryFile() { ::close(number_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(number_); }

 private:
  int number_;
};

void try_file(std::string_view bytes) {
  const MemoryFile file(bytes);
  try {
    const anna::Activations array = anna::Activations::load(file.path());
    anna::Activations copy = anna::Activations::with_dimension(array.dimension());
    for (std::uint64_t token = 0; token < array.tokens(); ++token) copy.append_row(array.row(token).entries);
    expect(copy == array, "an array that was read differs from its copy row by row");
  } catch (const ContractError&) {
  }
}

}  // namespace

void try_bytes(std::string_view bytes) {
  try_file(bytes);
  if (bytes.size() < kHeaderBytes) return;
  std::string right(bytes);
  const std::uint64_t checksum = XXH3_64bits(right.data() + kHeaderBytes, right.size() - kHeaderBytes);
  std::memcpy(right.data() + kChecksumAt, &checksum, sizeof(checksum));
  try_file(right);
}

std::vector<std::string> seeds() {
  anna::Activations array = anna::Activations::with_dimension(5);
  array.append_row(std::vector<anna::Entry>{{0, 1}, {4, -2.5}});
  array.append_row({});
  array.append_row(std::vector<anna::Entry>{{2, 9007199254740991.0}});
  std::vector<std::string> out;
  for (const anna::Activations& one :
       {array, anna::Activations::with_dimension(1), anna::Activations(7, 3)}) {
    const std::string path = "/tmp/fuzz_embedding_seed_" + std::to_string(::getpid());
    one.save(path);
    out.push_back(read_whole(path));
    ::unlink(path.c_str());
    // The seed must be a file whose checksum is where it is put right.
    std::uint64_t stored = 0;
    std::memcpy(&stored, out.back().data() + kChecksumAt, sizeof(stored));
    expect(stored == XXH3_64bits(out.back().data() + kHeaderBytes, out.back().size() - kHeaderBytes),
           "the array file keeps its checksum elsewhere");
  }
  return out;
}

}  // namespace roundtrip::fuzz
