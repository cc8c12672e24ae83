// Exact match and ANNA against the quadratic oracles, bit for bit, and what they must refuse.
#include "roundtrip/anna/attention/anna.h"
#include "roundtrip/anna/attention/exact_match.h"
#include "roundtrip/anna/attention/state_space.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <optional>

#include "anna/generators.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

SparseRows attend(Attention& attention, const Codebook& codebook, const HeadInput& head) {
  SparseRows out;
  attention.attend(codebook, head, out);
  return out;
}

HeadInput small_head() {
  HeadInput head{.tokens = 3, .queries = {0, {{0, 1}}}, .keys = {0, {{2, 1}}}, .values = {}};
  head.values.tokens = {2};
  head.values.offsets = {0, 1};
  head.values.entries = {{5, 7.0}};
  return head;
}

TableCodebook three_vectors() {
  return {2, {{1, 0}, {0, 1}, {0, 1}}};
}

TEST(ExactMatch, EqualsBruteForce) {
  EXPECT_TRUE(rc::check([] {
    const bool causal = *rc::gen::arbitrary<bool>();
    const auto attention = ExactMatch{causal}.make(), oracle = make_brute_force_exact_match(causal);
    for (int books = 0; books < 2;
         ++books) {  // the second book must not be answered from the first one's cache
      const TableCodebook codebook = random_codebook();
      for (int heads = 0; heads < 2; ++heads) {
        const HeadInput head = random_head(codebook, *rc::gen::element(4.0, 1e9, 9007199254740990.0));
        RC_ASSERT(equal(attend(*attention, codebook, head), attend(*oracle, codebook, head)));
      }
    }
  }));
}

TEST(Anna, EqualsBruteForce) {
  EXPECT_TRUE(rc::check([] {
    const AnnaParameters parameters{.tables = *rc::gen::inRange(1u, 8u),
                                    .functions = *rc::gen::element(1u, 2u, 5u, 64u, 65u, 130u),
                                    .seed = *rc::gen::arbitrary<std::uint64_t>(),
                                    .causal = *rc::gen::arbitrary<bool>()};
    const auto attention = make_anna(parameters), oracle = make_brute_force_anna(parameters);
    for (int books = 0; books < 2; ++books) {
      const TableCodebook codebook = random_codebook();
      for (int heads = 0; heads < 2; ++heads) {
        const HeadInput head = random_head(codebook, *rc::gen::element(4.0, 1e9, 9007199254740990.0));
        RC_ASSERT(equal(attend(*attention, codebook, head), attend(*oracle, codebook, head)));
      }
    }
  }));
}

TEST(StateSpace, EqualsBruteForce) {
  EXPECT_TRUE(rc::check([] {
    const auto attention = make_state_space(), oracle = make_brute_force_state_space();
    for (int books = 0; books < 2; ++books) {
      const TableCodebook codebook = random_codebook();
      for (int heads = 0; heads < 2; ++heads) {
        const HeadInput head = random_head(codebook, *rc::gen::element(4.0, 1e9, 9007199254740990.0));
        RC_ASSERT(equal(attend(*attention, codebook, head), attend(*oracle, codebook, head)));
      }
    }
  }));
}

TEST(StateSpace, HoldsTheLastValueOfAChannel) {
  // Channels: symbol 1 opens (reads) the first, 2 the second, 3 both, the second with weight 3; 0 none.
  const TableCodebook codebook{2, {{0, -1}, {1, 0}, {0, 1}, {1, 3}}};
  HeadInput head{.tokens = 5,
                 .queries = {0, {{0, 3}, {1, 3}, {2, 1}, {3, 3}, {4, 2}}},
                 .keys = {0, {{0, 1}, {1, 2}, {3, 1}}},
                 .values = {}};
  head.values.tokens = {0, 1, 2, 3};
  head.values.offsets = {0, 1, 2, 3, 4};
  head.values.entries = {{0, 8.0}, {0, 4.0}, {0, 99.0}, {0, 16.0}};
  const SparseRows out = attend(*make_state_space(), codebook, head);
  ASSERT_EQ(out.tokens, (std::vector<std::uint64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(out.row(0)[0].value, 8);  // the second channel is not open yet
  EXPECT_EQ(out.row(1)[0].value, (8 + 3 * 4) / 4.0);
  EXPECT_EQ(out.row(2)[0].value, 8);  // token 2 opened nothing
  EXPECT_EQ(out.row(3)[0].value, (16 + 3 * 4) / 4.0);
  EXPECT_EQ(out.row(4)[0].value, 4);
}

// Literal values, so that mechanism and oracle can't be wrong together.
TEST(ExactMatch, AveragesOverAllMatchingTokens) {
  HeadInput head = small_head();
  const auto attention = make_exact_match();
  SparseRows out = attend(*attention, three_vectors(), head);
  ASSERT_EQ(out.tokens, std::vector<std::uint64_t>{0});
  EXPECT_EQ(out.entries, (std::vector<Entry>{{5, 7.0}}));
  head.keys.listed.insert(head.keys.listed.begin(),
                          {1, 2});  // symbol 2 has symbol 1's vector: one more match, value 0
  out = attend(*attention, three_vectors(), head);
  EXPECT_EQ(out.entries, (std::vector<Entry>{{5, 3.5}}));
  head.queries = {
      2, {{1, 0}}};  // by default all ask for that vector; token 1 asks for token 0's key, whose value is 0
  out = attend(*attention, three_vectors(), head);
  EXPECT_EQ(out.tokens, (std::vector<std::uint64_t>{0, 2}));
  ASSERT_EQ(out.tokens.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_TRUE(std::ranges::equal(out.row(i), std::vector<Entry>{{5, 3.5}}));
}

TEST(ExactMatch, CausalQueriesMeetNoLaterKeys) {
  const TableCodebook codebook = three_vectors();
  HeadInput head{.tokens = 4, .queries = {0, {{1, 1}, {2, 2}}}, .keys = {0, {{0, 1}, {2, 2}}}, .values = {}};
  head.values.tokens = {0, 1, 2, 3};
  head.values.offsets = {0, 1, 2, 3, 4};
  head.values.entries = {{0, 3.0}, {0, 5.0}, {0, 9.0}, {0, 7.0}};
  // Vectors of queries: a b b a, of keys: b a b a. Symbols 1 and 2 are one vector.
  const SparseRows out = attend(*ExactMatch{true}.make(), codebook, head);
  EXPECT_EQ(out.tokens, (std::vector<std::uint64_t>{1, 2, 3}));  // token 0 has no key yet
  EXPECT_EQ(out.row(0)[0].value, 3);
  EXPECT_EQ(out.row(1)[0].value, 6);  // its own key counts
  EXPECT_EQ(out.row(2)[0].value, 6);
}

TEST(ExactMatch, DefaultKeysCountAsMatches) {
  HeadInput head = small_head();
  head.tokens = 1000;
  head.queries.default_symbol = 1;
  head.queries.listed = {{0, 0}};
  head.values.tokens = {500};  // an unlisted key: the default one
  const auto attention = make_exact_match();
  const SparseRows out = attend(*attention, three_vectors(), head);
  ASSERT_EQ(out.tokens, std::vector<std::uint64_t>{0});
  EXPECT_EQ(out.entries[0].value, 7.0 / 999);  // 1000 tokens less the one listed key
}

TEST(ExactMatch, SumsBeyondInt64AreExact) {
  // 4096 values of 2^53 - 1 sum to 2^65 - 2^12; two more of -1 make the sum inexact in double, and it must be
  // rounded once.
  HeadInput head{.tokens = 4098, .queries = {0, {{0, 1}}}, .keys = {1, {{0, 0}}}, .values = {}};
  head.tokens += 1;  // token 0 has a key of its own
  for (std::uint64_t t = 1; t < head.tokens; ++t) {
    head.values.tokens.push_back(t);
    head.values.entries.push_back({0, t <= 4096 ? 9007199254740991.0 : -1.0});
    head.values.offsets.push_back(t);
  }
  const auto attention = make_exact_match();
  const SparseRows out = attend(*attention, three_vectors(), head);
  __extension__ using Wide = __int128;
  const Wide sum = static_cast<Wide>(9007199254740991) * 4096 - 2;
  ASSERT_EQ(out.entries.size(), 1u);
  EXPECT_EQ(out.entries[0].value, static_cast<double>(sum) / 4098.0);
}

TEST(Attention, NothingToDoGivesNothing) {
  for (const auto& attention :
       {make_exact_match(), make_anna({.tables = 3, .functions = 2}), make_brute_force_exact_match(),
        make_brute_force_anna({.tables = 3, .functions = 2})}) {
    HeadInput head;
    EXPECT_TRUE(attend(*attention, three_vectors(), head).tokens.empty()) << attention->name();
    head.tokens = 5;
    EXPECT_TRUE(attend(*attention, three_vectors(), head).tokens.empty()) << attention->name();
    head.tokens = 1;
    head.values.tokens = {0};
    head.values.offsets = {0, 1};
    head.values.entries = {{0, 3.0}};
    const SparseRows out = attend(*attention, three_vectors(), head);
    ASSERT_EQ(out.tokens.size(), 1u) << attention->name();  // the default query meets the default key
    EXPECT_EQ(out.entries[0].value, 3.0) << attention->name();
  }
}

TEST(Attention, PermutingTokensPermutesOutputs) {
  EXPECT_TRUE(rc::check([] {
    const TableCodebook codebook = random_codebook();
    const HeadInput head = random_head(codebook, 100);
    const auto anna = make_anna({.tables = 3, .functions = 2, .seed = 5});
    const SparseRows out = attend(*anna, codebook, head);
    const std::uint64_t n = head.tokens;
    const auto mirror = [n](std::uint64_t token) { return n - 1 - token; };
    HeadInput turned{.tokens = n,
                     .queries = {head.queries.default_symbol, {}},
                     .keys = {head.keys.default_symbol, {}},
                     .values = {}};
    for (auto it = head.queries.listed.rbegin(); it != head.queries.listed.rend(); ++it) {
      turned.queries.listed.push_back({mirror(it->token), it->symbol});
    }
    for (auto it = head.keys.listed.rbegin(); it != head.keys.listed.rend(); ++it) {
      turned.keys.listed.push_back({mirror(it->token), it->symbol});
    }
    const auto turn = [&](const SparseRows& rows) {
      SparseRows result;
      for (std::size_t i = rows.tokens.size(); i-- > 0;) {
        result.tokens.push_back(mirror(rows.tokens[i]));
        result.entries.insert(result.entries.end(), rows.row(i).begin(), rows.row(i).end());
        result.offsets.push_back(result.entries.size());
      }
      return result;
    };
    turned.values = turn(head.values);
    RC_ASSERT(equal(attend(*anna, codebook, turned), turn(out)));
  }));
}

TEST(Attention, ACodebookAtTheAddressOfADeadOneIsAnother) {
  for (const auto& attention : {make_exact_match(), make_anna({.tables = 1, .functions = 40})}) {
    std::optional<TableCodebook> codebook;
    codebook.emplace(2, std::vector<std::vector<std::int32_t>>{{1, 0}, {0, 1}});
    EXPECT_EQ(attend(*attention, *codebook, small_head()).tokens.size(), 1u);
    HeadInput head = small_head();
    head.queries.listed = {{0, 0}};  // symbol 0 matches symbol 1 in the new book only
    head.keys.default_symbol = 2;
    codebook.emplace(2, std::vector<std::vector<std::int32_t>>{{0, 1}, {0, 1}, {-1, -1}});
    const SparseRows out = attend(*attention, *codebook, head);
    ASSERT_EQ(out.tokens.size(), 3u) << attention->name();
    EXPECT_EQ(out.entries[0].value, 7.0);
    const std::uint64_t identity = codebook->identity();
    *codebook = TableCodebook(2, {{1, 0}, {0, 1}, {-1, -1}});  // so is one that was assigned to
    EXPECT_NE(codebook->identity(), identity);
    EXPECT_TRUE(attend(*attention, *codebook, head).tokens.empty()) << attention->name();
  }
}

TEST(Attention, RefusesBrokenInput) {
  const auto refused = [](auto change) {
    for (const auto& attention : {make_exact_match(), make_anna({.tables = 2, .functions = 3})}) {
      HeadInput head = small_head();
      change(head);
      SparseRows out;
      EXPECT_THROW(attention->attend(three_vectors(), head, out), ContractError) << attention->name();
      EXPECT_NO_THROW(attention->attend(three_vectors(), small_head(), out)) << "usable after a refusal";
    }
  };
  refused([](HeadInput& h) { h.queries.default_symbol = 3; });
  refused([](HeadInput& h) { h.keys.listed[0].symbol = 3; });
  refused([](HeadInput& h) { h.keys.listed[0].token = 3; });
  refused([](HeadInput& h) { h.queries.listed.push_back({0, 1}); });
  refused([](HeadInput& h) { h.values.tokens[0] = 3; });
  refused([](HeadInput& h) { h.values.offsets = {0}; });
  refused([](HeadInput& h) { h.values.offsets = {0, 9}; });
  refused([](HeadInput& h) { h.values.entries[0].value = 0.5; });
  refused([](HeadInput& h) { h.values.entries[0].value = 9007199254740992.0; });
  refused([](HeadInput& h) { h.values.entries[0].value = std::nan(""); });
  refused([](HeadInput& h) { h.values.entries[0].value = -HUGE_VAL; });
  refused([](HeadInput& h) { h.values.entries.push_back({5, 1.0}), h.values.offsets[1] = 2; });
  refused([](HeadInput& h) { h.values.entries[0].column = 0xffffffff; });
  refused([](HeadInput& h) { h.tokens = std::uint64_t{1} << 62; });
}

TEST(AnnaParameters, AreValidated) {
  for (const AnnaParameters& bad :
       {AnnaParameters{.tables = 0}, AnnaParameters{.functions = 0}, AnnaParameters{.tables = (1u << 20) + 1},
        AnnaParameters{.functions = 1025}}) {
    EXPECT_THROW(make_anna(bad), ContractError);
    EXPECT_THROW(make_brute_force_anna(bad), ContractError);
  }
  const auto anna = make_anna({});
  HeadInput head{.tokens = 1, .queries = {}, .keys = {}, .values = {}};
  SparseRows out;
  EXPECT_THROW(anna->attend(TableCodebook(0, {{}}), head, out), ContractError);  // no dimension to hash
}

}  // namespace
}  // namespace roundtrip::anna
