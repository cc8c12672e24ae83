#include "anna/embedding.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/read_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace roundtrip::anna {
namespace {

// The file, little-endian: this header; tokens + 1 row offsets (u64); nonzeros columns (u32), values (f64).
struct Header {
  char magic[8] = {'r', 't', 'e', 'm', 'b', 'e', 'd', '\n'};
  std::uint32_t version = 1;
  std::uint32_t dimension = 0;
  std::uint64_t tokens = 0;
  std::uint64_t nonzeros = 0;
  std::uint64_t checksum = 0;  // XXH3-64 of everything behind the header
};
static_assert(sizeof(Header) == 40 && std::endian::native == std::endian::little);

template <typename T>
void append(std::string& bytes, const T* data, std::size_t count) {
  bytes.append(reinterpret_cast<const char*>(data), count * sizeof(T));
}

}  // namespace

double RowView::operator[](std::uint32_t column) const {
  const auto found = std::lower_bound(entries.begin(), entries.end(), column,
                                      [](const Entry& entry, std::uint32_t c) { return entry.column < c; });
  return found != entries.end() && found->column == column ? found->value : 0.0;
}

Embedding::Embedding(std::uint64_t tokens, std::uint32_t dimension)
    : dimension_(dimension), offsets_(tokens + 1, 0) {}

void Embedding::append_row(std::span<const Entry> entries) {
  std::uint64_t least = 0;  // smallest column that may come next
  bool zeros = false, good = true;
  for (const Entry& entry : entries) {
    // x - x is 0 for finite x alone
    good &= (entry.column >= least) & (entry.value - entry.value == 0);
    least = std::uint64_t{entry.column} + 1;
    zeros |= entry.value == 0;
  }
  if (!good || least > dimension_) refuse(entries);
  if (zeros) {
    std::ranges::copy_if(entries, std::back_inserter(entries_),
                         [](const Entry& entry) { return entry.value != 0; });
  } else {
    entries_.insert(entries_.end(), entries.begin(), entries.end());
  }
  offsets_.push_back(entries_.size());
}

void Embedding::refuse(std::span<const Entry> entries) const {
  std::uint64_t least = 0;
  for (const Entry& entry : entries) {
    require(
        entry.column >= least && entry.column < dimension_ && std::isfinite(entry.value),
        "row {} of an array of {} columns has the entry {} in column {}; columns must ascend and values be "
        "finite",
        tokens(), dimension_, entry.value, entry.column);
    least = std::uint64_t{entry.column} + 1;
  }
}

void Embedding::save(const std::string& path) const {
  Header header;
  header.dimension = dimension_;
  header.tokens = tokens();
  header.nonzeros = nonzeros();
  std::string bytes(sizeof(Header), '\0');
  bytes.reserve(sizeof(Header) + 8 * offsets_.size() + 12 * entries_.size());
  append(bytes, offsets_.data(), offsets_.size());
  for (const Entry& entry : entries_) append(bytes, &entry.column, 1);
  for (const Entry& entry : entries_) append(bytes, &entry.value, 1);
  header.checksum = XXH3_64bits(bytes.data() + sizeof(Header), bytes.size() - sizeof(Header));
  std::memcpy(bytes.data(), &header, sizeof(Header));
  write_whole(path, bytes);
}

Embedding Embedding::load(const std::string& path) {
  const std::string bytes = read_whole(path);
  Header header;
  require(bytes.size() >= sizeof(Header), "'{}' is not an array file: {} bytes are less than its header's {}",
          path, bytes.size(), sizeof(Header));
  std::memcpy(&header, bytes.data(), sizeof(Header));
  require(std::memcmp(header.magic, Header().magic, sizeof(header.magic)) == 0,
          "'{}' is not an array file: its magic bytes differ", path);
  require(header.version == 1, "'{}' has version {}; this program reads version 1", path, header.version);
  const std::uint64_t payload = bytes.size() - sizeof(Header);
  // Bounded before they are multiplied, so that no product can wrap.
  require(header.tokens < payload / 8 && header.nonzeros <= payload / 12 &&
              8 * (header.tokens + 1) + 12 * header.nonzeros == payload,
          "'{}' claims tokens {} and nonzeros {}, which its {} bytes do not hold", path, header.tokens,
          header.nonzeros, bytes.size());
  require(XXH3_64bits(bytes.data() + sizeof(Header), payload) == header.checksum,
          "'{}' is damaged: its checksum differs", path);
  Embedding array;
  array.dimension_ = header.dimension;
  array.offsets_.resize(header.tokens + 1);
  std::memcpy(array.offsets_.data(), bytes.data() + sizeof(Header), 8 * array.offsets_.size());
  require(array.offsets_.front() == 0 && array.offsets_.back() == header.nonzeros &&
              std::is_sorted(array.offsets_.begin(), array.offsets_.end()),
          "'{}' has row offsets that do not ascend from 0 to its {} nonzeros", path, header.nonzeros);
  const char* columns = bytes.data() + sizeof(Header) + 8 * array.offsets_.size();
  const char* values = columns + 4 * header.nonzeros;
  array.entries_.resize(header.nonzeros);
  for (std::uint64_t i = 0; i < header.nonzeros; ++i) {
    std::memcpy(&array.entries_[i].column, columns + 4 * i, 4);
    std::memcpy(&array.entries_[i].value, values + 8 * i, 8);
  }
  for (std::uint64_t token = 0; token < header.tokens; ++token) {
    std::uint64_t least = 0;
    for (const Entry& entry : array.row(token).entries) {
      require(entry.column >= least && entry.column < header.dimension,
              "'{}' row {}: column {} is out of order or beyond dimension {}", path, token, entry.column,
              header.dimension);
      require(std::isfinite(entry.value) && entry.value != 0,
              "'{}' row {} column {}: value {} must be finite and not 0", path, token, entry.column,
              entry.value);
      least = std::uint64_t{entry.column} + 1;
    }
  }
  return array;
}

}  // namespace roundtrip::anna
