// The safetensors format: exchange with an independent implementation in numpy, and files that must be
// refused.
#include "roundtrip/anna/files/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

using ::testing::HasSubstr;

std::string file(const std::string& header, const std::string& data) {
  std::string out(8, '\0');
  const std::uint64_t size = header.size();
  std::memcpy(out.data(), &size, 8);
  return out + header + data;
}

std::string refusal(const std::string& bytes) {
  try {
    SafetensorsFile::parse(bytes, "f");
  } catch (const ContractError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find_first_of("\n\r\x1b"), std::string::npos) << message;
    EXPECT_LT(message.size(), 400u);
    return message;
  }
  ADD_FAILURE() << "accepted: " << bytes.substr(0, 200);
  return "";
}

// A path of this process alone: the sanitizer's build of this test runs at the same time.
std::string scratch(const std::string& name) {
  return ::testing::TempDir() + std::to_string(::getpid()) + "_" + name;
}

int python(const std::string& mode, const std::string& path) {
  return std::system((std::string(ROUNDTRIP_PYTHON) + " -B " ROUNDTRIP_TEST_SOURCES "/numpy_safetensors.py " +
                      mode + " " + path)
                         .c_str());
}

TEST(Safetensors, NumpyWritesAndWeReadEveryDtypeExactlyAndNumpyReadsItBack) {
  const std::string path = scratch("from_numpy.safetensors");
  ASSERT_EQ(python("write", path), 0) << "needs python3 with numpy (Debian: python3-numpy)";
  const SafetensorsFile read = SafetensorsFile::load(path);
  EXPECT_EQ(read.metadata().at("from"), "numpy");
  EXPECT_EQ(read.tensors().size(), 14u);
  const std::vector<double> reals = {0, -1.5, std::ldexp(1, -14), std::ldexp(1, -24), 65504, -0.0009765625};
  for (const char* name : {"sample.F64", "sample.F32", "sample.F16"}) {
    EXPECT_EQ(reals_of(read.tensor(name), name), reals) << name;
    EXPECT_EQ(read.tensor(name).shape, (std::vector<std::uint64_t>{2, 3}));
  }
  const auto integers = [&](const char* name) { return integers_of(read.tensor(name), name); };
  using Integers = std::vector<std::int64_t>;
  constexpr std::int64_t kTop = INT64_MAX;
  EXPECT_EQ(integers("sample.I64"), (Integers{0, 1, 2, INT64_MIN, kTop, kTop - 1}));
  EXPECT_EQ(integers("sample.U64"), (Integers{0, 1, 2, 0, kTop, kTop - 1}));
  EXPECT_EQ(integers("sample.I32"), (Integers{0, 1, 2, INT32_MIN, INT32_MAX, INT32_MAX - 1}));
  EXPECT_EQ(integers("sample.U32"), (Integers{0, 1, 2, 0, UINT32_MAX, std::int64_t{UINT32_MAX} - 1}));
  EXPECT_EQ(integers("sample.I16"), (Integers{0, 1, 2, -32768, 32767, 32766}));
  EXPECT_EQ(integers("sample.U16"), (Integers{0, 1, 2, 0, 65535, 65534}));
  EXPECT_EQ(integers("sample.I8"), (Integers{0, 1, 2, -128, 127, 126}));
  EXPECT_EQ(integers("sample.U8"), (Integers{0, 1, 2, 0, 255, 254}));
  EXPECT_EQ(integers("sample.BOOL"), (Integers{0, 1, 1, 1, 0, 0}));
  EXPECT_EQ(integers("empty"), Integers());
  EXPECT_EQ(integers("scalar \u00e9"), Integers{-5});

  const std::string again = scratch("to_numpy.safetensors");
  write_whole(again, write_safetensors(read.tensors(), {{"from", "roundtrip"}}));
  EXPECT_EQ(python("check", again), 0);
  std::remove(path.c_str());
  std::remove(again.c_str());
}

TEST(Safetensors, HalfPrecisionNumbersAreExact) {
  const auto one = [](Dtype dtype, std::uint16_t bits) {
    return reals_of({dtype, {1}, {reinterpret_cast<const char*>(&bits), 2}}, "t")[0];
  };
  EXPECT_EQ(one(Dtype::kBf16, 0x3fc0), 1.5);
  EXPECT_EQ(one(Dtype::kBf16, 0xc000), -2.0);
  EXPECT_EQ(one(Dtype::kF16, 0x3555), 0.333251953125);
  EXPECT_EQ(one(Dtype::kF16, 0x83ff), -1023 * std::ldexp(1, -24));
  EXPECT_TRUE(std::isinf(one(Dtype::kF16, 0xfc00)) && one(Dtype::kF16, 0xfc00) < 0);
  EXPECT_TRUE(std::isnan(one(Dtype::kF16, 0x7c01)) && std::isnan(one(Dtype::kBf16, 0x7fc0)));
}

TEST(Safetensors, WhatIsWrittenIsReadBack) {
  EXPECT_TRUE(rc::check("write, read", [] {
    std::map<std::string, std::string> data;
    Tensors tensors;
    for (const auto& name : *rc::gen::container<std::vector<std::string>>(rc::gen::string<std::string>())) {
      // Any byte may be drawn; a name of JSON is UTF-8.
      std::string ascii;
      for (const char c : name) ascii += static_cast<char>(c & 127);
      const auto dtype = static_cast<Dtype>(*rc::gen::inRange(0, 13));
      const std::vector<std::uint64_t> shape = *rc::gen::container<std::vector<std::uint64_t>>(
          *rc::gen::inRange(0, 4), rc::gen::inRange<std::uint64_t>(0, 5));
      std::uint64_t size = element_bytes(dtype);
      for (const std::uint64_t extent : shape) size *= extent;
      std::string& bytes = data[ascii];
      bytes = *rc::gen::container<std::string>(size, rc::gen::arbitrary<char>());
      tensors[ascii] = {dtype, shape, bytes};
    }
    const SafetensorsFile read = SafetensorsFile::parse(write_safetensors(tensors, {{"a", "b\n"}}), "f");
    RC_ASSERT(read.metadata() == (TensorMetadata{{"a", "b\n"}}));
    RC_ASSERT(read.tensors().size() == tensors.size());
    for (const auto& [name, tensor] : tensors) {
      const TensorView& found = read.tensor(name);
      RC_ASSERT(found.dtype == tensor.dtype && found.shape == tensor.shape && found.bytes == tensor.bytes);
      RC_ASSERT(reinterpret_cast<std::uintptr_t>(found.bytes.data()) % element_bytes(tensor.dtype) == 0);
    }
  }));
}

TEST(Safetensors, AMovedFileKeepsItsTensors) {
  SafetensorsFile a =
      SafetensorsFile::parse(file(R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"), "f");
  const SafetensorsFile b = std::move(a);
  EXPECT_EQ(b.tensor("t").bytes, "x");
}

TEST(Safetensors, HostileSizesAreRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("0 bytes are less than the 8"));
  EXPECT_THAT(refusal("1234567"), HasSubstr("7 bytes"));
  std::string claim = file("{}", "");
  claim[7] = '\x7f';
  EXPECT_THAT(refusal(claim), HasSubstr("header claims"));
  claim = file("{}", "");
  claim[4] = 1;  // 4 GiB
  EXPECT_THAT(refusal(claim), HasSubstr("header claims 4294967298 bytes; the file has 2"));
  claim = file("{}", "");
  claim[0] = 3;
  EXPECT_THAT(refusal(claim), HasSubstr("header claims 3 bytes"));
  EXPECT_THAT(refusal(file(std::string(100'000'001, ' '), "")), HasSubstr("at most 100000000"));
  EXPECT_THAT(refusal(file("{}", "x")), HasSubstr("the file has 1"));
  EXPECT_NO_THROW(SafetensorsFile::parse(file("{}   ", ""), "f"));
}

TEST(Safetensors, UnknownDtypesAreRefusedWhereTheyAreAskedForAlone) {
  const std::string header = R"({"a":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]},)"
                             R"("b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})";
  std::string bytes(8, '\0');
  bytes[0] = static_cast<char>(header.size());
  const SafetensorsFile file = SafetensorsFile::parse(bytes + header + "wxyz", "f");
  EXPECT_EQ(file.tensor("b").bytes, "z");
  EXPECT_FALSE(file.tensors().contains("a"));
  EXPECT_THAT([&] { file.tensor("a"); }, ::testing::ThrowsMessage<ContractError>(
                                             HasSubstr("tensor 'a' has the unknown dtype 'F8_E4M3'")));
}

TEST(Safetensors, BrokenHeadersAreRefusedByName) {
  struct Case {
    const char* header;
    const char* message;
  };
  const Case cases[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"{}{}", "not JSON"},
      {"[]", "a list, not an object"},
      {"7", "a number, not an object"},
      {"{\"\xff\":{}}", "not JSON"},
      {R"({"t":7})", "'t' is a number, not an object"},
      {R"({"t":[]})", "'t' is a list, not an object"},
      {R"({"t":{}})", "tensor 't' lacks dtype"},
      {R"({"t":{"dtype":"U8","shape":[4]}})", "tensor 't' lacks data_offsets"},
      {R"({"t":{"dtype":"U8","data_offsets":[0,4]}})", "tensor 't' lacks shape"},
      {R"({"t":{"dtype":["U8"],"shape":[4],"data_offsets":[0,4]}})", "'dtype' of 't' has a list"},
      {R"({"t":{"dtype":"U8","shape":"4","data_offsets":[0,4]}})", "'shape' of 't' has a text"},
      {R"({"t":{"dtype":"U8","shape":4,"data_offsets":[0,4]}})", "'shape' of 't' has a number"},
      {R"({"t":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}})", "'shape' of 't' has a negative number"},
      {R"({"t":{"dtype":"U8","shape":[4.0],"data_offsets":[0,4]}})", "no integer"},
      {R"({"t":{"dtype":"U8","shape":[18446744073709551620],"data_offsets":[0,4]}})", "no integer"},
      {R"({"t":{"dtype":"U8","shape":[[4]],"data_offsets":[0,4]}})", "'shape' of 't' has a list"},
      {R"({"t":{"dtype":"U8","shape":[null],"data_offsets":[0,4]}})", "null"},
      {R"({"t":{"dtype":"U8","shape":[true],"data_offsets":[0,4]}})", "truth value"},
      {R"({"t":{"dtype":"U8","shape":[{}],"data_offsets":[0,4]}})", "'shape' of 't' has an object"},
      {R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[4]}})", "data_offsets of tensor 't' are [4]"},
      {R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,2,4]}})", "must be [begin, end]"},
      {R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", "are [4, 0]"},
      {R"({"t":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}})", "<= 4"},
      {R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[18446744073709551612,18446744073709551615]}})",
       "<= 4"},
      {R"({"t":{"dtype":"U8","shape":[3],"data_offsets":[0,4]}})", "3 bytes by its shape and dtype, 4 by"},
      {R"({"t":{"dtype":"F64","shape":[4],"data_offsets":[0,4]}})", "32 bytes by its shape"},
      {R"({"t":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})", "more than 2^64"},
      {R"({"t":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", "more than 2^64"},
      {R"({"t":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})", "end at data byte 3, the file has 4"},
      {R"({"t":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}})",
       "begins at data byte 1, the one before it ends at 0: a hole"},
      {R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1}})", "unknown field 'x'"},
      {R"({"t":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "tensor 't' has dtype twice"},
      {R"({"t":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})", "has shape twice"},
      {R"({"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"data_offsets":[0,4]}})",
       "has data_offsets twice"},
      {R"({"__metadata__":{"a":1}})", "'a' of '__metadata__' has a number"},
      {R"({"__metadata__":{"a":{}}})", "an object"},
      {R"({"__metadata__":{"a":[]}})", "a list"},
      {R"({"__metadata__":{"a":"x","a":"y"}})", "metadata has 'a' twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "the name '__metadata__' occurs twice"},
      {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}})",
       "tensor 'b' begins at data byte 1, the one before it ends at 2: they overlap"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       "the name 'a' occurs twice"},
      {"{\"a\\u001b[31m\\n\":7}", R"('a\x1b[31m\x0a' is a number)"},
  };
  for (const Case& c : cases) EXPECT_THAT(refusal(file(c.header, "data")), HasSubstr(c.message)) << c.header;
}

TEST(Safetensors, DepthBombsAndLongNamesEndInOneShortLine) {
  EXPECT_THAT(refusal(file(std::string(10'000'000, '['), "")), HasSubstr("a list"));
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"dtype\":";
  EXPECT_THAT(refusal(file(objects, "")), HasSubstr("an object"));
  EXPECT_THAT(refusal(file("{\"" + std::string(1'000'000, 'x') + "\":7}", "")),
              HasSubstr("xx..' is a number"));
}

TEST(Safetensors, AMissingTensorIsNamedWithItsNearest) {
  const SafetensorsFile read = SafetensorsFile::parse(
      file(R"({"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "data"), "f");
  try {
    read.tensor("wieght");
    FAIL();
  } catch (const ContractError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'f' has no tensor 'wieght'; nearest is 'weight'"));
  }
  EXPECT_THROW(static_cast<void>(integers_of(read.tensor("weight"), "weight")), ContractError);
  const std::string ones(8, '\xff');
  EXPECT_THROW(static_cast<void>(integers_of({Dtype::kU64, {1}, ones}, "t")), ContractError);
  EXPECT_THROW(static_cast<void>(reals_of({Dtype::kI64, {1}, ones}, "t")), ContractError);
}

TEST(Safetensors, UnreadablePathsAreRefused) {
  EXPECT_THROW(SafetensorsFile::load("/nonexistent"), ContractError);
  EXPECT_THROW(SafetensorsFile::load("/"), ContractError);
  EXPECT_THROW(SafetensorsFile::load("/dev/zero"), ContractError);
}

TEST(Safetensors, AWriterIsHeldToItsShapes) {
  EXPECT_THROW(write_safetensors({{"t", {Dtype::kF32, {2}, "1234"}}}), ContractError);
  EXPECT_THROW(write_safetensors({{"\xff", {Dtype::kU8, {1}, "1"}}}), ContractError);
  EXPECT_THROW(write_safetensors({{"__metadata__", {Dtype::kU8, {1}, "1"}}}), ContractError);
}

}  // namespace
}  // namespace roundtrip::anna
