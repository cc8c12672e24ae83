// The meter of the heap: what each form of operator new takes, what is given back, pauses, meters within meters.
#include "roundtrip/base/heap_meter.h"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <memory>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace roundtrip {
namespace {

using Words = std::vector<std::uint64_t>;

/// Most words held at once by `work`.
template <typename Work>
std::uint64_t metered(Work&& work) {
  HeapMeter meter;
  meter.start();
  work();
  meter.stop();
  return meter.peak_words();
}

/// Lets no compiler see that nobody needs a block.
void* kept(void* block) {
  void* volatile here = block;
  return here;
}

class Heap : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!HeapMeter::available()) GTEST_SKIP() << "operator new is the sanitizer's";
  }
};

TEST_F(Heap, CountsTheMostThatIsHeldAtOnce) {
  EXPECT_EQ(metered([] {}), 0u);
  EXPECT_EQ(metered([] { kept(Words(10).data()); }), 10u);
  EXPECT_EQ(metered([] {
              for (int i = 0; i < 5; ++i) kept(Words(10).data());
            }),
            10u);
  EXPECT_EQ(metered([] {
              const Words first(10), second(7);
              kept(const_cast<std::uint64_t*>(second.data()));
            }),
            17u);
}

TEST_F(Heap, RoundsEachBlockUpToWordsAndNoneToOne) {
  for (const auto& [bytes, words] : {std::pair(0, 1), {1, 1}, {8, 1}, {9, 2}, {16, 2}, {1001, 126}}) {
    const auto size = static_cast<std::size_t>(bytes);
    EXPECT_EQ(metered([size] { ::operator delete(kept(::operator new(size))); }),
              static_cast<std::uint64_t>(words));
  }
}

TEST_F(Heap, CountsEveryForm) {
  constexpr std::align_val_t kLine{64};
  constexpr std::size_t kBytes = 120;
  const auto expect_15 = [](auto&& work) { EXPECT_EQ(metered(work), 15u); };
  expect_15([] { ::operator delete(kept(::operator new(kBytes))); });
  expect_15([] { ::operator delete[](kept(::operator new[](kBytes))); });
  expect_15([] { ::operator delete(kept(::operator new(kBytes, kLine)), kLine); });
  expect_15([] { ::operator delete[](kept(::operator new[](kBytes, kLine)), kLine); });
#if __cpp_sized_deallocation  // clang 14 has it with a flag alone
  expect_15([] { ::operator delete(kept(::operator new(kBytes)), kBytes); });
  expect_15([] { ::operator delete[](kept(::operator new[](kBytes)), kBytes); });
  expect_15([] { ::operator delete(kept(::operator new(kBytes, kLine)), kBytes, kLine); });
  expect_15([] { ::operator delete[](kept(::operator new[](kBytes, kLine)), kBytes, kLine); });
#endif
  expect_15([] { ::operator delete(kept(::operator new(kBytes, std::nothrow)), std::nothrow); });
  expect_15([] { ::operator delete[](kept(::operator new[](kBytes, std::nothrow)), std::nothrow); });
  expect_15(
      [] { ::operator delete(kept(::operator new(kBytes, kLine, std::nothrow)), kLine, std::nothrow); });
  expect_15(
      [] { ::operator delete[](kept(::operator new[](kBytes, kLine, std::nothrow)), kLine, std::nothrow); });
  EXPECT_EQ(metered([] {
              void* const block = ::operator new(kBytes, kLine);
              EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0u);
              ::operator delete(block, kLine);
            }),
            15u);
}

TEST_F(Heap, CountsWhatDidNotFitAndSaysSo) {
  constexpr std::size_t kTooMany = ~std::size_t{0} / 2;
  EXPECT_EQ(metered([] { EXPECT_THROW(kept(::operator new(kTooMany)), std::bad_alloc); }), kTooMany / 8 + 1);
  EXPECT_EQ(metered([] { EXPECT_EQ(kept(::operator new(kTooMany, std::nothrow)), nullptr); }),
            kTooMany / 8 + 1);
}

TEST_F(Heap, WhatWasTakenBeforeOrIsGivenBackAfterCountsOnce) {
  auto before = std::make_unique<Words>(100);
  std::unique_ptr<Words> after;
  EXPECT_EQ(metered([&] {
              before.reset();
              after = std::make_unique<Words>(10);  // three words of the vector itself
            }),
            13u);
  after.reset();
  EXPECT_EQ(metered([&] { kept(Words(5).data()); }), 5u);
}

TEST_F(Heap, CountsNothingWhilePausedAndThereGivesBackWhatCounted) {
  std::unique_ptr<Words> ours;
  EXPECT_EQ(metered([&] {
              auto counted = std::make_unique<Words>(10);
              {
                const HeapPause pause;
                ours = std::make_unique<Words>(1000);
                const HeapPause again;
                counted.reset();
              }
              kept(Words(12).data());
            }),
            13u);
}

TEST_F(Heap, AMeterWithinAMeterCountsForItself) {
  std::uint64_t inner = 0;
  EXPECT_EQ(metered([&] {
              const Words outer(3);
              inner = metered([] { kept(Words(100).data()); });
              kept(const_cast<std::uint64_t*>(outer.data()));
              kept(Words(4).data());
            }),
            7u);
  EXPECT_EQ(inner, 100u);
}

TEST_F(Heap, AThreadCountsForItself) {
  EXPECT_LT(metered([] { std::thread([] { kept(Words(5000).data()); }).join(); }), 5000u);
}

// Tables of blocks that grow, are emptied in another order than they were filled, and are used again.
TEST_F(Heap, KeepsTrackOfManyBlocks) {
  HeapMeter meter;
  for (int round = 0; round < 3; ++round) {
    meter.start();
    {
      std::list<std::uint64_t> numbers(5000, 1);  // of three words each
      numbers.remove_if([i = 0](auto) mutable { return i++ % 3 != 0; });
      std::map<int, int> tree;  // of five
      for (int i = 0; i < 600; ++i) tree[i * 7919 % 1000003] = i;
      EXPECT_EQ(std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0}), 1667u);
    }
    kept(Words(14000).data());  // all before was given back
    meter.stop();
    EXPECT_EQ(meter.peak_words(), 15000u);
  }
}

}  // namespace
}  // namespace roundtrip
