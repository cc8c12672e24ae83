// A fuzz target as an ordinary test: its seeds, and a fixed number of mutations of them.
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "fuzz/target.h"
#include "roundtrip/base/random.h"

namespace roundtrip::fuzz {

void expect(bool condition, const char* message) {
  EXPECT_TRUE(condition) << message;
}

namespace {

constexpr std::array<std::uint64_t, 12> kNumbers = {0,
                                                    1,
                                                    0x7f,
                                                    0xff,
                                                    0xffff,
                                                    0x7fffffff,
                                                    0xffffffff,
                                                    0x100000000,
                                                    0x7fffffffffffffff,
                                                    0xffffffffffffffff,
                                                    1u << 20,
                                                    8};

std::string mutate(std::string bytes, const std::vector<std::string>& all, RandomStream& random) {
  const auto place = [&] { return static_cast<std::size_t>(random.below(bytes.size() + 1)); };
  for (std::uint64_t count = 1 + random.below(4); count > 0; --count) {
    const std::size_t at = place(), length = static_cast<std::size_t>(random.below(16)) + 1;
    switch (random.below(9)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ 1 << random.below(8));
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random.below(256));
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(at, bytes.substr(place(), length));
        break;
      case 4:
        bytes.resize(at);
        break;
      case 5:
        bytes.insert(at, std::to_string(kNumbers[random.below(kNumbers.size())]));
        break;
      case 6: {  // a little-endian number over what is there
        const std::uint64_t number = kNumbers[random.below(kNumbers.size())];
        const std::size_t size = std::size_t{1} << random.below(4);
        if (at + size <= bytes.size()) std::memcpy(bytes.data() + at, &number, size);
        break;
      }
      case 7: {  // the front of one and the back of another
        const std::string& other = all[random.below(all.size())];
        bytes = bytes.substr(0, at) + other.substr(random.below(other.size() + 1));
        break;
      }
      default: {  // a character that means something in JSON or a Python literal
        constexpr std::string_view kMarks = "{}[](),:\"'\\-.eE0123456789 ";
        if (at < bytes.size()) bytes[at] = kMarks[random.below(kMarks.size())];
        break;
      }
    }
  }
  return bytes;
}

TEST(Fuzz, SeedsAndTheirMutationsAreReadOrRefused) {
  const std::vector<std::string> all = seeds();
  for (const std::string& seed : all) try_bytes(seed);
  RandomStream random(1, Domain::kTest);
  for (int i = 0; i < ROUNDTRIP_FUZZ_MUTATIONS; ++i) {
    const std::string bytes = mutate(all[random.below(all.size())], all, random);
    ASSERT_NO_THROW(try_bytes(bytes)) << "mutation " << i;
    if (::testing::Test::HasFailure()) FAIL() << "mutation " << i;
  }
}

}  // namespace
}  // namespace roundtrip::fuzz
