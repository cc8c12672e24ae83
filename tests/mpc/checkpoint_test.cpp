// Checkpoints in one process: every boundary resumed, damage of every kind, what is kept. Ranks, signals and
// kills are in tests/cli/checkpoint_test.py.
#include "roundtrip/mpc/runtime/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <set>

#include "protocol_case.h"
#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/read_file.h"

namespace roundtrip::mpc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::run_case;
using ::testing::SizeIs;

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    std::string name = (fs::temp_directory_path() / "roundtrip_checkpoint_XXXXXX").string();
    base_ = mkdtemp(name.data());
    whole_ = run(RunOptions());
  }
  ~CheckpointTest() override { fs::remove_all(base_); }

  RunResult run(const RunOptions& options, const Values* values = nullptr) {
    return run_case("k_hop", parameters_, values == nullptr ? values_ : *values, options).run;
  }
  RunOptions options(const std::string& directory, const std::string& resume = {}) {
    RunOptions result;
    result.checkpoint.directory = directory.empty() ? directory : (base_ / directory).string();
    result.checkpoint.resume = resume.empty() ? resume : (base_ / resume).string();
    result.checkpoint.warn = [this](const std::string& line) { warnings_.push_back(line); };
    return result;
  }
  /// A run stopped at the end of `round`, with its checkpoints in `directory`.
  RunResult stopped(std::uint32_t round, const std::string& directory, const std::string& resume = {},
                    std::uint32_t every = 1) {
    std::atomic<bool> stop = round == 1;
    RunOptions with = options(directory, resume);
    with.checkpoint.every = every;
    with.checkpoint.stop = &stop;
    with.progress = [&](std::uint32_t done, std::uint32_t) { stop = done + 1 >= round; };
    const RunResult result = run(with);
    EXPECT_EQ(result.stopped_after, round);
    return result;
  }
  void expect_whole(const RunResult& result) {
    EXPECT_EQ(result.outputs, whole_.outputs);
    EXPECT_EQ(result.ledger, whole_.ledger);
    EXPECT_FALSE(result.stopped_after);
  }
  /// What a refused run says; it names a field.
  std::string refusal(const RunOptions& with, const Values* values = nullptr) {
    try {
      run(with, values);
    } catch (const ContractError& error) {
      EXPECT_THAT(error.field(), ::testing::Not(IsEmpty())) << error.what();
      return error.what();
    }
    return "no refusal";
  }
  std::set<std::string> files(const std::string& directory) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(base_ / directory)) names.insert(entry.path().filename());
    return names;
  }

  const Parameters parameters_ = [] {
    Parameters parameters = testing::parameters_of(500);
    parameters.options["k"] = "3";
    return parameters;
  }();
  const Values values_ = testing::random_values(500, 0, 40, 7);
  fs::path base_;
  RunResult whole_;
  std::vector<std::string> warnings_;
};

TEST_F(CheckpointTest, EveryBoundaryResumesToTheSameBytes) {
  const auto rounds = static_cast<std::uint32_t>(whole_.ledger.rounds.size());
  ASSERT_GT(rounds, 3u);
  for (std::uint32_t round = 1; round < rounds; ++round) {
    const std::string name = std::to_string(round);
    const RunResult result = stopped(round, name, {}, rounds);
    EXPECT_THAT(result.outputs, IsEmpty());
    EXPECT_TRUE(std::equal(whole_.ledger.rounds.begin(), whole_.ledger.rounds.begin() + round,
                           result.ledger.rounds.begin()));
    EXPECT_THAT(files(name), SizeIs(2));
    expect_whole(run(options({}, name)));
  }
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CheckpointTest, KeepsTheLastTwoAndCarriesOn) {
  stopped(4, "a");
  EXPECT_THAT(files("a"), ElementsAre("inboxes-0000000003-0", "inboxes-0000000004-0", "manifest-0000000003",
                                      "manifest-0000000004"));
  stopped(6, "a", "a");
  EXPECT_THAT(files("a"), ElementsAre("inboxes-0000000005-0", "inboxes-0000000006-0", "manifest-0000000005",
                                      "manifest-0000000006"));
  stopped(8, "a", "a", 5);  // not one of every 5
  EXPECT_THAT(files("a"), ElementsAre("inboxes-0000000006-0", "inboxes-0000000008-0", "manifest-0000000006",
                                      "manifest-0000000008"));
  expect_whole(run(options("a", "a")));
  expect_whole(run(options("b", "a")));  // into another directory
}

TEST_F(CheckpointTest, DamageIsNamedAndTheOneBeforeTaken) {
  stopped(4, "a");
  const auto copy = [&] {
    fs::remove_all(base_ / "b");
    fs::copy(base_ / "a", base_ / "b");
    warnings_.clear();
  };
  std::uint64_t damages = 0;
  for (const std::string name : {"manifest-0000000004", "inboxes-0000000004-0"}) {
    const std::string bytes = read_whole((base_ / "a" / name).string());
    // Truncation and bit flips, spread over the file; its first and last bytes.
    std::set<std::size_t> places = {0, 1, bytes.size() - 2, bytes.size() - 1};
    for (std::size_t i = 1; i < 12; ++i) places.insert(bytes.size() * i / 12);
    for (const std::size_t place : places) {
      for (const bool flip : {false, true}) {
        copy();
        std::string damaged = flip ? bytes : bytes.substr(0, place);
        if (flip) damaged[place] = static_cast<char>(damaged[place] ^ (1 << (place % 8)));
        write_whole((base_ / "b" / name).string(), damaged);
        expect_whole(run(options({}, "b")));
        EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("round 4 is damaged"), HasSubstr(name)))) << place;
        ++damages;
      }
    }
    copy();
    fs::remove(base_ / "b" / name);
    expect_whole(run(options({}, "b")));
    EXPECT_THAT(warnings_, ElementsAre(AllOf(HasSubstr("round 4"), HasSubstr(name))));
    copy();
    fs::remove(base_ / "b" / name);
    fs::create_directory(base_ / "b" / name);
    expect_whole(run(options({}, "b")));
    EXPECT_THAT(warnings_, SizeIs(1));
  }
  EXPECT_GT(damages, 50u);
  copy();
  for (const auto& name : files("b")) write_whole((base_ / "b" / name).string(), "");
  EXPECT_THAT(refusal(options({}, "b")),
              AllOf(HasSubstr("no checkpoint"), HasSubstr("is whole"), HasSubstr("round 4")));
}

constexpr std::string_view kFirstLine = "roundtrip-checkpoint 3\n";

// Files whose checksums are right and whose contents are not: nothing may be read or written out of place.
TEST_F(CheckpointTest, CarefulForgeriesAreDamageToo) {
  stopped(4, "a");
  fs::remove(base_ / "a" / "manifest-0000000003");
  const std::string manifest = read_whole((base_ / "a" / "manifest-0000000004").string());
  const std::string inboxes = read_whole((base_ / "a" / "inboxes-0000000004-0").string());
  const auto seal = [&](const std::string& body, std::string_view first_line = kFirstLine) {
    return std::string(first_line) + fmt::format("{:016x}\n", XXH3_64bits(body.data(), body.size())) + body;
  };
  const std::string body = manifest.substr(kFirstLine.size() + 17);
  ASSERT_EQ(seal(body), manifest);
  const auto expect = [&](const std::string& sealed, const std::string& says) {
    write_whole((base_ / "a" / "manifest-0000000004").string(), sealed);
    EXPECT_THAT(refusal(options({}, "a")), AllOf(HasSubstr("is whole"), HasSubstr(says)));
  };
  // The archive: identity, four rounds of five numbers, one file of four numbers; a count before each list.
  const auto numbers = [](std::initializer_list<std::uint64_t> values) {
    return std::string(reinterpret_cast<const char*>(std::data(values)), 8 * values.size());
  };
  const std::size_t pieces = body.size() - 5 * 8, rounds = pieces - 21 * 8;
  const std::string start = body.substr(0, pieces), piece = body.substr(pieces + 8);
  const std::string identity = body.substr(0, rounds);
  ASSERT_EQ(body.substr(pieces, 8), numbers({1}));
  ASSERT_EQ(body.substr(rounds, 8), numbers({4}));
  expect(seal(start + numbers({0})), "hold 0 machines");
  expect(seal(start + numbers({2}) + piece + piece), "each machine once");
  expect(seal(start + numbers({1, 0, ~std::uint64_t{0}, 1, 1})), "each machine once");
  expect(seal(start + numbers({1, 1, 1, 1, 1})), "each machine once");
  expect(
      seal(identity + numbers({5}) + body.substr(rounds + 8, 20 * 8) + numbers({1, 2, 3, 4, 5, 1}) + piece),
      "counts 5 rounds");
  expect(seal(body.substr(0, body.size() - 1)), "ends within a list");
  expect(seal(body + "x"), "goes on after the last list");
  for (const std::uint64_t count :
       {std::uint64_t{1} << 40, ~std::uint64_t{0}}) {  // no memory is taken for them
    expect(seal(start + numbers({count})), "more than its bytes");
    expect(seal(identity + numbers({count})), "more than its bytes");
    expect(seal(numbers({count})), "more than its bytes");
    expect(seal(numbers({1, count})), "more than its bytes");
  }
  expect(seal(numbers({body.size()}) + body.substr(8)), "more than its bytes");  // numbers read as names
  expect(seal({}), "cut short");
  expect(seal(body, "roundtrip-checkpoint 1\n"), "version '1', this program reads 3");
  expect("roundtrip-checkpoint 1\nis n = 500\n0123456789abcdef\n", "version '1', this program reads 3");
  expect("something else\n", "doesn't start");

  std::uint64_t machines = 0;
  std::memcpy(&machines, piece.data() + 8, 8);
  const auto forge = [&](const std::string& bytes, const std::string& says) {
    write_whole((base_ / "a" / "inboxes-0000000004-0").string(), bytes);
    expect(seal(start + numbers({1, 0, machines, bytes.size(), XXH3_64bits(bytes.data(), bytes.size())})),
           says);
  };
  const auto with = [&](std::size_t place, std::uint64_t value, std::size_t size) {
    std::string bytes = inboxes;
    std::memcpy(bytes.data() + place, &value, size);
    return bytes;
  };
  forge(inboxes + "12345678", "goes on after");
  forge(inboxes.substr(0, inboxes.size() - 8), "ends within");
  forge(with(0, ~std::uint64_t{0}, 8), "allowed are");  // runs
  forge(with(8, ~std::uint64_t{0}, 8), "allowed are");  // words
  forge(with(16, 0xffffffffu, 4), "don't divide");      // source of the first run
  forge(with(16 + 8, 1, 4), "don't divide");            // its begin
}

TEST_F(CheckpointTest, AnotherRunIsRefusedByName) {
  stopped(4, "a");
  Values other = values_;
  other[17] ^= 1;
  EXPECT_THAT(refusal(options({}, "a"), &other),
              AllOf(HasSubstr("another run"), HasSubstr("input checksum")));
  RunOptions limited = options({}, "a");
  limited.limit_words = 1 << 20;
  EXPECT_THAT(refusal(limited), AllOf(HasSubstr("limit_words"), HasSubstr("1048576")));
  RunOptions named = options({}, "a");
  named.checkpoint.identity = {{"protocol", "other"}};
  EXPECT_THAT(refusal(named), HasSubstr("protocol = other"));
  EXPECT_THAT(refusal(options("a")),
              AllOf(HasSubstr("checkpoint folder: "), HasSubstr("holds a checkpoint of round")));
  EXPECT_THAT(files("a"), SizeIs(4));
}

TEST_F(CheckpointTest, DirectoriesThatDontServe) {
  EXPECT_THAT(refusal(options({}, "missing")), AllOf(HasSubstr("missing"), HasSubstr("not a directory")));
  fs::create_directory(base_ / "foreign");
  write_whole((base_ / "foreign" / "manifest-x").string(), "mine");
  EXPECT_THAT(refusal(options({}, "foreign")), HasSubstr("holds no checkpoint"));
  stopped(4, "foreign");  // what is not ours stays
  EXPECT_EQ(read_whole((base_ / "foreign" / "manifest-x").string()), "mine");
  EXPECT_THAT(refusal(options("missing/deeper")), HasSubstr("cannot make"));
  RunOptions never = options("b");
  never.checkpoint.every = 0;
  EXPECT_THAT(refusal(never), HasSubstr("checkpoint interval: 0 rounds"));
  // Two runs in one directory: the second starts while the first is under way.
  std::string second;
  RunOptions first = options("c");
  first.progress = [&](std::uint32_t round, std::uint32_t) {
    if (round == 2) second = refusal(options("c", "c"));
  };
  expect_whole(run(first));
  EXPECT_THAT(second, HasSubstr("another run writes into"));
}

}  // namespace
}  // namespace roundtrip::mpc
