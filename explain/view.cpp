#include "roundtrip/explain/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "roundtrip/simulate/decompile/layer_decompiler.h"

namespace roundtrip::explain {
namespace {

std::string words_of(std::uint64_t count) {
  return count_of(count, "word");
}

std::string names(const std::string& kind, const std::vector<std::uint32_t>& numbers) {
  return fmt::format("{}{} {}", kind, numbers.size() == 1 ? "" : "s", ranges(numbers));
}

/// What a phase of the protocol that a model is does.
std::string phase_caption(const std::string& phase, const LayerTrace* layer) {
  std::vector<simulate::DecompilePhase> phases{simulate::kInputToBlocks, simulate::kDeliver};
  if (layer != nullptr) phases = layer->decompiler->phases;
  for (const auto& [id, caption] : phases) {
    if (phase == id || phase.starts_with(fmt::format("{},", id))) return std::string(caption);
  }
  return {};
}

}  // namespace

std::string count_of(std::uint64_t count, const std::string& one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::string listed(const std::vector<std::string>& items) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i)
    text += (i == 0 ? "" : i + 1 == items.size() ? " and " : ", ") + items[i];
  return text;
}

std::string ranges(const std::vector<std::uint32_t>& ascending) {
  std::string text;
  for (std::size_t i = 0; i < ascending.size();) {
    std::size_t end = i;
    while (end + 1 < ascending.size() && ascending[end + 1] == ascending[end] + 1) ++end;
    if (!text.empty()) text += ", ";
    text += std::to_string(ascending[i]);
    if (end > i) text += (end == i + 1 ? ", " : "-") + std::to_string(ascending[end]);
    i = end + 1;
  }
  return text;
}

std::vector<Batch> batches(const RoundTrace& round) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, Batch> found;
  for (std::uint32_t w = 0; w < round.words.size(); ++w) {
    const SentWord& word = round.words[w];
    Batch& batch = found[{word.source, word.destination}];
    batch.source = word.source, batch.destination = word.destination;
    batch.words.push_back(w);
  }
  std::vector<Batch> list;
  for (auto& [unused, batch] : found) list.push_back(std::move(batch));
  return list;
}

std::vector<Meeting> meetings(const LayerTrace& layer) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::uint32_t>> arriving;  // (head, query)
  for (const Move& move : layer.moves) arriving[{move.head, move.to}].push_back(move.word);
  using Kind = std::tuple<std::uint32_t, std::vector<std::pair<std::uint32_t, std::uint32_t>>, std::string>;
  std::map<Kind, Meeting> found;
  std::uint32_t apart =
      0;  // without moves every head is a meeting of its own: its average is what one looks at
  for (const HeadTrace& head : layer.heads) {
    for (const Match& match : head.matches) {
      Kind kind{match.query, {}, head.queries.empty() ? "" : head.queries[match.query]};
      for (const Match::Key& key : match.keys) std::get<1>(kind).push_back({key.token, key.tables});
      if (layer.moves.empty()) std::get<1>(kind).push_back({~std::uint32_t{0}, apart++});
      Meeting& meeting = found[kind];
      meeting.query = match.query;
      meeting.keys = match.keys;
      meeting.total = match.total;
      meeting.name = std::get<2>(kind);
      if (meeting.heads.empty()) meeting.first = &match;
      meeting.heads.push_back(head.head);
      const auto words = arriving.find({head.head, match.query});
      if (words != arriving.end())
        meeting.words.insert(meeting.words.end(), words->second.begin(), words->second.end());
    }
  }
  std::vector<Meeting> list;
  for (auto& [unused, meeting] : found) list.push_back(std::move(meeting));
  std::ranges::stable_sort(list, {}, [](const Meeting& m) { return std::pair(m.query, m.heads.front()); });
  return list;
}

bool too_large(const Trace& trace, std::uint32_t round) {
  return trace.rounds[round - 1].words.size() > (trace.reverse ? kMaxListedInReverse : kMaxListed);
}

namespace {

/// The kind of a machine in that round; forward all are of one kind.
std::string role_of(const Trace& trace, std::uint32_t round, std::uint32_t machine) {
  const std::size_t layer = trace.layer_of(round).value_or(round <= 1 ? 0 : trace.layers.size() - 1);
  for (const Role& role : trace.layers[layer].roles) {
    if (machine < role.first + role.count) return role.name;
  }
  return "machines";
}

}  // namespace

std::vector<Total> totals(const Trace& trace, std::uint32_t round) {
  std::map<std::pair<std::string, std::string>, std::uint64_t> sums;
  for (const SentWord& word : trace.rounds[round - 1].words)
    ++sums[{role_of(trace, round, word.source), role_of(trace, round, word.destination)}];
  std::vector<Total> list;
  for (const auto& [ends, words] : sums) list.push_back({ends.first, ends.second, words});
  return list;
}

std::string round_caption(const Trace& trace, std::uint32_t round) {
  const RoundTrace& facts = trace.rounds[round - 1];
  std::uint64_t sent = 0, received = 0, senders = 0;
  for (const Load& load : facts.loads) {
    sent = std::max(sent, load.sent);
    received = std::max(received, load.received);
    senders += load.sent != 0;
  }
  if (facts.words.empty())
    return "No machine sends anything: the protocol has reserved this round and does not need it.";
  return fmt::format(
      "{} of {} send{} {}; the fullest machine sends {} and receives at most {}, of s = {} allowed.", senders,
      count_of(trace.shape.machines, "machine"), senders == 1 ? "s" : "", words_of(facts.words.size()), sent,
      received, trace.shape.memory_words);
}

std::string part_caption(const Trace& trace, std::uint32_t round) {
  const std::string& phase = trace.rounds[round - 1].phase;
  const auto layer = trace.layer_of(round);
  std::string pass = phase_caption(phase, layer ? &trace.layers[*layer] : nullptr);
  if (!layer) return pass;
  return fmt::format("Round {} of the {} that do the work of layer {}. {}",
                     round - trace.layers[*layer].first_round + 1, trace.layers[*layer].rounds, *layer, pass);
}

std::string layer_caption(const Trace& trace, std::size_t number) {
  const LayerTrace& layer = trace.layers[number];
  std::uint64_t met = 0, crowded = 0;
  for (const HeadTrace& head : layer.heads) {
    for (const Match& match : head.matches) ++met, crowded += match.keys.size() > 1;
  }
  const std::string heads =
      layer.shape.heads == 1 ? "its one head" : fmt::format("each of {} heads", layer.shape.heads);
  if (trace.reverse) {
    return fmt::format("Every token writes a query, a key and a value in {}. A query gets the {} ({}).",
                       heads, layer.decompiler->average, layer.mechanism);
  }
  if (layer.round == 0) return layer.caption;
  if (layer.moves.empty()) return "No key is written, so no query finds one: nothing moves, as in the round.";
  return fmt::format(
      "{} {} move{} in {} of {}. {}", layer.caption, words_of(layer.moves.size()),
      layer.moves.size() == 1 ? "s" : "", layer.heads.size(), count_of(layer.shape.heads, "head"),
      crowded == 0
          ? "Every query finds at most one key in a head, so its average is what that key's token wrote."
          : fmt::format("{} of {} mix{} what several senders wrote.", crowded, count_of(met, "average"),
                        crowded == 1 ? "es" : ""));
}

std::vector<std::string> introduction(const Trace& trace) {
  const mpc::Shape& shape = trace.shape;
  std::vector<std::string> text;
  const std::string machine = fmt::format(
      "Every machine has a memory of s = {} words. In a round it computes on what it holds. Then it sends at "
      "most s words and receives at most s. It remembers only what it received.",
      shape.memory_words);
  const std::string what = trace.summary.empty() ? "" : fmt::format(" computes {}", trace.summary);
  if (trace.reverse) {
    text.push_back(fmt::format(
        "{} is a transformer of {} over N' = {} tokens, one for each word. The same function as a "
        "protocol takes {} on q = {} machines. Its last messages are the transformer's last rows, bit for "
        "bit.",
        trace.title, count_of(trace.layers.size(), "layer"), trace.tokens, count_of(shape.rounds, "round"),
        shape.machines));
    for (const simulate::LayerDecompiler* decompiler : simulate::decompilers()) {
      if (std::ranges::any_of(trace.layers,
                              [&](const LayerTrace& layer) { return layer.decompiler == decompiler; }))
        text.emplace_back(decompiler->introduction);
    }
    text.push_back(machine);
  } else {
    text.push_back(fmt::format(
        "{}{}. Here are two ways to compute it for {}. One is a protocol: q = {} machines send messages "
        "for {}. The other is the transformer compiled from it: {} of attention over N' = {} tokens.",
        trace.title, what, words_of(shape.n), shape.machines, count_of(shape.rounds, "round"),
        count_of(trace.layers.size(), "layer"), trace.tokens));
    text.push_back(machine);
    text.push_back(
        "Token i plays machine i. Say that machine 0 sends a word to machine 2. Token 0 then writes a key "
        "that says \u201cid 2\u201d, and a value that holds the word. Token 2 asks with the query "
        "\u201cid 2\u201d, finds the key and gets the word. So one layer of attention does "
        "what one round of messages does.");
  }
  if (shape.kappa_raised)
    text.push_back(fmt::format(
        "The usual memory is too small for so few words. So s was raised to {} = {} b, the smallest memory "
        "for which the protocol works at this N. A machine has b = {} words of input.",
        shape.memory_words, shape.kappa_s, shape.block_words));
  if (trace.bounds_prove_nothing)
    text.push_back(
        "This size is too small to test the bounds: one machine could hold nearly everything. The steps "
        "are the same at every size.");
  return text;
}

std::vector<Bound> bounds(const Trace& trace) {
  std::uint64_t sent = 0, received = 0, scratch = 0;
  for (const RoundTrace& round : trace.rounds) {
    for (const Load& load : round.loads) {
      sent = std::max(sent, load.sent);
      received = std::max(received, load.received);
      scratch = std::max(scratch, load.scratch);
    }
  }
  std::vector<Bound> list{
      {"words sent by a machine in a round", sent, trace.shape.memory_words, "s"},
      {"words received by a machine in a round", received, trace.shape.memory_words, "s"},
      {"scratch memory of a machine, words", scratch, trace.shape.scratch_words, "declared"},
      {"rounds", trace.rounds.size(), trace.shape.rounds, "R"}};
  if (!trace.reverse) {
    list.push_back({"layers", trace.sizes.depth, trace.bound.depth, "formula"});
    list.push_back({"width H m of the transformer", trace.sizes.width, trace.bound.width, "formula"});
  }
  return list;
}

namespace {

/// Who passes the input word to whom in round `r`, and how many words are computed with it; empty if neither.
/// Adds the outputs that carry it to `outputs`.
std::string stop_text(const Trace& trace, std::uint32_t r, std::uint32_t origin,
                      std::vector<std::uint32_t>& outputs) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::vector<std::uint32_t>> way;  // ends to sequences
  std::uint64_t computed = 0;
  for (const SentWord& word : trace.rounds[r - 1].words) {
    computed += std::ranges::binary_search(word.depends, origin);
    if (!std::ranges::binary_search(word.carries, origin)) continue;
    way[{word.source, word.output && !trace.reverse ? *word.output : word.destination}].push_back(
        word.sequence);
    if (word.output) outputs.push_back(*word.output);
  }
  std::vector<std::string> parts;
  if (trace.reverse && way.size() > 2) {
    std::map<std::pair<std::string, std::string>, std::uint64_t> kinds;
    for (const auto& [ends, words] : way)
      kinds[{role_of(trace, r, ends.first), role_of(trace, r, ends.second)}] += words.size();
    for (const auto& [ends, words] : kinds)
      parts.push_back(ends.first == ends.second
                          ? fmt::format("{} among {}", words_of(words), ends.first)
                          : fmt::format("{} from {} to {}", words_of(words), ends.first, ends.second));
    way.clear();
  }
  const bool one_head_a_word = std::ranges::any_of(
      trace.layers, [r](const LayerTrace& layer) { return layer.round == r && layer.one_head_a_word; });
  const bool final_round = r == trace.shape.rounds && !trace.reverse;
  constexpr std::size_t kMaxWays = 6;
  for (const auto& [ends, heads] : way) {
    if (parts.size() == kMaxWays && way.size() > kMaxWays + 1) {
      parts.push_back(fmt::format("{} more pairs of machines", way.size() - kMaxWays));
      break;
    }
    parts.push_back(ends.first == ends.second && !final_round
                        ? fmt::format("machine {} keeps it", ends.first)
                        : fmt::format("machine {} to {} {}", ends.first, final_round ? "output" : "machine",
                                      ends.second));
    if (one_head_a_word) parts.back() += fmt::format(" ({})", names("head", heads));
  }
  std::string text = listed(parts);
  if (computed != 0)
    text += fmt::format("{}{} {} computed with it", text.empty() ? "" : "; ", words_of(computed),
                        computed == 1 ? "is" : "are");
  return text;
}

/// The answer at the input word's own position.
std::string own_answer(const Trace& trace, std::uint32_t origin) {
  if (trace.reverse || origin >= trace.outputs.size()) return {};
  const auto* from = trace.origins_of(origin);
  const std::string& answer = trace.outputs[origin];
  if (answer.empty()) return " The answer at its own position is none.";
  if (from != nullptr && from->size() == 1)
    return fmt::format(" The answer at its own position is \u201c{}\u201d, carried there from position {}.",
                       answer, from->front());
  return fmt::format(" The answer at its own position is {}.", answer);
}

}  // namespace

Journey journey(const Trace& trace, std::uint32_t origin) {
  const std::uint32_t rounds = trace.shape.rounds;
  const std::uint64_t owner = origin / trace.shape.block_words;
  Journey found;
  found.start =
      trace.reverse
          ? fmt::format("Word {} of the input is the word of token {}. It starts on machine {}.", origin,
                        origin, owner)
          : fmt::format(
                "Word {} of the input starts on machine {}; layer 0 brings it from token {} to token {}.",
                origin, owner, origin, owner);
  std::uint32_t last = 0;  // round in which a word carries it
  std::vector<std::uint32_t> outputs;
  for (std::uint32_t r = 1; r <= rounds; ++r) {
    std::string text = stop_text(trace, r, origin, outputs);
    if (!text.empty()) found.stops.push_back({r, std::move(text)});
    const auto carries = [&](const SentWord& word) {
      return std::ranges::binary_search(word.carries, origin);
    };
    if (std::ranges::any_of(trace.rounds[r - 1].words, carries)) last = r;
  }
  std::ranges::sort(outputs);
  if (!outputs.empty()) {
    found.end = fmt::format("It is in the answer: {}.", names("output", outputs));
  } else if (trace.reverse && !found.stops.empty() && found.stops.back().round == rounds) {
    found.end = "The last rows were computed with it.";
  } else if (std::ranges::any_of(trace.rounds.back().words, [origin](const SentWord& word) {
               return std::ranges::binary_search(word.depends, origin);
             })) {
    found.end = "The answer is computed with it.";
  } else if (last == 0) {
    found.end = "No machine sends it on: what the first step did with it is all that the others learn.";
  } else if (last == rounds) {
    found.end = "It is in the answer.";
  } else {
    found.end = fmt::format("After round {} no word carries it: it is in no answer.", last);
  }
  found.end += own_answer(trace, origin);
  return found;
}

}  // namespace roundtrip::explain
