#include "roundtrip/explain/terminal.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/explain/view.h"

namespace roundtrip::explain {
namespace {

constexpr std::size_t kColumn = (kColumns - 3) / 2;  // beside a line between

/// Columns that a terminal needs for UTF-8 text: wide scripts and pictures take two, marks that join none.
std::size_t columns(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t bytes = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t code = bytes == 1 ? lead : lead & (0x7F >> bytes);
    for (std::size_t b = 1; b < bytes && i + b < text.size(); ++b)
      code = code << 6 | (static_cast<unsigned char>(text[i + b]) & 0x3F);
    const bool mark = (code >= 0x300 && code < 0x370) || (code >= 0x200B && code < 0x2010) || code == 0xFEFF;
    const bool wide = (code >= 0x1100 && code < 0x1160) || (code >= 0x2E80 && code < 0xD7A4) ||
                      (code >= 0xF900 && code < 0xFB00) || (code >= 0xFE30 && code < 0xFE70) ||
                      (code >= 0xFF00 && code < 0xFF61) || (code >= 0x1F000 && code < 0x3FFFE);
    count += mark ? 0 : wide ? 2 : 1;
    i += bytes;
  }
  return count;
}

/// Lines of at most `width` columns, broken at spaces; what goes on is indented.
std::vector<std::string> wrap(const std::string& text, std::size_t width, std::size_t indent = 0) {
  std::vector<std::string> lines;
  std::string line;
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t end = text.find(' ', begin);
    if (end == std::string::npos) end = text.size();
    const std::string word = text.substr(begin, end - begin);
    if (!line.empty() && columns(line) + 1 + columns(word) > width &&
        line.find_first_not_of(' ') != std::string::npos) {
      lines.push_back(line);
      line = std::string(indent, ' ') + word;
    } else {
      line += (begin == 0 ? "" : " ") + word;
    }
    begin = end + 1;
  }
  lines.push_back(line);
  return lines;
}

class Writer {
 public:
  explicit Writer(bool colours) : colours_(colours) {}
  std::string take() { return std::move(text_); }

  void heading(const std::string& title) {
    const std::size_t used = columns(title) + 4;
    std::string rule = "── ";
    std::string rest;
    for (std::size_t i = used; i < kColumns; ++i) rest += "─";
    text_ += "\n" + rule + bold(title) + " " + rest + "\n";
  }
  void paragraph(const std::string& words) {
    for (const std::string& line : wrap(words, kColumns)) text_ += line + "\n";
  }
  void line(const std::string& words = {}) { text_ += words + "\n"; }

  void beside(std::vector<std::string> left, std::vector<std::string> right) {
    const std::size_t count = std::max(left.size(), right.size());
    left.resize(count), right.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t used = std::min(kColumn + 1, columns(left[i]));
      std::string row = left[i] + std::string(kColumn + 1 - used, ' ') + "│ " + right[i];
      row.erase(row.find_last_not_of(' ') + 1);
      if (i == 0 && colours_) {  // what each column is
        const std::size_t bar = row.find("│");
        row = bold(row.substr(0, bar)) + "│" + bold(row.substr(bar + std::string_view("│").size()));
      }
      text_ += row + "\n";
    }
  }

  std::string bold(const std::string& words) const {
    return colours_ ? "\033[1m" + words + "\033[0m" : words;
  }

 private:
  bool colours_;
  std::string text_;
};

/// A bar of `width` cells that ends in the line it may not cross.
std::string bar(std::uint64_t used, std::uint64_t allowed, std::size_t width) {
  std::string cells;
  const std::size_t full = allowed == 0 ? 0 : static_cast<std::size_t>(ceil_div(used * width, allowed));
  for (std::size_t i = 0; i < width; ++i) cells += i < full ? "█" : "·";
  return cells + "▏";
}

void add(std::vector<std::string>& lines, const std::string& text, std::size_t indent) {
  for (std::string& line : wrap(text, kColumn, indent)) lines.push_back(std::move(line));
}

std::string chip(const Trace& trace, const SentWord& word) {
  const std::string text = trace.text_of(word);
  return word.carries.size() == 1 ? fmt::format("{}\u00B7{}", text, word.carries.front()) : text;
}

/// Machines to show: all if they are few, else the fullest ones.
std::vector<std::uint32_t> shown_machines(const RoundTrace& round) {
  constexpr std::size_t kAll = 12, kFullest = 4;
  std::vector<std::uint32_t> machines;
  for (std::uint32_t i = 0; i < round.loads.size(); ++i) machines.push_back(i);
  if (machines.size() <= kAll) return machines;
  std::ranges::stable_sort(machines, std::greater(), [&](std::uint32_t i) {
    return std::max(round.loads[i].sent, round.loads[i].received);
  });
  machines.resize(kFullest);
  return machines;
}

std::vector<std::string> round_lines(const Trace& trace, std::uint32_t number) {
  const RoundTrace& round = trace.rounds[number - 1];
  std::vector<std::string> lines{fmt::format("ROUND {}: machines and messages", number)};
  const std::vector<std::uint32_t> machines = shown_machines(round);
  if (machines.size() < round.loads.size())
    add(lines, fmt::format("the {} fullest of {} machines:", machines.size(), round.loads.size()), 2);
  for (const std::uint32_t machine : machines) {
    const Load& load = round.loads[machine];
    const std::uint64_t s = trace.shape.memory_words;
    lines.push_back(
        fmt::format("machine {:<4} out {} {} of {}", machine, bar(load.sent, s, 16), load.sent, s));
    lines.push_back(fmt::format("             in  {} {} of {}", bar(load.received, s, 16), load.received, s));
  }
  if (too_large(trace, number)) {
    add(lines,
        fmt::format("{} words, too many to list; from one kind of machine to another:", round.words.size()),
        2);
    for (const Total& total : totals(trace, number))
      add(lines, fmt::format("{} to {}: {}", total.from, total.to, count_of(total.words, "word")), 4);
    return lines;
  }
  for (const Batch& batch : batches(round)) {
    std::string text = batch.source == batch.destination
                           ? fmt::format("{} keeps", batch.source)
                           : fmt::format("{} \u2192 {}:", batch.source, batch.destination);
    for (const std::uint32_t w : batch.words) {
      const SentWord& word = round.words[w];
      text += " " + (word.output && !trace.reverse ? fmt::format("[{}]", *word.output) : std::string()) +
              chip(trace, word);
    }
    add(lines, text, 4);
  }
  return lines;
}

std::string number_text(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::string average_text(const std::vector<anna::Entry>& value) {
  constexpr std::size_t kMax = 6;
  std::string text = "average";
  for (std::size_t i = 0; i < value.size() && i < kMax; ++i)
    text += fmt::format(" [{}]={}", value[i].column, number_text(value[i].value));
  if (value.size() > kMax) text += fmt::format(" and {} more numbers", value.size() - kMax);
  return value.empty() ? "average 0" : text;
}

/// "keys of tokens 0, 3 (half each)".
std::string keys_text(const Meeting& meeting) {
  std::vector<std::uint32_t> tokens;
  bool even = true;
  for (const Match::Key& key : meeting.keys) {
    tokens.push_back(key.token);
    even = even && key.tables == meeting.keys.front().tables;
  }
  if (tokens.empty()) return "every key, by weight";
  std::string text =
      fmt::format("key{} of token{} ", tokens.size() == 1 ? "" : "s", tokens.size() == 1 ? "" : "s");
  if (even)
    return text + ranges(tokens) +
           (tokens.size() == 1 ? "" : fmt::format(", weight 1/{} each", tokens.size()));
  std::vector<std::string> parts;
  for (const Match::Key& key : meeting.keys)
    parts.push_back(fmt::format("{} ({}/{})", key.token, key.tables, meeting.total));
  return text + listed(parts);
}

std::vector<std::string> layer_lines(const Trace& trace, std::size_t number) {
  const LayerTrace& layer = trace.layers[number];
  std::vector<std::string> lines{
      fmt::format("LAYER {}: {}", number, trace.reverse ? "tokens and attention" : layer.name)};
  add(lines, fmt::format("{}; H = {}, H m = {}", layer.mechanism, layer.shape.heads, layer.shape.width()), 2);
  const RoundTrace* round = layer.round == 0 ? nullptr : &trace.rounds[layer.round - 1];
  for (const Meeting& meeting : meetings(layer)) {
    add(lines,
        fmt::format("token {} asks{}, head{} {}: {}", meeting.query,
                    meeting.name.empty() ? "" : fmt::format(" for {}", meeting.name),
                    meeting.heads.size() == 1 ? "" : "s", ranges(meeting.heads), keys_text(meeting)),
        4);
    if (!meeting.words.empty() && round != nullptr) {
      add(lines, fmt::format("  head {}: {}", meeting.heads.front(), average_text(meeting.first->value)), 4);
      std::string text = "  decoded";
      for (const std::uint32_t w : meeting.words) text += " " + chip(trace, round->words[w]);
      add(lines, text, 4);
    } else {
      add(lines, "  " + average_text(meeting.first->value), 4);
    }
  }
  for (const HeadTrace& head : layer.heads) {
    if (!head.collisions || !trace.reverse) continue;
    const Collisions& c = *head.collisions;
    add(lines,
        fmt::format(
            "head {}, over {}: {} with near keys, {} between, {} far: purity {:.3f}; {} of {} near pairs met",
            head.head, count_of(layer.tables, "table"), count_of(c.near, "collision"), c.between, c.far,
            c.purity(), c.near_pairs_met, c.near_pairs),
        4);
  }
  if (layer.silent_heads != 0)
    add(lines, fmt::format("{} find nothing", count_of(layer.silent_heads, "head")), 2);
  return lines;
}

void write_input(const Trace& trace, Writer& out) {
  std::vector<std::string> left{"INPUT: machines"}, right;
  for (std::uint64_t i = 0; i < trace.shape.input_machines(); ++i) {
    std::string text = fmt::format("machine {} holds", i);
    for (std::uint64_t t = i * trace.shape.block_words;
         t < std::min<std::uint64_t>(trace.input.size(), (i + 1) * trace.shape.block_words); ++t)
      text += fmt::format(" {}\u00B7{}", trace.input[t], t);
    add(left, text, 4);
  }
  if (trace.reverse) {
    right.push_back("INPUT: tokens");
    for (std::size_t t = 0; t < trace.input.size(); ++t)
      right.push_back(fmt::format("token {} has the word {}", t, trace.input[t]));
  } else {
    right.push_back("LAYER 0: " + trace.layers[0].name);
    add(right,
        fmt::format("{}; H = {}, H m = {}", trace.layers[0].mechanism, trace.layers[0].shape.heads,
                    trace.layers[0].shape.width()),
        2);
    for (const Meeting& meeting : meetings(trace.layers[0])) {
      add(right, fmt::format("token {} asks for {}: {}", meeting.query, meeting.name, keys_text(meeting)), 4);
      std::string text = "  gets";
      for (const Match::Key& key : meeting.keys)
        text += fmt::format(" {}\u00B7{}", trace.input[key.token], key.token);
      add(right, text, 4);
    }
  }
  trace.reverse ? out.beside(right, left) : out.beside(left, right);
}

void write_step(const Trace& trace, std::uint32_t r, Writer& out) {
  if (r == 0) {
    out.heading(fmt::format("Before round 1: the input{}", trace.reverse ? "" : " and layer 0"));
    if (!trace.reverse) out.paragraph(layer_caption(trace, 0));
    write_input(trace, out);
    return;
  }
  const std::string& phase = trace.rounds[r - 1].phase;
  const std::string name = phase.empty() ? "" : ": " + phase;
  if (trace.reverse) {
    const auto layer = trace.layer_of(r);
    out.heading(fmt::format("Round {} of {}{}{}", r, trace.shape.rounds,
                            layer ? fmt::format(", for layer {}", *layer) : "", name));
    out.paragraph(part_caption(trace, r));
    out.paragraph(round_caption(trace, r));
    std::vector<std::string> left{"the transformer rests"};
    if (layer && trace.layers[*layer].first_round == r) {
      out.paragraph(layer_caption(trace, *layer));
      left = layer_lines(trace, *layer);
    } else if (layer) {
      left = {fmt::format("LAYER {}, as shown at round {}", *layer, trace.layers[*layer].first_round)};
    }
    out.beside(left, round_lines(trace, r));
    return;
  }
  std::vector<std::size_t> layers;
  for (std::size_t l = 1; l < trace.layers.size(); ++l) {
    if (trace.layers[l].round == r) layers.push_back(l);
  }
  out.heading(fmt::format(
      "Round {} of {} and layer{} {}{}", r, trace.shape.rounds, layers.size() == 1 ? "" : "s",
      layers.size() == 1 ? std::to_string(layers[0]) : fmt::format("{}-{}", layers.front(), layers.back()),
      name));
  out.paragraph(round_caption(trace, r));
  for (const std::size_t l : layers) {  // each pass once, at its first layer
    if (l == layers.front() || trace.layers[l].caption != trace.layers[l - 1].caption)
      out.paragraph(layer_caption(trace, l));
  }
  std::vector<std::string> right;
  for (const std::size_t l : layers) {
    const std::vector<std::string> lines = layer_lines(trace, l);
    right.insert(right.end(), lines.begin(), lines.end());
  }
  out.beside(round_lines(trace, r), right);
}

void write_journey(const Trace& trace, std::uint32_t origin, Writer& out) {
  const Journey way = journey(trace, origin);
  out.line(out.bold(fmt::format("The way of {}\u00B7{}", trace.input[origin], origin)));
  out.paragraph(way.start);
  for (const Stop& stop : way.stops) {
    for (const std::string& line : wrap(fmt::format("round {:>2}  {}", stop.round, stop.text), kColumns, 10))
      out.line(line);
  }
  out.paragraph(way.end);
}

}  // namespace

std::string terminal_text(const Trace& trace, const TerminalOptions& options) {
  Writer out(options.colours);
  if (options.word) {
    require_field(*options.word < trace.input.size(), "word",
                  "{} is not in the input, which has words 0 to {}", *options.word, trace.input.size() - 1);
    write_journey(trace, *options.word, out);
    return out.take();
  }
  if (options.round) {
    require_field(*options.round <= trace.rounds.size(), "round",
                  "{} is not one of the rounds 0 (the input) to {}", *options.round, trace.rounds.size());
    write_step(trace, *options.round, out);
    return out.take();
  }
  for (const std::string& text : introduction(trace)) out.paragraph(text), out.line();
  out.paragraph("A word is written with the place in the input that it comes from, as in " +
                fmt::format("{}\u00B70.", trace.input.front()) +
                " A number without one was computed. In the last round [3] "
                "before a word says that it is output 3; in an average, [3]=0.5 that its number 3 is 0.5.");
  for (std::uint32_t r = 0; r <= trace.rounds.size(); ++r) write_step(trace, r, out);
  out.heading("The answer");
  if (!trace.reverse) {
    for (std::uint32_t t = 0; t < trace.outputs.size(); ++t) {
      const auto* from = trace.origins_of(t);
      const std::string& text = trace.outputs[t].empty() ? "none" : trace.outputs[t];
      out.paragraph(
          fmt::format("output {:>2}  {}{}", t, text,
                      from != nullptr && !from->empty() && !trace.outputs[t].empty()
                          ? fmt::format(", from word{} {}", from->size() == 1 ? "" : "s", ranges(*from))
                          : ""));
    }
  } else {
    out.paragraph(fmt::format("{} output words: the rows of the transformer's last array, equal bit for bit.",
                              trace.outputs.size()));
  }
  out.heading("Bounds");
  for (const Bound& bound : bounds(trace))
    out.line(fmt::format("{:<44} {} {} of {} ({})", bound.what, bar(bound.used, bound.allowed, 20),
                         bound.used, bound.allowed, bound.unit));
  return out.take();
}

}  // namespace roundtrip::explain
