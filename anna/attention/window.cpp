#include "roundtrip/anna/attention/window.h"

#include <algorithm>
#include <cmath>

#include "roundtrip/anna/attention/checks.h"
#include "roundtrip/anna/attention/softmax.h"
#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/base/error.h"

namespace roundtrip::anna {
namespace {

class ModelWindow final : public Attention {
 public:
  explicit ModelWindow(const Window& window) : window_(window) { window.validate(1); }
  std::string name() const override { return Window::info().name; }

  void attend(const Codebook& codebook, const HeadInput& head, SparseRows& out) override {
    (void)check_head(codebook, head, 1);
    out.clear();
    const std::size_t dimension = codebook.dimension(), tokens = head.tokens;
    const std::vector<std::int32_t> queries = vectors(codebook, head.queries, tokens);
    const std::vector<std::int32_t> keys = vectors(codebook, head.keys, tokens);
    // Columns that any value has, and all values there.
    std::vector<std::uint32_t> columns;
    for (std::size_t i = 0; i < head.values.tokens.size(); ++i) {
      for (const Entry& entry : head.values.row(i)) columns.push_back(entry.column);
    }
    std::ranges::sort(columns);
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    std::vector<std::int64_t> values(tokens * columns.size());
    for (std::size_t i = 0; i < head.values.tokens.size(); ++i) {
      for (const Entry& entry : head.values.row(i)) {
        const auto column = std::ranges::lower_bound(columns, entry.column) - columns.begin();
        values[head.values.tokens[i] * columns.size() + static_cast<std::size_t>(column)] =
            static_cast<std::int64_t>(entry.value);
      }
    }
    std::vector<WindowSum> scores, totals(columns.size());
    for (std::size_t token = 0; token < tokens; ++token) {
      const std::size_t first = token - std::min<std::size_t>(token, window_.width);
      const std::size_t last = std::min<std::size_t>(tokens, token + window_.width + 1);
      scores.clear();
      for (std::size_t other = first; other < last; ++other) {
        WindowSum score = 0;
        for (std::size_t i = 0; i < dimension; ++i)
          score += std::int64_t{queries[token * dimension + i]} * keys[other * dimension + i];
        scores.push_back(score);
      }
      const WindowSum norm = window_sums(
          window_.scale, scores,
          std::span(values).subspan(first * columns.size(), (last - first) * columns.size()), totals);
      for (std::size_t c = 0; c < columns.size(); ++c) {
        if (totals[c] != 0)
          out.entries.push_back({columns[c], static_cast<double>(totals[c]) / static_cast<double>(norm)});
      }
      if (out.entries.size() == out.offsets.back()) continue;
      out.tokens.push_back(token);
      out.offsets.push_back(out.entries.size());
    }
  }

 private:
  static std::vector<std::int32_t> vectors(const Codebook& codebook, const Points& points,
                                           std::size_t tokens) {
    const std::size_t dimension = codebook.dimension();
    std::vector<std::int32_t> all(tokens * dimension);
    std::size_t next = 0;
    for (std::size_t token = 0; token < tokens; ++token) {
      const bool listed = next < points.listed.size() && points.listed[next].token == token;
      codebook.vector(listed ? points.listed[next++].symbol : points.default_symbol,
                      std::span(all).subspan(token * dimension, dimension));
    }
    return all;
  }

  Window window_;
};

}  // namespace

WindowSum window_sums(double scale, std::span<const WindowSum> scores, std::span<const std::int64_t> values,
                      std::span<WindowSum> totals) {
  const WindowSum top = *std::ranges::max_element(scores);
  std::ranges::fill(totals, 0);
  WindowSum norm = 0;
  for (std::size_t j = 0; j < scores.size(); ++j) {
    const WindowSum weight = softmax_weight(scale, scores[j] - top);
    norm += weight;
    for (std::size_t c = 0; c < totals.size(); ++c) totals[c] += weight * values[j * totals.size() + c];
  }
  return norm;
}

std::unique_ptr<Attention> make_window(std::uint64_t width, double scale) {
  return std::make_unique<ModelWindow>(Window{width, scale});
}

void Window::validate(std::uint32_t) const {
  require(width <= kMaxWidth, "window: width is {}; at most {} is allowed", width, kMaxWidth);
  require(std::isfinite(scale) && scale >= 0, "window: scale is {}; it must be finite and not negative",
          scale);
}

void Window::write(JsonObject& out) const {
  out.json["width"] = width;
  if (scale != 0) out.json["scale"] = scale;
}

const MechanismInfo& Window::info() {
  static const MechanismInfo info{
      .name = "window",
      .card =
          "softmax, or the mean, over the tokens near by: a layer looks w tokens to each side and no further",
      .finds_equal_keys = false,
      .options = {{"window", 4, 0, kMaxWidth, "tokens to each side of a window, 0 to 524288"}},
      .read = [](const JsonField& object) -> Mechanism {
        object.object({"kind", "width", "?scale"});
        const auto given = object.find("scale");
        return Window{object["width"].number(0, kMaxWidth), given ? given->positive() : 0};
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return Window{draw.options.at(0), 0.00390625};
      },
      .samples =
          [] {
            return std::vector<Mechanism>{Window{3, 0}, Window{0, 0.01}, Window{2, 0.25}};
          }};
  return info;
}

}  // namespace roundtrip::anna
