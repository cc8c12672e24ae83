#include "roundtrip/anna/lsh/family.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/huge_array.h"
#include "roundtrip/base/random.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::anna {
namespace {

struct Name {
  FamilyKind kind;
  std::string_view name;
};
constexpr std::array<Name, 5> kNames = {{{FamilyKind::kHyperplane, "hyperplane"},
                                         {FamilyKind::kPStable, "p-stable"},
                                         {FamilyKind::kCrossPolytope, "cross-polytope"},
                                         {FamilyKind::kCrossPolytopeHadamard, "hadamard"},
                                         {FamilyKind::kBitSampling, "bit-sampling"}}};

std::uint32_t max_dimension(FamilyKind kind) {
  if (kind == FamilyKind::kCrossPolytope) return 1u << 12;          // d^2 coefficients a function
  if (kind == FamilyKind::kCrossPolytopeHadamard) return 1u << 14;  // kHadamardMaxNorm
  return 1u << 16;  // |x| <= 2^31 and |g| < 2^15 keep a dot product below 2^62
}

// Least number of bits that holds 0 .. values-1.
std::uint32_t bits_for(std::uint64_t values) {
  return std::max(1u, ceil_log(2, values));
}

// Functions that project on Gaussian rows: [functions * rows_each, d] coefficients.
class Projections : public TableHash {
 public:
  Projections(const FamilyParameters& p, std::uint32_t table, std::uint32_t rows_each, std::uint32_t bits)
      : TableHash(p.functions, bits),
        dimension_(p.dimension),
        padded_(std::bit_ceil(std::max(2u, p.dimension))),
        rows_each_(rows_each),
        coefficients_(std::size_t{p.functions} * rows_each * padded_, 0) {
    double largest = 0;
    for (std::uint32_t f = 0; f < p.functions; ++f) {
      for (std::uint32_t row = 0; row < rows_each; ++row) {
        std::int16_t* g = coefficients_.data() + (std::size_t{f} * rows_each + row) * padded_;
        double square = 0;
        for (std::uint32_t i = 0; i < dimension_; ++i) {
          g[i] = static_cast<std::int16_t>(
              gaussian(draw(p.seed, Domain::kHash, table, f | std::uint64_t{row} << 32, i)));
          square += static_cast<double>(g[i]) * g[i];
        }
        largest = std::max(largest, square);
      }
    }
    max_norm_ = std::sqrt(largest);
  }

 protected:
  std::int64_t dot(std::uint32_t row, std::span<const std::int32_t> x) const {
    const std::int16_t* g = coefficients_.data() + std::size_t{row} * padded_;
    const std::uint32_t used = dimension_ - seeded("projection-short");
    std::int64_t sum = 0;
    for (std::uint32_t i = 0; i < used; ++i) sum += std::int64_t{g[i]} * x[i];
    return sum;
  }
  // Cauchy-Schwarz for every partial sum of every dot product; a part in 1000 covers the norms' own rounding.
  bool fits_int32(const PointBlocks& points) const {
    return max_norm_ * points.max_norm * 1.001 < 2147483648.0 && points.padded_dimension == padded_;
  }
  void project(const Kernels& kernels, const PointBlocks& points, std::size_t block, std::uint32_t f,
               std::uint32_t rows, std::int32_t* dots) const {
    alignas(32) static thread_local std::vector<std::int16_t> scratch;
    scratch.resize(16 * std::size_t{padded_} + 16);
    std::int16_t* aligned =
        scratch.data() + (32 - reinterpret_cast<std::uintptr_t>(scratch.data()) % 32) % 32 / 2;
    kernels.project(points.block(block), padded_,
                    coefficients_.data() + std::size_t{f} * rows_each_ * padded_, rows, aligned, dots);
  }

  const std::uint32_t dimension_, padded_, rows_each_;

 private:
  std::vector<std::int16_t> coefficients_;
  double max_norm_ = 0;
};

class HyperplaneTable final : public Projections {
 public:
  HyperplaneTable(const FamilyParameters& p, std::uint32_t table) : Projections(p, table, 1, 1) {}
  std::uint64_t value(std::uint32_t f, std::span<const std::int32_t> x) const override {
    return dot(f, x) >= 0;
  }
  bool has_block_codes(const PointBlocks& points) const override {
    return functions_ <= 64 && fits_int32(points);
  }
  void block_codes(const Kernels& kernels, const PointBlocks& points, std::size_t first, std::size_t count,
                   std::uint64_t* out) const override {
    std::int32_t dots[64 * 16];
    for (std::size_t block = first; block < first + count; ++block, out += 16) {
      project(kernels, points, block, 0, functions_, dots);
      for (std::size_t lane = 0; lane < 16; ++lane) {
        std::uint64_t code = 0;
        for (std::uint32_t f = 0; f < functions_; ++f) code |= std::uint64_t{dots[16 * f + lane] >= 0} << f;
        out[lane] = code;
      }
    }
  }
};

class PStableTable final : public Projections {
 public:
  PStableTable(const FamilyParameters& p, std::uint32_t table)
      : Projections(p, table, 1, 64),
        width_(static_cast<std::int64_t>(std::nearbyint(p.width * kGaussianSigma))) {
    for (std::uint32_t f = 0; f < p.functions; ++f) {
      offsets_.push_back(static_cast<std::int64_t>(draw_below(static_cast<std::uint64_t>(width_), p.seed,
                                                              Domain::kHash, table, f, ~std::uint64_t{0})));
    }
  }
  std::uint64_t value(std::uint32_t f, std::span<const std::int32_t> x) const override {
    const std::int64_t shifted = dot(f, x) + offsets_[f];
    const std::int64_t width = seeded("cells-doubled") ? 2 * width_ : width_;
    return static_cast<std::uint64_t>(shifted / width - (shifted % width < 0));  // floor
  }

 private:
  const std::int64_t width_;  // of a cell, in units of the projections
  std::vector<std::int64_t> offsets_;
};

/// A defect of the cross-polytope family: the sign alone is its value.
bool one_bit() {
  return seeded("one-bit-family");
}

class CrossPolytopeTable final : public Projections {
 public:
  CrossPolytopeTable(const FamilyParameters& p, std::uint32_t table)
      : Projections(p, table, p.dimension, bits_for(2 * std::uint64_t{p.dimension})) {}
  std::uint64_t value(std::uint32_t f, std::span<const std::int32_t> x) const override {
    std::int64_t best = -1;
    std::uint64_t index = 0;
    for (std::uint32_t row = 0; row < rows_each_; ++row) {
      const std::int64_t y = dot(f * rows_each_ + row, x);
      if (std::abs(y) > best) best = std::abs(y), index = 2 * std::uint64_t{row} + (y < 0);
    }
    return one_bit() ? index & 1 : index;
  }
  bool has_block_codes(const PointBlocks& points) const override {
    return code_words() == 1 && fits_int32(points) && !one_bit();
  }
  void block_codes(const Kernels& kernels, const PointBlocks& points, std::size_t first, std::size_t count,
                   std::uint64_t* out) const override {
    static thread_local std::vector<std::int32_t> dots;
    dots.resize(16 * std::size_t{rows_each_});
    std::fill(out, out + 16 * count, 0);
    for (std::size_t number = 0; number < functions_ * count; ++number) {
      const auto f = static_cast<std::uint32_t>(number / count);
      std::uint64_t* codes = out + 16 * (number % count);
      project(kernels, points, first + number % count, f, rows_each_, dots.data());
      std::int32_t best[16], index[16] = {};
      std::fill(std::begin(best), std::end(best), -1);
      for (std::uint32_t row = 0; row < rows_each_; ++row) {
        for (std::size_t lane = 0; lane < 16; ++lane) {
          const std::int32_t y = dots[16 * row + lane], magnitude = y < 0 ? -y : y;
          const bool larger = magnitude > best[lane];
          best[lane] = larger ? magnitude : best[lane];
          index[lane] = larger ? static_cast<std::int32_t>(2 * row + (y < 0)) : index[lane];
        }
      }
      for (std::size_t lane = 0; lane < 16; ++lane)
        codes[lane] |= static_cast<std::uint64_t>(index[lane]) << (f * bits_);
    }
  }
};

class HadamardTable final : public TableHash {
 public:
  HadamardTable(const FamilyParameters& p, std::uint32_t table)
      : TableHash(p.functions, bits_for(2 * std::uint64_t{std::bit_ceil(std::max(2u, p.dimension))})),
        padded_(std::bit_ceil(std::max(2u, p.dimension))),
        log2_(static_cast<std::uint32_t>(std::countr_zero(padded_))),
        rounds_(p.rotations),
        factors_(16 * std::size_t{p.functions} * p.rotations * padded_) {  // all written below
    std::uint32_t growth = 0;
    for (std::uint32_t round = 0; round < rounds_; ++round) {
      const std::vector<HadamardPass> passes = hadamard_passes(log2_, growth);
      passes_.insert(passes_.end(), passes.begin(), passes.end());
      pass_counts_.push_back(static_cast<std::uint32_t>(passes.size()));
      const auto magnitude =
          static_cast<std::int16_t>(passes[0].shift == 0 ? 1 : 1 << (15 - passes[0].shift));
      for (std::uint32_t f = 0; f < p.functions; ++f) {
        for (std::uint32_t i = 0; i < padded_; ++i) {
          const std::uint32_t number = round * padded_ + i;
          const std::uint64_t bits =
              draw(p.seed, Domain::kHash, table, f, (std::uint64_t{1} << 32) + number / 64);
          std::int16_t* lanes = factors_.data() + 16 * (std::size_t{f} * rounds_ * padded_ + number);
          const bool flips = (bits >> (number % 64) & 1) != 0 && !seeded("signs-unflipped");
          std::fill(lanes, lanes + 16, flips ? -magnitude : magnitude);
        }
      }
    }
  }

  std::uint64_t value(std::uint32_t f, std::span<const std::int32_t> x) const override {
    double square = 0;
    for (const std::int32_t coordinate : x) square += static_cast<double>(coordinate) * coordinate;
    require(square <= static_cast<double>(kHadamardMaxNorm) * kHadamardMaxNorm,
            "a vector of norm {} is too long for the Hadamard family; its norm must be at most {}",
            std::sqrt(square), kHadamardMaxNorm);
    std::vector<std::int32_t> y(padded_, 0);
    std::copy(x.begin(), x.end(), y.begin());
    const HadamardPass* pass = passes_.data();
    for (std::uint32_t round = 0; round < rounds_; ++round) {
      const std::int16_t* factors = factors_.data() + 16 * (std::size_t{f} * rounds_ + round) * padded_;
      for (std::uint32_t i = 0; i < padded_; ++i) y[i] = factors[16 * std::size_t{i}] < 0 ? -y[i] : y[i];
      const bool last = round + 1 == rounds_;
      std::uint32_t half = last ? 1 : padded_ / 2;
      for (std::uint32_t p = 0; p < pass_counts_[round]; ++p, ++pass) {
        if (pass->shift > 0) {
          for (std::int32_t& value : y) value = (value + (1 << (pass->shift - 1))) >> pass->shift;
        }
        for (std::uint32_t stage = 0; stage < pass->stages; ++stage, half = last ? 2 * half : half / 2) {
          for (std::uint32_t i = 0; i < padded_; ++i) {
            if ((i & half) != 0) continue;
            const std::int32_t a = y[i], b = y[i + half];
            y[i] = a + b, y[i + half] = a - b;
          }
        }
      }
    }
    std::int32_t best = -1;
    std::uint64_t index = 0;
    for (std::uint32_t number = 0; number < padded_; ++number) {  // the last stage's pairs one by one
      const std::uint32_t i = number / 2 + number % 2 * (padded_ / 2);
      if (std::abs(y[i]) > best) best = std::abs(y[i]), index = 2 * std::uint64_t{i} + (y[i] < 0);
    }
    return index;
  }

  bool has_block_codes(const PointBlocks& points) const override {
    return code_words() == 1 && points.max_norm <= kHadamardMaxNorm && points.padded_dimension == padded_;
  }
  void block_codes(const Kernels& kernels, const PointBlocks& points, std::size_t first, std::size_t count,
                   std::uint64_t* out) const override {
    static thread_local std::vector<std::int16_t> scratch;
    scratch.resize(16 * std::size_t{padded_} + 16);
    std::int16_t* aligned =
        scratch.data() + (32 - reinterpret_cast<std::uintptr_t>(scratch.data()) % 32) % 32 / 2;
    std::fill(out, out + 16 * count, 0);
    // Function by function, so that a function's factors stay in the first cache.
    for (std::size_t number = 0; number < functions_ * count; ++number) {
      const auto f = static_cast<std::uint32_t>(number / count);
      std::uint64_t* codes = out + 16 * (number % count);
      const std::size_t later = first + number + count;  // a block of the next call, if this is function 0
      if (f == 0 && 16 * later < points.rows) {
        const auto* bytes = reinterpret_cast<const char*>(points.block(later));
        for (std::size_t byte = 0; byte < 32 * std::size_t{padded_}; byte += 64)
          __builtin_prefetch(bytes + byte);
      }
      std::uint16_t index[16];
      kernels.hadamard_argmax(points.block(first + number % count), log2_, rounds_,
                              factors_.data() + 16 * std::size_t{f} * rounds_ * padded_, passes_.data(),
                              pass_counts_.data(), aligned, index);
      for (std::size_t lane = 0; lane < 16; ++lane) codes[lane] |= std::uint64_t{index[lane]} << (f * bits_);
    }
  }

 private:
  const std::uint32_t padded_, log2_, rounds_;
  HugeArray<std::int16_t> factors_;  // [functions, rounds, D, 16], as the kernels take them
  std::vector<HadamardPass> passes_;
  std::vector<std::uint32_t> pass_counts_;  // [rounds]
};

class BitSamplingTable final : public TableHash {
 public:
  BitSamplingTable(const FamilyParameters& p, std::uint32_t table) : TableHash(p.functions, 1) {
    for (std::uint32_t f = 0; f < p.functions; ++f) {
      const std::uint32_t drawn = seeded("one-bit-for-all") ? 0 : f;
      coordinates_.push_back(
          static_cast<std::uint32_t>(draw_below(p.dimension, p.seed, Domain::kHash, table, drawn)));
    }
  }
  std::uint64_t value(std::uint32_t f, std::span<const std::int32_t> x) const override {
    return x[coordinates_[f]] > 0;
  }
  bool has_block_codes(const PointBlocks&) const override { return functions_ <= 64; }
  void block_codes(const Kernels&, const PointBlocks& points, std::size_t first, std::size_t count,
                   std::uint64_t* out) const override {
    std::fill(out, out + 16 * count, 0);
    for (std::size_t block = first; block < first + count; ++block, out += 16) {
      for (std::uint32_t f = 0; f < functions_; ++f) {
        const std::int16_t* x = points.block(block) + 16 * std::size_t{coordinates_[f]};
        for (std::size_t lane = 0; lane < 16; ++lane) out[lane] |= std::uint64_t{x[lane] > 0} << f;
      }
    }
  }

 private:
  std::vector<std::uint32_t> coordinates_;
};

typedef std::int16_t Eight __attribute__((vector_size(16)));

// [lanes <= 16, dimension] numbers to a block [D, 16] of `size` numbers, the rest 0.
void transpose(const std::int16_t* rows, std::uint64_t lanes, std::uint32_t dimension, std::int16_t* block,
               std::size_t size) {
  constexpr std::size_t kLanes = PointBlocks::kLanes;
  std::uint32_t i = 0;
  if (lanes == kLanes) {
    for (; i + 8 <= dimension; i += 8) {
      for (std::size_t lane = 0; lane < kLanes; lane += 8) {
        Eight x[8], y[8];
        for (std::size_t k = 0; k < 8; ++k)
          std::memcpy(&x[k], rows + (lane + k) * dimension + i, sizeof(Eight));
        // Rows k and k + 4 interleaved, three times.
        for (int round = 0; round < 3; ++round) {
          for (std::size_t k = 0; k < 4; ++k) {
            y[2 * k] = __builtin_shufflevector(x[k], x[k + 4], 0, 8, 1, 9, 2, 10, 3, 11);
            y[2 * k + 1] = __builtin_shufflevector(x[k], x[k + 4], 4, 12, 5, 13, 6, 14, 7, 15);
          }
          std::copy(y, y + 8, x);
        }
        for (std::size_t k = 0; k < 8; ++k)
          std::memcpy(block + (i + k) * kLanes + lane, &x[k], sizeof(Eight));
      }
    }
  }
  std::fill(block + i * kLanes, block + size, std::int16_t{0});
  for (; i < dimension; ++i) {
    for (std::uint64_t lane = 0; lane < lanes; ++lane) block[i * kLanes + lane] = rows[lane * dimension + i];
  }
}

}  // namespace

std::string to_string(FamilyKind kind) {
  for (const Name& name : kNames) {
    if (name.kind == kind) return std::string(name.name);
  }
  throw InternalError("an unknown hash family");
}

bool compares_directions(FamilyKind kind) {
  return kind == FamilyKind::kHyperplane || kind == FamilyKind::kCrossPolytope ||
         kind == FamilyKind::kCrossPolytopeHadamard;
}

FamilyKind parse_family(std::string_view text) {
  std::string all;
  for (const Name& name : kNames) {
    if (name.name == text) return name.kind;
    all += all.empty() ? "" : ", ";
    all += name.name;
  }
  throw ContractError(fmt::format("there is no hash family '{}'; known are {}", text, all));
}

void FamilyParameters::validate() const {
  require(functions >= 1 && functions <= 1024, "functions is {}; allowed are 1 .. 1024", functions);
  require(dimension >= 1 && dimension <= max_dimension(kind), "dimension is {}; the {} family takes 1 .. {}",
          dimension, to_string(kind), max_dimension(kind));
  require(kind != FamilyKind::kPStable || (width >= 1.0 / 256 && width <= 1099511627776.0),
          "width is {}; the p-stable family takes 2^-8 .. 2^40", width);
  require(kind != FamilyKind::kCrossPolytopeHadamard || (rotations >= 1 && rotations <= 3),
          "rotations is {}; the hadamard family takes 1 .. 3", rotations);
}

PointBlocks make_blocks(std::span<const std::int16_t> points, std::uint64_t rows, std::uint32_t dimension,
                        int threads) {
  require(points.size() == rows * dimension, "{} coordinates are not {} rows of {}", points.size(), rows,
          dimension);
  PointBlocks blocks;
  blocks.rows = rows;
  blocks.dimension = dimension;
  blocks.padded_dimension = std::bit_ceil(std::max(2u, dimension));
  const std::uint64_t count = ceil_div(rows, PointBlocks::kLanes);
  const std::size_t block_size = PointBlocks::kLanes * std::size_t{blocks.padded_dimension};
  blocks.data = HugeArray<std::int16_t>(count * block_size);
  std::int64_t largest = 0;
#pragma omp parallel for schedule(static) reduction(max : largest) num_threads(threads)
  for (std::int64_t b = 0; b < static_cast<std::int64_t>(count); ++b) {
    const std::uint64_t first = static_cast<std::uint64_t>(b) * PointBlocks::kLanes;
    const std::uint64_t lanes = std::min<std::uint64_t>(PointBlocks::kLanes, rows - first);
    transpose(points.data() + first * dimension, lanes, dimension,
              blocks.data.data() + static_cast<std::size_t>(b) * block_size, block_size);
    for (std::uint64_t row = first; row < first + lanes; ++row) {
      std::int64_t square = 0;
      for (const std::int16_t x : points.subspan(row * dimension, dimension)) square += std::int32_t{x} * x;
      largest = std::max(largest, square);
    }
  }
  blocks.max_norm = std::sqrt(static_cast<double>(largest));  // correctly rounded; comparisons allow for it
  return blocks;
}

void TableHash::code(std::span<const std::int32_t> x, std::span<std::uint64_t> out) const {
  std::fill(out.begin(), out.end(), 0);
  const std::uint32_t used = functions_ - seeded("last-function");
  for (std::uint32_t f = 0; f < used; ++f) out[f / per_word_] |= value(f, x) << (f % per_word_ * bits_ % 64);
}

std::unique_ptr<const TableHash> make_table(const FamilyParameters& parameters, std::uint32_t table) {
  parameters.validate();
  if (seeded("tables-in-pairs")) table &= ~1u;
  switch (parameters.kind) {
    case FamilyKind::kHyperplane:
      return std::make_unique<HyperplaneTable>(parameters, table);
    case FamilyKind::kPStable:
      return std::make_unique<PStableTable>(parameters, table);
    case FamilyKind::kCrossPolytope:
      return std::make_unique<CrossPolytopeTable>(parameters, table);
    case FamilyKind::kCrossPolytopeHadamard:
      return std::make_unique<HadamardTable>(parameters, table);
    case FamilyKind::kBitSampling:
      return std::make_unique<BitSamplingTable>(parameters, table);
  }
  throw InternalError("an unknown hash family");
}

}  // namespace roundtrip::anna
