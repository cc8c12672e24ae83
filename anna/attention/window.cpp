#include "roundtrip/anna/attention/window.h"

#include <algorithm>
#include <cmath>

#include "roundtrip/anna/files/json_field.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"

namespace roundtrip::anna {

KeyIntervals Window::keys_of(std::uint64_t token, std::uint64_t tokens) const {
  const std::uint64_t end = masked && !seeded("mask-forgotten") ? token + 1 : tokens;
  if (token < globals && !seeded("global-sees-window")) return {.first = 0, .last = end};
  const std::uint64_t first = token - std::min(token, width);
  return {.before = seeded("globals-unseen") ? 0 : std::min(globals, first),
          .first = first,
          .last = std::min(end, token + width + 1)};
}

std::unique_ptr<Attention> Window::make() const {
  validate(1);
  return make_interval_softmax(info().name, scale, [self = *this](std::uint64_t token, std::uint64_t tokens) {
    return self.keys_of(token, tokens);
  });
}

void Window::validate(std::uint32_t) const {
  require(width <= kMaxWidth, "window: width is {}; at most {} is allowed", width, kMaxWidth);
  require(globals <= kMaxWidth, "window: globals is {}; at most {} is allowed", globals, kMaxWidth);
  require(std::isfinite(scale) && scale >= 0, "window: scale is {}; it must be finite and not negative",
          scale);
}

void Window::write(JsonObject& out) const {
  out.json["width"] = width;
  if (scale != 0) out.json["scale"] = scale;
  if (globals != 0) out.json["globals"] = globals;
  if (masked) out.json["causal"] = true;
}

std::string Window::caption() const {
  return fmt::format("{}window of {} tokens{}{}", masked ? "causal " : "", width,
                     masked ? "" : " to each side", globals == 0 ? "" : fmt::format(", {} global", globals));
}

const MechanismInfo& Window::info() {
  static const MechanismInfo info{
      .name = "window",
      .card =
          "softmax, or the mean, over the tokens near by, w to each side, and over g global tokens, which see all",
      .finds_equal_keys = false,
      .options = {{"window", 4, 0, kMaxWidth, "tokens to each side of a window, 0 to 524288"},
                  {"globals", 0, 0, kMaxWidth, "global tokens of a window, 0 to 524288"},
                  kCausalOption},
      .read = [](const JsonField& object) -> Mechanism {
        object.object({"kind", "width", "?scale", "?globals", "?causal"});
        const auto of_scale = object.find("scale"), of_globals = object.find("globals");
        return Window{object["width"].number(0, kMaxWidth), of_scale ? of_scale->positive() : 0,
                      of_globals ? of_globals->number(0, kMaxWidth) : 0, object.flag("causal")};
      },
      .draw = [](const MechanismDraw& draw) -> Mechanism {
        return Window{draw.options.at(0), 0.00390625, draw.options.at(1), draw.options.at(2) != 0};
      },
      .samples =
          [] {
            return std::vector<Mechanism>{Window{3, 0},          Window{0, 0.01}, Window{2, 0.25, 0, true},
                                          Window{1, 0, 2, true}, Window{2, 0, 3}, Window{1, 0.02, 2}};
          }};
  return info;
}

}  // namespace roundtrip::anna
