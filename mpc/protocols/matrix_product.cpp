#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/composition.h"

// Glossary: A is r x k, B is k x r, both row by row, A first; N = 2 r k. Tiles are t x t: Gr = ceil(r / t) by
// Gk = ceil(k / t) of A. Machine (I, K, J), number (I Gk + K) Gr + J, multiplies tile (I, K) of A with tile
// (K, J) of B. Tiles are spread, and products added, by trees of fan f: in a tree over 0 .. count-1 the node
// of level l over i is at i rounded down to a multiple of f^l. Numbers are residues modulo 2^48.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 8;
constexpr std::uint32_t kBits = 48;
constexpr Word kMask = (Word{1} << kBits) - 1;
constexpr Word kHalf = Word{1} << (kBits - 1);

struct Plan {
  Sizes sizes;
  std::uint64_t rows, inner;             // r, k
  std::uint64_t side;                    // t
  std::uint64_t row_tiles, inner_tiles;  // Gr, Gk
  std::uint64_t fan;
  std::uint32_t spread_rounds, add_rounds;
};

/// r: the option, or the largest divisor of N / 2 that is no more than its root.
std::uint64_t rows_of(const Parameters& parameters) {
  const std::uint64_t half = parameters.n / 2;
  require(parameters.n % 2 == 0 && parameters.n <= std::uint64_t{1} << 30,
          "N is {}, allowed for matrix_product is an even number up to 2^30: two matrices", parameters.n);
  std::uint64_t fallback = 1;
  for (std::uint64_t d = 1; d * d <= half; ++d) fallback = half % d == 0 ? d : fallback;
  const auto rows = static_cast<std::uint64_t>(
      parameters.integer_option("rows", static_cast<std::int64_t>(fallback), 1, 1 << 15));
  require(half % rows == 0, "rows is {}, allowed is a divisor of N / 2 = {}", rows, half);
  return rows;
}

Plan make_plan(const Parameters& parameters) {
  Plan plan{};
  plan.rows = rows_of(parameters);
  plan.inner = parameters.n / 2 / plan.rows;
  plan.fan = std::max<std::uint64_t>(2, ceil_power(parameters.n, parameters.delta * Rational(1, 2)));
  plan.sizes = choose_sizes(parameters, kDefaultKappa,
                            [&plan](const Sizes& sizes) { return sizes.memory_words >= 2 * plan.fan; });
  while (2 * plan.fan * (plan.side + 1) * (plan.side + 1) <= plan.sizes.memory_words) ++plan.side;
  plan.side = std::min(plan.side, std::max(plan.rows, plan.inner));
  plan.row_tiles = ceil_div(plan.rows, plan.side);
  plan.inner_tiles = ceil_div(plan.inner, plan.side);
  plan.spread_rounds = ceil_log(plan.fan, plan.row_tiles);
  plan.add_rounds = ceil_log(plan.fan, plan.inner_tiles);
  return plan;
}

class MatrixProduct final : public Composition {
 public:
  explicit MatrixProduct(const Parameters& parameters) : plan_(make_plan(parameters)) {
    shape_ = declare_shape(parameters, plan_.sizes, plan_.rows * plan_.rows,
                           plan_.row_tiles * plan_.row_tiles * plan_.inner_tiles);
    shape_.heap_words = 0;
    const std::uint64_t tile = tile_words();
    then("entries to their tiles", 1, 0,
         [this](const Context& context, std::uint32_t) { send_entries(context); });
    then("tiles to the products", plan_.spread_rounds, 2 * tile,
         [this](const Context& context, std::uint32_t round) { spread(context, round); });
    then("add products", plan_.add_rounds, 3 * tile,
         [this](const Context& context, std::uint32_t round) { add_up(context, round); });
    then("deliver", 1, 3 * tile, [this](const Context& context, std::uint32_t) { deliver(context); });
    shape_.validate();
  }

 private:
  struct Place {
    std::uint64_t i, k, j;
  };
  struct Tiles {
    std::span<const Word> a, b;
  };

  std::uint64_t tile_words() const { return plan_.side * plan_.side; }
  MachineId machine_at(const Place& place) const {
    return static_cast<MachineId>((place.i * plan_.inner_tiles + place.k) * plan_.row_tiles + place.j);
  }
  bool multiplies(MachineId machine) const {
    return machine < plan_.row_tiles * plan_.row_tiles * plan_.inner_tiles;
  }
  Place place_of(MachineId machine) const {
    return {machine / plan_.row_tiles / plan_.inner_tiles, machine / plan_.row_tiles % plan_.inner_tiles,
            machine % plan_.row_tiles};
  }
  /// fan^level, or something at least `count` if that is less.
  std::uint64_t power(std::uint32_t level, std::uint64_t count) const {
    std::uint64_t result = 1;
    while (level-- > 0 && result < count) result *= plan_.fan;
    return result;
  }

  /// Entry `index` of the input: of A or B, its row and column.
  struct Entry {
    bool is_a;
    std::uint64_t row, column;
  };
  Entry entry(std::uint64_t index) const {
    const std::uint64_t half = shape_.n / 2;
    if (index < half) return {true, index / plan_.inner, index % plan_.inner};
    return {false, (index - half) / plan_.rows, (index - half) % plan_.rows};
  }

  void send_entries(const Context& context) const {
    std::uint64_t index = context.machine * shape_.block_words;
    for (const Word word : context.inbox.words()) {
      const Entry at = entry(index++);
      const std::uint64_t row = at.row / plan_.side;
      const std::uint64_t column = at.column / plan_.side;
      context.out.send(machine_at(at.is_a ? Place{row, column, 0} : Place{0, row, column}), word);
    }
  }

  /// What a machine has before `round` of spreading: tiles that came, as entries or from the node above; or
  /// none.
  Tiles tiles(const Context& context, std::uint32_t round) const {
    const Place here = place_of(context.machine);
    if (round > 1) {
      const std::uint64_t span = power(plan_.spread_rounds - round + 2, plan_.row_tiles);
      const MachineId a_from = machine_at({here.i, here.k, here.j - here.j % span});
      const MachineId b_from = machine_at({here.i - here.i % span, here.k, here.j});
      const auto tile_at = [&](std::span<const Word> words, std::uint64_t offset) {
        return words.size() < offset + tile_words() ? std::span<const Word>{}
                                                    : words.subspan(offset, tile_words());
      };
      // What a machine sends to itself is its tile of A, if it spreads that, and then of B.
      return {tile_at(context.from(a_from), 0),
              tile_at(context.from(b_from), a_from == b_from ? tile_words() : 0)};
    }
    const std::span<Word> a = context.take(tile_words());
    const std::span<Word> b = context.take(tile_words());
    std::ranges::fill(a, 0);
    std::ranges::fill(b, 0);
    for (const Run run : context.inbox) {
      for (std::uint64_t n = 0; n < run.words.size(); ++n) {
        const Entry at = entry(std::min(run.source * shape_.block_words + run.sequence + n, shape_.n - 1));
        (at.is_a ? a : b)[at.row % plan_.side * plan_.side + at.column % plan_.side] = run.words[n] ^ kHalf;
      }
    }
    return {a, b};
  }

  void spread(const Context& context, std::uint32_t round) const {
    if (!multiplies(context.machine)) return;
    const std::uint64_t span = power(plan_.spread_rounds - round + 1, plan_.row_tiles);
    const std::uint64_t below = power(plan_.spread_rounds - round, plan_.row_tiles);
    const Place here = place_of(context.machine);
    const bool has_a = here.j % span == 0;
    const bool has_b = here.i % span == 0;
    if (!has_a && !has_b) return;
    const Tiles have = tiles(context, round);
    for (std::uint64_t to = 0; to < plan_.fan; ++to) {
      const Place a_to{here.i, here.k, here.j + to * below};
      const Place b_to{here.i + to * below, here.k, here.j};
      if (has_a && a_to.j < plan_.row_tiles) context.out.send(machine_at(a_to), have.a);
      if (has_b && b_to.i < plan_.row_tiles) context.out.send(machine_at(b_to), have.b);
    }
  }

  /// What a machine has before `round` of adding: its own product, or the sum of those that its children had.
  std::span<const Word> summed(const Context& context, std::uint32_t round) const {
    const std::span<Word> sum = context.take(tile_words());
    std::ranges::fill(sum, 0);
    const Place here = place_of(context.machine);
    if (round == 1) {
      const Tiles have = tiles(context, plan_.spread_rounds + 1);
      if (have.a.empty() || have.b.empty()) return sum;
      const std::uint64_t t = plan_.side;
      for (std::uint64_t i = 0; i < t; ++i) {
        for (std::uint64_t k = 0; k < t; ++k) {
          const Word factor = have.a[i * t + k];
          for (std::uint64_t j = 0; j < t; ++j) sum[i * t + j] += factor * have.b[k * t + j];  // modulo 2^64
        }
      }
    } else {
      const std::uint64_t below = power(round - 2, plan_.inner_tiles);
      for (std::uint64_t from = 0; from < plan_.fan && here.k + from * below < plan_.inner_tiles; ++from) {
        const std::span<const Word> part = context.from(machine_at({here.i, here.k + from * below, here.j}));
        for (std::uint64_t w = 0; w < std::min(part.size(), sum.size()); ++w) sum[w] += part[w];
      }
    }
    for (Word& word : sum) word &= kMask;
    return sum;
  }

  void add_up(const Context& context, std::uint32_t round) const {
    const Place here = place_of(context.machine);
    if (!multiplies(context.machine) || here.k % power(round - 1, plan_.inner_tiles) != 0) return;
    const std::uint64_t above = here.k - here.k % power(round, plan_.inner_tiles);
    context.out.send(machine_at({here.i, above, here.j}), summed(context, round));
  }

  void deliver(const Context& context) const {
    const Place here = place_of(context.machine);
    if (!multiplies(context.machine) || here.k != 0) return;
    const std::span<const Word> sum = summed(context, plan_.add_rounds + 1);
    for (std::uint64_t i = 0; i < plan_.side; ++i) {
      for (std::uint64_t j = 0; j < plan_.side; ++j) {
        const std::uint64_t row = here.i * plan_.side + i;
        const std::uint64_t column = here.j * plan_.side + j;
        if (row < plan_.rows && column < plan_.rows)
          context.out.deliver(row * plan_.rows + column, sum[i * plan_.side + j] ^ kHalf);
      }
    }
  }

  Plan plan_;
};

}  // namespace

std::uint32_t matrix_product_rounds(const Parameters& parameters) {
  const Plan plan = make_plan(parameters);
  return 2 + plan.spread_rounds + plan.add_rounds;
}

ProtocolInfo matrix_product_protocol() {
  ProtocolInfo info;
  info.name = "matrix_product";
  info.program = "matrix_product_program";
  info.summary = "the product of two dense matrices, modulo 2^48";
  info.card =
      R"(Problem: an r x k matrix A and a k x r matrix B of signed numbers of 48 bits, row by row, A first, N = 2 r k words;
output the r x r product row by row, modulo 2^48 as signed numbers.
Guarantee: exact and deterministic.
Cost: R = 2 + ceil(log_f Gr) + ceil(log_f Gk) rounds with tiles of t x t, t = floor(sqrt(s / 2 f)),
f = max(2, ceil(N^(delta / 2))), Gr = ceil(r / t), Gk = ceil(k / t); at most s = kappa_s b words sent and received
by a machine, kappa_s = 8, raised to s >= 2 f; q = max(Gr^2 Gk, machines of input and output): O(N^(3/4)) for
square matrices at eps = 1/2, delta apart.
Source: the three-dimensional algorithm (Agarwal et al. 1995; for MapReduce Pietracaprina et al. 2012).)";
  info.rounds_formula = "2 + ceil(log_f Gr) + ceil(log_f Gk)";
  info.kappa_s = kDefaultKappa;
  info.options = {
      {"rows", "the largest divisor of N / 2 up to its root", "r, a divisor of N / 2 up to 2^15"}};
  info.make = [](const Parameters& parameters) { return std::make_unique<MatrixProduct>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return decode_input(word, protocol.shape());
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    return oracles::matrix_product(values, rows_of(parameters));
  };
  return info;
}

}  // namespace roundtrip::mpc
