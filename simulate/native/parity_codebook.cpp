#include "roundtrip/simulate/native/parity_codebook.h"

#include <algorithm>
#include <bit>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::simulate {
namespace {

// Rank over F_2 of the masks, by elimination on a basis with distinct leading bits.
std::uint32_t rank(std::span<const std::uint64_t> masks) {
  std::array<std::uint64_t, 64> basis{};
  std::uint32_t found = 0;
  for (std::uint64_t mask : masks) {
    while (mask != 0) {
      std::uint64_t& leader = basis[static_cast<std::size_t>(std::bit_width(mask)) - 1];
      if (leader == 0) {
        leader = mask;
        ++found;
        break;
      }
      mask ^= leader;
    }
  }
  return found;
}

}  // namespace

ParityCodebook::ParityCodebook(std::uint32_t bits, std::uint64_t seed) : bits_(bits) {
  require(bits >= 1 && bits <= kMaxBits, "symbols of {} bits; allowed are 1 .. {}", bits, kMaxBits);
  std::uint64_t attempt = 0;
  do {
    for (std::uint32_t c = 0; c < kDimension; ++c) {
      masks_[c] = draw(seed, Domain::kIdentity, bits, attempt, c) >> (64 - bits);
    }
    ++attempt;
  } while (rank(masks_) < bits);
}

void ParityCodebook::vector(anna::Symbol symbol, std::span<std::int32_t> out) const {
  for (std::uint32_t c = 0; c < kDimension; ++c) out[c] = 1 - 2 * (std::popcount(masks_[c] & symbol) & 1);
}

std::uint32_t bits_for(std::uint64_t count) {
  return std::max(1u, ceil_log(2, std::max<std::uint64_t>(count, 1)));
}

anna::AnnaParameters symbol_tables(std::uint64_t symbols_in_play, double eta, std::uint64_t seed,
                                   std::uint32_t tables) {
  require(eta > 0 && eta < 1, "eta is {}; it must lie between 0 and 1", eta);
  require(tables >= 1, "the number of tables is {}; at least 1 is needed", tables);
  const std::uint32_t functions = anna::choose_functions(seeded("one-pair") ? 2 : symbols_in_play,
                                                         ParityCodebook::kDimension, eta / tables);
  return {.tables = tables, .functions = functions, .seed = seed};
}

}  // namespace roundtrip::simulate
