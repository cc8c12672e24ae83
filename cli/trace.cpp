#include "roundtrip/cli/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <nlohmann/json.hpp>

#include "roundtrip/base/fault.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/cli/output_files.h"
#include "roundtrip/mpc/stages/composition.h"

namespace roundtrip::cli {
namespace {

using Json = nlohmann::ordered_json;

/// What a round is for, if the protocol is made of phases.
std::string phase_of(const mpc::Protocol& protocol, std::uint32_t round) {
  const auto* const composition = dynamic_cast<const mpc::Composition*>(&protocol);
  if (composition == nullptr) return {};
  for (const auto& phase : composition->phases()) {
    if (round >= phase.first_round && round - phase.first_round < phase.rounds) return phase.name;
  }
  return {};
}

/// Begin and ends of a round's parts: microseconds, or ticks, which are whole numbers.
struct Marks {
  double begun, stepped, exchanged, scattered;
};

class Trace {
 public:
  void name_track(std::size_t rank, const std::string& name) {
    events_.push_back(
        {{"name", "process_name"}, {"ph", "M"}, {"pid", rank}, {"tid", 0}, {"args", {{"name", name}}}});
  }
  void round(std::size_t rank, const std::string& name, const Marks& marks, const Json& args) {
    span(rank, name, marks.begun, marks.scattered, args);
    span(rank, "step", marks.begun, marks.stepped, Json::object());
    span(rank, "exchange", marks.stepped, marks.exchanged, Json::object());
    span(rank, "scatter", marks.exchanged, marks.scattered, Json::object());
  }
  void counters(double time, const mpc::RoundFacts& facts) {
    counter(time, "words of the busiest machine",
            {{"sent", facts.max_words_sent},
             {"received", facts.max_words_received},
             {"scratch", facts.max_scratch_words},
             {"heap", facts.max_heap_words}});
    counter(time, "words in all", {{"sent", facts.total_words}});
  }
  Json events() && { return std::move(events_); }

 private:
  void span(std::size_t rank, const std::string& name, double begin, double end, const Json& args) {
    events_.push_back({{"name", name},
                       {"ph", "X"},
                       {"pid", rank},
                       {"tid", 0},
                       {"ts", begin},
                       {"dur", end - begin},
                       {"args", args}});
  }
  void counter(double time, const std::string& name, const Json& args) {
    events_.push_back({{"name", name}, {"ph", "C"}, {"pid", 0}, {"tid", 0}, {"ts", time}, {"args", args}});
  }

  Json events_ = Json::array();
};

}  // namespace

std::string trace_text(const Instance& instance, const mpc::RunResult& result, TraceClock clock) {
  Trace trace;
  const mpc::Profile& profile = result.profile;
  const auto draw = [&](std::size_t rank, std::uint32_t round, const Marks& marks) {
    const mpc::RoundFacts& facts = result.ledger.rounds[round - 1];
    trace.round(rank, fmt::format("round {}", round), marks,
                {{"round", round}, {"phase", phase_of(*instance.protocol, round)}});
    if (rank == 0) trace.counters(marks.begun, facts);
  };
  if (clock == TraceClock::kLogical) {
    trace.name_track(0, "all machines");
    double now = 0;
    for (std::uint32_t round = 1; round <= result.ledger.rounds.size(); ++round) {
      const mpc::RoundFacts& facts = result.ledger.rounds[round - 1];
      const double sent = 1 + static_cast<double>(facts.max_words_sent);
      const double received = 1 + static_cast<double>(facts.max_words_received);
      draw(0, round, {now, now + sent, now + sent + received, now + sent + 2 * received});
      now += sent + 2 * received;
    }
  } else {
    constexpr double kMicroseconds = 1e6;
    for (std::size_t rank = 0; rank < profile.ranks.size(); ++rank) {
      trace.name_track(rank, fmt::format("rank {}", rank));
      std::uint32_t round = profile.first_round;
      for (const mpc::RoundTimes& times : profile.ranks[rank]) {
        draw(rank, round++,
             {times.begun * kMicroseconds, times.stepped * kMicroseconds, times.exchanged * kMicroseconds,
              times.scattered * kMicroseconds});
      }
    }
  }
  const Json json = {{"displayTimeUnit", "ms"},
                     {"otherData",
                      {{"protocol", instance.info->name},
                       {"n", instance.shape().n},
                       {"machines", instance.shape().machines},
                       {"clock", clock == TraceClock::kLogical ? "logical" : "wall"}}},
                     {"traceEvents", std::move(trace).events()}};
  return json_text(json, -1);
}

std::string csv_text(const mpc::Profile& profile) {
  std::string text = "round,machine,words_sent,words_received,scratch_words,heap_words\n";
  std::uint32_t round = profile.first_round;
  for (const auto& machines : profile.rounds) {
    std::size_t machine = 0;
    for (const mpc::MachineFacts& facts : machines) {
      const bool swapped = seeded("csv-columns-swapped");
      fmt::format_to(std::back_inserter(text), "{},{},{},{},{},{}\n", round, machine++,
                     swapped ? facts.words_received : facts.words_sent,
                     swapped ? facts.words_sent : facts.words_received, facts.scratch_words,
                     facts.heap_words);
    }
    ++round;
  }
  return text;
}

std::string heat_text(const Instance& instance, const mpc::Profile& profile) {
  constexpr std::size_t kMostColumns = 256, kLevels = 10;
  constexpr std::size_t kLeft = 70, kTop = 60, kHeight = 14, kWidth = 1024;
  // Light to dark blue; a reader who sees no colour sees the lightness.
  constexpr std::array<std::string_view, kLevels + 1> kColours = {"#ffffff", "#eef4fb", "#dce9f7", "#c6dbef",
                                                                  "#a5cae6", "#7fb4da", "#5a9ccc", "#3b82bd",
                                                                  "#2066a6", "#0d4a87", "#08306b"};
  const mpc::Shape& shape = instance.shape();
  const std::size_t bin = ceil_div(shape.machines, kMostColumns), columns = ceil_div(shape.machines, bin);
  const double width = static_cast<double>(kWidth) / static_cast<double>(columns);
  std::uint64_t most = 0;
  std::string cells;
  std::size_t y = kTop;
  for (const auto& machines : profile.rounds) {
    // Neighbours of equal level are one rectangle.
    std::vector<std::size_t> levels(columns, 0);
    for (std::size_t i = 0; i < machines.size(); ++i) {
      const std::uint64_t received = machines[i].words_received;
      most = std::max(most, received);
      const std::size_t level = ceil_div(received * kLevels, shape.memory_words);
      levels[i / bin] = std::max(levels[i / bin], std::min(level, kLevels));
    }
    for (std::size_t begin = 0, end = 0; begin < columns; begin = end) {
      while (end < columns && levels[end] == levels[begin]) ++end;
      if (levels[begin] == 0) continue;
      cells += fmt::format("<rect x=\"{:.2f}\" y=\"{}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"/>\n",
                           kLeft + width * static_cast<double>(begin), y,
                           width * static_cast<double>(end - begin), kHeight - 1, kColours[levels[begin]]);
    }
    y += kHeight;
  }
  const std::string what = fmt::format(
      "{}, N = {}: words received by {} machines (across) in {} rounds (down); at most {} of s = {}",
      instance.info->name, shape.n, shape.machines, profile.rounds.size(), most, shape.memory_words);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" font-family=\"sans-serif\" "
      "font-size=\"15\">\n<title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
      "<text x=\"{}\" y=\"20\">{}</text>\n<text x=\"{}\" y=\"{}\">machine 0</text>\n"
      "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">machine {}</text>\n",
      kLeft + kWidth + 10, y + 10, what, kLeft, what, kLeft, kTop - 8, kLeft + kWidth, kTop - 8,
      shape.machines - 1);
  for (std::size_t r = 0; r < profile.rounds.size(); ++r) {
    const std::size_t round = profile.first_round + r;
    if (r == 0 || round % 5 == 0) {
      svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"12\">round {}</text>\n",
                         kLeft - 6, kTop + r * kHeight + 11, round);
    }
  }
  return svg + cells +
         fmt::format(
             "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#555\"/>\n</svg>\n",
             kLeft, kTop - 1, kWidth, y - kTop + 1);
}

}  // namespace roundtrip::cli
