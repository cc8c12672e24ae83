// Evaluation of transformers: maps see their token's row alone, rows in any order, twice, and mechanisms
// exchanged.
#include "roundtrip/anna/transformer/transformer.h"
#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/attention/exact_match.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "roundtrip/anna/attention/identity.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

// Row: columns 0 = word, 1 = id of whom to read. Two heads: head 0 reads the word of `to`, head 1 that of
// `to` + 1.
class ReadingLayer : public Layer {
 public:
  explicit ReadingLayer(std::uint64_t tokens) : tokens_(tokens), ids_(2 * tokens + 2, 5) {}
  LayerShape shape() const override {
    return {.heads = 2, .query_dimension = 128, .value_dimension = 2, .output_dimension = 3};
  }
  const Codebook& codebook() const override { return ids_; }
  Symbol null_query() const override { return 2 * tokens_; }
  Symbol null_key() const override { return 2 * tokens_ + 1; }
  void project(const RowView& row, Projection& out) const override {
    for (std::uint32_t head = 0; head < 2; ++head) {
      out.key(head, row.token);
      out.value(head, 0, 1);
      out.value(head, 1, row[0]);
      if (row[1] >= 0) out.query(head, static_cast<Symbol>(row[1]) + head);
    }
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    const auto read = [&](std::uint32_t head) {
      return heads.head(head).empty() ? -1.0 : heads.head(head).back().value;
    };
    out.set(0, row[0] + read(0));
    out.set(1, row[1]);
    out.set(2, read(1) + 100 * static_cast<double>(heads.nonzero_heads().size()));
  }

 private:
  std::uint64_t tokens_;
  IdentityCodebook ids_;
};

Activations random_array(std::uint64_t tokens) {
  Activations array = Activations::with_dimension(3);
  for (std::uint64_t t = 0; t < tokens; ++t) {
    array.append_row(
        std::vector<Entry>{{0, double(*rc::gen::inRange(1, 1000))},
                           {1, double(*rc::gen::inRange<std::int64_t>(-1, std::int64_t(tokens)))}});
  }
  return array;
}

TEST(Evaluate, FollowsTheDefinition) {
  ReadingLayer layer(3);
  Activations array = Activations::with_dimension(3);
  array.append_row(std::vector<Entry>{{0, 10}, {1, 2}});   // reads token 2, and nobody
  array.append_row(std::vector<Entry>{{0, 20}, {1, -1}});  // reads nobody
  array.append_row(std::vector<Entry>{{0, 30}, {1, 0}});   // reads tokens 0 and 1
  const auto attention = make_exact_match();
  const Activations next = evaluate(layer, *attention, array);
  ASSERT_EQ(next.tokens(), 3u);
  EXPECT_EQ(next.row(0)[0], 40);
  EXPECT_EQ(next.row(0)[2], 99);
  EXPECT_EQ(next.row(1)[0], 19);
  EXPECT_EQ(next.row(1)[2], -1);
  EXPECT_EQ(next.row(2)[0], 40);
  EXPECT_EQ(next.row(2)[2], 220);
}

TEST(Evaluate, OrderTwiceAndMechanismChangeNothing) {
  EXPECT_TRUE(rc::check([] {
    const auto tokens = *rc::gen::inRange<std::uint64_t>(1, 20);
    const auto layer = std::make_shared<ReadingLayer>(tokens);
    const Transformer transformer{tokens, 3, {layer, layer, layer}};
    const Activations input = random_array(tokens);
    const auto exact = make_exact_match(), brute = make_brute_force_exact_match();
    const auto anna = make_anna(verified_draw(layer->codebook(), 40, 1).parameters);
    std::vector<Activations> seen;
    const Activations expected =
        evaluate(transformer, *exact, input,
                 {.twice = false, .observe = [&](std::size_t done, const Activations& array) {
                    RC_ASSERT(done == seen.size());
                    seen.push_back(array);
                  }});
    RC_ASSERT(seen.size() == 4u);
    RC_ASSERT(seen.front() == input);
    RC_ASSERT(seen.back() == expected);
    RC_ASSERT(evaluate(transformer, *exact, input,
                       {.order_seed = *rc::gen::arbitrary<std::uint64_t>(), .twice = true}) == expected);
    RC_ASSERT(evaluate(transformer, *brute, input) == expected);
    RC_ASSERT(evaluate(transformer, *anna, input) == expected);
  }));
}

TEST(Evaluate, APerturbedRowReachesItsReadersAlone) {
  EXPECT_TRUE(rc::check([] {
    const auto tokens = *rc::gen::inRange<std::uint64_t>(2, 20);
    ReadingLayer layer(tokens);
    const Activations array = random_array(tokens);
    const auto victim = *rc::gen::inRange<std::uint64_t>(0, tokens);
    Activations other = Activations::with_dimension(3);
    for (std::uint64_t t = 0; t < tokens; ++t) {
      std::vector<Entry> row(array.row(t).entries.begin(), array.row(t).entries.end());
      if (t == victim) row[0].value += 5000;
      other.append_row(row);
    }
    const auto attention = make_exact_match();
    const Activations before = evaluate(layer, *attention, array), after = evaluate(layer, *attention, other);
    for (std::uint64_t t = 0; t < tokens; ++t) {
      const double to = array.row(t)[1];
      const bool reads = t == victim || (to >= 0 && (to == double(victim) || to + 1 == double(victim)));
      RC_ASSERT((before.row(t).entries.size() != after.row(t).entries.size() ||
                 !std::equal(before.row(t).entries.begin(), before.row(t).entries.end(),
                             after.row(t).entries.begin())) == reads);
    }
  }));
}

// Queries and keys computed from the row: Match2 on small numbers, which are no symbols of the codebook.
class ComputingLayer final : public ReadingLayer {
 public:
  explicit ComputingLayer(std::uint64_t tokens, std::size_t coordinates = 128)
      : ReadingLayer(tokens), coordinates_(coordinates) {}
  void project(const RowView& row, Projection& out) const override {
    std::vector<std::int32_t> vector(coordinates_, 0);
    vector[0] = static_cast<std::int32_t>(row[0]);
    out.query(0, out.intern(vector));
    vector[0] = -vector[0];
    out.key(0, out.intern(vector));
    out.value(0, 0, 1);
  }
  void update(const RowView&, const HeadOutputs& heads, RowWriter& out) const override {
    out.set(0, heads.head(0).empty() ? 0 : 1);
  }

 private:
  std::size_t coordinates_;
};

TEST(Evaluate, TakesQueriesAndKeysComputedFromTheRow) {
  Activations array = Activations::with_dimension(3);
  for (const double x : {5., 3., -5., 0., 7., -7.}) array.append_row(std::vector<Entry>{{0, x}});
  for (const auto& attention : {make_exact_match(), make_brute_force_exact_match()}) {
    for (int repeat = 0; repeat < 2;
         ++repeat) {  // the same mechanism again: nothing is left over from the first time
      const Activations next =
          evaluate(ComputingLayer(6), *attention, array, {.order_seed = 3, .twice = true});
      for (std::uint64_t t = 0; t < 6; ++t)
        EXPECT_EQ(next.row(t)[0], t == 1 ? 0 : 1) << t << attention->name();
    }
  }
  EXPECT_THROW(evaluate(ComputingLayer(6, 127), *make_exact_match(), array), ContractError);
}

// A map that keeps state between calls: `twice` must notice, in both maps.
class StatefulLayer final : public ReadingLayer {
 public:
  StatefulLayer(std::uint64_t tokens, bool in_update) : ReadingLayer(tokens), in_update_(in_update) {}
  void project(const RowView& row, Projection& out) const override {
    ReadingLayer::project(RowView{in_update_ ? row.token : calls_++ % 4, row.entries}, out);
  }
  void update(const RowView& row, const HeadOutputs& heads, RowWriter& out) const override {
    ReadingLayer::update(row, heads, out);
    if (in_update_ && row.token == last_ + 1)
      out.clear();  // knows that the row before was evaluated just now
    last_ = row.token;
  }

 private:
  bool in_update_;
  mutable std::uint64_t calls_ = 0, last_ = 0;
};

TEST(Evaluate, TwiceNoticesStateInAMap) {
  const Activations array(6, 3);
  const auto attention = make_exact_match();
  for (const bool in_update : {false, true}) {
    EXPECT_NO_THROW(evaluate(StatefulLayer(6, in_update), *attention, array));
    EXPECT_THROW(evaluate(StatefulLayer(6, in_update), *attention, array, {.twice = true}), InternalError);
  }
}

// Row: 0 = the vector asked for, 1 = the own one (others may have it, too), 2 = a number that may be absent,
// 3..6 = head 0's value, to which the number is added behind; head 1's value is all of this; 7 is nobody's.
class LendingLayer final : public ReadingLayer {
 public:
  explicit LendingLayer(std::uint64_t tokens) : ReadingLayer(tokens) {}
  LayerShape shape() const override {
    return {.heads = 2, .query_dimension = 128, .value_dimension = 7, .output_dimension = 15};
  }
  void project(const RowView& row, Projection& out) const override {
    out.keys(2, static_cast<Symbol>(row[1]));
    out.queries(std::vector<Symbol>(2, static_cast<Symbol>(row[0])));
    const auto from = [&](std::uint32_t column) {
      return static_cast<std::size_t>(std::ranges::lower_bound(row.entries, column, {}, &Entry::column) -
                                      row.entries.begin());
    };
    out.values(0, row.entries.subspan(from(3), from(7) - from(3)), 3);
    if (row[2] != 0) out.value(0, 6, row[2]);
    out.values(1, row.entries.first(from(7)), 0);
  }
  void update(const RowView&, const HeadOutputs& heads, RowWriter& out) const override {
    for (const std::uint32_t head : heads.nonzero_heads()) {
      for (const Entry& entry : heads.head(head)) out.set(7 * head + entry.column, entry.value);
    }
    out.set(14, static_cast<double>(heads.nonzero_heads().size()));
  }
};

TEST(Evaluate, ValuesThatStandInTheRowAreLentAndTheSame) {
  EXPECT_TRUE(rc::check([] {
    const auto tokens = *rc::gen::inRange<std::uint64_t>(1, 16);
    const LendingLayer layer(tokens);
    const bool integers = *rc::gen::arbitrary<bool>();  // else no value may be borrowed
    const bool numbers = *rc::gen::arbitrary<bool>();   // else all of head 0's values are borrowed
    Activations array = Activations::with_dimension(8);
    for (std::uint64_t t = 0; t < tokens; ++t) {
      std::vector<Entry> row;
      for (std::uint32_t column = 0; column < 2; ++column)
        row.push_back({column, double(*rc::gen::inRange<std::uint64_t>(0, 2 * tokens))});
      row.push_back({2, numbers && *rc::gen::inRange(0, 4) == 0 ? 9007199254740991.0 : 0});
      const bool silent = *rc::gen::arbitrary<bool>();  // a key without a value
      for (std::uint32_t column = 3; column < 7; ++column)
        row.push_back({column, silent ? 0 : double(*rc::gen::inRange(-2, 3))});
      if (!integers) row.push_back({7, 0.5});
      array.append_row(row);
    }
    const auto exact = make_exact_match(), brute = make_brute_force_exact_match();
    const Activations expected = evaluate(layer, *brute, array);
    RC_ASSERT(evaluate(layer, *exact, array) == expected);
    RC_ASSERT(evaluate(layer, *exact, array, {.order_seed = 3, .twice = true, .observe = {}}) == expected);
    const AnnaParameters one{.tables = 1, .functions = 3, .seed = 4},
        three{.tables = 3, .functions = 3, .seed = 4};
    for (const AnnaParameters& parameters : {one, three}) {
      RC_ASSERT(evaluate(layer, *make_anna(parameters), array) ==
                evaluate(layer, *make_brute_force_anna(parameters), array));
    }
  }));
}

// Layers that break the contract in one way each.
class BrokenLayer final : public ReadingLayer {
 public:
  explicit BrokenLayer(int defect) : ReadingLayer(2), defect_(defect) {}
  LayerShape shape() const override {
    LayerShape shape = ReadingLayer::shape();
    if (defect_ == 0) shape.query_dimension = 127;
    return shape;
  }
  void project(const RowView&, Projection& out) const override {
    switch (defect_) {
      case 1:
        out.key(2, 0);
        break;
      case 2:
        out.key(0, 1), out.key(0, 1);
        break;
      case 3:
        out.query(0, 6);
        break;
      case 4:
        out.value(0, 2, 1);
        break;
      case 5:
        out.value(0, 1, 1), out.value(1, 0, 1), out.value(0, 1, 1);
        break;
      case 6:
        out.value(0, 0, 0.5);
        break;
      case 7:
        out.value(0, 0, 9007199254740992.0);
        break;
      case 8:
        out.value(2, 0, 1);
        break;
      default:
        break;
    }
  }
  void update(const RowView&, const HeadOutputs& heads, RowWriter& out) const override {
    if (defect_ == 9) out.set(3, 1);
    if (defect_ == 10) out.set(1, 1), out.set(0, 1);
    if (defect_ == 11) heads.head(2);
  }

 private:
  int defect_;
};

TEST(Evaluate, RefusesMapsThatBreakTheContract) {
  const auto attention = make_exact_match();
  for (int defect = 0; defect <= 11; ++defect) {
    EXPECT_THROW(evaluate(BrokenLayer(defect), *attention, Activations(2, 3)), ContractError) << defect;
  }
  EXPECT_NO_THROW(evaluate(BrokenLayer(12), *attention, Activations(2, 3)));
}

TEST(Evaluate, RefusesAnArrayOfAnotherShape) {
  const Transformer transformer{3, 3, {std::make_shared<ReadingLayer>(3)}};
  const auto attention = make_exact_match();
  EXPECT_THROW(evaluate(transformer, *attention, Activations(2, 3)), ContractError);
  EXPECT_THROW(evaluate(transformer, *attention, Activations(3, 2)), ContractError);
}

TEST(Transformer, ReportsItsSizes) {
  const Transformer transformer{3, 7, {std::make_shared<ReadingLayer>(3), std::make_shared<ReadingLayer>(3)}};
  EXPECT_EQ(transformer.depth(), 2u);
  EXPECT_EQ(transformer.heads(), 2u);
  EXPECT_EQ(transformer.embedding_dimension(), 7u);
  EXPECT_EQ(transformer.width(), 256u);
}

}  // namespace
}  // namespace roundtrip::anna
