// .npy files: exchange with numpy, and headers that must be refused.
#include "roundtrip/base/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"

namespace roundtrip {
namespace {

using ::testing::HasSubstr;

std::string file(const std::string& header, const std::string& data, int version = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(version);
  out += '\0';
  const std::uint32_t size = static_cast<std::uint32_t>(header.size());
  out.append(reinterpret_cast<const char*>(&size), version == 1 ? 2 : 4);
  return out + header + data;
}

std::string refusal(const std::string& bytes) {
  try {
    NpyFile::parse(bytes, "f");
  } catch (const ContractError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find_first_of("\n\r\x1b"), std::string::npos) << message;
    EXPECT_LT(message.size(), 300u);
    return message;
  }
  return "accepted";
}

TEST(Npy, ArraysOfNumpyAreReadAndReadBack) {
  const std::string folder = ::testing::TempDir() + "npy_" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  const auto numpy = [&](const std::string& mode) {
    return std::system(
        (ROUNDTRIP_PYTHON " -B " ROUNDTRIP_TEST_SOURCES "/numpy_npy.py " + mode + " " + folder).c_str());
  };
  ASSERT_EQ(numpy("write"), 0) << "needs python3 with numpy (Debian: python3-numpy)";
  const auto check = [&](const std::string& name, std::vector<std::uint64_t> shape,
                         std::vector<std::int64_t> values) {
    for (const char* version : {"1", "2", "3"}) {
      const NpyFile read = NpyFile::load(folder + "/" + name + "." + version + ".npy");
      const TensorView& array = read.array();
      EXPECT_EQ(array.shape, shape) << name;
      if (is_integer(array.dtype)) {
        EXPECT_EQ(integers_of(array, name), values) << name;
      } else {
        EXPECT_EQ(reals_of(array, name), std::vector<double>(values.begin(), values.end())) << name;
      }
      write_whole(folder + "/" + name + ".copy.npy", write_npy(array));
    }
  };
  for (const char* code : {"f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1"}) {
    check(std::string(code) + "_1", {5}, {1, 0, 1, 1, 0});
    check(std::string(code) + "_2", {2, 3}, {1, 0, 1, 0, 1, 1});
  }
  std::vector<std::int64_t> wide;
  for (std::int64_t i = -300; i < 300; ++i) wide.push_back(i);
  check("wide", {4, 150}, wide);
  EXPECT_EQ(numpy("check"), 0);
  std::filesystem::remove_all(folder);
}

TEST(Npy, HeadersMayBeWrittenInAnyOrderOfFields) {
  const NpyFile read =
      NpyFile::parse(file("{\"shape\":(2 ,2),'fortran_order':False,\n\t'descr' : '|u1'}\n", "abcd"), "f");
  EXPECT_EQ(read.rows(), 2u);
  EXPECT_EQ(read.columns(), 2u);
  EXPECT_EQ(integers_of(read.array(), "f"), (std::vector<std::int64_t>{'a', 'b', 'c', 'd'}));
  const NpyFile line =
      NpyFile::parse(file("{'shape':(4,),'fortran_order':True,'descr':'|u1'}", "abcd", 3), "f");
  EXPECT_EQ(line.rows(), 4u);
  EXPECT_EQ(line.columns(), 1u);
}

TEST(Npy, HostileFilesAreRefusedByName) {
  EXPECT_THAT(refusal(""), HasSubstr("not an .npy file"));
  EXPECT_THAT(refusal("\x93NUMPY"), HasSubstr("not an .npy file"));
  EXPECT_THAT(refusal(file("{}", "", 0)), HasSubstr("version 0"));
  EXPECT_THAT(refusal(file("{}", "", 4)), HasSubstr("version 4"));
  EXPECT_THAT(refusal(std::string("\x93NUMPY\x02\x00\x01", 9)), HasSubstr("9 bytes end within"));
  std::string claim = file("{}", "", 2);
  std::memset(claim.data() + 8, 0xff, 4);  // 4 GiB
  EXPECT_THAT(refusal(claim), HasSubstr("claims 4294967295 bytes; the file has 2"));
  EXPECT_THAT(refusal(file(std::string(65536, ' '), "", 2)), HasSubstr("at most 65535"));
  struct Case {
    const char* header;
    const char* message;
  };
  const Case cases[] = {
      {"", "where '{' is needed"},
      {"{", "where a text is needed"},
      {"{'descr'", "where ':' is needed"},
      {"{'descr':'|u1", "where a text is needed"},
      {"{'descr':[('a','<i4')],", "where a text is needed"},
      {"{'descr':'|u1'", "where '}' is needed"},
      {"{'descr':'|u1'}", "lacks"},
      {"{'descr':'|u1','descr':'|u1'}", "'descr'"},
      {"{'other':1}", "'other'"},
      {"{'descr':'|u1','fortran_order':0,'shape':(4,)}", "True or False"},
      {"{'descr':'|u1','fortran_order':False,'shape':4}", "where '(' is needed"},
      {"{'descr':'|u1','fortran_order':False,'shape':(-4,)}", "an extent below 2^64"},
      {"{'descr':'|u1','fortran_order':False,'shape':(18446744073709551616,)}", "an extent below 2^64"},
      {"{'descr':'|u1','fortran_order':False,'shape':(4.0,)}", "where ')' is needed"},
      {"{'descr':'|u1','fortran_order':False,'shape':(4,)} x", "goes on after"},
      {"{'descr':'|u1','fortran_order':False,'shape':()}", "0 dimensions"},
      {"{'descr':'|u1','fortran_order':False,'shape':(1,2,2)}", "3 dimensions"},
      {"{'descr':'|u1','fortran_order':True,'shape':(2,2)}", "fortran_order True"},
      {"{'descr':'|u1','fortran_order':False,'shape':(4611686018427387904,0)}", "extent of 0"},
      {"{'descr':'|u1','fortran_order':False,'shape':(3,)}", "shape (3) of |u1, which are not the 4 bytes"},
      {"{'descr':'<f8','fortran_order':False,'shape':(4,)}", "not the 4 bytes"},
      {"{'descr':'<f8','fortran_order':False,'shape':(2305843009213693952,4)}", "not the 4 bytes"},
      {"{'descr':'>i4','fortran_order':False,'shape':(1,)}", "dtype '>i4'; little-endian"},
      {"{'descr':'|O','fortran_order':False,'shape':(1,)}", "dtype '|O'"},
      {"{'descr':'I32','fortran_order':False,'shape':(1,)}", "dtype 'I32'"},
      {"{'descr':'','fortran_order':False,'shape':(1,)}", "dtype ''"},
      {"{'\x1b[31m\n':1}", "\\x1b"},
  };
  for (const Case& c : cases) EXPECT_THAT(refusal(file(c.header, "data")), HasSubstr(c.message)) << c.header;
  EXPECT_EQ(refusal(file("{'descr':'|u1','fortran_order':False,'shape':(4,)}", "data")), "accepted");
  EXPECT_THROW(NpyFile::load("/nonexistent"), ContractError);
}

TEST(Npy, AnyOrderIsUndoneWhereItIsAskedFor) {
  const auto read = [](const std::string& header, const std::string& data) {
    const NpyFile found = NpyFile::parse(file(header, data), "f", NpyFile::Layout::kAny);
    return integers_of(found.array(), "f");
  };
  using Values = std::vector<std::int64_t>;
  EXPECT_EQ(read("{'descr':'>i2','fortran_order':False,'shape':(2,)}", std::string("\1\2\xff\xfe", 4)),
            (Values{258, -2}));
  EXPECT_EQ(read("{'descr':'|u1','fortran_order':True,'shape':(2,3)}", "adbecf"),
            (Values{'a', 'b', 'c', 'd', 'e', 'f'}));
  EXPECT_EQ(read("{'descr':'>u2','fortran_order':True,'shape':(2,2)}", std::string("\0\1\0\3\0\2\0\4", 8)),
            (Values{1, 2, 3, 4}));
  const NpyFile heads =
      NpyFile::parse(file("{'descr':'|u1','fortran_order':False,'shape':(2,1,2,3)}", "abcdefghijkl"), "f",
                     NpyFile::Layout::kAny);
  EXPECT_EQ((std::vector<std::uint64_t>{heads.heads(), heads.rows(), heads.columns()}),
            (std::vector<std::uint64_t>{2, 2, 3}));
  EXPECT_EQ(heads.head(1).bytes, "ghijkl");
  const NpyFile fortran = NpyFile::parse(
      file("{'descr':'|u1','fortran_order':True,'shape':(2,2,2)}", "aecgbfdh"), "f", NpyFile::Layout::kAny);
  EXPECT_EQ(fortran.array().bytes, "abcdefgh");
  EXPECT_THROW(NpyFile::parse(file("{'descr':'>O','fortran_order':False,'shape':(1,)}", "12345678"), "f",
                              NpyFile::Layout::kAny),
               ContractError);
}

TEST(Npy, AWriterIsHeldToItsShape) {
  EXPECT_THROW(write_npy({Dtype::kU8, {3}, "1234"}), ContractError);
  EXPECT_THROW(write_npy({Dtype::kU8, {1, 2, 2}, "1234"}), ContractError);
  EXPECT_THROW(write_npy({Dtype::kBf16, {2}, "1234"}), ContractError);
}

}  // namespace
}  // namespace roundtrip
