#include "roundtrip/explain/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/lsh/family.h"
#include "roundtrip/base/error.h"
#include "roundtrip/explain/follow.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/stages/composition.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/compile/construction.h"
#include "roundtrip/simulate/compile/export.h"
#include "roundtrip/simulate/decompile/layer_decompiler.h"

namespace roundtrip::explain {
namespace {

using anna::Entry;
using anna::Symbol;

// ---- the run

class MessageRecorder final : public mpc::Observer {
 public:
  MessageRecorder(const mpc::Shape& shape, std::vector<RoundTrace>& rounds)
      : shape_(shape), rounds_(rounds) {}
  void stepped(std::uint32_t round, mpc::MachineId machine, const mpc::Inbox&,
               const mpc::Outbox& outbox) override {
    const bool last = round == shape_.rounds;
    std::uint32_t sequence = 0;
    outbox.for_each_word([&](std::uint32_t destination, mpc::Word word) {
      SentWord sent;
      sent.source = machine;
      sent.sequence = sequence++;
      sent.destination = last ? shape_.output_machine(destination) : destination;
      if (last) sent.output = destination;
      sent.word = word;
      rounds_[round - 1].words.push_back(std::move(sent));
    });
  }

 private:
  const mpc::Shape& shape_;
  std::vector<RoundTrace>& rounds_;
};

std::vector<mpc::Word> record_run(const mpc::Protocol& protocol, std::span<const mpc::Word> input,
                                  Trace& trace) {
  const mpc::Shape& shape = protocol.shape();
  trace.shape = shape;
  trace.rounds.resize(shape.rounds);
  MessageRecorder recorder(shape, trace.rounds);
  mpc::RunOptions options;
  options.observer = &recorder;
  options.profile = true;
  const auto transport = mpc::make_in_process_transport();
  const mpc::RunResult result = mpc::run(protocol, input, *transport, options);
  for (std::uint32_t r = 0; r < shape.rounds; ++r) {
    std::ranges::sort(trace.rounds[r].words, {},
                      [](const SentWord& word) { return std::pair(word.source, word.sequence); });
    for (const mpc::MachineFacts& facts : result.profile.rounds.at(r))
      trace.rounds[r].loads.push_back({facts.words_sent, facts.words_received, facts.scratch_words});
  }
  if (const auto* composition = dynamic_cast<const mpc::Composition*>(&protocol)) {
    for (const mpc::Composition::Phase& phase : composition->phases()) {
      for (std::uint32_t r = 0; r < phase.rounds; ++r)
        trace.rounds[phase.first_round - 1 + r].phase =
            phase.rounds == 1 ? phase.name : fmt::format("{}, {} of {}", phase.name, r + 1, phase.rounds);
    }
  }
  return result.outputs;
}

// ---- the evaluation

/// What the vectors of a head's queries and keys are, by symbol.
class Vectors {
 public:
  explicit Vectors(const anna::Codebook& codebook) : codebook_(codebook) {}
  /// Equal vectors have equal numbers, by first use.
  std::size_t number(Symbol symbol) {
    const auto known = by_symbol_.find(symbol);
    if (known != by_symbol_.end()) return known->second;
    std::vector<std::int32_t> vector(codebook_.dimension());
    codebook_.vector(symbol, vector);
    const auto [place, added] = by_vector_.emplace(vector, vectors_.size());
    if (added) vectors_.push_back(std::move(vector));
    return by_symbol_[symbol] = place->second;
  }
  const std::vector<std::int32_t>& operator[](std::size_t number) const { return vectors_[number]; }
  std::span<const std::vector<std::int32_t>> all() const { return vectors_; }

 private:
  const anna::Codebook& codebook_;
  std::map<Symbol, std::size_t> by_symbol_;
  std::map<std::vector<std::int32_t>, std::size_t> by_vector_;
  std::vector<std::vector<std::int32_t>> vectors_;
};

double distance(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b, bool directions) {
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    dot += double(a[i]) * b[i], aa += double(a[i]) * a[i], bb += double(b[i]) * b[i];
  }
  if (!directions) return std::sqrt(std::max(0.0, aa + bb - 2 * dot));
  if (aa == 0 || bb == 0) return aa == bb ? 0 : std::sqrt(2.0);
  return std::sqrt(std::max(0.0, 2 - 2 * dot / std::sqrt(aa * bb)));
}

std::string letters(std::size_t number) {
  std::string text;
  for (++number; number > 0; number = (number - 1) / 26)
    text.insert(text.begin(), static_cast<char>('A' + (number - 1) % 26));
  return text;
}

/// An attention mechanism that writes down what it is asked and proves that its answers are the averages of
/// the matches that it writes down.
class RecordingAttention final : public anna::Attention {
 public:
  RecordingAttention(const anna::Layer& layer, const anna::Mechanism& mechanism, std::uint64_t ids,
                     LayerTrace& trace)
      : layer_(layer), mechanism_(mechanism), inner_(mechanism.make()), ids_(ids), trace_(trace) {
    if (!tables_) return;
    trace_.tables = tables_->tables;
    trace_.functions = tables_->functions;
    trace_.near_radius = tables_->near_radius;
    trace_.far_radius = tables_->far_radius;
  }
  std::string name() const override { return inner_->name(); }

  void attend(const anna::Codebook& codebook, const anna::HeadInput& head, anna::SparseRows& out) override {
    inner_->attend(codebook, head, out);
    HeadTrace found;
    found.head = head_++;
    if (!mechanism_.info().finds_equal_keys) {  // no matches: there is nothing to list but the averages
      for (std::size_t i = 0; i < out.tokens.size(); ++i) {
        Match match;
        match.query = static_cast<std::uint32_t>(out.tokens[i]);
        match.value.assign(out.row(i).begin(), out.row(i).end());
        found.matches.push_back(std::move(match));
      }
      trace_.heads.push_back(std::move(found));
      return;
    }
    Vectors vectors(codebook);
    const std::vector<Symbol> queries = symbols(head.queries, head.tokens),
                              keys = symbols(head.keys, head.tokens);
    const auto collisions = count_collisions(vectors, queries, keys);
    for (std::uint32_t i = 0; i < head.tokens; ++i) {
      Match match;
      match.query = i;
      for (std::uint32_t j = 0; j < head.tokens; ++j) {
        const std::uint32_t c = collisions(i, j);
        if (c != 0) match.keys.push_back({j, c}), match.total += c;
      }
      if (!match.keys.empty()) found.matches.push_back(std::move(match));
    }
    prove(head, out, found);
    if (found.matches.empty() && !tables_) {
      ++trace_.silent_heads;
      return;
    }
    for (std::uint32_t i = 0; i < head.tokens; ++i) {
      found.queries.push_back(call(codebook, vectors, queries[i]));
      found.keys.push_back(call(codebook, vectors, keys[i]));
    }
    if (tables_) note_tables(vectors, queries, keys, collisions, found);
    if (found.matches.empty())
      ++trace_.silent_heads;
    else
      trace_.heads.push_back(std::move(found));
  }

 private:
  static std::vector<Symbol> symbols(const anna::Points& points, std::uint64_t tokens) {
    std::vector<Symbol> all(tokens, points.default_symbol);
    for (const anna::TokenSymbol& point : points.listed) all[point.token] = point.symbol;
    return all;
  }

  /// c_ij by the numbers of the vectors.
  std::function<std::uint32_t(std::uint32_t, std::uint32_t)> count_collisions(
      Vectors& vectors, const std::vector<Symbol>& queries, const std::vector<Symbol>& keys) const {
    std::vector<std::size_t> query(queries.size()), key(keys.size());
    std::ranges::transform(queries, query.begin(), [&](Symbol symbol) { return vectors.number(symbol); });
    std::ranges::transform(keys, key.begin(), [&](Symbol symbol) { return vectors.number(symbol); });
    return [query, key, causal = mechanism_.causal(), counts = mechanism_.collisions(vectors.all())](
               std::uint32_t i, std::uint32_t j) { return causal && j > i ? 0 : counts(query[i], key[j]); };
  }

  /// The mechanism's averages are those of the matches: S and T exact, each rounded once.
  void prove(const anna::HeadInput& head, const anna::SparseRows& out, HeadTrace& found) const {
    __extension__ using Wide = __int128;
    std::map<std::uint64_t, std::size_t> row_of;
    for (std::size_t i = 0; i < head.values.tokens.size(); ++i) row_of[head.values.tokens[i]] = i;
    std::size_t next = 0;
    for (Match& match : found.matches) {
      std::map<std::uint32_t, Wide> sum;
      for (const Match::Key& key : match.keys) {
        const auto row = row_of.find(key.token);
        if (row == row_of.end()) continue;
        for (const Entry& entry : head.values.row(row->second))
          sum[entry.column] += static_cast<Wide>(key.tables) * static_cast<std::int64_t>(entry.value);
      }
      for (const auto& [column, s] : sum) {
        if (s != 0)
          match.value.push_back({column, static_cast<double>(s) / static_cast<double>(match.total)});
      }
      if (match.value.empty()) continue;
      if (next == out.tokens.size() || out.tokens[next] != match.query ||
          !std::ranges::equal(out.row(next), match.value)) {
        throw InternalError(fmt::format("head {}: the average of token {} is not that of its matches",
                                        found.head, match.query));
      }
      ++next;
    }
    if (next != out.tokens.size())
      throw InternalError(
          fmt::format("head {}: token {} got an average without a match", found.head, out.tokens[next]));
  }

  std::string call(const anna::Codebook& codebook, Vectors& vectors, Symbol symbol) const {
    if (symbol == layer_.null_query() || symbol == layer_.null_key()) return {};
    if (symbol < ids_) return fmt::format("id {}", symbol);
    if (ids_ != 0 && symbol < layer_.codebook().size()) return "warning";
    static_cast<void>(codebook);
    return "vector " + letters(vectors.number(symbol));
  }

  void note_tables(Vectors& vectors, const std::vector<Symbol>& queries, const std::vector<Symbol>& keys,
                   const std::function<std::uint32_t(std::uint32_t, std::uint32_t)>& collisions,
                   HeadTrace& found) const {
    Collisions& counts = found.collisions.emplace();
    for (std::uint32_t i = 0; i < queries.size(); ++i) {
      if (queries[i] == layer_.null_query()) continue;
      for (std::uint32_t j = 0; j < keys.size(); ++j) {
        if (keys[j] == layer_.null_key()) continue;
        const double d = distance(vectors[vectors.number(queries[i])], vectors[vectors.number(keys[j])],
                                  tables_->directions);
        const std::uint32_t c = collisions(i, j);
        const bool near = d <= trace_.near_radius.value_or(0);
        if (near) ++counts.near_pairs, counts.near_pairs_met += c != 0;
        (near ? counts.near : d <= trace_.far_radius.value_or(0) ? counts.between : counts.far) += c;
        if (near || c != 0) found.pairs.push_back({i, j, c, d});
      }
    }
  }

  const anna::Layer& layer_;
  const anna::Mechanism& mechanism_;
  std::unique_ptr<anna::Attention> inner_;
  const std::uint64_t ids_;
  LayerTrace& trace_;
  const std::optional<anna::HashTables> tables_ = mechanism_.hash_tables();
  std::uint32_t head_ = 0;
};

/// `ids`: symbols below are the ids of machines and outputs; 0 for maps that compute their vectors.
anna::Activations record_layer(const anna::Layer& layer, const anna::Mechanism& mechanism, std::uint64_t ids,
                               const anna::Activations& array, LayerTrace& trace) {
  trace.shape = layer.shape();
  trace.mechanism = mechanism.caption();
  RecordingAttention recorder(layer, mechanism, ids, trace);
  anna::Activations next = anna::evaluate(layer, recorder, array);
  trace.numbers_in_rows = next.nonzeros();
  return next;
}

// ---- one beside the other

[[noreturn]] void fail(std::size_t layer, const SentWord& word, const std::string& what) {
  throw InternalError(fmt::format("layer {}: word {} of machine {}, on its way to machine {}, {}", layer,
                                  word.sequence, word.source, word.destination, what));
}

/// An average that `to` got and to which `from` contributed: in `head`, or in any if that is not given.
struct Met {
  std::uint32_t head = 0;
  const Match* match = nullptr;
};
/// In `head`, if it is given; else in the first whose average `carries` the word, or in any if none does.
template <typename Carries>
std::optional<Met> find_met(const LayerTrace& layer, std::uint32_t from, std::uint32_t to,
                            std::optional<std::uint32_t> head, const Carries& carries) {
  std::optional<Met> first;
  for (const HeadTrace& candidate : layer.heads) {
    if (head && candidate.head != *head) continue;
    const auto match = std::ranges::lower_bound(candidate.matches, to, {}, &Match::query);
    if (match == candidate.matches.end() || match->query != to) continue;
    if (!std::ranges::binary_search(match->keys, from, {}, &Match::Key::token)) continue;
    const Met met{candidate.head, &*match};
    if (carries(*match)) return met;
    if (!first) first = met;
  }
  return first;
}

using WordId = std::pair<std::uint64_t, std::uint64_t>;  // source, sequence

/// The token whose row holds each word of the array.
std::map<WordId, std::uint32_t> holders(const simulate::Construction& construction,
                                        const anna::Activations& array) {
  std::map<WordId, std::uint32_t> holder;
  for (std::uint64_t token = 0; token < array.tokens(); ++token) {
    for (const simulate::WordInRow& word : construction.words(array.row(token)))
      holder[{word.source, word.sequence}] = static_cast<std::uint32_t>(word.token);
  }
  return holder;
}

/// How the words of a round change rows in layer `l`, as the construction says and checked against the
/// matches, the averages and the array that the layer leaves.
void record_moves(const simulate::Construction& construction, const simulate::LayerRole& role, std::size_t l,
                  const anna::Activations& array, Trace& trace) {
  LayerTrace& layer = trace.layers[l];
  const RoundTrace& sent = trace.rounds[role.round - 1];
  std::map<WordId, std::uint32_t> holder;
  if (role.arrival == simulate::Arrival::kOnTheWay) holder = holders(construction, array);
  std::map<WordId, std::uint32_t> before;
  if (trace.layers[l - 1].round == role.round) {
    for (const Move& move : trace.layers[l - 1].moves)
      before[{sent.words[move.word].source, sent.words[move.word].sequence}] = move.to;
  }
  for (std::uint32_t w = 0; w < sent.words.size(); ++w) {
    const SentWord& word = sent.words[w];
    const WordId id{word.source, word.sequence};
    Move move{.word = w, .from = before.contains(id) ? before[id] : word.source};
    switch (role.arrival) {
      case simulate::Arrival::kOnTheWay:
        if (!holder.contains(id)) fail(l, word, "is in no row");
        move.to = holder[id];
        break;
      case simulate::Arrival::kMachine:
        move.to = word.destination;
        break;
      case simulate::Arrival::kOutput:
        move.to = word.output.value();
        break;
    }
    const simulate::WordInRow expected{.source = word.source,
                                       .sequence = word.sequence,
                                       .destination = word.output.value_or(word.destination),
                                       .word = static_cast<double>(word.word)};
    const auto carries = [&](const Match& match) { return construction.carries(l, match.value, expected); };
    const auto met = find_met(layer, move.from, move.to,
                              role.one_head_a_word ? std::optional(word.sequence) : std::nullopt, carries);
    if (!met) fail(l, word, fmt::format("has no match from token {} to token {}", move.from, move.to));
    move.head = met->head;
    if (!carries(*met->match)) fail(l, word, "is not in the average that its receiver got");
    layer.moves.push_back(move);
  }
  if (!role.one_head_a_word || role.arrival != simulate::Arrival::kMachine) return;
  std::size_t keys = 0;  // each is one word: what was sent, no more
  for (const HeadTrace& head : layer.heads) {
    for (const Match& match : head.matches) keys += match.keys.size();
  }
  if (keys != sent.words.size())
    throw InternalError(fmt::format("layer {} moves {} words where round {} sent {}", l, keys, role.round,
                                    sent.words.size()));
}

void record_roles(const simulate::Compiled& compiled, const std::vector<anna::Activations>& arrays,
                  Trace& trace) {
  const std::vector<simulate::Pass> passes = compiled.construction->passes();
  const std::vector<simulate::LayerRole> roles = compiled.construction->layers();
  for (std::size_t l = 0; l < roles.size(); ++l) {
    const simulate::LayerRole& role = roles[l];
    const simulate::Pass& pass = passes[role.pass];
    LayerTrace& layer = trace.layers[l];
    layer.name = role.part.empty() ? pass.name : pass.name + ", " + role.part;
    layer.caption = pass.caption;
    layer.averages = pass.averages;
    layer.one_head_a_word = role.one_head_a_word;
    layer.round = role.round;
    if (role.round != 0) record_moves(*compiled.construction, role, l, arrays[l], trace);
  }
}

/// The machine groups of the layer, and those that have nothing to do in it.
std::vector<Role> roles_of(const simulate::DecompilePlan& plan, const simulate::DecompiledLayer& layer) {
  std::vector<Role> roles;
  const auto add = [&](const std::string& name, std::uint64_t count) {
    const std::uint64_t first = roles.empty() ? 0 : roles.back().first + roles.back().count;
    if (count != 0) roles.push_back({name, first, count});
  };
  for (const simulate::MachineGroup& group : layer.decompiler->machines(plan, layer))
    add(std::string(group.name), group.count);
  add("idle here", plan.machines - roles.back().first - roles.back().count);
  return roles;
}

constexpr std::size_t kMostWithouts = 16;  // heads that are taken away, one at a time

/// The model again and again, each time with a part less. A head that is taken away brings zeros.
std::vector<Without> take_away(const anna::Model& model, const anna::Activations& input,
                               const anna::Activations& last) {
  std::vector<Without> all;
  const auto compare = [&](std::string part, const anna::Model& less) {
    const anna::Activations rows = anna::evaluate(less, input);
    Without without{std::move(part), {}};
    for (std::uint32_t token = 0; token < rows.tokens(); ++token) {
      if (!std::ranges::equal(rows.row(token).entries, last.row(token).entries))
        without.tokens.push_back(token);
    }
    all.push_back(std::move(without));
  };
  for (std::size_t l = 0; l < model.transformer.depth(); ++l) {
    const auto* layer = dynamic_cast<const anna::WeightLayer*>(model.transformer.layers[l].get());
    if (layer == nullptr) continue;
    for (std::size_t h = 0; h < layer->weights().heads.size() && all.size() < kMostWithouts; ++h) {
      anna::LayerWeights weights = layer->weights();
      // The output map does not read it; a recurrence would bring something without values, too.
      anna::Stage& output = weights.output.front();
      const std::uint32_t dimension = layer->shape().value_dimension;
      const std::size_t first = weights.row_dimension + weights.position_digits + h * dimension;
      anna::SparseMatrix rest;
      for (std::size_t row = 0; row < output.outputs; ++row, rest.end_row()) {
        for (std::size_t k = 0; k < output.weight.columns(row).size(); ++k) {
          const std::uint32_t column = output.weight.columns(row)[k];
          if (column < first || column >= first + dimension) rest.put(column, output.weight.values(row)[k]);
        }
      }
      output.weight = std::move(rest);
      anna::Model less = model;
      less.transformer.layers[l] =
          std::make_shared<anna::WeightLayer>(std::move(weights), "layer", model.mechanisms[l].state_range());
      compare(fmt::format("without head {} of layer {}", h, l), less);
    }
  }
  std::uint32_t most = 0;
  for (const anna::Mechanism& mechanism : model.mechanisms)
    most = std::max(most, mechanism.hash_tables().value_or(anna::HashTables{}).tables);
  for (std::uint32_t tables = 1; tables < most; tables *= 2) {
    anna::Model less = model;
    for (anna::Mechanism& mechanism : less.mechanisms) mechanism = mechanism.with_tables(tables);
    compare(fmt::format("with {} of {} hash tables", tables, most), less);
  }
  return all;
}

void begin(std::span<const mpc::Word> input, const Names& names, Trace& trace) {
  require_field(input.size() >= kMinWords && input.size() <= kMaxWords, "n",
                "{} words; explain draws every word, allowed are {} to {}", input.size(), kMinWords,
                kMaxWords);
  trace.title = printable(names.title, 200);
  trace.summary = names.summary;
  trace.rounds_formula = names.rounds_formula;
  for (const std::string& text : names.input) trace.input.push_back(printable(text));
  trace.play = names.play;
  trace.input_words.assign(input.begin(), input.end());
}

}  // namespace

std::optional<std::size_t> Trace::layer_of(std::uint32_t round) const {
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (round >= layers[l].first_round && round < layers[l].first_round + layers[l].rounds) return l;
  }
  return std::nullopt;
}

std::string Trace::text_of(const SentWord& word) const {
  if (word.output && !reverse) return outputs[*word.output].empty() ? "none" : outputs[*word.output];
  if (word.carries.size() == 1 && input_words[word.carries[0]] == word.word) return input[word.carries[0]];
  if (word.carries.empty() && !word.depends.empty()) {
    const auto equal = std::ranges::find(input_words, word.word);
    if (equal != input_words.end()) return input[static_cast<std::size_t>(equal - input_words.begin())];
  }
  return std::to_string(word.word);
}

const std::vector<std::uint32_t>* Trace::origins_of(std::uint32_t output) const {
  for (const SentWord& word : rounds.back().words) {
    if (word.output == output) return &word.carries;
  }
  return nullptr;
}

std::string printable(const std::string& text, std::size_t most) {
  // The library replaces what is no UTF-8 when it writes; what it reads back is clean.
  const std::string clean = nlohmann::json::parse(
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  std::string out;
  std::size_t count = 0;
  for (std::size_t i = 0; i < clean.size();) {
    std::size_t end = i + 1;
    while (end < clean.size() && (clean[end] & 0xC0) == 0x80) ++end;
    const auto lead = static_cast<unsigned char>(clean[i]);
    const bool control =
        lead < 0x20 || lead == 0x7F || (lead == 0xC2 && static_cast<unsigned char>(clean[i + 1]) < 0xA0);
    if (count++ == most) return out + "\u2026";
    out += control ? "\uFFFD" : clean.substr(i, end - i);
    i = end;
  }
  return out;
}

Trace record(const simulate::Compiled& compiled, std::string_view mechanism, std::span<const mpc::Word> input,
             const Names& names) {
  Trace trace;
  begin(input, names, trace);
  const mpc::Protocol& protocol = *compiled.protocol;
  const std::vector<mpc::Word> outputs = record_run(protocol, input, trace);
  trace.construction = compiled.options.construction;
  trace.sizes = simulate::measure(compiled.transformer);
  trace.bound = compiled.bound;
  trace.tokens = compiled.transformer.tokens;
  trace.bounds_prove_nothing = trace.shape.below_range();
  for (std::size_t t = 0; t < outputs.size(); ++t)
    trace.outputs.push_back(printable(names.output(t, outputs[t])));

  if (!anna::mechanism_for_equal_keys(mechanism).finds_equal_keys)
    throw ContractError(
        "attention", fmt::format("is '{}', which weighs all keys: there are no matches to show", mechanism));
  const anna::Model model = simulate::as_model(compiled, mechanism);
  const std::uint64_t ids = std::max<std::uint64_t>(trace.shape.machines, trace.shape.outputs);
  std::vector<anna::Activations> arrays;
  anna::Activations array = simulate::input_activations(input, trace.tokens);
  trace.layers.resize(compiled.transformer.depth());
  for (std::size_t l = 0; l < trace.layers.size(); ++l) {
    array = record_layer(*compiled.transformer.layers[l], model.mechanisms[l], ids, array, trace.layers[l]);
    arrays.push_back(array);
  }
  const simulate::OutputWords read = simulate::read_outputs(array, trace.shape.outputs);
  if (!read.faulty.empty() && read.reasons.front() == simulate::FaultKind::kOverflow)
    throw ContractError("seed",
                        "draws intermediates or shifts with which a bundle or a head overflows; try another");
  if (!read.faulty.empty() || read.words != outputs)
    throw InternalError("the transformer's outputs are not the run's");
  record_roles(compiled, arrays, trace);
  follow(protocol, input, trace.rounds);
  return trace;
}

Trace record(const anna::Model& model, const simulate::DecompilePlan& plan, const mpc::Protocol& protocol,
             std::span<const mpc::Word> input, const Names& names) {
  Trace trace;
  trace.reverse = true;
  begin(input, names, trace);
  const std::vector<mpc::Word> outputs = record_run(protocol, input, trace);
  trace.sizes = simulate::measure(model.transformer);
  trace.tokens = plan.tokens;
  trace.bounds_prove_nothing = plan.below_range();
  for (std::size_t t = 0; t < outputs.size(); ++t)
    trace.outputs.push_back(printable(names.output(t, outputs[t])));

  const anna::Activations first = simulate::input_activations(input, model.transformer.tokens);
  anna::Activations array = first;
  trace.layers.resize(model.transformer.depth());
  std::uint32_t round = 2;  // the first one only brings the input to its blocks
  for (std::size_t l = 0; l < trace.layers.size(); ++l) {
    LayerTrace& layer = trace.layers[l];
    array = record_layer(*model.transformer.layers[l], model.mechanisms[l], 0, array, layer);
    layer.name = fmt::format("layer {}", l);
    layer.first_round = round;
    layer.rounds = plan.layers[l].rounds();
    layer.decompiler = plan.layers[l].decompiler;
    round += layer.rounds;
    layer.roles = roles_of(plan, plan.layers[l]);
  }
  if (simulate::decompiled_rows(plan, outputs) != array)
    throw InternalError("the protocol's rows are not the transformer's");
  trace.withouts = take_away(model, first, array);
  follow(protocol, input, trace.rounds);
  return trace;
}

}  // namespace roundtrip::explain
