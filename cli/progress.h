// Purpose: one line on a terminal's standard error that says how far the work is, and is gone afterwards.
#pragma once

#include <unistd.h>

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
};

}  // namespace roundtrip::cli
