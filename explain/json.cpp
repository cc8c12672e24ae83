#include <nlohmann/json.hpp>

#include "roundtrip/explain/page.h"
#include "roundtrip/explain/view.h"

namespace roundtrip::explain {
namespace {

using Json = nlohmann::ordered_json;

Json round_json(const Trace& trace, std::uint32_t number) {
  const RoundTrace& round = trace.rounds[number - 1];
  Json json{{"round", number}, {"phase", round.phase}, {"words_sent", round.words.size()}};
  Json& loads = json["loads"] = Json::array();
  for (const Load& load : round.loads) loads.push_back({load.sent, load.received, load.scratch});
  if (too_large(trace, number)) {
    Json& sums = json["totals"] = Json::array();
    for (const Total& total : totals(trace, number)) sums.push_back({total.from, total.to, total.words});
    return json;
  }
  Json& words = json["words"] = Json::array();
  for (const SentWord& word : round.words) {
    Json entry{{"source", word.source}, {"sequence", word.sequence}, {"destination", word.destination}};
    if (word.output) entry["output"] = *word.output;
    entry["word"] = std::to_string(word.word);  // beyond 2^53 a reader in JavaScript would lose digits
    entry["text"] = trace.text_of(word);
    entry["carries"] = word.carries;
    if (!word.depends.empty()) entry["depends"] = word.depends;
    words.push_back(std::move(entry));
  }
  return json;
}

Json layer_json(const Trace& trace, std::size_t number) {
  const LayerTrace& layer = trace.layers[number];
  Json json{{"layer", number},
            {"name", layer.name},
            {"mechanism", layer.mechanism},
            {"heads", layer.shape.heads},
            {"query_dimension", layer.shape.query_dimension},
            {"value_dimension", layer.shape.value_dimension},
            {"width", layer.shape.width()}};
  if (trace.reverse) {
    json["first_round"] = layer.first_round;
    json["rounds"] = layer.rounds;
  } else {
    json["round"] = layer.round;
  }
  Json& moves = json["moves"] = Json::array();
  for (const Move& move : layer.moves)
    moves.push_back({{"word", move.word}, {"from", move.from}, {"to", move.to}, {"head", move.head}});
  Json& matches = json["matches"] = Json::array();
  for (const HeadTrace& head : layer.heads) {
    for (const Match& match : head.matches) {
      Json entry{
          {"head", head.head}, {"query", match.query}, {"keys", Json::array()}, {"total", match.total}};
      for (const Match::Key& key : match.keys) entry["keys"].push_back({key.token, key.tables});
      if (trace.reverse) {
        Json& value = entry["average"] = Json::array();
        for (const anna::Entry& number_of : match.value) value.push_back({number_of.column, number_of.value});
      }
      matches.push_back(std::move(entry));
    }
  }
  if (layer.tables == 0) return json;
  json["tables"] = layer.tables;
  json["functions"] = layer.functions;
  if (layer.near_radius) json["near_radius"] = *layer.near_radius;
  if (layer.far_radius) json["far_radius"] = *layer.far_radius;
  Json& collisions = json["collisions"] = Json::array();
  for (const HeadTrace& head : layer.heads) {
    if (!head.collisions) continue;
    const Collisions& counts = *head.collisions;
    collisions.push_back({{"head", head.head},
                          {"near", counts.near},
                          {"between", counts.between},
                          {"far", counts.far},
                          {"near_pairs", counts.near_pairs},
                          {"near_pairs_met", counts.near_pairs_met},
                          {"purity", counts.purity()}});
  }
  return json;
}

}  // namespace

Json to_json(const Trace& trace) {
  const mpc::Shape& shape = trace.shape;
  Json json{{"schema", "roundtrip/explain/1"},
            {"from", trace.reverse ? "transformer" : "protocol"},
            {"title", trace.title},
            {"n", shape.n},
            {"machines", shape.machines},
            {"memory_words", shape.memory_words},
            {"block_words", shape.block_words},
            {"rounds_bound", shape.rounds},
            {"kappa_s", shape.kappa_s},
            {"kappa_raised", shape.kappa_raised},
            {"below_range", trace.bounds_prove_nothing},
            {"tokens", trace.tokens},
            {"depth", trace.sizes.depth},
            {"heads", trace.sizes.heads},
            {"width", trace.sizes.width}};
  if (trace.play) {
    const Play& play = *trace.play;
    json["play"] = {{"protocol", play.protocol},
                    {"epsilon", {play.epsilon.numerator(), play.epsilon.denominator()}},
                    {"k", play.k}};
  }
  if (!trace.reverse) {
    json["construction"] = trace.construction;
    json["depth_bound"] = trace.bound.depth;
    json["width_bound"] = trace.bound.width;
  }
  json["input"] = trace.input;
  json["outputs"] = trace.outputs;
  Json& rounds = json["rounds"] = Json::array();
  for (std::uint32_t r = 1; r <= trace.rounds.size(); ++r) rounds.push_back(round_json(trace, r));
  Json& layers = json["layers"] = Json::array();
  for (std::size_t l = 0; l < trace.layers.size(); ++l) layers.push_back(layer_json(trace, l));
  if (!trace.withouts.empty()) {
    Json& withouts = json["withouts"] = Json::array();
    for (const Without& without : trace.withouts)
      withouts.push_back({{"part", without.part}, {"tokens", without.tokens}});
  }
  return json;
}

}  // namespace roundtrip::explain
