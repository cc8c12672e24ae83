// Purpose: `roundtrip train TASK` and `roundtrip experiment TASK`: a small transformer trained, written as a model, and
// scored with hash tables of many sizes; `experiment mechanisms` is in contrast.cpp.
#include <algorithm>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "roundtrip/anna/files/model_file.h"
#include "roundtrip/base/atomic_file.h"
#include "roundtrip/base/error.h"
#include "roundtrip/cli/arguments.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/contrast.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/output_files.h"
#include "roundtrip/cli/progress.h"
#include "roundtrip/cli/table.h"
#include "roundtrip/train/score.h"
#include "roundtrip/train/train.h"

namespace roundtrip::cli {
namespace {

using Json = nlohmann::ordered_json;

struct TrainArguments {
  std::string task, model;
  train::TrainOptions options;
  std::optional<std::uint32_t> tables;
  OutputArguments out;
};

struct ExperimentArguments {
  std::string task, model, csv, html;
  train::ExperimentOptions options;
  ContrastArguments contrast;
  OutputArguments out;
};

std::vector<std::string> task_names() {
  std::vector<std::string> names;
  for (const train::Task& task : train::tasks()) names.push_back(task.name);
  return names;
}

/// What keys are weighed by in training.
std::string surrogate_of(const train::TrainOptions& options) {
  return options.mixer.kind == train::Mixer::Kind::kSoftmax ? "softmax" : "collision";
}

struct TrainedModel {
  train::Trained trained;
  double seconds = 0;  ///< of one core
};

TrainedModel train_shown(const train::Task& task, train::TrainOptions options, bool quiet) {
  Progress progress(!quiet);
  if (progress.shown()) {
    options.progress = [&](std::uint32_t done, std::uint32_t steps, float) {
      if (done % 10 == 0) progress.draw_step("step", done, steps);
    };
  }
  const std::clock_t begun = std::clock();
  TrainedModel made{train::train(task, options), 0};
  made.seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
  return made;
}

Json trained_json(const TrainedModel& made, const train::TrainOptions& options) {
  return {{"surrogate", surrogate_of(options)},
          {"seed", options.seed},
          {"steps", made.trained.steps},
          {"loss", made.trained.loss},
          {"trained_error", made.trained.error},
          {"trained_answers", made.trained.answers},
          {"guessing_error", made.trained.guessing},
          {"seconds", made.seconds}};
}

std::string trained_text(const train::Task& task, const TrainedModel& made,
                         const train::TrainOptions& options) {
  return fmt::format(
      "  trained           {} steps of {} sequences, {} surrogate, seed {}, {:.1f} s of one core\n"
      "  surrogate         error {:.4f} of {} answers that it has not seen\n"
      "  guessing          error {:.4f}: always the most frequent answer\n",
      made.trained.steps, task.batch, surrogate_of(options), options.seed, made.seconds, made.trained.error,
      made.trained.answers, made.trained.guessing);
}

std::string heading(const train::Task& task) {
  return fmt::format("{}: {}\n", task.name, task.summary);
}

std::string weights_beside(const std::string& model) {
  return model.substr(0, model.rfind('.')) + ".safetensors";
}

int train_model(const TrainArguments& arguments) {
  const train::Task& task = train::find_task(arguments.task);
  require(!arguments.model.empty(), "train: --out FILE.json is needed: where the model is written");
  require(arguments.model.ends_with(".json"), "--out {}: a name that ends in .json is needed",
          arguments.model);
  check_files({{"--out", arguments.model},
               {"--out", weights_beside(arguments.model)},
               {"--json", arguments.out.json}},
              {}, arguments.out.quiet);
  const TrainedModel made = train_shown(task, arguments.options, arguments.out.quiet);
  const std::uint32_t functions = arguments.options.functions.value_or(task.functions);
  std::vector<std::uint32_t> tables = task.tables_grid.back();
  if (arguments.tables) tables.assign(task.layers, *arguments.tables);
  const anna::Model model =
      train::with_tables(task, made.trained.transformer, tables, functions, arguments.options.seed);
  const train::Sequences fresh =
      train::make_sequences(task, task.sequences, arguments.options.seed, std::uint64_t{1} << 42);
  const double error = train::Scorer(model).error(fresh);
  OutputFiles files;
  files.attempt([&] { anna::save_model(model, arguments.model); });
  Json json = {{"schema", "roundtrip/train/1"}, {"task", task.name}};
  json.update(trained_json(made, arguments.options));
  json["model"] = arguments.model;
  json["tables"] = tables;
  json["functions"] = functions;
  json["model_error"] = error;
  json["model_answers"] = fresh.answers.size();
  const std::string text =
      heading(task) + trained_text(task, made, arguments.options) +
      fmt::format(
          "  model             {}: ell = {} tables of z = {} hyperplanes, error {:.4f} of {} answers\n",
          arguments.model, fmt::join(tables, ", "), functions, error, fresh.answers.size());
  publish(arguments.out, false, text, json, std::move(files));
  return kDone;
}

Json grid_json(const std::vector<train::Cell>& cells) {
  Json rows = Json::array();
  for (const train::Cell& cell : cells) {
    rows.push_back({{"tables", cell.tables},
                    {"functions", cell.functions},
                    {"error", cell.error},
                    {"least_error", cell.least},
                    {"largest_error", cell.largest},
                    {"answers", cell.answers}});
  }
  return rows;
}

/// A row for each choice of tables, a column for each number of functions.
std::string grid_text(const train::Task& task, const std::vector<train::Cell>& cells) {
  std::string text = fmt::format("  {:<16}", "ell \\ z");
  for (const std::uint32_t functions : task.functions_grid) text += fmt::format("{:>8}", functions);
  text += '\n';
  for (const std::vector<std::uint32_t>& tables : task.tables_grid) {
    text += fmt::format("  {:<16}", fmt::format("{}", fmt::join(tables, ", ")));
    for (const train::Cell& cell : cells) {
      if (cell.tables == tables) text += fmt::format("{:>8.4f}", cell.error);
    }
    text += '\n';
  }
  return text;
}

/// Error over ell of the last layer, where the others have most, a line for each z.
proofs_check::Plot grid_plot(const std::string& name, const std::vector<train::Cell>& cells) {
  proofs_check::Plot plot{.title = fmt::format("{}: error over tables", name),
                          .x_label = "ell",
                          .y_label = "error",
                          .series = {}};
  const std::uint32_t most = cells.back().tables.front();
  for (const train::Cell& cell : cells) {
    if (cell.tables.size() > 1 && cell.tables.front() != most) continue;
    const std::string label = fmt::format("z = {}", cell.functions);
    if (plot.series.empty() || plot.series.back().label != label) plot.series.push_back({label, {}});
    plot.series.back().points.emplace_back(cell.tables.back(), cell.error);
  }
  return plot;
}

int experiment(const ExperimentArguments& arguments) {
  check_files({{"--csv", arguments.csv}, {"--html", arguments.html}, {"--json", arguments.out.json}},
              arguments.model.empty() ? std::vector<NamedFile>{}
                                      : std::vector<NamedFile>{{"--model", arguments.model},
                                                               {"--model", weights_beside(arguments.model)}},
              arguments.out.quiet);
  if (arguments.task == "mechanisms") {
    require(arguments.model.empty(), "--model {}: experiment mechanisms trains its own networks",
            arguments.model);
    return contrast_mechanisms(arguments.contrast, arguments.options.seed, arguments.csv, arguments.html,
                               arguments.out);
  }
  const train::Task& task = train::find_task(arguments.task);
  std::string text = heading(task);
  Table table;
  table.columns = {"weights", "functions", "tables", "error", "least_error", "largest_error", "answers"};
  std::vector<proofs_check::Plot> plots;
  Json json = {{"schema", "roundtrip/experiment/1"},
               {"task", task.name},
               {"draws", arguments.options.draws},
               {"seed", arguments.options.seed},
               {"weights", Json::array()}};
  const auto score = [&](const std::string& name, const anna::Model& model, Json facts) {
    Progress progress(!arguments.out.quiet);
    train::ExperimentOptions options = arguments.options;
    options.progress = [&](std::uint32_t done, std::uint32_t cells) {
      progress.draw_step("cell", done, cells);
    };
    const std::vector<train::Cell> cells = train::run_grid(task, model, options);
    progress.wipe();
    text +=
        fmt::format(
            "  ANNA              error of {} answers, {} draws of the hash functions: ell tables{} of z\n",
            cells.front().answers, options.draws, task.layers > 1 ? " by layer" : "") +
        grid_text(task, cells);
    facts["name"] = name;
    facts["grid"] = grid_json(cells);
    json["weights"].push_back(std::move(facts));
    for (const train::Cell& cell : cells) {
      table.rows.push_back({name, std::to_string(cell.functions),
                            fmt::format("{}", fmt::join(cell.tables, " ")), fmt::format("{}", cell.error),
                            fmt::format("{}", cell.least), fmt::format("{}", cell.largest),
                            std::to_string(cell.answers)});
    }
    plots.push_back(grid_plot(name, cells));
  };
  if (arguments.model.empty()) {
    for (const auto kind : {train::Mixer::Kind::kAnna, train::Mixer::Kind::kSoftmax}) {
      train::TrainOptions options;
      options.seed = arguments.options.seed;
      options.mixer.kind = kind;
      const TrainedModel made = train_shown(task, options, arguments.out.quiet);
      text += trained_text(task, made, options);
      const std::vector<std::uint32_t>& tables = task.tables_grid.back();
      score(surrogate_of(options),
            train::with_tables(task, made.trained.transformer, tables, task.functions, options.seed),
            trained_json(made, options));
    }
  } else {
    const anna::Model model = anna::load_model(arguments.model).model;
    train::require_model_of(task, model);
    const train::Sequences some =
        train::make_sequences(task, 16, arguments.options.seed, std::uint64_t{1} << 42);
    const double own = train::Scorer(model).error(some);
    anna::Model exact = model;
    for (anna::Mechanism& mechanism : exact.mechanisms) mechanism = anna::ExactMatch{task.causal};
    const double equal_keys = train::Scorer(exact).error(some);
    const double guessing = train::guessing_error(some.answers);
    text += fmt::format(
        "  {}\n"
        "  its attention     error {:.4f} of {} answers\n"
        "  equal keys alone  error {:.4f}\n"
        "  guessing          error {:.4f}: always the most frequent answer\n",
        arguments.model, own, some.answers.size(), equal_keys, guessing);
    score(arguments.model, model,
          {{"own_error", own}, {"ema_error", equal_keys}, {"guessing_error", guessing}});
  }
  OutputFiles files;
  files.write(arguments.csv, csv_text(table));
  if (!arguments.html.empty())
    files.write(arguments.html, table_page(fmt::format("ANNA on {}", task.name), plots, table));
  publish(arguments.out, arguments.csv == "-" || arguments.html == "-", text, json, std::move(files));
  return kDone;
}

void add_seed(Flags& flags, const std::string& help, std::uint64_t& seed) {
  flags.value("--seed", "SEED", help,
              [&seed](const std::string& text) { seed = parse_count(text, "--seed", 0, ~std::uint64_t{0}); });
}

std::uint32_t parse_count32(const std::string& text, const std::string& flag, std::uint64_t high) {
  return static_cast<std::uint32_t>(parse_count(text, flag, 1, high));
}

}  // namespace

Command add_train(CommandLine& line) {
  Flags& flags = line.add(
      "train", "Train a small transformer for a task and write it as a model",
      R"(match2 takes about ten seconds, induction about two minutes. Training computes in floating point:
the same program and machine make the same weights of a seed. The model is integers: all else is exact.
Examples:
  roundtrip train match2 --out match2.json --seed 1
  roundtrip decompile ./match2.json
)");
  auto a = std::make_shared<TrainArguments>();
  flags.positional("TASK", true, false, fmt::format("{}", fmt::join(task_names(), " or ")),
                   [a](const std::string& text) { a->task = text; });
  flags.value("--out", "FILE", "Write the model to FILE.json, its weights to FILE.safetensors",
              [a](const std::string& text) { a->model = text; });
  add_seed(flags, "Of the first weights, the sequences and the hash functions (default 1)", a->options.seed);
  flags.choice("--surrogate", "NAME", {"collision", "softmax"},
               "What keys are weighed by in training: collision probability (default) or softmax",
               [a](const std::string& text) {
                 a->options.mixer.kind =
                     text == "softmax" ? train::Mixer::Kind::kSoftmax : train::Mixer::Kind::kAnna;
               });
  flags.value("--steps", "STEPS", "Of the optimiser (default: the task's)",
              [a](const std::string& text) { a->options.steps = parse_count32(text, "--steps", 1'000'000); });
  flags.value("--tables", "ELL", "Hash tables of each layer of the model (default: the task's most)",
              [a](const std::string& text) { a->tables = parse_count32(text, "--tables", 1u << 16); });
  flags.value(
      "--functions", "Z", "Hyperplanes of a table, in training and in the model (default: the task's)",
      [a](const std::string& text) { a->options.functions = parse_count32(text, "--functions", 64); });
  add_output_arguments(flags, a->out);
  return {.name = "train", .act = [a](const Communicator& communicator) {
            return communicator.from_root([&] { return train_model(*a); });
          }};
}

Command add_experiment(CommandLine& line) {
  Flags& flags = line.add(
      "experiment", "Score a trained transformer with hash tables of many sizes, or train every mechanism",
      R"(Without --model two are trained, by the collision probability and by softmax, and both are scored.
mechanisms trains networks that differ in their mechanism alone, each with less and with more than the task needs.
With --csv that file is written after every network, and networks that it has are not trained again.
Examples:
  roundtrip experiment match2
  roundtrip experiment induction --model examples/trained/induction.json --csv errors.csv
  roundtrip experiment mechanisms --task k_hop --rows softmax,lstm --csv rows.csv
)");
  auto a = std::make_shared<ExperimentArguments>();
  flags.positional("TASK", true, false, fmt::format("{} or mechanisms", fmt::join(task_names(), ", ")),
                   [a](const std::string& text) { a->task = text; });
  flags.value("--model", "FILE", "Score this model's weights instead of training",
              [a](const std::string& text) { a->model = text; });
  add_seed(flags, "Of training, sequences and hash functions (default 1)", a->options.seed);
  flags.value("--draws", "D", "Draws of the hash functions (default 10)",
              [a](const std::string& text) { a->options.draws = parse_count32(text, "--draws", 1000); });
  flags.value("--sequences", "S", "Sequences in a draw (default: the task's)", [a](const std::string& text) {
    a->options.sequences = parse_count32(text, "--sequences", 100'000);
  });
  flags.value("--csv", "FILE", "Write the errors as CSV (- is standard output)",
              [a](const std::string& text) { a->csv = output_path("--csv", text); });
  flags.value("--html", "FILE", "Write a page with plots and the table (- is standard output)",
              [a](const std::string& text) { a->html = output_path("--html", text); });
  add_contrast_arguments(flags, a->contrast);
  add_output_arguments(flags, a->out);
  return {.name = "experiment", .act = [a](const Communicator& communicator) {
            return communicator.from_root([&] { return experiment(*a); });
          }};
}

}  // namespace roundtrip::cli
