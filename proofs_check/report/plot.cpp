#include "roundtrip/proofs_check/report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "roundtrip/base/escape_html.h"
#include "roundtrip/proofs_check/report/rows.h"

namespace roundtrip::proofs_check {
namespace {

// Okabe and Ito's colours, told apart by all common kinds of colour vision; dark enough on white for thin
// lines.
constexpr std::array kColours = {"#0072B2", "#B34700", "#00664B", "#8F3A71", "#000000", "#6B5B00"};
constexpr std::array kDashes = {"", "7 4", "2 3", "9 3 2 3", "4 4", "1 4"};
constexpr double kWidth = 420, kHeight = 264;  // and a line for each row of the legend
constexpr std::size_t kLongLabel = 22;         // characters that fit beside another label
constexpr double kLeft = 62, kRight = 24, kTop = 14, kBottom = 46;

/// One axis: values to places.
class Axis {
 public:
  Axis(bool logarithmic, double base, double from, double to)
      : log_(logarithmic), base_(base), from_(from), to_(to) {}
  void take(double value) {
    const double v = scaled(value);
    low_ = std::min(low_, v);
    high_ = std::max(high_, v);
  }
  void settle(bool from_zero) {
    if (from_zero && !log_) low_ = std::min(low_, 0.0);
    if (high_ - low_ < 1e-12) {
      low_ -= log_ ? 0.5 : std::max(0.5, std::fabs(low_) / 2);
      high_ += log_ ? 0.5 : std::max(0.5, std::fabs(high_) / 2);
    }
  }
  double configuration(double value) const {
    return from_ + (scaled(value) - low_) / (high_ - low_) * (to_ - from_);
  }
  /// Where marks stand: whole powers of the base, or round numbers.
  std::vector<double> ticks() const {
    std::vector<double> all;
    if (log_) {
      const double step = std::max(1.0, std::ceil((high_ - low_) / 6));
      for (double e = std::ceil(low_ - 1e-9); e <= high_ + 1e-9; e += step) all.push_back(std::pow(base_, e));
      if (all.size() < 2) all = {std::pow(base_, low_), std::pow(base_, high_)};
      return all;
    }
    const double raw = (high_ - low_) / 5;
    const double unit = std::pow(10, std::floor(std::log10(raw)));
    const double step = unit * (raw / unit < 1.5 ? 1 : raw / unit < 3.5 ? 2 : raw / unit < 7.5 ? 5 : 10);
    for (double v = std::ceil(low_ / step - 1e-9) * step; v <= high_ + step * 1e-6; v += step)
      all.push_back(std::fabs(v) < step * 1e-6 ? 0 : v);
    return all;
  }

 private:
  double scaled(double value) const { return log_ ? std::log(value) / std::log(base_) : value; }
  bool log_;
  double base_, from_, to_;
  double low_ = 1e300, high_ = -1e300;
};

std::string marker(std::size_t kind, double x, double y, const char* colour) {
  switch (kind % 6) {
    case 0:
      return fmt::format(R"(<circle cx="{:.1f}" cy="{:.1f}" r="4" fill="{}"/>)", x, y, colour);
    case 1:
      return fmt::format(
          R"(<rect x="{:.1f}" y="{:.1f}" width="10" height="10" fill="none" stroke="{}" stroke-width="1.5"/>)",
          x - 5, y - 5, colour);
    case 2:
      return fmt::format(R"(<path d="M{:.1f} {:.1f}l5 8h-10z" fill="{}"/>)", x, y - 5, colour);
    case 3:
      return fmt::format(
          R"(<path d="M{:.1f} {:.1f}l5 5l-5 5l-5 -5z" fill="none" stroke="{}" stroke-width="1.5"/>)", x,
          y - 5, colour);
    case 4:
      return fmt::format(
          R"(<path d="M{0:.1f} {1:.1f}l8 8m0 -8l-8 8" fill="none" stroke="{2}" stroke-width="1.5"/>)", x - 4,
          y - 4, colour);
    default:
      return fmt::format(
          R"(<path d="M{0:.1f} {1:.1f}h10m-5 -5v10" fill="none" stroke="{2}" stroke-width="1.5"/>)", x - 5, y,
          colour);
  }
}

bool usable(const Plot& plot, const std::pair<double, double>& point) {
  return std::isfinite(point.first) && std::isfinite(point.second) && (!plot.log_x || point.first > 0) &&
         (!plot.log_y || point.second > 0);
}

/// Whole powers of ten from 10^5 on are written as such: they must fit beside the axis.
std::string tick_text(double value) {
  const double exponent = std::log10(value);
  return value >= 1e5 && exponent == std::round(exponent) ? fmt::format("10^{:.0f}", exponent)
                                                          : short_number(value);
}

}  // namespace

std::string svg(const Plot& plot) {
  Axis x(plot.log_x, 2, kLeft, kWidth - kRight);
  double least = 1e300, most = 0;
  std::size_t longest = 0;
  for (const Series& series : plot.series) {
    longest = std::max(longest, series.label.size());
    for (const auto& point : series.points) {
      if (!usable(plot, point)) continue;
      least = std::min(least, point.second);
      most = std::max(most, point.second);
    }
  }
  const std::size_t columns = longest > kLongLabel ? 1 : 2;  // of the legend
  const double bottom = kHeight - kBottom;
  const std::size_t rows = (plot.series.size() + columns - 1) / columns;
  const double height = kHeight + 16 * static_cast<double>(rows);
  Axis y(plot.log_y, most < 1000 * least ? 2 : 10, bottom, kTop);
  std::string described;
  for (const Series& series : plot.series) {
    described += series.label + ":";
    for (const auto& point : series.points) {
      if (!usable(plot, point)) continue;
      x.take(point.first);
      y.take(point.second);
      described += fmt::format(" {} at {},", short_number(point.second), short_number(point.first));
    }
    if (described.ends_with(',')) described.back() = '.';
    described += ' ';
  }
  x.settle(false);
  y.settle(true);
  std::string out = fmt::format(
      R"(<svg viewBox="0 0 {:.0f} {:.0f}" role="img" aria-label="{}"><title>{}</title><desc>{}</desc>)",
      kWidth, height, escape_html(plot.title), escape_html(plot.title), escape_html(described));
  for (const double tick : y.ticks()) {
    const double at = y.configuration(tick);
    out += fmt::format(
        R"(<path d="M{:.1f} {:.1f}H{:.1f}" class="grid"/><text x="{:.1f}" y="{:.1f}" class="y">{}</text>)",
        kLeft, at, kWidth - kRight, kLeft - 6, at + 4, tick_text(tick));
  }
  for (const double tick : x.ticks()) {
    const double at = x.configuration(tick);
    out += fmt::format(
        R"(<path d="M{:.1f} {:.1f}v5" class="axis"/><text x="{:.1f}" y="{:.1f}" class="x">{}</text>)", at,
        bottom, at, bottom + 18,
        plot.log_x ? short_size(static_cast<std::uint64_t>(std::llround(tick))) : short_number(tick));
  }
  out += fmt::format(R"(<path d="M{0:.1f} {1:.1f}V{2:.1f}H{3:.1f}" class="axis"/>)", kLeft, kTop, bottom,
                     kWidth - kRight);
  out += fmt::format(R"(<text x="{:.1f}" y="{:.1f}" class="x">{}</text>)", (kLeft + kWidth - kRight) / 2,
                     bottom + 34, escape_html(plot.x_label));
  out += fmt::format(R"svg(<text transform="translate(13 {:.1f}) rotate(-90)" class="x">{}</text>)svg",
                     (kTop + bottom) / 2, escape_html(plot.y_label));
  for (std::size_t i = 0; i < plot.series.size(); ++i) {
    const char* const colour = kColours[i % kColours.size()];
    std::string path;
    std::string marks;
    for (const auto& point : plot.series[i].points) {
      if (!usable(plot, point)) continue;
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x.configuration(point.first),
                          y.configuration(point.second));
      marks += marker(i, x.configuration(point.first), y.configuration(point.second), colour);
    }
    const double at_x = kLeft + (i % columns == 0 ? 0 : (kWidth - kLeft) / 2);
    const std::size_t row = i / columns;
    const double at_y = bottom + 52 + 16 * static_cast<double>(row);
    out += fmt::format(R"(<path d="{}" fill="none" stroke="{}" stroke-width="1.5" stroke-dasharray="{}"/>)",
                       path, colour, kDashes[i % kDashes.size()]);
    out += marks + marker(i, at_x + 6, at_y - 4, colour) +
           fmt::format(R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", at_x + 18, at_y,
                       escape_html(plot.series[i].label));
  }
  return out + "</svg>";
}

}  // namespace roundtrip::proofs_check
