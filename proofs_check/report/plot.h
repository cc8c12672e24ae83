// Purpose: line plots as SVG for the page of a report. Series differ by marker, dashes and label as well as
// by colour, so that none is needed to tell them apart.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace roundtrip::proofs_check {

struct Series {
  std::string label;
  std::vector<std::pair<double, double>> points;  ///< x ascending
};

struct Plot {
  std::string title;  ///< also what a screen reader says first
  std::string x_label, y_label;
  std::vector<Series> series;  ///< at most 6 can be told apart
  bool log_x = true;           ///< base 2; all x are then positive
  bool log_y = false;          ///< base 10, or 2 for a short range; all y are then positive
};

/// One <svg> element, 420 units wide, with role="img", <title> and a <desc> that says the numbers; nothing
/// from elsewhere, no script. Points that are not finite are left out.
std::string svg(const Plot& plot);

}  // namespace roundtrip::proofs_check
