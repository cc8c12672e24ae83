// k-hop by a state-space transformer of k + 1 layers and as many channels as there are symbols.
#include "roundtrip/anna/attention/state_space.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/base/random.h"

namespace roundtrip::anna {
namespace {

class OneZeroVector final : public Codebook {
 public:
  explicit OneZeroVector(std::uint32_t dimension) : dimension_(dimension) {}
  std::uint32_t dimension() const override { return dimension_; }
  Symbol size() const override { return 1; }
  void vector(Symbol, std::span<std::int32_t> out) const override { std::ranges::fill(out, 0); }

 private:
  std::uint32_t dimension_;
};

/// Rows (symbol + 1, symbol of the token before + 1, hops so far + 1), 0 for none. The first layer brings the token
/// before: tokens of even and odd number write to a channel each. Every other layer hops once: a token writes what it
/// has found to the channel of the symbol before it, and reads the channel of its own symbol.
class Hop final : public Layer {
 public:
  Hop(std::uint32_t symbols, bool first)
      : channels_(first ? 2 : symbols), first_(first), codebook_(channels_) {}
  LayerShape shape() const override {
    return {.heads = 1, .query_dimension = channels_, .value_dimension = 1, .output_dimension = 3};
  }
  const Codebook& codebook() const override { return codebook_; }
  Symbol null_query() const override { return 0; }
  Symbol null_key() const override { return 0; }
  void project(const RowView& row, Projection& out) const override {
    const auto channel = [&](std::uint64_t number) {
      std::vector<std::int32_t> vector(channels_, 0);
      vector[number] = 1;
      return out.intern(vector);
    };
    const auto symbol = static_cast<std::uint64_t>(row[0]) - 1, before = static_cast<std::uint64_t>(row[1]);
    if (first_ || before > 0) out.key(0, channel(first_ ? row.token % 2 : before - 1));
    out.query(0, channel(first_ ? (row.token + 1) % 2 : symbol));
    const double value = first_ ? row[0] : row[2];
    if (value != 0) out.value(0, 0, value);
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    const double found = heads.head(0).value(0);
    out.set(0, row[0]);
    out.set(1, first_ ? found : row[1]);
    out.set(2, first_ ? row[0] : found);
  }

 private:
  std::uint32_t channels_;
  bool first_;
  OneZeroVector codebook_;
};

/// By the definition: k times to the place after the latest earlier place of one's symbol.
double k_hop(const std::vector<std::uint32_t>& x, std::size_t i, std::uint32_t k) {
  for (; k > 0; --k) {
    std::size_t j = i;
    while (j > 0 && x[j - 1] != x[i]) --j;
    if (j == 0) return 0;
    i = j;  // one after place j - 1
  }
  return x[i] + 1;
}

TEST(StateSpace, HopsExactlyInAsManyLayers) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const auto symbols = static_cast<std::uint32_t>(1 + draw_below(6, seed, Domain::kTest, 0));
    const auto k = static_cast<std::uint32_t>(1 + draw_below(4, seed, Domain::kTest, 1));
    const std::uint64_t n = 1 + draw_below(40, seed, Domain::kTest, 2);
    std::vector<std::uint32_t> x;
    Activations input = Activations::with_dimension(3);
    for (std::uint64_t i = 0; i < n; ++i) {
      x.push_back(static_cast<std::uint32_t>(draw_below(symbols, seed, Domain::kTest, 3, i)));
      input.append_row(std::vector<Entry>{{0, x.back() + 1.0}});
    }
    Transformer transformer{.tokens = n, .input_dimension = 3, .layers = {}};
    for (std::uint32_t l = 0; l <= k; ++l)
      transformer.layers.push_back(std::make_shared<Hop>(symbols, l == 0));
    const auto attention = make_state_space();
    const Activations rows = evaluate(transformer, *attention, input);
    for (std::uint64_t i = 0; i < n; ++i) EXPECT_EQ(rows.row(i)[2], k_hop(x, i, k)) << seed << ' ' << i;
  }
}

}  // namespace
}  // namespace roundtrip::anna
