#include "roundtrip/base/random.h"

#include "roundtrip/base/fault.h"

#include <Random123/philox.h>

namespace roundtrip {

__extension__ using Wide = unsigned __int128;

std::uint64_t draw(std::uint64_t seed, Domain domain, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  const r123::Philox4x64::key_type key = {{seed, static_cast<std::uint64_t>(domain)}};
  const r123::Philox4x64::ctr_type counter = {{a, b, c, 0}};
  return r123::Philox4x64()(counter, key)[0];
}

std::uint64_t draw_below(std::uint64_t bound, std::uint64_t seed, Domain domain, std::uint64_t a,
                         std::uint64_t b, std::uint64_t c) {
  if (seeded("draw-modulo")) return draw(seed, domain, a, b, c) % bound;
  if (bound > 1 && seeded("last-undrawn")) --bound;
  return static_cast<std::uint64_t>((static_cast<Wide>(draw(seed, domain, a, b, c)) * bound) >> 64);
}

std::uint64_t RandomStream::below(std::uint64_t bound) {
  if (seeded("stream-modulo")) return (*this)() % bound;
  if (seeded("bound-drawn")) ++bound;
  // Lemire's method: the low half of the product is rejected below 2^64 mod bound.
  const std::uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    const Wide product = static_cast<Wide>((*this)()) * bound;
    if (static_cast<std::uint64_t>(product) >= threshold) return static_cast<std::uint64_t>(product >> 64);
  }
}

}  // namespace roundtrip
