#include "roundtrip/train/train.h"

#include <algorithm>
#include <cmath>

#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/base/error.h"
#include "roundtrip/train/network.h"

namespace roundtrip::train {
namespace {

// Streams of sequences: steps of training count from 0.
constexpr std::uint64_t kUnseen = std::uint64_t{1} << 40;
constexpr std::uint32_t kUnseenBatches = 8;
constexpr float kNoiseFrom = 0.35f, kNoiseUntil = 0.75f, kFirstTables = 4096, kSharpAt = 0.6f;

/// What step number `at`, in parts of all steps, weighs keys by.
void schedule(const Task& task, float functions, float at, Similarity& similarity) {
  if (similarity.kind != Similarity::Kind::kCollision) {
    similarity.sharpness = task.sharpness;
    return;
  }
  similarity.sharpness = functions * std::min(1.0f, (1 + 2 * at / kSharpAt) / 3);
  const float grown = std::min(1.0f, (at - kNoiseFrom) / (kNoiseUntil - kNoiseFrom));
  similarity.tables =
      at < kNoiseFrom ? 0
                      : kFirstTables * std::pow(static_cast<float>(task.noise_tables) / kFirstTables, grown);
}

}  // namespace

Trained train(const Task& task, const TrainOptions& options) {
  Trained trained;
  trained.steps = options.steps.value_or(task.steps);
  const std::uint32_t functions = options.functions.value_or(task.functions);
  require_field(trained.steps >= 1 && trained.steps <= 1'000'000, "steps", "is {}; allowed are 1 .. 1000000",
                trained.steps);
  require_field(functions >= 1 && functions <= 64, "functions", "is {}; allowed are 1 .. 64", functions);
  Network network(task, options.mixer, task.batch, options.seed);
  network.similarity().noise_seed = options.seed;
  Adam adam(network.graph().parameters(), task.rate, trained.steps);
  for (std::uint32_t step = 0; step < trained.steps; ++step) {
    schedule(task, static_cast<float>(functions),
             static_cast<float>(step) / static_cast<float>(trained.steps), network.similarity());
    network.use(make_sequences(task, task.batch, options.seed, step));
    network.forward();
    network.backward();
    adam.step();
    trained.loss = network.loss();
    if (options.progress) options.progress(step + 1, trained.steps, trained.loss);
  }
  schedule(task, static_cast<float>(functions), 1, network.similarity());
  network.similarity().tables = 0;
  Rows answers;
  for (std::uint32_t batch = 0; batch < kUnseenBatches; ++batch) {
    const Sequences unseen = make_sequences(task, task.batch, options.seed, kUnseen + batch);
    network.use(unseen);
    network.forward();
    trained.error += network.error() / kUnseenBatches;
    answers.insert(answers.end(), unseen.answers.begin(), unseen.answers.end());
  }
  trained.answers = answers.size();
  trained.guessing = guessing_error(answers);
  if (options.mixer.kind == Mixer::Kind::kAnna || options.mixer.kind == Mixer::Kind::kSoftmax)
    trained.transformer = network.transformer();
  return trained;
}

anna::Model with_tables(const Task& task, const anna::Transformer& transformer,
                        std::span<const std::uint32_t> tables, std::uint32_t functions, std::uint64_t seed) {
  require(tables.size() == transformer.depth(), "{} numbers of tables for {} layers", tables.size(),
          transformer.depth());
  anna::Model model{.transformer = transformer, .mechanisms = {}, .protocol = {}};
  for (std::size_t l = 0; l < tables.size(); ++l) {
    anna::Anna layer;
    layer.parameters = {.tables = tables[l], .functions = functions, .seed = seed + l};
    layer.parameters.causal = task.causal;
    model.mechanisms.emplace_back(layer);
  }
  model.validate();
  return model;
}

}  // namespace roundtrip::train
