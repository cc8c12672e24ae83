#include "roundtrip/train/task.h"

#include <algorithm>
#include <array>
#include <map>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"

namespace roundtrip::train {
namespace {

constexpr std::uint32_t kModulus = 37, kInductionSymbols = 4;

std::vector<std::uint32_t> match2_answers(std::span<const std::uint32_t> sequence) {
  std::vector<std::uint32_t> answers;
  for (const std::uint32_t x : sequence) {
    answers.push_back(
        std::ranges::any_of(sequence, [x](std::uint32_t y) { return (x + y) % kModulus == 0; }) ? 1 : 0);
  }
  return answers;
}

std::vector<std::uint32_t> induction_answers(std::span<const std::uint32_t> sequence) {
  std::vector<std::uint32_t> answers;
  std::array<std::uint32_t, kInductionSymbols> after;  // the symbol after the latest place of each
  after.fill(kInductionSymbols);
  for (std::size_t i = 0; i < sequence.size(); ++i) {
    if (i > 0) after[sequence[i - 1]] = sequence[i];
    answers.push_back(after[sequence[i]]);
  }
  return answers;
}

std::vector<std::vector<std::uint32_t>> one_layer(std::initializer_list<std::uint32_t> tables) {
  std::vector<std::vector<std::uint32_t>> grid;
  for (const std::uint32_t t : tables) grid.push_back({t});
  return grid;
}

}  // namespace

std::span<const Task> tasks() {
  static const std::vector<Task> all{
      {.name = "match2",
       .summary = "whether some token's symbol and one's own sum to 0 modulo 37: N = 32, one layer",
       .tokens = 32,
       .symbols = kModulus,
       .classes = 2,
       .answers = match2_answers,
       .layers = 1,
       .hidden = 64,
       .steps = 4000,
       .batch = 16,
       .rate = 0.01f,
       .functions = 5,
       .noise_tables = 6,
       .sharpness = 4,
       .tables_grid = one_layer({1, 2, 4, 8, 16, 32}),
       .functions_grid = {1, 2, 3, 4, 5, 6},
       .sequences = 200},
      {.name = "induction",
       .summary = "the symbol after the latest earlier place of one's own: N = 100, 4 symbols, two layers",
       .tokens = 100,
       .symbols = kInductionSymbols,
       .classes = kInductionSymbols + 1,
       .answers = induction_answers,
       .layers = 2,
       .places = true,
       .causal = true,
       .hidden = 128,
       .steps = 1500,
       .batch = 32,
       .rate = 0.005f,
       .functions = 8,
       .noise_tables = 64,
       .sharpness = 10,
       .tables_grid = {{32, 4}, {32, 32}, {96, 32}, {96, 96}},
       .functions_grid = {1, 2, 4, 8},
       .sequences = 40}};
  return all;
}

const Task& find_task(std::string_view name) {
  std::string names;
  for (const Task& task : tasks()) {
    if (task.name == name) return task;
    names += (names.empty() ? "" : ", ") + task.name;
  }
  throw ContractError(fmt::format("there is no task '{}' to train; known are {}", name, names));
}

Sequences make_sequences(const Task& task, std::uint32_t count, std::uint64_t seed, std::uint64_t stream) {
  Sequences made;
  RandomStream draws(seed, Domain::kInstance, stream);
  for (std::uint32_t s = 0; s < count; ++s) {
    for (std::uint32_t i = 0; i < task.tokens; ++i)
      made.tokens.push_back(static_cast<std::uint32_t>(draws.below(task.symbols)));
    const auto answers = task.answers(std::span(made.tokens).last(task.tokens));
    made.answers.insert(made.answers.end(), answers.begin(), answers.end());
  }
  return made;
}

double guessing_error(std::span<const std::uint32_t> answers) {
  std::map<std::uint32_t, std::size_t> times;
  std::size_t most = 0;
  for (const std::uint32_t answer : answers) most = std::max(most, ++times[answer]);
  return answers.empty() ? 0 : 1 - static_cast<double>(most) / static_cast<double>(answers.size());
}

}  // namespace roundtrip::train
