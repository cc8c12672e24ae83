#include "roundtrip/explain/page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/escape_html.h"
#include "roundtrip/explain/page_files.h"
#include "roundtrip/explain/view.h"

namespace roundtrip::explain {
namespace {

/// `{{name}}` in `form` becomes the value of that name; the value itself is left alone.
std::string fill(std::string_view form, const std::map<std::string, std::string, std::less<>>& values) {
  std::string out;
  for (;;) {
    const std::size_t begin = form.find("{{");
    if (begin == std::string_view::npos) return out.append(form);
    const std::size_t end = form.find("}}", begin);
    const auto value = values.find(form.substr(begin + 2, end - begin - 2));
    if (end == std::string_view::npos || value == values.end())
      throw InternalError("the page's template asks for what is not there");
    out.append(form.substr(0, begin)).append(value->second);
    form.remove_prefix(end + 2);
  }
}

std::string numbers(const std::vector<std::uint32_t>& list) {
  return fmt::format("{}", fmt::join(list, " "));
}

/// data-c: input words that it carries, data-d: that it was computed from.
std::string origins(const std::vector<std::uint32_t>& carries, const std::vector<std::uint32_t>& depends) {
  std::string text;
  if (!carries.empty()) text += fmt::format(" data-c=\"{}\"", numbers(carries));
  if (!depends.empty()) text += fmt::format(" data-d=\"{}\"", numbers(depends));
  return text;
}

std::string chip(const Trace& trace, const SentWord& word) {
  const std::string text = escape_html(trace.text_of(word));
  if (word.carries.empty() && word.depends.empty()) return fmt::format("<span class=\"n\">{}</span> ", text);
  const std::string place =
      word.carries.size() == 1 ? fmt::format("<small>{}</small>", word.carries.front()) : "";
  return fmt::format("<button type=\"button\" class=\"w\"{}>{}{}</button> ",
                     origins(word.carries, word.depends), text, place);
}

std::string input_chip(const Trace& trace, std::uint32_t origin) {
  return fmt::format("<button type=\"button\" class=\"w\" data-c=\"{}\">{}<small>{}</small></button> ",
                     origin, escape_html(trace.input[origin]), origin);
}

std::string bar(std::uint64_t used, std::uint64_t allowed, const char* kind = "") {
  const double share = allowed == 0 ? 0 : 100.0 * static_cast<double>(used) / static_cast<double>(allowed);
  return fmt::format("<span class=\"bar{}\"><i style=\"width:{:.1f}%\"></i></span>", kind,
                     std::min(share, 100.0));
}

// ---- pictures: who sends to whom, and whose key met whose query; the same drawing twice

struct Arrow {
  std::uint32_t from, to;
  std::uint64_t words = 0;
  std::set<std::uint32_t> carries;
};

std::string picture(const std::string& label, const std::string& kind, std::uint32_t left,
                    std::uint32_t right, const std::vector<Arrow>& arrows, bool tokens) {
  constexpr int kLeft = 96, kRight = 264, kWidth = 360, kTop = 26;
  const std::uint32_t rows = std::max(left, right);
  const int pitch = rows <= 24 ? 24 : 16;
  std::string svg = fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"><text x=\"{}\" y=\"14\" "
      "text-anchor=\"end\">{}</text>"
      "<text x=\"{}\" y=\"14\">{}</text>",
      kWidth, kTop + static_cast<int>(rows) * pitch + 4, escape_html(label), kLeft,
      tokens ? "key and value" : "sends", kRight, tokens ? "query" : "receives");
  const auto y = [&](std::uint32_t row) { return kTop + static_cast<int>(row) * pitch + pitch / 2; };
  for (const Arrow& arrow : arrows) {
    svg += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke-width=\"{:.1f}\"{}/>", kLeft + 8,
                       y(arrow.from), kRight - 8, y(arrow.to),
                       1.2 + 1.1 * std::log2(static_cast<double>(arrow.words)),
                       origins({arrow.carries.begin(), arrow.carries.end()}, {}));
  }
  for (int side = 0; side < 2; ++side) {
    for (std::uint32_t row = 0; row < (side == 0 ? left : right); ++row) {
      const int x = side == 0 ? kLeft : kRight;
      svg += tokens ? fmt::format("<rect x=\"{}\" y=\"{}\" width=\"10\" height=\"10\"/>", x - 5, y(row) - 5)
                    : fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"5\"/>", x, y(row));
      svg += fmt::format("<text x=\"{}\" y=\"{}\"{}>{} {}</text>", side == 0 ? x - 12 : x + 12, y(row) + 5,
                         side == 0 ? " text-anchor=\"end\"" : "", kind, row);
    }
  }
  return svg + "</svg>";
}

void add(std::map<std::pair<std::uint32_t, std::uint32_t>, Arrow>& arrows, std::uint32_t from,
         std::uint32_t to, const std::vector<std::uint32_t>& carries) {
  Arrow& arrow = arrows[{from, to}];
  arrow.from = from, arrow.to = to;
  ++arrow.words;
  arrow.carries.insert(carries.begin(), carries.end());
}

std::string figure(const std::string& drawing, const std::string& caption) {
  return fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", drawing, escape_html(caption));
}

std::string drawn(const std::map<std::pair<std::uint32_t, std::uint32_t>, Arrow>& found,
                  const std::string& kind, std::uint32_t least, bool tokens, const std::string& caption) {
  constexpr std::uint32_t kMaxRows = 64;
  if (found.empty() || least > kMaxRows) return {};
  std::vector<Arrow> arrows;
  std::uint32_t left = 0, right = 0;
  for (const auto& [unused, arrow] : found) {
    arrows.push_back(arrow);
    left = std::max(left, arrow.from + 1), right = std::max(right, arrow.to + 1);
  }
  // Machines stay in their place from step to step, and so do the tokens that play them.
  return figure(picture(caption, kind, std::max(left, least), std::max(right, least), arrows, tokens),
                caption);
}

// ---- machines

std::string loads(const Trace& trace, const RoundTrace& round) {
  constexpr std::size_t kAll = 16, kFullest = 8;
  std::vector<std::uint32_t> machines;
  for (std::uint32_t i = 0; i < round.loads.size(); ++i) machines.push_back(i);
  std::string caption = "How full the machines are; the line at a bar\u2019s end is the bound";
  if (machines.size() > kAll) {
    std::ranges::stable_sort(machines, std::greater(), [&](std::uint32_t i) {
      return std::max(round.loads[i].sent, round.loads[i].received);
    });
    machines.resize(kFullest);
    caption = fmt::format("The {} fullest of {} machines; the line at a bar\u2019s end is the bound",
                          kFullest, round.loads.size());
  }
  std::string html = fmt::format(
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"How full the machines are\"><table "
      "class=\"loads\"><caption>{}</caption>"
      "<thead><tr><th scope=\"col\">machine</th><th scope=\"col\">sends <small>of s = {}</small></th>"
      "<th scope=\"col\">receives <small>of s = {}</small></th><th scope=\"col\">scratch memory <small>of "
      "{}</small></th></tr></thead>"
      "<tbody>\n",
      caption, trace.shape.memory_words, trace.shape.memory_words, trace.shape.scratch_words);
  for (const std::uint32_t machine : machines) {
    const Load& load = round.loads[machine];
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}{}</td><td>{}{}</td><td>{}{}</td></tr>\n",
                        machine, bar(load.sent, trace.shape.memory_words), load.sent,
                        bar(load.received, trace.shape.memory_words), load.received,
                        bar(load.scratch, trace.shape.scratch_words), load.scratch);
  }
  return html + "</tbody></table></div>\n";
}

std::string round_panel(const Trace& trace, std::uint32_t number) {
  const RoundTrace& round = trace.rounds[number - 1];
  std::string html = fmt::format(
      "<section class=\"world machines\" aria-labelledby=\"round-{}\">\n<h3 id=\"round-{}\">Round {}: "
      "machines and messages</h3>\n",
      number, number, number);
  html += fmt::format("<p>{}</p>\n", escape_html(round_caption(trace, number)));
  if (!round.words.empty()) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, Arrow> arrows;
    for (const SentWord& word : round.words) add(arrows, word.source, word.destination, word.carries);
    html += drawn(arrows, "machine", trace.shape.machines, false,
                  "Who sends to whom; the more words, the thicker the line.");
  }
  html += loads(trace, round);
  if (too_large(trace, number)) {
    html += fmt::format(
        "<table><caption>{} words, too many to list: from one kind of machine to another</caption><thead><tr>"
        "<th scope=\"col\">from</th><th scope=\"col\">to</th><th "
        "scope=\"col\">words</th></tr></thead><tbody>\n",
        round.words.size());
    for (const Total& total : totals(trace, number))
      html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", escape_html(total.from),
                          escape_html(total.to), total.words);
    return html + "</tbody></table>\n</section>\n";
  }
  for (const Batch& batch : batches(round)) {
    html += fmt::format("<p class=\"batch\"><b>{}</b> ",
                        batch.source == batch.destination
                            ? fmt::format("machine {} keeps", batch.source)
                            : fmt::format("machine {} to machine {}", batch.source, batch.destination));
    for (const std::uint32_t w : batch.words) {
      const SentWord& word = round.words[w];
      if (word.output && !trace.reverse)
        html += fmt::format("<span class=\"soft\">output {}:</span> ", *word.output);
      html += chip(trace, word);
    }
    html += "</p>\n";
  }
  return html + "</section>\n";
}

// ---- tokens

std::string number_text(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::string average(const std::vector<anna::Entry>& value) {
  constexpr std::size_t kMax = 8;
  if (value.empty()) return "0";
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < value.size() && i < kMax; ++i)
    parts.push_back(fmt::format("[{}] {}", value[i].column, number_text(value[i].value)));
  if (value.size() > kMax) parts.push_back(fmt::format("{} more", value.size() - kMax));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string keys(const Trace& trace, const Meeting& meeting) {
  std::vector<std::uint32_t> tokens;
  bool even = true;
  for (const Match::Key& key : meeting.keys) {
    tokens.push_back(key.token);
    even = even && key.tables == meeting.keys.front().tables;
  }
  if (tokens.empty()) return "every key, by its features";
  if (!trace.reverse && even) {
    return fmt::format("the key{} of token{} {}{}", tokens.size() == 1 ? "" : "s",
                       tokens.size() == 1 ? "" : "s", ranges(tokens),
                       tokens.size() == 1 ? "" : fmt::format(", each with weight 1/{}", tokens.size()));
  }
  std::vector<std::string> parts;
  for (const Match::Key& key : meeting.keys)
    parts.push_back(
        fmt::format("<span class=\"key\">{} ({}/{})</span>", key.token, key.tables, meeting.total));
  return fmt::format("{}", fmt::join(parts, ", "));
}

/// The pairs of one LSH head, query by key: in how many tables they met.
std::string matrix(const Trace& trace, const LayerTrace& layer, const HeadTrace& head) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, const Pair*> pairs;
  for (const Pair& pair : head.pairs) pairs[{pair.query, pair.key}] = &pair;
  const Collisions& counts = *head.collisions;
  std::string html = fmt::format(
      "<details{}><summary>Head {}: which keys collided, in how many of {}</summary>\n<p>{} near (\u25CF), "
      "{} between, {} "
      "far (\u25B3): purity {:.3f}, the share of collisions that are not with a far key. {} of {} near pairs "
      "met in some table.</p>\n"
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Collisions of head {}\"><table "
      "class=\"matrix\"><caption>"
      "Rows: queries; columns: keys; by token</caption><thead><tr><td></td>",
      head.head == 0 ? " open" : "", head.head, count_of(layer.tables, "table"), counts.near, counts.between,
      counts.far, counts.purity(), counts.near_pairs_met, counts.near_pairs, head.head);
  for (std::uint64_t t = 0; t < trace.tokens; ++t) html += fmt::format("<th scope=\"col\">{}</th>", t);
  html += "</tr></thead><tbody>\n";
  for (std::uint32_t i = 0; i < trace.tokens; ++i) {
    html += fmt::format("<tr><th scope=\"row\">{}</th>", i);
    for (std::uint32_t j = 0; j < trace.tokens; ++j) {
      const auto found = pairs.find({i, j});
      if (found == pairs.end()) {
        html += "<td>\u00B7</td>";
        continue;
      }
      const Pair& pair = *found->second;
      const bool near = pair.distance <= layer.near_radius.value_or(0);
      const bool far = pair.distance > layer.far_radius.value_or(0) && !near;
      html += fmt::format("<td{}>{}{}</td>",
                          near  ? " class=\"near\""
                          : far ? " class=\"far\""
                                : "",
                          near  ? "\u25CF"
                          : far ? "\u25B3"
                                : "",
                          pair.tables);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div></details>\n";
}

std::string tables_of(const Trace& trace, const LayerTrace& layer) {
  if (layer.tables == 0) return {};
  std::string html = fmt::format(
      "<h4>The hash tables</h4>\n<p>{} of {} hash function{}: keys with the code of a query are in its "
      "bucket. ",
      count_of(layer.tables, "table"), layer.functions, layer.functions == 1 ? "" : "s");
  html += layer.near_radius && layer.far_radius
              ? fmt::format(
                    "A key within r = {:.3g} of a query is its true neighbour; one beyond c r = {:.3g} "
                    "should not count.",
                    *layer.near_radius, *layer.far_radius)
              : std::string("True neighbours of a query are the keys equal to it.");
  if (!trace.reverse) {
    Collisions sum;
    for (const HeadTrace& head : layer.heads) {
      if (!head.collisions) continue;
      sum.near += head.collisions->near, sum.far += head.collisions->far + head.collisions->between;
    }
    return html + fmt::format(" In this layer {} with an equal key and {} with another: purity {:.3f}.</p>\n",
                              count_of(sum.near, "collision"), sum.far, sum.purity());
  }
  html += "</p>\n";
  for (const HeadTrace& head : layer.heads) {
    if (head.collisions) html += matrix(trace, layer, head);
  }
  return html;
}

/// Whose value reaches whose query, or whose message whom.
std::string layer_picture(const Trace& trace, std::size_t number) {
  const LayerTrace& layer = trace.layers[number];
  std::map<std::pair<std::uint32_t, std::uint32_t>, Arrow> arrows;
  if (number == 0 || trace.reverse) {
    for (const HeadTrace& head : layer.heads) {
      for (const Match& match : head.matches) {
        for (const Match::Key& key : match.keys)
          add(arrows, key.token, match.query,
              key.token < trace.input.size() ? std::vector{key.token} : std::vector<std::uint32_t>{});
      }
    }
  }
  const RoundTrace* round = layer.round == 0 ? nullptr : &trace.rounds[layer.round - 1];
  for (const Move& move : layer.moves) add(arrows, move.from, move.to, round->words[move.word].carries);
  return drawn(arrows, "token",
               trace.reverse ? static_cast<std::uint32_t>(trace.tokens) : trace.shape.machines, true,
               trace.reverse ? "Whose value reaches whose query."
                             : "Whose key met whose query: the same lines as the messages.");
}

std::string layer_panel(const Trace& trace, std::size_t number) {
  const LayerTrace& layer = trace.layers[number];
  std::string html = fmt::format(
      "<section class=\"world tokens\" aria-labelledby=\"layer-{}\">\n<h3 id=\"layer-{}\">Layer {}: "
      "{}</h3>\n",
      number, number, number, trace.reverse ? "tokens and attention" : escape_html(layer.name));
  html += fmt::format("<p>{}</p>\n", escape_html(layer_caption(trace, number)));
  const RoundTrace* round = layer.round == 0 ? nullptr : &trace.rounds[layer.round - 1];
  html += layer_picture(trace, number);
  if (!trace.reverse) {
    html += fmt::format("<p>{} width of this layer: {}, of {} by the formula</p>\n",
                        bar(layer.shape.width(), trace.bound.width), layer.shape.width(), trace.bound.width);
  }
  if (trace.reverse) {
    html +=
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Queries and the keys they "
        "met\"><table><caption>Queries, the keys they met (token, share), and the average: "
        "[column] number</caption><thead><tr><th scope=\"col\">head</th><th scope=\"col\">token</th><th "
        "scope=\"col\">query</th>"
        "<th scope=\"col\">keys</th><th scope=\"col\">average</th></tr></thead><tbody>\n";
    for (const Meeting& meeting : meetings(layer)) {
      html += fmt::format("<tr><td>{}</td><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                          ranges(meeting.heads),
                          meeting.query < trace.input.size() ? input_chip(trace, meeting.query)
                                                             : std::to_string(meeting.query),
                          escape_html(meeting.name), keys(trace, meeting), average(meeting.first->value));
    }
    html += "</tbody></table></div>\n" + tables_of(trace, layer);
    return html + "</section>\n";
  }
  for (const Meeting& meeting : meetings(layer)) {
    html +=
        fmt::format("<div class=\"meeting\"><p><b>token {}</b> asks for {} in head{} {} and finds {}</p><p>",
                    meeting.query, escape_html(meeting.name), meeting.heads.size() == 1 ? "" : "s",
                    ranges(meeting.heads), keys(trace, meeting));
    if (number == 0) {
      for (const Match::Key& key : meeting.keys) html += input_chip(trace, key.token);
    }
    for (const std::uint32_t w : meeting.words) html += chip(trace, round->words[w]);
    html += "</p></div>\n";
  }
  if (!layer.heads.empty()) {
    html += fmt::format("<details><summary>The averages, number by number</summary>\n<p>{}</p>\n<ul>\n",
                        escape_html(layer.averages));
    for (const Meeting& meeting : meetings(layer))
      html += fmt::format("<li>token {}, head {}: {}</li>\n", meeting.query, meeting.heads.front(),
                          average(meeting.first->value));
    html += "</ul></details>\n";
  }
  if (layer.silent_heads != 0)
    html += fmt::format("<p class=\"soft\">{} carr{} nothing in this layer.</p>\n",
                        count_of(layer.silent_heads, "head"), layer.silent_heads == 1 ? "ies" : "y");
  return html + tables_of(trace, layer) + "</section>\n";
}

// ---- steps

std::string step_title(const Trace& trace, std::uint32_t number) {
  if (number == 0) return trace.reverse ? "The input" : "The input and layer 0";
  const std::string& phase = trace.rounds[number - 1].phase;
  const std::string purpose = phase.empty() ? "" : ": " + phase;
  if (trace.reverse) {
    const auto layer = trace.layer_of(number);
    return fmt::format("Round {}{}{}", number, layer ? fmt::format(" (layer {})", *layer) : "", purpose);
  }
  std::vector<std::uint32_t> layers;
  for (std::uint32_t l = 1; l < trace.layers.size(); ++l) {
    if (trace.layers[l].round == number) layers.push_back(l);
  }
  return fmt::format("Round {} and layer{} {}{}", number, layers.size() == 1 ? "" : "s", ranges(layers),
                     purpose);
}

std::string input_panel(const Trace& trace) {
  std::string html =
      "<section class=\"world machines\" aria-labelledby=\"round-0\">\n<h3 id=\"round-0\">The input on its "
      "machines</h3>\n";
  html += fmt::format("<p>Each of the first {} machines gets b = {} words, in order.</p>\n",
                      trace.shape.input_machines(), trace.shape.block_words);
  for (std::uint64_t i = 0; i < trace.shape.input_machines(); ++i) {
    html += fmt::format("<p class=\"batch\"><b>machine {} holds</b> ", i);
    for (std::uint64_t t = i * trace.shape.block_words;
         t < std::min<std::uint64_t>(trace.input.size(), (i + 1) * trace.shape.block_words); ++t)
      html += input_chip(trace, static_cast<std::uint32_t>(t));
    html += "</p>\n";
  }
  return html + "</section>\n";
}

std::string step(const Trace& trace, std::uint32_t number) {
  std::string html = fmt::format(
      "<section class=\"step\" id=\"step-{}\" aria-labelledby=\"title-{}\">\n<h2 id=\"title-{}\">{}</h2>\n",
      number, number, number, escape_html(step_title(trace, number)));
  if (number > 0 && trace.reverse && !part_caption(trace, number).empty())
    html += fmt::format("<p class=\"caption\">{}</p>\n", escape_html(part_caption(trace, number)));
  html += "<div class=\"worlds\">\n";
  if (!trace.reverse) {
    html += number == 0 ? input_panel(trace) : round_panel(trace, number);
    if (number == 0) html += layer_panel(trace, 0);
    // The layers of one round go below each other.
    std::string layers;
    std::size_t count = 0;
    for (std::size_t l = 1; number > 0 && l < trace.layers.size(); ++l) {
      if (trace.layers[l].round == number) layers += layer_panel(trace, l), ++count;
    }
    html += count > 1 ? "<div>\n" + layers + "</div>\n" : layers;
  } else {
    const auto layer = trace.layer_of(number);
    if (number > 0 && layer && trace.layers[*layer].first_round == number) {
      html += layer_panel(trace, *layer);
    } else {
      html += "<section class=\"world tokens\">\n";
      if (layer) {
        html += fmt::format(
            "<h3>Layer {}, which these rounds compute</h3>\n<p>{} Its averages, number by number, are at <a "
            "href=\"#step-{}\">round {}</a>.</p>\n{}",
            *layer, escape_html(layer_caption(trace, *layer)), trace.layers[*layer].first_round,
            trace.layers[*layer].first_round, layer_picture(trace, *layer));
      } else {
        html += number == 0
                    ? "<h3>The input as tokens</h3>\n<p>Token t begins with word t in its row.</p>\n<p>"
                : number == 1
                    ? "<h3>Before layer 0</h3>\n<p>A transformer finds word t in the row of token t: no "
                      "layer is needed for it.</p>\n<p>"
                    : "<h3>After the last layer</h3>\n<p>The rows are final; the machines deliver them. "
                      "They are the rows of these tokens.</p>\n<p>";
        for (std::uint32_t t = 0; t < trace.input.size(); ++t) html += input_chip(trace, t);
        html += "</p>\n";
      }
      html += "</section>\n";
    }
    html += number == 0 ? input_panel(trace) : round_panel(trace, number);
  }
  return html + "</div>\n</section>\n";
}

// ---- what is around them

std::string sentence(const Trace& trace) {
  std::string html = fmt::format(
      "<section aria-labelledby=\"words\">\n<h2 id=\"words\">The {} words{}</h2>\n<ol class=\"sentence\" "
      "id=\"sentence\" start=\"0\">\n",
      trace.input.size(), trace.reverse ? "" : " and the answer");
  const bool beside = !trace.reverse && trace.outputs.size() == trace.input.size();
  for (std::uint32_t i = 0; i < trace.input.size(); ++i) {
    html += fmt::format(
        "<li><span class=\"place\">{}</span> <button type=\"button\" class=\"w\" data-c=\"{}\" "
        "data-text=\"{}\" aria-pressed=\"false\">{}</button>",
        i, i, escape_html(trace.input[i]), escape_html(trace.input[i]));
    if (beside) {
      const auto* from = trace.origins_of(i);
      html += fmt::format(" <span class=\"answer\"><span class=\"unseen\">answer: </span>{}</span>",
                          trace.outputs[i].empty() ? "<span class=\"soft\">none</span>"
                          : from != nullptr && from->size() == 1
                              ? fmt::format("{}<small class=\"soft\"> from {}</small>",
                                            escape_html(trace.outputs[i]), from->front())
                              : escape_html(trace.outputs[i]));
    }
    html += "</li>\n";
  }
  html += "</ol>\n";
  if (beside) {
    html +=
        "<p class=\"soft\">Above each word its place in the input, counted from 0; below it the answer that "
        "the protocol gives for this place.</p>\n";
  } else if (!trace.reverse) {
    html += "<p>The answer: ";
    for (std::uint32_t t = 0; t < trace.outputs.size(); ++t) {
      const auto* from = trace.origins_of(t);
      html += fmt::format("<span class=\"w\"{}>{}</span> ", from == nullptr ? "" : origins(*from, {}),
                          trace.outputs[t].empty() ? "none" : escape_html(trace.outputs[t]));
    }
    html += "</p>\n";
  }
  return html + "</section>\n";
}

std::string legend(const Trace& trace) {
  std::string html = "<ul>\n";
  html += fmt::format(
      "<li>The panel with the single line above, <b>machines</b>, shows a round of the protocol; the one "
      "with the double line, <b>tokens</b>, {}.</li>\n",
      trace.reverse ? "the layer of attention that a group of rounds computes"
                    : "the layer of attention that does the same");
  html += fmt::format(
      "<li><span class=\"w\">{}<small>0</small></span> is input word 0 on its way, or a copy of it. <span "
      "class=\"n\">15</span> is a number that the protocol made.</li>\n",
      escape_html(trace.input.front()));
  html +=
      "<li><span class=\"w carries\">followed</span> carries the word that you follow; <span class=\"w "
      "depends\">dashed</span> was computed with its help, without carrying it.</li>\n";
  html += fmt::format(
      "<li>A bar {} may be full, but nothing crosses the line at its end: that is the bound.</li>\n",
      bar(2, 3));
  return html + "</ul>\n";
}

std::string bounds_section(const Trace& trace) {
  std::string html =
      "<section aria-labelledby=\"bounds\">\n<h2 id=\"bounds\">Lines that may not be crossed</h2>\n<div "
      "class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Bounds\"><table "
      "class=\"loads\"><caption>The most that the run and the transformer used, over all rounds, machines "
      "and layers</caption>\n"
      "<thead><tr><th scope=\"col\">what</th><th scope=\"col\">used</th><th "
      "scope=\"col\">allowed</th></tr></thead><tbody>\n";
  for (const Bound& bound : bounds(trace))
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}{}</td><td>{} ({})</td></tr>\n",
                        escape_html(bound.what), bar(bound.used, bound.allowed), bound.used, bound.allowed,
                        escape_html(bound.unit));
  return html + "</tbody></table></div>\n</section>\n";
}

/// What goes wrong where a model lacks a part; empty for protocols.
std::string withouts_section(const Trace& trace) {
  if (trace.withouts.empty()) return {};
  std::string html = fmt::format(
      "<section aria-labelledby=\"withouts\">\n<h2 id=\"withouts\">What goes wrong without a part</h2>\n<div "
      "class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Parts taken away\"><table "
      "class=\"withouts\"><caption>The model evaluated again, with a part less; of {}</caption>\n"
      "<thead><tr><th scope=\"col\">the model</th><th scope=\"col\">tokens that end with another row</th>"
      "</tr></thead><tbody>\n",
      count_of(trace.tokens, "token"));
  for (const Without& without : trace.withouts) {
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_html(without.part),
                        without.tokens.empty()
                            ? "none"
                            : fmt::format("{}: {}", without.tokens.size(), fmt::join(without.tokens, ", ")));
  }
  return html + "</tbody></table></div>\n</section>\n";
}

std::string ways(const Trace& trace) {
  std::string html =
      "<section class=\"ways\" aria-labelledby=\"ways\">\n<h2 id=\"ways\">The way of every word</h2>\n";
  for (std::uint32_t i = 0; i < trace.input.size(); ++i) {
    const Journey way = journey(trace, i);
    html += fmt::format(
        "<details id=\"way-{}\"><summary>{} <small>{}</small></summary>\n<p class=\"start\">{}</p>\n", i,
        escape_html(trace.input[i]), i, escape_html(way.start));
    if (!way.stops.empty()) html += "<ol>\n";
    for (const Stop& stop : way.stops)
      html += fmt::format("<li data-round=\"{}\" data-label=\"round {}\">{}</li>\n", stop.round, stop.round,
                          escape_html(stop.text));
    if (!way.stops.empty()) html += "</ol>\n";
    html += fmt::format("<p class=\"end\">{}</p></details>\n", escape_html(way.end));
  }
  return html + "</section>\n";
}

/// JSON inside a script element: no end tag, no comment can begin in it.
std::string embedded(const nlohmann::ordered_json& json) {
  std::string text;
  for (const char c : json.dump(-1, ' ', true)) text += c == '<' ? "\\u003c" : std::string(1, c);
  return text;
}

}  // namespace

std::string page(const Trace& trace) {
  std::string paragraphs, steps, track;
  for (const std::string& text : introduction(trace)) paragraphs += "<p>" + escape_html(text) + "</p>\n";
  for (std::uint32_t r = 0; r <= trace.rounds.size(); ++r) {
    steps += step(trace, r);
    track += fmt::format("<li><a href=\"#step-{}\">{}</a><span> {}</span></li>\n", r, r,
                         escape_html(step_title(trace, r)));
  }
  const std::string heading =
      fmt::format("{}: {} beside {}", trace.title, count_of(trace.rounds.size(), "round"),
                  count_of(trace.layers.size(), "layer"));
  return fill(kTemplate, {{"title", escape_html(heading + " \u2014 Roundtrip")},
                          {"heading", escape_html(heading)},
                          {"direction", trace.reverse ? "reverse" : "forward"},
                          {"style", kStyle},
                          {"script", std::string(kEngine) + kStage + kPuzzles + kScript},
                          {"introduction", paragraphs},
                          {"words", sentence(trace)},
                          {"legend", legend(trace)},
                          {"rounds", std::to_string(trace.rounds.size())},
                          {"track", track},
                          {"steps", steps},
                          {"bounds", bounds_section(trace)},
                          {"withouts", withouts_section(trace)},
                          {"ways", ways(trace)},
                          {"json", embedded(to_json(trace))}});
}

}  // namespace roundtrip::explain
