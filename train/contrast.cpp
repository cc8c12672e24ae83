#include "roundtrip/train/contrast.h"

#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/train/score.h"

namespace roundtrip::train {
namespace {

/// x at find_k(i), by k rounds of the definition: val[a] is what the round before gave at the position behind the last
/// a.
std::vector<std::uint32_t> k_hop_answers(std::span<const std::uint32_t> x, std::uint32_t k,
                                         std::uint32_t symbols) {
  std::vector<std::uint32_t> answers(x.begin(), x.end());
  for (std::uint32_t hop = 0; hop < k; ++hop) {
    std::vector<std::uint32_t> after(symbols, symbols), next;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (i > 0) after[x[i - 1]] = answers[i];
      next.push_back(after[x[i]]);
    }
    answers = std::move(next);
  }
  return answers;
}

Task k_hop_task(const ContrastOptions& options) {
  Task task = find_task("induction");
  task.name = "k_hop";
  task.summary = fmt::format("the symbol {} hop{} back: N = 64, {} symbols, causal", options.k,
                             options.k == 1 ? "" : "s", options.symbols);
  task.tokens = 64;
  task.symbols = options.symbols;
  task.classes = options.symbols + 1;
  task.layers = 1 + options.k;
  task.batch = 16;
  task.answers = [options](std::span<const std::uint32_t> x) {
    return k_hop_answers(x, options.k, options.symbols);
  };
  return task;
}

}  // namespace

std::string ContrastRow::name() const {
  return mixer.size == 0 ? mechanism : fmt::format("{}:{}", mechanism, mixer.size);
}

Contrast make_contrast(std::string_view name, const ContrastOptions& options) {
  require_field(options.k >= 1 && options.k <= 4, "k", "is {}; allowed are 1 .. 4", options.k);
  require_field(options.symbols >= 2 && options.symbols <= 64, "symbols", "is {}; allowed are 2 .. 64",
                options.symbols);
  require(name == "match2" || name == "k_hop",
          "there is no contrast of mechanisms on '{}'; known are match2, k_hop", name);
  const bool match2 = name == "match2";
  Contrast made{.task = match2 ? find_task("match2") : k_hop_task(options), .rows = {}};
  Task& task = made.task;
  using Kind = Mixer::Kind;
  const auto add = [&](const char* mechanism, Kind kind, const char* unit, std::uint32_t need,
                       std::initializer_list<std::uint32_t> sizes, std::uint32_t steps = 0, float rate = 0) {
    for (const std::uint32_t size : sizes) {
      ContrastRow row{mechanism, {kind, size}, unit, need, task.layers, task.steps, task.rate};
      if (steps != 0) row.steps = steps;
      if (rate != 0) row.rate = rate;
      if (row.mixer.recurrent()) row.layers = kind == Kind::kStateSpace && !match2 ? options.k : 1;
      if (kind == Kind::kReformer && !match2) ++row.layers;
      made.rows.push_back(std::move(row));
    }
  };
  if (match2) {
    task.value_dimension = 4;
    // The matrix of matching residues has rank M; a recurrent state must know which of M residues it has seen.
    const std::uint32_t need = task.symbols, n = task.tokens;
    add("softmax", Kind::kSoftmax, "", 0, {0});
    add("anna", Kind::kAnna, "", 0, {0});
    add("performer", Kind::kPerformer, "features", need, {8, 1024});
    add("poly_sketch", Kind::kPolySketch, "numbers", 9, {2, 16});  // 9 * 8 / 2 < 37 <= 10 * 9 / 2
    add("window", Kind::kWindow, "tokens to each side", n - 1, {4, 31});
    add("reformer", Kind::kReformer, "tokens of a chunk", n, {4, 32});
    add("rnn", Kind::kRnn, "numbers of state", need, {8, 128}, 12000, 0.001f);
    add("lstm", Kind::kLstm, "cells", need, {4, 64});
    add("state_space", Kind::kStateSpace, "numbers of state", need, {4, 64});
    return made;
  }
  // Layer 1 finds the token before, whose matrix over positions has rank N - 1. A recurrent state must know what followed
  // each symbol, k times over in one layer.
  const std::uint32_t n = task.tokens, state = options.k * options.symbols + 1;
  add("softmax", Kind::kSoftmax, "", 0, {0}, 2000);
  add("anna", Kind::kAnna, "", 0, {0}, 3000);
  add("performer", Kind::kPerformer, "features", n, {16, 512});
  add("poly_sketch", Kind::kPolySketch, "numbers", 11, {4, 16}, 4000,
      0.01f);  // 10 * 11 / 2 < 63 <= 11 * 12 / 2
  add("window", Kind::kWindow, "tokens to each side", n - 1, {4, 63});
  // Its keys are the queries: what is asked and what asks need a layer more to differ.
  add("reformer", Kind::kReformer, "tokens of a chunk", n, {8, 64}, 6000);
  add("rnn", Kind::kRnn, "numbers of state", state, {8, 128}, 6000, 0.001f);
  add("lstm", Kind::kLstm, "cells", state, {8, 32, 128}, 2500, 0.01f);
  add("state_space", Kind::kStateSpace, "numbers of state", options.symbols, {4, 64}, 2000);
  return made;
}

ContrastResult run_row(const Contrast& contrast, const ContrastRow& row, std::uint64_t seed,
                       std::uint32_t steps,
                       const std::function<void(std::uint32_t, std::uint32_t, float)>& progress) {
  Task task = contrast.task;
  task.layers = row.layers;
  task.rate = row.rate;
  TrainOptions options;
  options.seed = seed;
  options.mixer = row.mixer;
  options.steps = steps == 0 ? row.steps : steps;
  options.progress = progress;
  const Trained trained = train(task, options);
  ContrastResult result{trained.error, trained.guessing, trained.answers};
  if (row.mixer.kind == Mixer::Kind::kAnna) {
    const std::vector<std::uint32_t> tables(task.layers, task.tables_grid.back().front());
    const Sequences fresh = make_sequences(task, 64, seed, std::uint64_t{1} << 42);
    result.error = Scorer(with_tables(task, trained.transformer, tables, task.functions, seed)).error(fresh);
    result.guessing = guessing_error(fresh.answers);
    result.answers = fresh.answers.size();
  }
  return result;
}

}  // namespace roundtrip::train
