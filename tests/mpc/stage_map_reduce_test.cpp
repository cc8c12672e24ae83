// Whole records, scans by key, compaction, scans per word both ways, and MapReduce on them: against references that
// share no code, within the words of their tables, for keys of any distribution, at sizes that do not divide.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <bit>
#include <map>

#include "mpc/protocol_case.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/stages/key_scan.h"
#include "roundtrip/mpc/stages/map_reduce.h"
#include "roundtrip/mpc/stages/records.h"

namespace roundtrip::mpc {
namespace {

using testing::parameters_of;
using testing::random_values;

/// Input words in records of w, E positions each, on machines of B positions; every machine looks at what it has.
class Whole final : public Composition {
 public:
  Whole(std::uint64_t words, std::uint64_t block, std::uint64_t width, std::uint64_t positions,
        std::uint64_t machine) {
    const WholeRecordsOptions options{words, block, width, positions, machine};
    shape_.n = words;
    shape_.block_words = block;
    shape_.machines = static_cast<std::uint32_t>(
        std::max(ceil_div(words, block), ceil_div(words / width * positions, machine)));
    shape_.memory_words = std::max({2 * block, WholeRecords::received_words(options), block});
    shape_.outputs = 1;
    const WholeRecords& stage = then<WholeRecords>("records", options);
    seen.resize(shape_.machines);
    then("look", 1, 0, [this, &stage](const Context& context, std::uint32_t) {
      const WholeRecords::Result result = stage.result(context);
      seen[context.machine] = {result.first, {result.words.begin(), result.words.end()}};
      if (context.machine == 0) context.out.deliver(0, 0);
    });
    shape_.validate();
  }
  mutable std::vector<std::pair<std::uint64_t, std::vector<Word>>> seen = {};
};

TEST(WholeRecords, EveryRecordIsWholeWhereItHasAPosition) {
  rc::check([] {
    const auto width = *rc::gen::inRange<std::uint64_t>(1, 5);
    const auto records = *rc::gen::inRange<std::uint64_t>(1, 60);
    const auto block = *rc::gen::inRange<std::uint64_t>(1, 12);
    const auto machine = *rc::gen::inRange<std::uint64_t>(1, 9);
    const auto positions = *rc::gen::inRange<std::uint64_t>(1, machine + 1);
    const Whole protocol(records * width, block, width, positions, machine);
    std::vector<Word> input;
    for (std::uint64_t i = 0; i < records * width; ++i) input.push_back(100 + i);
    const auto transport = make_in_process_transport();
    RC_ASSERT(run(protocol, input, *transport).ledger.rounds.size() == 2);
    for (std::uint64_t i = 0; i < protocol.seen.size(); ++i) {
      const std::uint64_t first = i * machine / positions;
      const std::uint64_t end = std::min(records, ceil_div((i + 1) * machine, positions));
      const std::vector<Word> expected =
          first < end ? std::vector<Word>(input.begin() + static_cast<std::ptrdiff_t>(first * width),
                                          input.begin() + static_cast<std::ptrdiff_t>(end * width))
                      : std::vector<Word>();
      RC_ASSERT(protocol.seen[i].second == expected);
      if (first < end) RC_ASSERT(protocol.seen[i].first == first);
    }
  });
}

TEST(WholeRecords, RefusesWhatItWouldCut) {
  EXPECT_THROW(WholeRecords({.words = 7, .block_words = 3, .record_words = 2}), ContractError);
  EXPECT_THROW(
      WholeRecords({.words = 8, .block_words = 3, .record_words = 2, .positions = 3, .machine_positions = 2}),
      ContractError);
}

/// x -> a x + c modulo 2^20 as one word: associative, not commutative.
void compose(std::span<Word> left, std::span<const Word> right) {
  const Word a = left[0] >> 20, c = left[0] & 0xfffff, e = right[0] >> 20, f = right[0] & 0xfffff;
  left[0] = (a * e & 0xfffff) << 20 | ((e * c + f) & 0xfffff);
}

/// A scan over all input words, whose results are the outputs.
class Scanned final : public Composition {
 public:
  Scanned(std::uint64_t words, std::uint64_t block, std::uint32_t fan, bool backward) {
    shape_.n = shape_.outputs = words;
    shape_.block_words = block;
    shape_.machines = static_cast<std::uint32_t>(ceil_div(words, block));
    shape_.memory_words = block + 2 * fan;
    const WordScan& scan =
        then<WordScan>("scan", {.tree = Tree::over(0, shape_.machines, fan),
                                .load = [](const Context& context) { return context.inbox.words(); },
                                .combine = compose,
                                .identity = {Word{1} << 20},
                                .backward = backward});
    then("deliver", 1, 0, [&scan, block](const Context& context, std::uint32_t) {
      scan.for_each(context, [&](std::size_t i, std::span<const Word>, std::span<const Word> scanned) {
        context.out.deliver(context.machine * block + i, scanned[0]);
      });
    });
    shape_.validate();
  }
};

TEST(WordScan, BothWaysForACombinationThatDoesNotCommute) {
  rc::check([] {
    const auto words = *rc::gen::inRange<std::uint64_t>(1, 120);
    const auto block = *rc::gen::inRange<std::uint64_t>(1, 8);
    const auto fan = *rc::gen::inRange<std::uint32_t>(2, 7);
    const bool backward = *rc::gen::arbitrary<bool>();
    const std::vector<Word> input =
        *rc::gen::container<std::vector<Word>>(words, rc::gen::inRange<Word>(0, Word{1} << 40));
    const auto transport = make_in_process_transport();
    const RunResult result = run(Scanned(words, block, fan, backward), input, *transport);
    for (std::uint64_t i = 0; i < words; ++i) {
      std::vector<Word> expected = {Word{1} << 20};
      for (std::uint64_t j = backward ? i : 0; j < (backward ? words : i + 1); ++j)
        compose(expected, std::vector<Word>{input[j]});
      RC_ASSERT(result.outputs[i] == expected[0]);
    }
  });
}

/// Keeps even words, in order, at the first outputs; the rest are 1.
class Compacted final : public Composition {
 public:
  Compacted(std::uint64_t words, std::uint64_t block, std::uint32_t fan) {
    shape_.n = shape_.outputs = words;
    shape_.block_words = block;
    shape_.machines = static_cast<std::uint32_t>(ceil_div(words, block));
    shape_.memory_words = std::max(block + 2 * fan, 2 * block);
    const Compact& compact = then<Compact>("compact", {.tree = Tree::over(0, shape_.machines, fan),
                                                       .load =
                                                           [block](const Context& context) {
                                                             const std::span<Word> even = context.take(block);
                                                             std::size_t used = 0;
                                                             for (const Word word : context.inbox.words()) {
                                                               if (word % 2 == 0) even[used++] = word;
                                                             }
                                                             return std::span<const Word>(even.first(used));
                                                           },
                                                       .load_scratch_words = block});
    then("deliver", 1, 0, [this, &compact](const Context& context, std::uint32_t) {
      const Compact::Result result = compact.result(context);
      for (std::size_t i = 0; i < result.records.size(); ++i)
        context.out.deliver(result.first + i, result.records[i]);
      const std::uint64_t begin = context.machine * shape_.block_words;
      for (std::uint64_t t = std::max(begin, result.total);
           t < std::min(begin + shape_.block_words, shape_.n); ++t)
        context.out.deliver(t, 1);
    });
    shape_.validate();
  }
};

TEST(Compact, NumbersRecordsInOrder) {
  rc::check([] {
    const auto words = *rc::gen::inRange<std::uint64_t>(1, 150);
    const auto block = *rc::gen::inRange<std::uint64_t>(1, 9);
    const auto fan = *rc::gen::inRange<std::uint32_t>(2, 7);
    const std::vector<Word> input =
        *rc::gen::container<std::vector<Word>>(words, rc::gen::inRange<Word>(0, 1000));
    const auto transport = make_in_process_transport();
    std::vector<Word> expected;
    std::ranges::copy_if(input, std::back_inserter(expected), [](Word word) { return word % 2 == 0; });
    expected.resize(words, 1);
    RC_ASSERT(run(Compacted(words, block, fan), input, *transport).outputs == expected);
  });
}

void add(std::span<std::int64_t> left, Record right) {
  left[0] += right[0];
}

MapReduce word_count() {
  return {.name = "count_words",
          .summary = "how often each word occurs",
          .jobs = {{.map = [](Record word, const Emit& emit) { emit({word[0]}, {1}); }, .combine = add}},
          .output = "sn"};
}

/// Every record (a, b) to pairs of both ends, then by how often each end occurs; some ends are dropped.
MapReduce degrees() {
  MapReduce work{.name = "degrees", .summary = "how many ends occur how often", .record_words = 2};
  work.jobs = {{.pairs = 2,
                .map =
                    [](Record edge, const Emit& emit) {
                      emit({edge[0]}, {1});
                      if (edge[0] != edge[1]) emit({edge[1]}, {1});
                    },
                .combine = add,
                .reduce =
                    [](const Reduced& end, std::span<std::int64_t> record) {
                      record[0] = end.key[0], record[1] = end.value[0];
                      return end.key[0] % 5 != 0;
                    }},
               {.map = [](Record end, const Emit& emit) { emit({end[1]}, {1}); }, .combine = add}};
  return work;
}

/// Places of equal words, in order: every pair of a group, values combined by concatenation's like, "last wins".
MapReduce each_pair() {
  MapReduce work{
      .name = "each_pair", .summary = "records (word, number) with what came before", .record_words = 2};
  work.jobs = {{.key_words = 2,
                .value_words = 2,
                .group_words = 1,
                .map =
                    [](Record r, const Emit& emit) {
                      emit({r[0], r[1]}, {r[1], 1});
                    },
                .combine =
                    [](std::span<std::int64_t> left, Record right) {
                      left[0] = right[0] - left[0];
                      left[0] = right[0];
                      left[1] += right[1];
                    },
                .each = true,
                .record_words = 3,
                .reduce =
                    [](const Reduced& pair, std::span<std::int64_t> record) {
                      record[0] = pair.key[0], record[1] = pair.value[1], record[2] = pair.own[0];
                      return pair.own[0] % 3 != 0;
                    },
                .most = [](std::uint64_t records) { return records; }}};
  return work;
}

void expect_reference(const MapReduce& work, const Values& values, const Parameters& parameters) {
  const ProtocolInfo info = map_reduce_protocol(work);
  const std::unique_ptr<const Protocol> protocol = info.make(parameters);
  std::vector<Word> input;
  for (const std::int64_t value : values)
    input.push_back(encode_input(value, protocol->shape(), "a test value"));
  const auto transport = make_in_process_transport();
  const RunResult result = run(*protocol, input, *transport);
  Outputs outputs;
  for (std::uint64_t t = 0; t < result.outputs.size(); ++t)
    outputs.push_back(info.decode(*protocol, t, result.outputs[t]));
  EXPECT_EQ(outputs, info.oracle(values, parameters)) << work.name << " at N = " << values.size();
  EXPECT_EQ(result.ledger.rounds.size(), map_reduce_rounds(work, parameters));
  EXPECT_EQ(protocol->shape().rounds, map_reduce_rounds(work, parameters));
}

TEST(MapReduce, IsTheReferenceForAnyDistributionOfKeys) {
  for (const MapReduce& work : {word_count(), degrees(), each_pair()}) {
    for (const std::uint64_t n : {2, 6, 16, 34, 100, 250, 1000, 4096}) {
      for (const Rational epsilon : {Rational(1, 2), Rational(2, 5)}) {
        const Parameters parameters = parameters_of(n, epsilon);
        expect_reference(work, random_values(n, 0, static_cast<std::int64_t>(n), n),
                         parameters);                                    // nearly all differ
        expect_reference(work, random_values(n, -3, 3, n), parameters);  // few keys
        expect_reference(work, Values(n, 7), parameters);                // one hot key
        Values skewed = random_values(n, 0, 1 << 20, n);  // about half are one key, a quarter another, ..
        for (std::int64_t& value : skewed)
          value = std::countr_zero(static_cast<std::uint64_t>(value | 1 << 20));
        expect_reference(work, skewed, parameters);
      }
    }
  }
}

TEST(MapReduce, CountsByHand) {
  const MapReduce work = word_count();
  std::map<std::int64_t, std::int64_t> counts;
  const Values values = random_values(777, 0, 30, 5);
  for (const std::int64_t value : values) ++counts[value];
  std::vector<std::vector<std::int64_t>> expected;
  for (const auto& [word, count] : counts) expected.push_back({word, count});
  EXPECT_EQ(map_reduce_reference(work, values), expected);
}

TEST(MapReduce, RefusesAndNames) {
  MapReduce none{.name = "none", .summary = ""};
  EXPECT_THROW((void)map_reduce_protocol(none), ContractError);
  MapReduce no_map = word_count();
  no_map.jobs[0].map = nullptr;
  EXPECT_THROW((void)map_reduce_protocol(no_map), ContractError);
  MapReduce wrong_output = word_count();
  wrong_output.output = "s";
  EXPECT_THROW((void)map_reduce_protocol(wrong_output), ContractError);
  EXPECT_THROW((void)map_reduce_protocol(degrees()).make(parameters_of(7)),
               ContractError);  // a record is cut
  const auto fails = [](const MapReduce& work, const std::string& why) {
    const std::unique_ptr<const Protocol> protocol = map_reduce_protocol(work).make(parameters_of(64));
    const auto transport = make_in_process_transport();
    try {
      (void)run(*protocol, std::vector<Word>(64, Word{1} << 46), *transport);
      FAIL() << why;
    } catch (const ModelViolation& violation) {
      EXPECT_NE(violation.detail().find(why), std::string::npos) << violation.detail();
    }
  };
  MapReduce two_pairs = word_count();
  two_pairs.jobs[0].map = [](Record word, const Emit& emit) { emit({word[0]}, {1}), emit({word[0]}, {1}); };
  fails(two_pairs, "map made pair 2");
  MapReduce too_many = each_pair();
  too_many.jobs[0].reduce = {};
  too_many.jobs[0].record_words = 0;
  too_many.jobs[0].most = [](std::uint64_t records) { return records / 2; };
  fails(too_many, "declared were at most 16");
  MapReduce wide = word_count();
  wide.jobs[0].map = [](Record word, const Emit& emit) { emit({word[0]}, {std::int64_t{1} << 47}); };
  fails(wide, "is outside of");
}

}  // namespace
}  // namespace roundtrip::mpc
