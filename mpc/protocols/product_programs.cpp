#include <algorithm>
#include <numeric>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/program/program.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/protocols/program_input.h"
#include "roundtrip/mpc/stages/composition.h"

// Programs that multiply data: a product is one factor, shifted, for each bit of the other. Numbers are stored with h =
// 2^(p_in - 1) added, x' = x + h, so that x y = x' y' - h x' - h y' + h^2.
namespace roundtrip::mpc {
namespace {

constexpr std::int64_t kProductBits = 8;
constexpr std::uint64_t kProductKappa = 4;

class ProductProgram : public Program {
 protected:
  using Program::Program;
  std::int64_t half() const { return std::int64_t{1} << (shape().input_bits - 1); }
  std::vector<Affine> bits(const Affine& stored) { return tape().bits_of(stored, shape().input_bits); }
  /// stored * number for the bits of a stored number, 0 <= number <= limit.
  Affine times(const std::vector<Affine>& stored_bits, const Affine& number, std::int64_t limit) {
    Affine sum;
    for (std::size_t b = 0; b < stored_bits.size(); ++b)
      sum += (std::int64_t{1} << b) * tape().gate(number, stored_bits[b], limit);
    return sum;
  }
};

Shape product_shape(const Parameters& parameters, const Sizes& sizes, std::uint64_t outputs,
                    std::uint64_t machines) {
  Shape shape = declare_shape(parameters, program_sizes(sizes, parameters.n), outputs, machines);
  shape.input_bits = static_cast<std::uint32_t>(parameters.integer_option("bits", kProductBits, 2, 12));
  shape.word_bits = shape.input_bits;
  return shape;
}

OptionInfo product_bits_option() {
  return {.name = "bits", .fallback = "8", .help = "bits of an input word, signed: 2 .. 12"};
}

/// A is r x k, B is k x r, A first. Tiles are t x t, t a common divisor of r and k; machine (I Gk + K) Gr + J multiplies
/// tile (I, K) of A with tile (K, J) of B, Gr = r / t, Gk = k / t.
struct MatrixPlan {
  Sizes sizes;
  std::uint64_t rows, inner, side, row_tiles, inner_tiles;
  std::uint64_t products() const { return row_tiles * row_tiles * inner_tiles; }
};

MatrixPlan matrix_plan(const Parameters& parameters) {
  MatrixPlan plan{};
  const std::uint64_t half = parameters.n / 2;
  require(parameters.n % 2 == 0 && parameters.n <= std::uint64_t{1} << 20,
          "N is {}, allowed for matrix_product_program is an even number up to 2^20: two matrices",
          parameters.n);
  std::uint64_t fallback = 1;
  for (std::uint64_t d = 1; d * d <= half; ++d) fallback = half % d == 0 ? d : fallback;
  plan.rows = static_cast<std::uint64_t>(
      parameters.integer_option("rows", static_cast<std::int64_t>(fallback), 1, 1 << 15));
  require(half % plan.rows == 0, "rows is {}, allowed is a divisor of N / 2 = {}", plan.rows, half);
  plan.inner = half / plan.rows;
  const std::uint64_t common = std::gcd(plan.rows, plan.inner);
  const auto with_side = [&](std::uint64_t side) {
    plan.side = side, plan.row_tiles = plan.rows / side, plan.inner_tiles = plan.inner / side;
  };
  plan.sizes = choose_sizes(parameters, kProductKappa, [&](const Sizes& sizes) {
    // The largest tiles of which two fit into the block.
    for (std::uint64_t side = common; side >= 1; --side) {
      if (common % side != 0 || (side > 1 && side * side > sizes.block_words)) continue;
      with_side(side);
      break;
    }
    return sizes.memory_words >=
           std::max({plan.row_tiles, 2 * plan.side * plan.side, plan.inner_tiles * plan.side * plan.side});
  });
  // A machine sends each word of its block to Gr products.
  plan.sizes.block_words = std::min(plan.sizes.block_words, plan.sizes.memory_words / plan.row_tiles);
  return plan;
}

class MatrixProductProgram final : public ProductProgram {
 public:
  explicit MatrixProductProgram(const Parameters& parameters)
      : ProductProgram(product_shape(parameters, matrix_plan(parameters).sizes,
                                     square(matrix_plan(parameters).rows),
                                     matrix_plan(parameters).products())) {
    const MatrixPlan plan = matrix_plan(parameters);
    const std::uint64_t n = shape().n, t = plan.side, tile = t * t;
    const std::uint32_t b = static_cast<std::uint32_t>(shape().block_words),
                        copies = static_cast<std::uint32_t>(plan.row_tiles);
    const auto machine_at = [plan](std::uint64_t i, std::uint64_t k, std::uint64_t j) {
      return static_cast<MachineId>((i * plan.inner_tiles + k) * plan.row_tiles + j);
    };
    // Word c of a block goes to the products that need it, of which there are Gr.
    std::vector<Value> words;
    for (std::uint32_t i = 0; i < b; ++i)
      words.insert(words.end(), copies, {received(i), largest_input(shape())});
    send(
        "entries to products", words,
        [=](MachineId m) {
          const std::uint64_t first = std::uint64_t{m} * b;
          return first < n ? static_cast<std::uint32_t>(std::min<std::uint64_t>(b, n - first)) * copies : 0;
        },
        [=](MachineId m, std::uint32_t i) {
          const std::uint64_t index = std::uint64_t{m} * b + i / copies, copy = i % copies;
          if (index < n / 2) {
            const std::uint64_t row = index / plan.inner, column = index % plan.inner;
            return Place{machine_at(row / t, column / t, copy),
                         static_cast<std::uint32_t>(row % t * t + column % t)};
          }
          const std::uint64_t row = (index - n / 2) / plan.rows, column = (index - n / 2) % plan.rows;
          return Place{machine_at(copy, row / t, column / t),
                       static_cast<std::uint32_t>(tile + row % t * t + column % t)};
        },
        static_cast<std::uint32_t>(2 * tile));

    const std::int64_t h = half(), most = 2 * h * h * static_cast<std::int64_t>(t);
    std::vector<std::vector<Affine>> left(tile);
    for (std::uint32_t w = 0; w < tile; ++w) left[w] = bits(received(w));
    words.clear();
    for (std::uint32_t i = 0; i < t; ++i) {
      for (std::uint32_t j = 0; j < t; ++j) {
        Affine sum = h * h * static_cast<std::int64_t>(t);  // so that it is not negative
        for (std::uint32_t k = 0; k < t; ++k) {
          const auto a = static_cast<std::uint32_t>(i * t + k);
          const Affine right = received(static_cast<std::uint32_t>(tile + k * t + j));
          sum += times(left[a], right, largest_input(shape())) - h * received(a) - h * right + h * h;
        }
        words.push_back({sum, most});
      }
    }
    const auto products = static_cast<MachineId>(plan.products());
    const auto tiles = static_cast<std::uint32_t>(tile), parts = static_cast<std::uint32_t>(plan.inner_tiles);
    send(
        "products to sums", words, [=](MachineId m) { return m < products ? tiles : 0; },
        [=](MachineId m, std::uint32_t w) {
          const std::uint64_t i = m / plan.row_tiles / parts, k = m / plan.row_tiles % parts,
                              j = m % plan.row_tiles;
          return Place{machine_at(i, 0, j), static_cast<std::uint32_t>(k) * tiles + w};
        },
        parts * tiles);
    words.clear();
    for (std::uint32_t w = 0; w < tiles; ++w) {
      Affine sum;
      for (std::uint32_t k = 0; k < parts; ++k) sum += received(k * tiles + w);
      words.push_back({sum, most * parts});
    }
    deliver(
        words, [=](MachineId m) { return m < products && m / plan.row_tiles % parts == 0 ? tiles : 0; },
        [=](MachineId m, std::uint32_t w) {
          const std::uint64_t row = m / plan.row_tiles / parts * t + w / t,
                              column = m % plan.row_tiles * t + w % t;
          return static_cast<std::uint32_t>(row * plan.rows + column);
        });
  }

 private:
  static std::uint64_t square(std::uint64_t x) { return x * x; }
};

/// n tokens of W = 2 r + m words, phi(q), phi(k), v; T_b of them a machine. Sums are r rows of m + 1 words.
struct SumsPlan {
  Sizes sizes;
  std::uint64_t rank, dimension, token_words, tokens, machine_tokens, leaves;
  std::uint64_t sum_words() const { return rank * (dimension + 1); }
};

SumsPlan sums_plan(const Parameters& parameters) {
  SumsPlan plan{};
  plan.rank = static_cast<std::uint64_t>(parameters.integer_option("rank", 4, 1, 64));
  plan.dimension = static_cast<std::uint64_t>(parameters.integer_option("dim", 8, 1, 64));
  plan.token_words = 2 * plan.rank + plan.dimension;
  require(parameters.n % plan.token_words == 0 && parameters.n <= std::uint64_t{1} << 20,
          "N is {}, allowed for low_rank_sums_program is a multiple of 2 rank + dim = {} up to 2^20",
          parameters.n, plan.token_words);
  plan.tokens = parameters.n / plan.token_words;
  plan.sizes = choose_sizes(parameters, kProductKappa, [&](const Sizes& sizes) {
    plan.machine_tokens = std::max<std::uint64_t>(1, sizes.block_words / plan.token_words);
    plan.leaves = ceil_div(plan.tokens, plan.machine_tokens);
    return sizes.memory_words >= plan.machine_tokens * plan.token_words + plan.leaves * plan.sum_words();
  });
  return plan;
}

class LowRankSumsProgram final : public ProductProgram {
 public:
  explicit LowRankSumsProgram(const Parameters& parameters)
      : ProductProgram(product_shape(parameters, sums_plan(parameters).sizes,
                                     sums_plan(parameters).tokens * (sums_plan(parameters).dimension + 1),
                                     sums_plan(parameters).leaves)) {
    const SumsPlan plan = sums_plan(parameters);
    const std::uint64_t n = shape().n, width = plan.dimension + 1;
    const std::uint32_t b = static_cast<std::uint32_t>(shape().block_words),
                        own = static_cast<std::uint32_t>(plan.machine_tokens * plan.token_words),
                        leaves = static_cast<std::uint32_t>(plan.leaves),
                        sums = static_cast<std::uint32_t>(plan.sum_words());
    const std::int64_t largest = largest_input(shape()), h = half();
    std::vector<Value> words;
    for (std::uint32_t i = 0; i < b; ++i) words.push_back({received(i), largest});
    send(
        "tokens to their machines", words,
        [=](MachineId m) {
          const std::uint64_t first = std::uint64_t{m} * b;
          return static_cast<std::uint32_t>(first < n ? std::min<std::uint64_t>(b, n - first) : 0);
        },
        [=](MachineId m, std::uint32_t i) {
          const std::uint64_t index = std::uint64_t{m} * b + i;
          return Place{static_cast<MachineId>(index / own), static_cast<std::uint32_t>(index % own)};
        },
        own);

    // Sums of k v and k, stored with h^2 a token added; of tokens that are not there 0 and h^2.
    std::vector<Affine> sum(sums, Affine(h * h * static_cast<std::int64_t>(plan.machine_tokens)));
    for (std::uint64_t token = 0; token < plan.machine_tokens; ++token) {
      const auto at = static_cast<std::uint32_t>(token * plan.token_words);
      const Affine missing =
          tape().table([=](MachineId m) { return std::uint64_t{m} * own + at < n ? 0 : 1; });
      for (std::uint64_t row = 0; row < plan.rank; ++row) {
        const Affine key = received(static_cast<std::uint32_t>(at + plan.rank + row));
        const std::vector<Affine> key_bits = bits(key);
        for (std::uint64_t i = 0; i < plan.dimension; ++i) {
          const Affine value = received(static_cast<std::uint32_t>(at + 2 * plan.rank + i));
          sum[row * width + i] +=
              times(key_bits, value, largest) - h * key - h * value + h * h - h * h * missing;
        }
        sum[row * width + plan.dimension] += key - h + h * missing;
      }
    }
    for (std::uint32_t i = 0; i < own; ++i) keep(received(i), largest);
    words.clear();
    const std::int64_t part = 2 * h * h * static_cast<std::int64_t>(plan.machine_tokens);
    for (const Affine& word : sum) words.push_back({word, part});
    send(
        "sums", words, [=](MachineId m) { return m < leaves ? sums : 0; },
        [=](MachineId m, std::uint32_t w) {
          return Place{0, m * sums + w};
        },
        leaves * sums);
    for (std::uint32_t i = 0; i < own; ++i) keep(kept(i), largest);
    words.clear();
    const std::int64_t most = part * leaves;
    const std::int64_t stored =
        h * h * static_cast<std::int64_t>(plan.machine_tokens) * leaves;  // what is added to a sum
    for (std::uint32_t leaf = 0; leaf < leaves; ++leaf) {
      for (std::uint32_t w = 0; w < sums; ++w) {
        Affine total;
        for (std::uint32_t from = 0; from < leaves; ++from) total += received(from * sums + w);
        words.push_back({total, most});
      }
    }
    send(
        "sums to all", words, [=](MachineId m) { return m == 0 ? leaves * sums : 0; },
        [=](MachineId, std::uint32_t i) {
          return Place{i / sums, i % sums};
        },
        sums);
    words.clear();
    answer_ = answer_offset(plan, h);
    for (std::uint64_t token = 0; token < plan.machine_tokens; ++token) {
      std::vector<Affine> query(plan.rank);
      std::vector<std::vector<Affine>> query_bits;
      for (std::uint64_t row = 0; row < plan.rank; ++row) {
        query[row] = kept(static_cast<std::uint32_t>(token * plan.token_words + row));
        query_bits.push_back(bits(query[row]));
      }
      for (std::uint64_t i = 0; i < width; ++i) {
        Affine total = answer_;
        for (std::uint64_t row = 0; row < plan.rank; ++row) {
          const Affine g = received(static_cast<std::uint32_t>(row * width + i));
          total += times(query_bits[row], g, most) - h * g - stored * query[row] + h * stored;
        }
        words.push_back({total, 2 * answer_});
      }
    }
    deliver(
        words,
        [=](MachineId m) {
          const std::uint64_t first = m * plan.machine_tokens;
          return static_cast<std::uint32_t>(
              first < plan.tokens ? std::min(plan.machine_tokens, plan.tokens - first) * width : 0);
        },
        [=](MachineId m, std::uint32_t i) {
          return static_cast<std::uint32_t>(m * plan.machine_tokens * width + i);
        });
  }

  /// What is added to an output.
  std::int64_t answer() const { return answer_; }

 private:
  /// More than the magnitude of an output.
  static std::int64_t answer_offset(const SumsPlan& plan, std::int64_t h) {
    return static_cast<std::int64_t>(plan.rank) * h * h * h * static_cast<std::int64_t>(plan.tokens);
  }
  std::int64_t answer_ = 0;
};

}  // namespace

ProtocolInfo matrix_product_program_protocol() {
  ProtocolInfo info = matrix_product_protocol();
  info.program = info.name = "matrix_product_program";
  info.summary = "the product of two matrices of small numbers, as a program of the step language";
  info.card =
      R"(Problem: an r x k matrix and a k x r one, row by row, of signed numbers of p_in bits; output their product.
Guarantee: exact and deterministic.
Cost: R = 3 rounds on q = max(ceil(N / b), (r / t)^2 k / t) machines, t the largest common divisor of r and k with t^2 <= b;
s = kappa_s b, kappa_s = 4, raised until s is at least r / t, 2 t^2 and k t, and b lowered to s t / r. Its steps are a tape.
Source: the three-dimensional algorithm (Agarwal et al. 1995), without trees.)";
  info.rounds_formula = "3";
  info.kappa_s = kProductKappa;
  info.options.push_back(product_bits_option());
  info.make = [](const Parameters& parameters) { return std::make_unique<MatrixProductProgram>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    // h^2 is added for each of the k terms; r^2 outputs of N = 2 r k words.
    const std::uint64_t rows = ceil_power(protocol.shape().outputs, Rational(1, 2)),
                        terms = protocol.shape().n / 2 / rows;
    return static_cast<std::int64_t>(word) -
           static_cast<std::int64_t>(terms << (2 * (protocol.shape().input_bits - 1)));
  };
  info.generate = [](const Parameters& parameters) {
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::int64_t& value : values) value = static_cast<std::int64_t>(stream.below(256)) - 128;
    return values;
  };
  return info;
}

ProtocolInfo low_rank_sums_program_protocol() {
  ProtocolInfo info = low_rank_sums_protocol();
  info.program = info.name = "low_rank_sums_program";
  info.summary = "low-rank attention on small numbers, as a program of the step language";
  info.card = R"(Problem: as low_rank_sums', for numbers of p_in bits, without a modulus.
Guarantee: exact and deterministic.
Cost: R = 4 rounds: T_b = max(1, floor(b / W)) tokens a machine, and all sums on one; s = kappa_s b, kappa_s = 4, raised until s
is at least T_b W + ceil(n / T_b) r (m + 1). Its steps are a tape.
Source: Liu, Yu, Sanford, Andoni, Hsu 2025 (low-rank attention as an ANNA-transformer), by one node.)";
  info.rounds_formula = "4";
  info.kappa_s = kProductKappa;
  info.options = {{"rank", "4", "r, the dimension of phi, an integer from 1 to 64"},
                  {"dim", "8", "m, the dimension of values, an integer from 1 to 64"},
                  product_bits_option()};
  info.make = [](const Parameters& parameters) { return std::make_unique<LowRankSumsProgram>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return static_cast<std::int64_t>(word) - static_cast<const LowRankSumsProgram&>(protocol).answer();
  };
  info.generate = [](const Parameters& parameters) {
    const std::uint64_t token_words = sums_plan(parameters).token_words;
    const auto rank = static_cast<std::uint64_t>(parameters.integer_option("rank", 4, 1, 64));
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::uint64_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<std::int64_t>(stream.below(100)) - (i % token_words < 2 * rank ? -1 : 50);
    return values;
  };
  return info;
}

}  // namespace roundtrip::mpc
