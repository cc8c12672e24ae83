// The layers, and why each is right. Write p(i) = max({0} u {j < i : x_j = x_i}), the predecessor. For
// j >= 2, x_{j-1} = x_i and j <= i say that j - 1 < i is a position with x_i's word; so find_1(i) is
// p(i) + 1 if p(i) > 0, else 0. The search is for p(i), whose key is in j's own row: no layer is spent on
// learning a neighbour's word.
//
// Positions 1 .. N have a digits of base F, F^a >= N + 1, first digit the most significant; block_h(j) is
// the number of the first h - 1 digits (block_1 = 0 for all), digit_h(j) the next one.
//
// Layer 1, head h = 1 .. a: query (x_i, block_h(i)), key (x_j, block_h(j)), value one-hot at digit_h(j).
//   Output h of i is positive exactly at the digits c for which block_h(i) has a position with the word
//   x_i in its child c. Let (*): some c < digit_h(i) is positive. j < i iff at the first digit h where
//   they differ j's is smaller, so p(i) > 0 iff (*) holds for some h; of two positions before i the one
//   that differs from i later is the larger, so p(i) first differs from i at the deepest such h; and its
//   digit h is the largest positive c < digit_h(i). Known now: h digits of p(i).
// Layer t = 2 .. a, one head: query (x_i, the t - 1 known digits) of the tokens that know exactly t - 1,
//   others ask nothing; key (x_j, block_t(j)), value one-hot at digit_t(j). All positions of that block
//   precede i (their first differing digit is smaller), p(i) is one of them and the last with x_i's word;
//   so its digit t is the largest positive one. After layer a every token knows a digits or has no
//   predecessor.
// Doubling t = 1 .. D = ceil(log2 k), two heads: P = find_{2^(t-1)}, A = find_{k mod 2^(t-1)} (nothing yet
//   if that is 0). Query P(i), key j, value P(j) gives P(P(i)); query A(i), same key and value, gives
//   P(A(i)), taken if bit t - 1 of k is set (A := P if there is no A yet). Positions are distinct keys: an
//   average has one term. After D layers A = find_{k mod 2^D}, so find_k = P if k = 2^D, else A. 0 is no
//   key: find(0) = 0 without asking.
// Last layer, one head: query find_k(i), key j, value x_j + 1.
//
// An average of integers with one term is that integer (exact below 2^50); P and x + 1 are rounded
// half-even to integers, so that rows hold integers whatever a false collision of ANNA may have mixed in.
//
// Tolerant, a = 1: a child of layer 1 is a single position, and a token's own key collides with its query
// in all tables, so a position with an equal word has exactly the own position's weight, others less
// unless they collide in all tables, too. P and x + 1 travel spread by their keys' vectors.
#include "roundtrip/simulate/native/k_hop.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/simulate/native/parity_codebook.h"
#include "roundtrip/simulate/native/spread.h"

namespace roundtrip::simulate {
namespace {

constexpr std::uint64_t kMaxN = std::uint64_t{1} << 24;
constexpr std::uint64_t kMaxK = std::uint64_t{1} << 62;
constexpr std::uint32_t kMaxLevels = 24;
constexpr std::uint32_t kMaxWordBits = 47;  // x + 1 fits the 48 bits of an output word

// Columns of a row after the first two (kPresentColumn, kWordColumn).
enum SearchColumn : std::uint32_t {
  kKnownColumn = 2,
  kPrefixColumn = 3
};  // digits of p(i) known, their number
enum PointerColumn : std::uint32_t { kPowerColumn = 2, kAccumulatorColumn = 3 };
constexpr std::uint32_t kRowDimension = 4;

std::uint64_t integer(double value) {
  return static_cast<std::uint64_t>(std::nearbyint(value));
}  // half to even

std::uint64_t power(std::uint64_t base, std::uint32_t exponent) {
  std::uint64_t result = 1;
  while (exponent-- > 0) result *= base;
  return result;
}

// Numbers that all layers share, as functions of the options.
struct Plan {
  explicit Plan(const KHopOptions& chosen)
      : options(chosen), fan(k_hop_fan(chosen)), doublings(ceil_log(2, chosen.k)) {}

  static std::uint64_t position(const anna::RowView& row) { return row.token + 1; }
  // Block of level h = 1 .. a that holds `at`, and the digit of its child.
  std::uint64_t block(std::uint64_t at, std::uint32_t h) const {
    return at / power(fan, options.levels + 1 - h);
  }
  std::uint64_t digit(std::uint64_t at, std::uint32_t h) const {
    return at / power(fan, options.levels - h) % fan;
  }
  std::uint32_t block_bits() const { return bits_for(power(fan, options.levels - 1)); }
  anna::Symbol pair(std::uint64_t word, std::uint64_t block_number) const {
    return block_number << options.word_bits | word;
  }

  KHopOptions options;
  std::uint64_t fan;
  std::uint32_t doublings;
};

// Of a codebook: symbols below half of its size are data, these two are not.
class NativeLayer : public anna::Layer {
 public:
  NativeLayer(const Plan& plan, std::shared_ptr<const ParityCodebook> codebook)
      : plan_(plan), codebook_(std::move(codebook)) {}
  const anna::Codebook& codebook() const override { return *codebook_; }
  anna::Symbol null_key() const override { return codebook_->size() / 2; }
  anna::Symbol null_query() const override { return codebook_->size() / 2 + 1; }

 protected:
  anna::LayerShape shape_with(std::uint32_t heads, std::uint64_t value_dimension) const {
    return {.heads = heads,
            .query_dimension = ParityCodebook::kDimension,
            .value_dimension = static_cast<std::uint32_t>(value_dimension),
            .output_dimension = kRowDimension};
  }
  Plan plan_;

 private:
  std::shared_ptr<const ParityCodebook> codebook_;
};

// Layers 1 .. a: the digits of the predecessor.
class SearchLayer final : public NativeLayer {
 public:
  SearchLayer(const Plan& plan, std::shared_ptr<const ParityCodebook> pairs, std::uint32_t number)
      : NativeLayer(plan, std::move(pairs)), number_(number) {}

  anna::LayerShape shape() const override {
    return shape_with(number_ == 1 ? plan_.options.levels : 1, plan_.fan);
  }
  void project(const anna::RowView& row, anna::Projection& out) const override {
    if (row[kPresentColumn] == 0) return;
    const std::uint64_t word = integer(row[kWordColumn]);
    require(word >> plan_.options.word_bits == 0, "k_hop: the word of token {} is {}; it must fit {} bits",
            row.token, word, plan_.options.word_bits);
    const std::uint64_t at = plan_.position(row);
    for (std::uint32_t head = 0; head < shape().heads; ++head) {
      const std::uint32_t level = number_ + head;
      out.key(head, plan_.pair(word, plan_.block(at, level)));
      out.value(head, static_cast<std::uint32_t>(plan_.digit(at, level)), 1);
      if (number_ == 1) {
        out.query(head, plan_.pair(word, plan_.block(at, level)));
      } else if (row[kKnownColumn] == number_ - 1) {
        out.query(head, plan_.pair(word, integer(row[kPrefixColumn])));
      }
    }
  }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    if (row[kPresentColumn] == 0) return;
    const std::uint64_t at = plan_.position(row);
    double known = row[kKnownColumn];
    std::uint64_t prefix = integer(row[kPrefixColumn]);
    if (number_ == 1) {
      for (std::uint32_t level = plan_.options.levels; level >= 1 && known == 0; --level) {
        const auto children = heads.head(level - 1);
        const std::uint64_t own = plan_.digit(at, level);
        if (const auto digit =
                last_child(children, own, plan_.options.tolerant ? weight(children, own) : 0)) {
          known = level;
          prefix = plan_.block(at, level) * plan_.fan + *digit;
        }
      }
    } else if (known == number_ - 1) {
      if (const auto digit = last_child(heads.head(0), plan_.fan, 0)) {
        known = number_;
        prefix = prefix * plan_.fan + *digit;
      }
    }
    out.set(kPresentColumn, 1);
    out.set(kWordColumn, row[kWordColumn]);
    if (number_ < plan_.options.levels) {
      out.set(kKnownColumn, known);
      out.set(kPrefixColumn, static_cast<double>(prefix));
    } else if (known == plan_.options.levels) {
      out.set(kPowerColumn, static_cast<double>(prefix + 1));
    }
  }

 private:
  static double weight(anna::EntryView children, std::uint64_t child) {
    for (const anna::Entry& entry : children) {
      if (entry.column == child) return entry.value;
    }
    return 0;
  }
  // The last child below `end` that holds something, and no less than `least`.
  static std::optional<std::uint64_t> last_child(anna::EntryView children, std::uint64_t end, double least) {
    for (std::size_t i = children.size(); i-- > 0;) {
      const auto& [column, value] = children[i];
      if (column < end && value > 0 && value >= least) return column;
    }
    return std::nullopt;
  }
  std::uint32_t number_;
};

// Every token is the key of its own position (symbol: its number, position - 1) and carries one number, which
// whoever asks for the position gets.
class PointerLayer : public NativeLayer {
 protected:
  PointerLayer(const Plan& plan, std::shared_ptr<const ParityCodebook> positions, std::uint32_t number_bits)
      : NativeLayer(plan, positions), spreader_(*positions, number_bits) {}

  std::uint32_t value_dimension() const { return plan_.options.tolerant ? Spreader::value_dimension() : 1; }
  void carry(const anna::RowView& row, double number, std::uint32_t head, anna::Projection& out) const {
    out.key(head, row.token);
    if (!plan_.options.tolerant) {
      out.value(head, 0, number);
      return;
    }
    spreader_.encode(row.token, integer(number),
                     [&](std::uint32_t column, double value) { out.value(head, column, value); });
  }
  // `asked` is a position, 0: nothing was asked. The number is 0 if nobody holds the position.
  static void ask(double asked, std::uint32_t head, anna::Projection& out) {
    if (asked != 0) out.query(head, integer(asked) - 1);
  }
  double fetched(double asked, anna::EntryView average) const {
    if (asked == 0 || average.empty()) return 0;
    return plan_.options.tolerant ? static_cast<double>(spreader_.decode(integer(asked) - 1, average))
                                  : std::nearbyint(average[0].value);
  }

 private:
  Spreader spreader_;  // refers to the codebook that NativeLayer keeps
};

// One squaring of P and, at a set bit of k, one step of A.
class DoublingLayer final : public PointerLayer {
 public:
  DoublingLayer(const Plan& plan, std::shared_ptr<const ParityCodebook> positions, std::uint32_t number)
      : PointerLayer(plan, std::move(positions), bits_for(plan.options.n + 1)),
        step_((plan.options.k >> (number - 1) & 1) != 0),
        first_step_(plan.options.k % (std::uint64_t{1} << (number - 1)) == 0) {}

  anna::LayerShape shape() const override { return shape_with(2, value_dimension()); }
  void project(const anna::RowView& row, anna::Projection& out) const override {
    if (row[kPresentColumn] == 0) return;
    for (const std::uint32_t head : {0, 1}) {
      carry(row, row[kPowerColumn], head, out);
      ask(row[head == 0 ? kPowerColumn : kAccumulatorColumn], head, out);
    }
  }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    if (row[kPresentColumn] == 0) return;
    const double power = row[kPowerColumn], accumulator = row[kAccumulatorColumn];
    out.set(kPresentColumn, 1);
    out.set(kWordColumn, row[kWordColumn]);
    out.set(kPowerColumn, fetched(power, heads.head(0)));
    out.set(kAccumulatorColumn, !step_        ? accumulator
                                : first_step_ ? power
                                              : fetched(accumulator, heads.head(1)));
  }

 private:
  bool step_, first_step_;
};

class FetchLayer final : public PointerLayer {
 public:
  FetchLayer(const Plan& plan, std::shared_ptr<const ParityCodebook> positions)
      : PointerLayer(plan, std::move(positions), plan.options.word_bits + 1),
        found_column_(plan.options.k == std::uint64_t{1} << plan.doublings ? kPowerColumn
                                                                           : kAccumulatorColumn) {}

  anna::LayerShape shape() const override {
    anna::LayerShape result = shape_with(1, value_dimension());
    result.output_dimension = kOutputDimension;
    return result;
  }
  void project(const anna::RowView& row, anna::Projection& out) const override {
    if (row[kPresentColumn] == 0) return;
    carry(row, row[kWordColumn] + 1, 0, out);
    ask(row[found_column_], 0, out);
  }
  void update(const anna::RowView& row, const anna::HeadOutputs& heads, anna::RowWriter& out) const override {
    if (row[kPresentColumn] == 0) return;
    const double found = row[found_column_], word_and_one = fetched(found, heads.head(0));
    if (found != 0 && word_and_one == 0) {  // nobody holds the position: no array of the layers before
      out.set(kOutputFaultColumn, static_cast<double>(FaultKind::kUndecodable));
      return;
    }
    out.set(kPresentColumn, 1);
    out.set(kWordColumn, word_and_one);
  }

 private:
  std::uint32_t found_column_;
};

}  // namespace

void KHopOptions::validate() const {
  require(n >= 1 && n <= kMaxN, "k_hop: n is {}; allowed are 1 .. {}", n, kMaxN);
  require(k >= 1 && k <= kMaxK, "k_hop: k is {}; allowed are 1 .. {}", k, kMaxK);
  require(levels >= 1 && levels <= kMaxLevels, "k_hop: levels is {}; allowed are 1 .. {}", levels,
          kMaxLevels);
  require(word_bits >= 1 && word_bits <= kMaxWordBits, "k_hop: word_bits is {}; allowed are 1 .. {}",
          word_bits, kMaxWordBits);
  const std::uint32_t block_bits = Plan(*this).block_bits();
  require(word_bits + block_bits < ParityCodebook::kMaxBits,
          "k_hop: word_bits is {}; with n = {} and levels = {} at most {} are allowed", word_bits, n, levels,
          ParityCodebook::kMaxBits - 1 - block_bits);
  require(!tolerant || levels == 1, "k_hop: a tolerant network has levels = 1, not {}", levels);
}

std::uint64_t k_hop_fan(const KHopOptions& options) {
  const std::uint64_t least = ceil_power(options.n + 1, Rational(1, options.levels));
  return options.binary ? std::uint64_t{1} << bits_for(least) : least;
}

anna::Transformer make_k_hop(const KHopOptions& options) {
  options.validate();
  const Plan plan(options);
  // One bit more than the data needs, for the two null symbols.
  const auto pairs =
      std::make_shared<ParityCodebook>(options.word_bits + plan.block_bits() + 1, options.seed);
  const auto positions = std::make_shared<ParityCodebook>(bits_for(options.n) + 1, options.seed);
  anna::Transformer result{.tokens = options.n, .input_dimension = 2, .layers = {}};
  for (std::uint32_t t = 1; t <= options.levels; ++t) {
    result.layers.push_back(std::make_shared<SearchLayer>(plan, pairs, t));
  }
  for (std::uint32_t t = 1; t <= plan.doublings + seeded("doubling-too-many"); ++t) {
    result.layers.push_back(std::make_shared<DoublingLayer>(plan, positions, t));
  }
  result.layers.push_back(std::make_shared<FetchLayer>(plan, positions));
  return result;
}

TransformerSizes k_hop_sizes(const KHopOptions& options) {
  options.validate();
  const std::uint64_t fan = k_hop_fan(options);
  const std::uint64_t dimension = 128;
  const std::uint64_t doublings = ceil_log(2, options.k);
  return {.depth = options.levels + doublings + 1,
          .heads = std::max<std::uint64_t>(options.levels, doublings > 0 ? 2 : 1),
          .query_dimension = dimension,
          .value_dimension = std::max(fan, options.tolerant ? dimension : 1),
          .embedding_dimension = kOutputDimension,
          .width = std::max(options.levels * std::max(fan, dimension), (doublings > 0 ? 2 : 1) * dimension)};
}

anna::AnnaParameters k_hop_tables(const KHopOptions& options, double eta, std::uint32_t tables) {
  options.validate();
  // C(U_pairs, 2) + C(U_positions, 2) <= C(U_pairs + U_positions, 2): one union bound for both codebooks.
  return symbol_tables((options.levels + 1) * options.n, eta, options.seed, tables);
}

}  // namespace roundtrip::simulate
