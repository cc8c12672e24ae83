// The array and its file: what was saved is read back, and anything else is refused by name.
#include "roundtrip/anna/transformer/activations.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "roundtrip/base/error.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace roundtrip::anna {
namespace {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "roundtrip-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

Activations example() {
  Activations array = Activations::with_dimension(10);
  array.append_row(std::vector<Entry>{{0, 1.5}, {9, -2.0}});
  array.append_row({});
  array.append_row(std::vector<Entry>{{3, 0.0}, {4, 1e300}});
  return array;
}

std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Activations, LendsPartsOfRowsOfIntegers) {
  Activations array = Activations::with_dimension(10);
  array.append_row(std::vector<Entry>{{1, 5}, {4, -2}, {6, 7}});
  array.append_row(std::vector<Entry>{{7, 3}});
  const auto row = array.row(0).entries;
  const auto part = array.part(0, row.subspan(1), 3, 4);
  ASSERT_TRUE(part);
  EXPECT_TRUE(std::ranges::equal(*part, std::vector<Entry>{{1, -2}, {3, 7}}));
  EXPECT_EQ(part->data(), &row[1]);
  EXPECT_EQ(part->value(3), 7);
  EXPECT_EQ(part->value(2), 0);
  EXPECT_FALSE(array.part(0, row.subspan(1), 5, 4)) << "begins at column 4";
  EXPECT_FALSE(array.part(0, row.subspan(1), 3, 3)) << "ends at column 6";
  EXPECT_FALSE(array.part(0, {}, 0, 10));
  EXPECT_FALSE(array.part(1, row.subspan(1), 3, 4)) << "not of row 1";
  EXPECT_FALSE(array.part(0, {&row[2], 2}, 0, 10)) << "beyond row 0";
  const std::vector<Entry> elsewhere{{1, 5}};
  EXPECT_FALSE(array.part(0, elsewhere, 0, 10));
  for (const double no_integer : {0.5, 9007199254740992.0, -4503599627370495.5}) {
    Activations other = array;
    other.append_row(std::vector<Entry>{{2, no_integer}});
    EXPECT_FALSE(other.part(0, other.row(0).entries, 0, 10)) << no_integer;
    other.clear(10);
    other.append_row(std::vector<Entry>{{2, 9007199254740991.0}, {3, -4503599627370496.0}, {4, 0}, {5, -1}});
    EXPECT_TRUE(other.part(0, other.row(0).entries, 0, 10));
  }
}

TEST(Activations, HoldsRowsWithoutZeros) {
  const Activations array = example();
  EXPECT_EQ(array.tokens(), 3u);
  EXPECT_EQ(array.nonzeros(), 3u);
  EXPECT_EQ(array.row(0)[0], 1.5);
  EXPECT_EQ(array.row(0)[9], -2.0);
  EXPECT_EQ(array.row(0)[5], 0.0);
  EXPECT_EQ(array.row(2)[3], 0.0);
  EXPECT_EQ(array.row(2).token, 2u);
  EXPECT_EQ(Activations(4, 3).tokens(), 4u);
  EXPECT_EQ(Activations(4, 3).row(3)[2], 0.0);
}

TEST(Activations, RefusesRowsOutOfOrder) {
  Activations array = example();
  EXPECT_THROW(array.append_row(std::vector<Entry>{{0, 1}, {0, 2}}), ContractError);
  EXPECT_THROW(array.append_row(std::vector<Entry>{{2, 1}, {1, 2}}), ContractError);
  EXPECT_THROW(array.append_row(std::vector<Entry>{{10, 1}}), ContractError);
  EXPECT_THROW(array.append_row(std::vector<Entry>{{1, std::nan("")}}), ContractError);
  EXPECT_THROW(array.append_row(std::vector<Entry>{{1, HUGE_VAL}}), ContractError);
  EXPECT_EQ(array, example());
}

TEST(ActivationsFile, GivesBackWhatWasSaved) {
  const TemporaryFolder folder;
  EXPECT_TRUE(rc::check([&] {
    const auto dimension = *rc::gen::inRange<std::uint32_t>(0, 8);
    Activations array = Activations::with_dimension(dimension);
    const int rows = *rc::gen::inRange(0, 6);
    for (int r = 0; r < rows; ++r) {
      std::vector<Entry> row;
      for (std::uint32_t c = 0; c < dimension; ++c) {
        row.push_back(
            {c, *rc::gen::element(0.0, 1.0, -0.0, 5e-324, 1.7976931348623157e308, 9007199254740993.0)});
      }
      array.append_row(row);
    }
    array.save(folder.file("a"));
    RC_ASSERT(Activations::load(folder.file("a")) == array);
  }));
}

TEST(ActivationsFile, RefusesWhatIsNoFileOfOurs) {
  const TemporaryFolder folder;
  EXPECT_THROW(Activations::load(folder.file("missing")), ContractError);
  EXPECT_THROW(Activations::load(folder.file(".")), ContractError);
  EXPECT_THROW(Activations::load("/dev/zero"), ContractError);
  ASSERT_EQ(::mkfifo(folder.file("pipe").c_str(), 0600), 0);
  EXPECT_THROW(Activations::load(folder.file("pipe")), ContractError);
  EXPECT_THROW(example().save(folder.file("no/such/folder")), ContractError);
  std::ofstream(folder.file("empty")).close();
  EXPECT_THROW(Activations::load(folder.file("empty")), ContractError);
}

// Every single-byte change and every truncation is refused: the checksum sees it, or a field before it.
TEST(ActivationsFile, RefusesDamage) {
  const TemporaryFolder folder;
  example().save(folder.file("a"));
  const std::string good = bytes_of(folder.file("a"));
  const auto refused = [&](const std::string& bytes) {
    std::ofstream(folder.file("b"), std::ios::binary) << bytes;
    EXPECT_THROW(Activations::load(folder.file("b")), ContractError);
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    if (i >= 12 && i < 16) continue;  // the dimension: larger ones are files of ours
    for (const int flip : {1, 0x80}) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ flip);
      refused(bad);
    }
    refused(good.substr(0, i));
  }
  refused(good + "x");
}

// With a right checksum the fields themselves must be checked.
TEST(ActivationsFile, RefusesHostileFields) {
  const TemporaryFolder folder;
  example().save(folder.file("a"));
  const std::string good = bytes_of(folder.file("a"));
  const auto refused = [&](std::size_t position, auto value, const char* field) {
    std::string bad = good;
    std::memcpy(bad.data() + position, &value, sizeof(value));
    const std::uint64_t checksum = XXH3_64bits(bad.data() + 40, bad.size() - 40);
    std::memcpy(bad.data() + 32, &checksum, 8);
    std::ofstream(folder.file("b"), std::ios::binary) << bad;
    try {
      Activations::load(folder.file("b"));
      ADD_FAILURE() << "accepted a wrong " << field;
    } catch (const ContractError& error) {
      EXPECT_NE(std::string(error.what()).find(field), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(folder.file("b")), std::string::npos) << error.what();
    }
  };
  refused(0, 'x', "magic");
  refused(8, std::uint32_t{2}, "version");
  refused(12, std::uint32_t{9}, "dimension");  // column 9 no longer fits
  refused(16, std::uint64_t{4}, "tokens");
  refused(16, ~std::uint64_t{0}, "tokens");
  refused(16, std::uint64_t{1} << 61, "tokens");
  refused(24, std::uint64_t{1} << 62, "nonzeros");
  refused(24, std::uint64_t{0xffffffff}, "nonzeros");  // a 48 GiB claim
  refused(40, std::uint64_t{1}, "offsets");
  refused(48, ~std::uint64_t{0}, "offsets");
  refused(56, std::uint64_t{0}, "offsets");
  refused(64, std::uint64_t{2}, "offsets");
  refused(72, std::uint32_t{9}, "column");   // columns 9 9
  refused(76, std::uint32_t{10}, "column");  // beyond the dimension
  refused(84, std::numeric_limits<double>::quiet_NaN(), "value");
  refused(84, 0.0, "value");
}

}  // namespace
}  // namespace roundtrip::anna
