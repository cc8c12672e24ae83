#include "roundtrip/cli/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/transport.h"

namespace roundtrip::cli {
namespace {

namespace fs = std::filesystem;

std::uint64_t ranks_here = 1;

/// The number after `key` in a file of "key number" lines; with an empty key, the file's first number. Empty for
/// "max", and where there is none.
std::optional<std::uint64_t> number_in(const fs::path& file, std::string_view key = {}) {
  std::ifstream lines(file);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t value = 0;
    if (!key.empty() && (!(words >> name) || name != key)) continue;
    if (words >> value) return value;
    if (key.empty()) return {};
  }
  return {};
}

/// A control group's file names, by version.
struct Names {
  const char *limit, *used, *cached;
};
constexpr Names kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr Names kVersion2 = {"memory.max", "memory.current", "inactive_file"};

/// What the group in `folder` may still take; empty: as much as there is.
std::optional<std::uint64_t> group_bytes(const fs::path& folder, const Names& names) {
  const auto limit = number_in(folder / names.limit), used = number_in(folder / names.used);
  // Version 1 says "no limit" by a number near 2^63.
  if (!limit || !used || *limit >= std::uint64_t{1} << 62) return {};
  const std::uint64_t taken =
      *used - std::min(*used, number_in(folder / "memory.stat", names.cached).value_or(0));
  return *limit - std::min(*limit, taken);
}

struct Mount {
  fs::path group;   ///< that the mount shows as its root
  fs::path folder;  ///< where
};

/// Where the control groups of memory are mounted. A line of mountinfo is
/// "id parent device ROOT FOLDER options [optional..] - TYPE source SUPER_OPTIONS".
std::optional<Mount> mount_of(const fs::path& root, bool version2) {
  std::ifstream lines(root / "proc/self/mountinfo");
  std::string line;
  while (std::getline(lines, line)) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream left(line), right(line.substr(dash + 3));
    std::string skipped, group, folder, type, source, options;
    left >> skipped >> skipped >> skipped >> group >> folder;
    right >> type >> source >> options;
    const bool memory = ("," + options + ",").find(",memory,") != std::string::npos;
    if (version2 ? type == "cgroup2" : type == "cgroup" && memory)
      return Mount{group, root / fs::path(folder).relative_path()};
  }
  return {};
}

/// The least of the room of this process's groups, from its own up to the mount's root.
std::optional<std::uint64_t> groups_bytes(const fs::path& root) {
  std::optional<std::uint64_t> least;
  std::ifstream lines(root /
                      "proc/self/cgroup");  // "number:controllers:/group"; version 2 has no controllers
  std::string line;
  while (std::getline(lines, line)) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool version2 = controllers == ",,";
    if (!version2 && controllers.find(",memory,") == std::string::npos) continue;
    const std::optional<Mount> mount = mount_of(root, version2);
    if (!mount) continue;
    // In a container the mount may show this group, or one above it, as its root.
    fs::path group = fs::path(line.substr(second + 1)).lexically_relative(mount->group);
    if (group.empty() || *group.begin() == "..") group = ".";
    fs::path folder = (mount->folder / group).lexically_normal();
    for (;; folder = folder.parent_path()) {
      if (const auto bytes = group_bytes(folder, version2 ? kVersion2 : kVersion1))
        least = std::min(least.value_or(*bytes), *bytes);
      const fs::path rest = folder.lexically_relative(mount->folder);
      if (rest.empty() || rest == "." || *rest.begin() == "..") break;
    }
  }
  return least;
}

/// What `ulimit -v` leaves.
std::optional<std::uint64_t> address_bytes() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return {};
  const std::uint64_t used =
      number_in("/proc/self/statm").value_or(0) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return limit.rlim_cur - std::min<std::uint64_t>(limit.rlim_cur, used);
}

}  // namespace

std::optional<std::uint64_t> available_bytes(const fs::path& root) {
  std::optional<std::uint64_t> host = number_in(root / "proc/meminfo", "MemAvailable:");
  if (host) *host *= 1024;
  const std::optional<std::uint64_t> groups = groups_bytes(root);
  return host && groups ? std::min(*host, *groups) : host ? host : groups;
}

void count_ranks_here(mpc::Transport& transport) {
  const auto ranks = static_cast<std::size_t>(transport.ranks());
  // One host has one boot, whatever its containers call themselves.
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot;
  file >> boot;
  const std::vector<std::uint64_t> mine(ranks, std::hash<std::string>()(boot));
  std::vector<std::uint64_t> all(ranks);
  transport.all_to_all(mine, all);
  ranks_here = static_cast<std::uint64_t>(std::ranges::count(all, mine.front()));
}

void require_memory(std::uint64_t bytes, std::string_view work, std::uint64_t each) {
  const auto demand = [&](std::uint64_t needed, std::optional<std::uint64_t> available,
                          std::string_view where) {
    require(!available || needed <= *available, "{} needs {} bytes of memory{}, {} are free", work, needed,
            where, available.value_or(0));
  };
  demand(bytes + each * ranks_here, available_bytes(),
         ranks_here > 1 && each > 0 ? fmt::format(" on this host, for {} ranks", ranks_here) : "");
  demand(bytes + each, address_bytes(), " within ulimit -v");
}

}  // namespace roundtrip::cli
