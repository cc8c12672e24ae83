// The packet codes: exhaustive over source sets at every q <= 9 and s <= 3 for both codes, the variance test
// as a negative control, source 0, exactness at the limits, and random properties.
#include "roundtrip/simulate/compile/packet_code.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"

namespace roundtrip::simulate {
namespace {

__extension__ using Wide = unsigned __int128;

/// What a head returns for these packets: S / T per column, each rounded once. Written from the definition.
std::vector<anna::Entry> average_of(const PacketCoder& coder, const std::vector<Packet>& packets) {
  std::map<std::uint32_t, Wide> sums;
  for (const Packet& packet : packets) {
    coder.encode(packet.source, packet.word, [&](std::uint32_t column, double value) {
      EXPECT_LT(column, coder.value_dimension());
      sums[column] += static_cast<Wide>(value);
    });
  }
  std::vector<anna::Entry> average;
  for (const auto& [column, sum] : sums) {
    if (sum != 0) average.push_back({column, static_cast<double>(sum) / static_cast<double>(packets.size())});
  }
  return average;
}

/// Random words, or words whose averages agree with each other, so that only the ids can tell writers apart.
enum class Words { kRandom, kEqual, kLinear };

std::vector<Packet> packets_of(std::uint64_t set, Words words) {
  std::vector<Packet> packets;
  for (std::uint32_t j = 0; set >> j != 0; ++j) {
    if ((set >> j & 1) == 0) continue;
    packets.push_back({j, words == Words::kEqual    ? 6
                          : words == Words::kLinear ? 6 * j
                                                    : draw(7, Domain::kTest, set, j) >> 16});
  }
  return packets;
}

struct Count {
  std::uint64_t cases = 0, overloaded = 0, rejected = 0, wrong = 0;
};

/// Every set of at most q sources with all three kinds of words.
Count exhaust(PacketCode code, std::uint64_t q, std::uint64_t s, bool variance_test) {
  const PacketCoder coder(code, q, s, variance_test);
  Count count;
  for (std::uint64_t set = 0; set < (1ull << q); ++set) {
    for (const Words words : {Words::kRandom, Words::kEqual, Words::kLinear}) {
      const std::vector<Packet> sent = packets_of(set, words);
      std::vector<Packet> got;
      const DecodeError fault = coder.decode(average_of(coder, sent), got);
      const bool overload = sent.size() > std::min(q, s);
      ++count.cases;
      count.overloaded += overload;
      count.rejected += fault != DecodeError::kNone;
      count.wrong += fault == DecodeError::kNone && got != sent;
      if (!overload) {
        EXPECT_EQ(fault, DecodeError::kNone) << "q " << q << " s " << s << " set " << set;
        EXPECT_EQ(got, sent);
      } else if (variance_test) {
        EXPECT_NE(fault, DecodeError::kNone) << "q " << q << " s " << s << " set " << set;
        EXPECT_TRUE(got.empty());
      }
    }
  }
  return count;
}

TEST(PacketCode, NoOverloadIsMissedAndNoWordIsWrongAtEverySmallSize) {
  for (const PacketCode code : {PacketCode::kIdentity, PacketCode::kCoverFree}) {
    for (std::uint64_t q = 1; q <= 9; ++q) {
      for (std::uint64_t s = 1; s <= 3; ++s) {
        const Count count = exhaust(code, q, s, true);
        EXPECT_EQ(count.cases, 3ull << q);
        EXPECT_EQ(count.rejected, count.overloaded);
        EXPECT_EQ(count.wrong, 0u);
      }
    }
  }
}

TEST(PacketCode, WithoutTheVarianceTestWrongWordsGetThrough) {
  const Count with = exhaust(PacketCode::kCoverFree, 9, 2, true);
  const Count without = exhaust(PacketCode::kCoverFree, 9, 2, false);
  std::printf(
      "q = 9, s = 2, cover-free: %llu of %llu overloads deliver wrong words without the variance test\n",
      static_cast<unsigned long long>(without.wrong), static_cast<unsigned long long>(without.overloaded));
  EXPECT_EQ(with.wrong, 0u);
  EXPECT_GT(without.wrong, 0u);
}

TEST(PacketCode, AMeanSquareEqualToTheRoundedMeanIsNotEnough) {
  // Nine even ids, s = 1 (one slot by parity): mean 39.56 rounds to 40 and the mean square is exactly 40^2.
  const PacketCoder coder(PacketCode::kCoverFree, 64, 1);
  ASSERT_EQ(coder.value_dimension(), 8u);
  std::vector<Packet> sent;
  for (const std::uint32_t j : {28, 34, 36, 38, 40, 42, 44, 46, 48}) sent.push_back({j, 1000ull + j});
  double sum = 0, squares = 0;
  for (const Packet& packet : sent) sum += packet.source, squares += packet.source * packet.source;
  ASSERT_EQ(std::round(sum / 9), 40);
  ASSERT_EQ(squares / 9, 1600);
  std::vector<Packet> got;
  EXPECT_NE(coder.decode(average_of(coder, sent), got), DecodeError::kNone);
  EXPECT_TRUE(got.empty());
}

TEST(PacketCode, SourceZeroIsSeenByItsOccupancy) {
  for (const PacketCode code : {PacketCode::kIdentity, PacketCode::kCoverFree}) {
    const PacketCoder coder(code, 500, 5);
    for (const std::vector<Packet>& sent : std::vector<std::vector<Packet>>{
             {{0, 0}}, {{0, 5}}, {{0, 0}, {1, 0}}, {{0, 9}, {7, 9}}, {{0, 1}, {23, 2}, {46, 3}, {499, 0}}}) {
      std::vector<Packet> got;
      EXPECT_EQ(coder.decode(average_of(coder, sent), got), DecodeError::kNone);
      EXPECT_EQ(got, sent);
    }
  }
}

TEST(PacketCode, SourceZeroInAnOverloadIsRejected) {
  for (std::uint64_t q = 2; q <= 64; ++q) {  // {0, j}, one packet allowed: 0 + j^2 = (0 + j)^2
    const PacketCoder coder(PacketCode::kCoverFree, q, 1);
    for (std::uint32_t j = 1; j < q; ++j) {
      std::vector<Packet> got;
      EXPECT_NE(coder.decode(average_of(coder, {{0, 3}, {j, 4}}), got), DecodeError::kNone) << q << " " << j;
    }
  }
}

TEST(PacketCode, ExactAtTheLargestWordsIdsAndCounts) {
  constexpr std::uint64_t kSources = 1ull << 24;
  const PacketCoder coder(PacketCode::kCoverFree, kSources, 600);
  std::vector<Packet> sent;
  for (std::uint32_t i = 0; i < 600; ++i) {
    sent.push_back({static_cast<std::uint32_t>(kSources - 1 - 27 * i), (1ull << 48) - 1 - i});
  }
  std::reverse(sent.begin(), sent.end());
  std::vector<Packet> got;
  EXPECT_EQ(coder.decode(average_of(coder, sent), got), DecodeError::kNone);
  EXPECT_EQ(got, sent);
  // A slot's word and id survive any count up to 2^26: the two roundings of S / T and of count * mean.
  for (std::uint64_t i = 0; i < 20000; ++i) {
    const std::uint64_t count = 1 + draw_below(1ull << 26, 3, Domain::kTest, i);
    const std::uint64_t word = draw(3, Domain::kTest, i, 1) >> 16;
    const double scale = static_cast<double>(count);
    ASSERT_EQ(static_cast<std::uint64_t>(std::llround(1 / (1.0 / scale))), count);
    ASSERT_EQ(static_cast<std::uint64_t>(std::round(scale * (static_cast<double>(word) / scale))), word);
    const double id = static_cast<double>(word >> 24);
    ASSERT_LE(std::abs(scale * (id / scale) - id), 0x1p-27);
    ASSERT_LT(std::abs(scale * (id * id / scale) - id * id), 1.0 / 8);
  }
}

TEST(PacketCode, ChoosesTheSmallestCoverFreeCode) {
  const CoverFreeParameters chosen = choose_cover_free(512, 8);  // sum at N = 4096, eps = 1/4, kappa_s = 1
  EXPECT_EQ(chosen.digits, 2u);
  EXPECT_EQ(chosen.points, 8u);
  EXPECT_EQ(chosen.prime, 23u);
  EXPECT_EQ(chosen.value_dimension(), 736u);
  EXPECT_TRUE(PacketCoder(PacketCode::kAutomatic, 512, 8).cover_free());
  EXPECT_FALSE(
      PacketCoder(PacketCode::kAutomatic, 368, 8).cover_free());  // 2q = 736 or less: a tie goes to identity
  EXPECT_EQ(PacketCoder(PacketCode::kIdentity, 512, 8).value_dimension(), 1024u);
  // Against trying every k and P.
  for (std::uint64_t q = 1; q <= 300; q += 7) {
    for (std::uint64_t s = 1; s <= 9; ++s) {
      std::uint64_t least = ~0ull;
      for (std::uint64_t k = 1; k <= 10; ++k) {
        const std::uint64_t points = (k - 1) * (s - 1) + 1;
        for (std::uint64_t prime = std::max<std::uint64_t>(points, 2);; ++prime) {
          bool composite = false;
          for (std::uint64_t d = 2; d < prime; ++d) composite |= prime % d == 0;
          std::uint64_t power = 1;
          for (std::uint64_t i = 0; i < k; ++i) power = std::min<std::uint64_t>(power * prime, 1u << 20);
          if (composite || power < q) continue;
          least = std::min(least, 4 * points * prime);
          break;
        }
      }
      EXPECT_EQ(choose_cover_free(q, s).value_dimension(), least) << q << " " << s;
    }
  }
}

TEST(PacketCode, RefusesWhatItCannotServe) {
  EXPECT_THROW(PacketCoder(PacketCode::kAutomatic, 0, 1), ContractError);
  EXPECT_THROW(PacketCoder(PacketCode::kAutomatic, 1, 0), ContractError);
  EXPECT_THROW(PacketCoder(PacketCode::kAutomatic, (1ull << 24) + 1, 8), ContractError);
}

TEST(PacketCode, AnyAverageIsDecodedOrRejectedWithoutHarm) {
  EXPECT_TRUE(rc::check([] {
    const PacketCoder coder(*rc::gen::element(PacketCode::kIdentity, PacketCode::kCoverFree), 40, 4);
    const auto columns = *rc::gen::container<std::map<std::uint32_t, double>>(
        rc::gen::inRange<std::uint32_t>(0, 500),
        rc::gen::element(-1.0, 0.0, 0.25, 0.5, 1.0 / 3, 1.0, 2.0, 1e300, 0.2));
    std::vector<anna::Entry> average;
    for (const auto& [column, value] : columns) average.push_back({column, value});
    std::vector<Packet> got;
    if (coder.decode(average, got) != DecodeError::kNone) RC_ASSERT(got.empty());
    for (const Packet& packet : got) RC_ASSERT(packet.source < 40u);
  }));
}

TEST(PacketCode, RandomSetsDecodeOrAreRejected) {
  EXPECT_TRUE(rc::check([] {
    const auto q = *rc::gen::inRange<std::uint32_t>(1, 2000);
    const auto s = *rc::gen::inRange<std::uint32_t>(1, 20);
    const auto code =
        *rc::gen::element(PacketCode::kIdentity, PacketCode::kCoverFree, PacketCode::kAutomatic);
    const PacketCoder coder(code, q, s);
    const auto senders = *rc::gen::container<std::map<std::uint32_t, std::uint64_t>>(
        rc::gen::inRange<std::uint32_t>(0, q), rc::gen::inRange<std::uint64_t>(0, 1ull << 48));
    std::vector<Packet> sent;
    for (const auto& [source, word] : senders) sent.push_back({source, word});
    std::vector<Packet> got{{1, 2}};  // what is there stays
    const DecodeError fault = coder.decode(average_of(coder, sent), got);
    RC_ASSERT((got[0] == Packet{1, 2}));
    got.erase(got.begin());
    RC_ASSERT((fault == DecodeError::kNone) == (sent.size() <= std::min(q, s)));
    if (fault == DecodeError::kNone) RC_ASSERT(got == sent);
  }));
}

}  // namespace
}  // namespace roundtrip::simulate
