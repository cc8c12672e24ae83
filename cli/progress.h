// Purpose: one line on a terminal's standard error that says how far the work is and how long it will take,
// and is gone afterwards.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace roundtrip::cli {

class Progress {
 public:
  /// Silent unless `shown` and standard error is a terminal.
  explicit Progress(bool shown) : shown_(shown && ::isatty(STDERR_FILENO) == 1) {}
  ~Progress() { wipe(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  bool shown() const { return shown_; }
  /// "round 12 of 40, 3 s left": as long a step as those seen took on average.
  void draw_step(const char* unit, std::uint64_t done, std::uint64_t all) {
    if (!shown_) return;
    if (seen_++ == 0) begun_done_ = done - 1;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
    const double left = seconds / static_cast<double>(done - begun_done_) * static_cast<double>(all - done);
    draw(fmt::format("{} {} of {}, {:.0f} s left", unit, done, all, left));
  }
  void draw(const std::string& text) {
    if (!shown_) return;
    std::fputs(("\r\033[K" + text).c_str(), stderr);
    drawn_ = true;
  }
  void wipe() {
    if (drawn_) std::fputs("\r\033[K", stderr);
    drawn_ = false;
  }

 private:
  bool shown_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::uint64_t seen_ = 0;
  std::uint64_t begun_done_ = 0;  // steps done before this line was
};

}  // namespace roundtrip::cli
