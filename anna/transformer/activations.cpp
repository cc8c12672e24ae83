#include "roundtrip/anna/transformer/activations.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/read_file.h"

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

double EntryView::value(std::uint32_t column) const {
  // Columns ascend: no more than `column` entries stand in front of it.
  const Entry* const end = data_ + std::min<std::uint64_t>(size_, std::uint64_t{column} + 1);
  const std::uint64_t wanted = std::uint64_t{first_column_} + column;
  const Entry* const found = std::lower_bound(
      data_, end, wanted, [](const Entry& entry, std::uint64_t c) { return entry.column < c; });
  return found != end && found->column == wanted ? found->value : 0.0;
}

Activations::Activations(std::uint64_t tokens, std::uint32_t dimension)
    : dimension_(dimension), offsets_(tokens + 1, 0) {}

void Activations::append_row(std::span<const Entry> entries) {
  entries_.insert(entries_.end(), entries.begin(), entries.end());
  end_row();
}

void Activations::end_row() {
  const auto row = std::span(entries_).subspan(offsets_.back());
  // Most rows hold integers with 1 <= |x| < 2^52 alone: exponents 0 to 51, and nothing behind the point.
  std::uint64_t fractions = 0;
  bool plain = true, ascending = true;
  std::uint64_t least = 0;
  for (const Entry& entry : row) {
    const auto bits = std::bit_cast<std::uint64_t>(entry.value);
    const std::uint64_t exponent = (bits >> 52 & 0x7ff) - 1023;
    plain &= exponent < 52;
    fractions |= bits << (12 + (exponent & 63)) % 64;
    ascending &= entry.column >= least;
    least = std::uint64_t{entry.column} + 1;
  }
  if (!ascending || least > dimension_) refuse();
  if (!plain || fractions != 0) {
    for (const Entry& entry : row) {
      if (!std::isfinite(entry.value)) refuse();
      integers_ = integers_ && is_exact_integer(entry.value);
    }
    const auto kept =
        std::remove_if(row.begin(), row.end(), [](const Entry& entry) { return entry.value == 0; });
    entries_.resize(entries_.size() - static_cast<std::size_t>(row.end() - kept));
  }
  offsets_.push_back(entries_.size());
}

std::optional<RowPart> Activations::part(std::uint64_t token, std::span<const Entry> entries,
                                         std::uint32_t first_column, std::uint32_t dimension) const {
  const Entry* const begin = entries_.data();
  const std::less_equal<const Entry*> not_behind;
  const bool holds = integers_ && !entries.empty() && not_behind(begin + offsets_[token], entries.data()) &&
                     not_behind(entries.data() + entries.size(), begin + offsets_[token + 1]) &&
                     entries.front().column >= first_column &&
                     entries.back().column - first_column < dimension;
  if (!holds) return std::nullopt;
  return RowPart(entries, first_column);
}

void Activations::refuse() {
  const std::vector<Entry> row(entries_.begin() + static_cast<std::ptrdiff_t>(offsets_.back()),
                               entries_.end());
  entries_.resize(offsets_.back());
  std::uint64_t least = 0;
  for (const Entry& entry : row) {
    require(
        entry.column >= least && entry.column < dimension_ && std::isfinite(entry.value),
        "row {} of an array of {} columns has the entry {} in column {}; columns must ascend and values be "
        "finite",
        tokens(), dimension_, entry.value, entry.column);
    least = std::uint64_t{entry.column} + 1;
  }
  throw InternalError("a row without a fault was refused");
}

void Activations::save(const std::string& path) const {
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

Activations Activations::load(const std::string& path) {
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
  Activations array;
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
      array.integers_ &= is_exact_integer(entry.value);
      least = std::uint64_t{entry.column} + 1;
    }
  }
  return array;
}

}  // namespace roundtrip::anna
