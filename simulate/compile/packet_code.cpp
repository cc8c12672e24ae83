#include "roundtrip/simulate/compile/packet_code.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::simulate {
namespace {

// Exactness in double (unit roundoff u = 2^-53), for a slot with one writer among c <= 2^26 packets. The
// mechanism returns fl(S / c) with S exact, so the value is S (1 + e1) / c, and c * value is S (1 + e1)(1 +
// e2), |e| <= u: an absolute error below S * 2^-51.9.
//   word     S < 2^48: error < 2^-3.9 < 1/2, so rounding gives the word (to S < 2^50 it still would);
//   j        S < 2^24: error < 2^-27.9;
//   j^2      S < 2^48: error < 2^-3.9 < 1/8, the bound of the test below;
//   count    fl(1 / fl(1 / c)) = c (1 + 2u + ..): error < 2^-25 < 1/2.
constexpr std::uint64_t kMaxSources = 1ull << 24;
constexpr std::uint64_t kMaxCount = 1ull << 26;
// Several writers' mean id is a multiple of 1/n, n <= c <= 2^26: if it is not an integer it misses one by at
// least 2^-26, less the error 2^-27.9 above; a single writer's misses by at most 2^-27.9.
constexpr double kIdTolerance = 1.0 / (1 << 27);
// n >= 2 distinct ids of integer mean have variance >= 2/3 (n = 2: >= 1; else at least (n^2 - 1)/12), less
// 2^-3.9. Testing c * mean(j^2) against the ROUNDED mean alone is not enough: ids 4 8 9 10 12 have mean 8.6
// and mean square 81.
constexpr double kVarianceTolerance = 1.0 / 8;

bool is_prime(std::uint64_t value) {
  if (value < 2) return false;
  for (std::uint64_t divisor = 2; divisor * divisor <= value; ++divisor) {
    if (value % divisor == 0) return false;
  }
  return true;
}

/// base^exponent >= target, without overflow.
bool power_reaches(std::uint64_t base, std::uint32_t exponent, std::uint64_t target) {
  return ceil_log(base, target) <= exponent;
}

}  // namespace

CoverFreeParameters choose_cover_free(std::uint64_t sources, std::uint64_t max_sources) {
  CoverFreeParameters best;
  std::uint64_t best_dimension = std::numeric_limits<std::uint64_t>::max();
  // With P >= 2, more than log2 q digits only add points.
  const std::uint32_t most_digits = std::max(1u, ceil_log(2, sources));
  for (std::uint32_t digits = 1; digits <= most_digits; ++digits) {
    const std::uint64_t points = (digits - 1) * (max_sources - 1) + (digits == 1 || !seeded("point-too-few"));
    if (4 * points * points >= best_dimension) break;  // P >= X, and X grows with k (or is 1 for all k)
    std::uint64_t prime = std::max<std::uint64_t>(points, 2);
    while (!power_reaches(prime, digits, sources) || !is_prime(prime)) ++prime;
    if (const std::uint64_t dimension = 4 * points * prime; dimension < best_dimension) {
      best_dimension = dimension;
      best = {digits, static_cast<std::uint32_t>(points), static_cast<std::uint32_t>(prime)};
    }
  }
  return best;
}

PacketCoder::PacketCoder(PacketCode code, std::uint64_t sources, std::uint64_t max_sources,
                         bool variance_test)
    : variance_test_(variance_test), sources_(sources), max_sources_(std::min(max_sources, sources)) {
  require(sources >= 1 && sources <= kMaxSources, "a packet code serves 1 to {} sources; {} were asked for",
          kMaxSources, sources);
  require(max_sources >= 1, "a packet code must let at least 1 packet through");
  parameters_ = choose_cover_free(sources_, max_sources_);
  cover_free_ = code == PacketCode::kCoverFree ||
                (code == PacketCode::kAutomatic && 2 * sources_ > parameters_.value_dimension());
  const std::uint64_t dimension = cover_free_ ? parameters_.value_dimension() : 2 * sources_;
  require(dimension <= std::numeric_limits<std::int32_t>::max(),
          "a packet code for {} sources and {} packets needs value dimension {}, above 2^31 - 1", sources_,
          max_sources_, dimension);
  value_dimension_ = static_cast<std::uint32_t>(dimension - seeded("packet-dimension"));
}

std::uint32_t PacketCoder::evaluate(std::uint32_t source, std::uint32_t x) const {
  const std::uint64_t prime = parameters_.prime;
  std::uint64_t value = 0;
  std::uint64_t power = 1;
  for (std::uint64_t rest = source; rest != 0; rest /= prime) {  // least digit = constant coefficient
    value = (value + rest % prime * power) % prime;
    power = seeded("flat-polynomial") ? power : power * x % prime;
  }
  return static_cast<std::uint32_t>(value);
}

DecodeError PacketCoder::decode(anna::EntryView average, std::vector<Packet>& packets) const {
  if (average.empty()) return DecodeError::kNone;
  const std::uint32_t slot_columns = cover_free_ ? 4 : 2;
  double smallest = 2;
  for (const anna::Entry& entry : average) {
    if (!(entry.value >= 0 && std::isfinite(entry.value)) ||
        (entry.column >= value_dimension_ && !seeded("column-beyond"))) {
      return DecodeError::kUndecodable;
    }
    if (entry.column % slot_columns == 0 && entry.value > 0) smallest = std::min(smallest, entry.value);
  }
  if (smallest > 1 || 1 / smallest >= static_cast<double>(kMaxCount) + .5) return DecodeError::kUndecodable;
  const auto count = static_cast<std::uint64_t>(std::llround(1 / smallest));
  if (count > max_sources_ + seeded("overload-by-one")) return DecodeError::kOverload;
  const std::size_t before = packets.size();
  const DecodeError fault = decode_slots(average, count, packets);
  if (fault != DecodeError::kNone) packets.resize(before);
  return fault;
}

DecodeError PacketCoder::decode_slots(anna::EntryView average, std::uint64_t count,
                                      std::vector<Packet>& packets) const {
  const std::size_t before = packets.size();
  const std::uint32_t slot_columns = cover_free_ ? 4 : 2;
  const double single =
      1.0 / static_cast<double>(count);  // occupancy of one writer: the mechanism's own rounding
  const auto scale = static_cast<double>(count);
  for (std::size_t i = 0; i < average.size();) {
    const std::uint32_t slot = average[i].column / slot_columns;
    double field[4] = {0, 0, 0, 0};
    for (; i < average.size() && average[i].column / slot_columns == slot; ++i) {
      field[average[i].column % slot_columns] = average[i].value;
    }
    if (seeded("occupancy-of-two") ? field[0] > 2 * single : field[0] != single) {
      // The identity code gives every slot to one source, so any other occupancy is nobody's.
      if (!cover_free_) return DecodeError::kUndecodable;
      continue;
    }
    // Sources are told apart by ids that occupancy has shown to be there: source 0 writes id 0 and is seen
    // like others.
    std::uint64_t source = slot;
    if (cover_free_) {
      const double mean = scale * field[1];
      const double id = std::round(mean);
      if (variance_test_ && !seeded("variance-test") &&
          (std::abs(mean - id) > kIdTolerance ||
           std::abs(scale * field[2] - id * id) >= kVarianceTolerance)) {
        return DecodeError::kUndecodable;
      }
      if (!(id < static_cast<double>(sources_)) && !seeded("id-beyond")) return DecodeError::kUndecodable;
      source = static_cast<std::uint64_t>(id);
    }
    const double word = std::round((seeded("word-unscaled") ? 1 : scale) * field[slot_columns - 1]);
    if (!(word < 0x1p53)) return DecodeError::kUndecodable;
    packets.push_back({static_cast<std::uint32_t>(source), static_cast<mpc::Word>(word)});
  }
  const auto first = packets.begin() + static_cast<std::ptrdiff_t>(before);
  std::sort(first, packets.end(), [](const Packet& a, const Packet& b) {
    return a.source != b.source ? a.source < b.source : a.word < b.word;
  });
  packets.erase(std::unique(first, packets.end()), packets.end());  // equal j must agree on the word ..
  for (std::size_t i = before + 1; i < packets.size(); ++i) {
    if (packets[i].source == packets[i - 1].source && !seeded("words-disagree"))
      return DecodeError::kUndecodable;  // .. or the head is rejected
  }
  return packets.size() - before == count || seeded("packets-uncounted") ? DecodeError::kNone
                                                                         : DecodeError::kUndecodable;
}

}  // namespace roundtrip::simulate
