// What control groups leave, on file trees made for it: the system's own needs root.
#include "roundtrip/cli/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "roundtrip/base/error.h"

namespace roundtrip::cli {
namespace {

namespace fs = std::filesystem;

class Host : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / fmt::format("roundtrip-memory-{}", ::getpid());
    put("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n");
  }
  void TearDown() override { fs::remove_all(root_); }
  void put(const fs::path& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  void mounted(const std::string& group, const std::string& type, const std::string& options) {
    put("proc/self/mountinfo",
        fmt::format("30 23 0:26 {} /sys/fs/cgroup rw shared:4 - {} cgroup {}\n", group, type, options));
  }
  std::optional<std::uint64_t> available() const { return available_bytes(root_); }
  fs::path root_;
};

TEST_F(Host, WithoutGroupsHasWhatMeminfoSays) {
  EXPECT_EQ(available(), 8000u * 1024);
  fs::remove(root_ / "proc/meminfo");
  EXPECT_EQ(available(), std::nullopt);
}

TEST_F(Host, Version2CountsItsAncestorsAndGivesCachedFilesBack) {
  mounted("/", "cgroup2", "rw");
  put("proc/self/cgroup", "0::/job/step\n");
  put("sys/fs/cgroup/job/step/memory.max", "max\n");
  put("sys/fs/cgroup/job/step/memory.current", "100\n");
  EXPECT_EQ(available(), 8000u * 1024);
  put("sys/fs/cgroup/job/memory.max", "5000\n");
  put("sys/fs/cgroup/job/memory.current", "1500\n");
  EXPECT_EQ(available(), 3500u);
  put("sys/fs/cgroup/job/memory.stat", "anon 1000\ninactive_file 500\n");
  EXPECT_EQ(available(), 4000u);
  put("sys/fs/cgroup/job/step/memory.max", "3000\n");
  EXPECT_EQ(available(), 2900u);
  put("sys/fs/cgroup/job/step/memory.current", "3001\n");
  EXPECT_EQ(available(), 0u);
}

TEST_F(Host, Version1HasNamesOfItsOwn) {
  mounted("/", "cgroup", "rw,memory");
  put("proc/self/cgroup", "9:name=systemd:/x\n4:cpu,memory:/job\n0::/\n");
  put("sys/fs/cgroup/job/memory.limit_in_bytes", "9223372036854771712\n");
  put("sys/fs/cgroup/job/memory.usage_in_bytes", "4000\n");
  EXPECT_EQ(available(), 8000u * 1024);
  put("sys/fs/cgroup/job/memory.limit_in_bytes", "10000\n");
  put("sys/fs/cgroup/job/memory.stat", "inactive_file 1\ntotal_inactive_file 1000\n");
  EXPECT_EQ(available(), 7000u);
}

TEST_F(Host, AContainersMountShowsItsOwnGroupAsTheRoot) {
  mounted("/docker/abc", "cgroup2", "rw");
  put("proc/self/cgroup", "0::/docker/abc\n");
  put("sys/fs/cgroup/memory.max", "6000\n");
  put("sys/fs/cgroup/memory.current", "1000\n");
  EXPECT_EQ(available(), 5000u);
  put("proc/self/cgroup", "0::/elsewhere\n");  // a group that the mount does not show
  EXPECT_EQ(available(), 5000u);
}

TEST(RequireMemory, NamesTheWorkAndWhatItNeeds) {
  require_memory(1, "a little");
  EXPECT_THAT([] { require_memory(std::uint64_t{1} << 60, "the run"); },
              testing::ThrowsMessage<ContractError>(
                  testing::StartsWith("the run needs 1152921504606846976 bytes of memory")));
}

}  // namespace
}  // namespace roundtrip::cli
