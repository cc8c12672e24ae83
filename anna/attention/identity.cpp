#include "roundtrip/anna/attention/identity.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "roundtrip/anna/attention/interner.h"
#include "roundtrip/anna/lsh/family.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {

namespace {

void require_ids(Symbol size) {
  constexpr Symbol kMost = IdentityCodebook::kMaxSize;
  require(size >= 1 && size <= kMost, "the number of ids is {}; allowed are 1 .. {}", size, kMost);
}

}  // namespace

IdentityCodebook::IdentityCodebook(Symbol size, std::uint64_t seed) : bits_(0) {
  require_ids(size);
  bits_.resize(2 * size);
  do {
    for (std::uint64_t i = 0; i < bits_.size(); ++i) bits_[i] = draw(seed, Domain::kIdentity, draws_, i);
    ++draws_;
  } while (!far_apart());
}

void IdentityCodebook::vector(Symbol symbol, std::span<std::int32_t> out) const {
  for (std::uint32_t i = 0; i < kDimension; ++i) {
    out[i] = (bits_[2 * symbol + i / 64] >> (i % 64) & 1) != 0 ? -1 : 1;
  }
}

// Two vectors at distance below 8 agree on one of 8 blocks of 16 bits: only pairs that share a block are
// compared.
bool IdentityCodebook::far_apart() const {
  constexpr std::uint32_t kBlocks = 8, kBlockBits = 16;
  static_assert(kBlocks * kBlockBits == kDimension && kMinimumDistance <= kBlocks);
  std::vector<std::uint32_t> starts, order(size());
  for (std::uint32_t block = 0; block < kBlocks; ++block) {
    const auto value = [&](std::uint64_t id) {
      return bits_[2 * id + block / 4] >> (kBlockBits * (block % 4)) & 0xffff;
    };
    starts.assign((1u << kBlockBits) + 1, 0);
    for (Symbol id = 0; id < size(); ++id) ++starts[value(id) + 1];
    for (std::size_t v = 0; v < starts.size() - 1; ++v) starts[v + 1] += starts[v];
    std::vector<std::uint32_t> cursor(starts.begin(), starts.end() - 1);
    for (Symbol id = 0; id < size(); ++id) order[cursor[value(id)]++] = static_cast<std::uint32_t>(id);
    for (std::size_t v = 0; v < starts.size() - 1; ++v) {
      for (std::uint32_t i = starts[v]; i < starts[v + 1]; ++i) {
        const std::uint64_t* a = &bits_[2 * std::size_t{order[i]}];
        for (std::uint32_t j = i + 1; j < starts[v + 1]; ++j) {
          const std::uint64_t* b = &bits_[2 * std::size_t{order[j]}];
          const int distance = std::popcount(a[0] ^ b[0]) + std::popcount(a[1] ^ b[1]);
          if (distance < static_cast<int>(kMinimumDistance)) return false;
        }
      }
    }
  }
  return true;
}

BinaryCodebook::BinaryCodebook(Symbol size, std::optional<Symbol> fallback)
    : size_(size),
      digits_(size < 2 ? 1
                       : static_cast<std::uint32_t>(std::bit_width(size - 1)) - seeded("id-digit-missing")),
      fallback_(fallback) {
  require_ids(size);
}

void BinaryCodebook::vector(Symbol symbol, std::span<std::int32_t> out) const {
  const bool in_between = symbol == fallback_;
  for (std::uint32_t i = 0; i < digits_; ++i) out[i] = in_between ? 0 : (symbol >> i & 1) != 0 ? -1 : 1;
  if (fallback_)
    out[digits_] = in_between ? static_cast<std::int32_t>(digits_) + (seeded("fallback-on-top") ? 2 : 0) : 1;
}

std::uint32_t choose_functions(std::uint64_t ids, std::uint32_t dimension, double eta) {
  require(ids >= 1, "the number of ids is {}; at least 1 is needed", ids);
  require(dimension >= 1 && dimension <= 4096, "dimension is {}; allowed are 1 .. 4096", dimension);
  require(eta > 0 && eta < 1, "eta is {}; it must lie between 0 and 1", eta);
  const double pairs = seeded("ids-for-pairs")
                           ? static_cast<double>(ids)
                           : static_cast<double>(ids) * (static_cast<double>(ids) - 1) / 2;
  const double d = dimension;
  for (std::uint32_t z = 1; z <= 1024; ++z) {
    double expected = 0;
    for (std::uint32_t t = 1; t <= dimension; ++t) {
      const double log_binomial =
          std::lgamma(d + 1) - std::lgamma(t + 1.0) - std::lgamma(d - t + 1) - d * std::numbers::ln2;
      const double agree = 1 - std::acos(1 - 2 * t / d) / std::numbers::pi;
      expected += pairs * std::exp(log_binomial) * std::pow(agree, z);
    }
    if (expected <= eta) return z;
  }
  throw ContractError(
      fmt::format("no z up to 1024 tells {} ids of dimension {} apart with eta = {}; the dimension must grow",
                  ids, dimension, eta));
}

VerifiedDraw verified_draw(const Codebook& codebook, std::uint32_t functions, std::uint64_t seed,
                           std::uint32_t most_draws) {
  AnnaParameters parameters{.tables = 1, .functions = functions, .seed = seed};
  parameters.validate();
  std::vector<std::int32_t> vector(codebook.dimension());
  for (std::uint32_t attempt = 1; attempt <= most_draws; ++attempt) {
    const auto hash = make_table(parameters.functions_of(codebook.dimension()), 0);
    std::vector<std::uint64_t> code(hash->code_words());
    RecordInterner vectors, codes;
    vectors.reset(sizeof(std::int32_t) * vector.size());
    codes.reset(sizeof(std::uint64_t) * code.size());
    bool apart = true;
    for (Symbol symbol = 0; symbol < codebook.size() && apart; ++symbol) {
      codebook.vector(symbol, vector);
      const std::uint32_t before = vectors.size();
      if (vectors.intern(vector.data()) != before)
        continue;  // an equal vector was here: it shares its code rightly
      hash->code(vector, code);
      apart = codes.intern(code.data()) == before;
    }
    if (apart || seeded("draw-unchecked")) return {parameters, attempt};
    parameters.seed = draw(seed, Domain::kHash, ~std::uint64_t{0}, attempt);
  }
  throw ContractError(
      fmt::format("{} hash functions gave distinct ids equal codes in {} draws; more functions are needed "
                  "for {} ids",
                  functions, most_draws, codebook.size()));
}

}  // namespace roundtrip::anna
