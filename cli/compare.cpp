// Purpose: `roundtrip compare TASK`: every mechanism on one task, a row each: what its construction takes as a transformer
// and as a protocol, its error, and what theory says that it must take.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/base/error.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/contrast.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/native.h"
#include "roundtrip/cli/progress.h"
#include "roundtrip/cli/table.h"
#include "roundtrip/simulate/compile/compile.h"
#include "roundtrip/simulate/decompile/decompile.h"
#include "roundtrip/simulate/native/experiments.h"

namespace roundtrip::cli {
namespace {

struct CompareArguments {
  ProtocolArguments common;
  std::string csv, html, trained;
};

/// What a construction takes; without one, the defaults.
struct Measured {
  std::string construction = "none";
  std::optional<simulate::TransformerSizes> sizes;
  std::optional<double> work;  ///< multiply-adds of attention, all layers
  std::optional<std::uint64_t> rounds, machines, wrong;
};

struct Bound {
  std::string text;
  bool in_range = true;  ///< whether it says something at this size
};

/// What theory says of any network with the mechanism, whatever its weights.
/// Source: Sanford, Hsu, Telgarsky 2024, for k_hop; the rest follows from what a layer can reach, and from the ranks and
/// states that tell the inputs apart.
Bound bound_of(const std::string& task, const std::string& mechanism, std::uint64_t n, std::uint64_t k,
               std::uint64_t modulus) {
  const auto one_of = [&](std::initializer_list<const char*> names) {
    return std::ranges::find(names, mechanism) != names.end();
  };
  const bool recurrent = one_of({"rnn", "lstm", "state_space"});
  const bool features = one_of({"low_rank", "performer", "polynomial"});
  if (task == "k_hop") {
    const std::string layers = fmt::format("{} layer{}", k, k == 1 ? "" : "s");
    if (recurrent) {
      const double width = static_cast<double>(n) / std::pow(static_cast<double>(k), 6);
      if (width < 1) return {fmt::format("nothing: N / k^6 = {:.2g} < 1", width), false};
      return {fmt::format("{}, or width N / k^6 = {:.0f}", layers, std::floor(width))};
    }
    if (features || mechanism == "window") return {layers + ", or near-quadratic work"};
    return {"order log k layers, if cycles are hard"};
  }
  if (task == "match2") {
    const std::uint64_t seen = std::min(n, modulus);
    if (recurrent) return {fmt::format("a state of {} bits, and a pass each way", seen)};
    if (features) return {fmt::format("rank {} in one layer", seen)};
  }
  if (mechanism == "window") return {fmt::format("L w >= N - 1 = {}", n - 1)};
  if (mechanism == "chunked") return {fmt::format("(2 B)^L >= N = {}", n)};
  return {"nothing beyond one layer", false};
}

/// Multiply-adds of a layer's attention: of all pairs that may meet, of the codes and sums of hash tables, or of the
/// steps of a recurrence.
double work_of(const anna::Mechanism& mechanism, const anna::LayerShape& shape, std::uint64_t n) {
  const double tokens = static_cast<double>(n) * shape.heads, values = shape.value_dimension + 1.0;
  if (mechanism.info().finds_equal_keys) {
    const auto tables = mechanism.hash_tables();
    return tokens * (2 * static_cast<double>(mechanism.coding_operations(shape.query_dimension)) +
                     (tables ? tables->tables : 1.0) * values);
  }
  double seen = static_cast<double>(n);
  if (const auto* window = mechanism.get_if<anna::Window>())
    seen = std::min(seen, 2 * static_cast<double>(window->width) + 1);
  if (const auto* chunked = mechanism.get_if<anna::Chunked>())
    seen = static_cast<double>(chunked->hashings) * std::min(seen, 2 * static_cast<double>(chunked->chunk));
  if (mechanism.name() == "softmax" || mechanism.name() == "window" || mechanism.name() == "chunked")
    return tokens * seen * (shape.query_dimension + values);
  if (mechanism.name() == "state_space") return tokens * shape.query_dimension * values;
  return tokens * static_cast<double>(mechanism.coding_operations(shape.query_dimension));
}

/// The network that was made for the task with this mechanism, if there is one.
std::optional<Measured> native_row(const Instance& instance, const anna::MechanismInfo& mechanism) {
  const auto known = native_attentions(instance.info->name);
  if (std::ranges::find(known, mechanism.name) == known.end()) return {};
  Measured made;
  made.construction = "native";
  NativeTask task;
  try {
    task = native_task(instance, mechanism);
  } catch (const ContractError&) {  // none for this task, or not at this size
    return {};
  }
  const anna::Transformer& transformer = task.model.transformer;
  made.sizes = simulate::measure(transformer);
  made.work = 0;
  for (std::size_t l = 0; l < transformer.depth(); ++l)
    *made.work += work_of(task.model.mechanisms[l], transformer.layers[l]->shape(), transformer.tokens);
  const anna::Activations rows =
      anna::evaluate(task.model, simulate::input_activations(task.words, transformer.tokens));
  made.wrong = mpc::wrong_outputs(*instance.info, instance.input->values(),
                                  native_outputs(instance, task, rows), instance.parameters);
  mpc::Parameters parameters;
  parameters.n = instance.parameters.n;
  parameters.epsilon = instance.parameters.epsilon;
  const simulate::DecompilePlan plan = simulate::size_decompile(task.model, parameters);
  made.rounds = plan.rounds;
  made.machines = plan.machines;
  return made;
}

/// The protocol compiled to exact match, beside the protocol itself.
Measured compiled_row(const Instance& instance, const simulate::ConstructionInfo& construction) {
  Measured made;
  made.construction = construction.name;
  made.rounds = instance.shape().rounds;
  made.machines = instance.shape().machines;
  simulate::CompileOptions options;
  options.construction = construction.name;
  const simulate::EvaluationPlan plan = simulate::plan(instance.shape(), options);
  made.sizes = plan.sizes;
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;  // of a comparison that answers at once
  if (plan.peak_bytes > kMostBytes) return made;
  const simulate::Compiled compiled = simulate::compile(instance.protocol, options);
  const simulate::Comparison both = simulate::compare(compiled, instance.input->encode(instance.shape()),
                                                      *simulate::make_attention(compiled, "ema"));
  made.sizes = both.sizes;
  made.wrong = mpc::wrong_outputs(*instance.info, instance.input->values(),
                                  mpc::decode_outputs(*instance.info, *instance.protocol, both.outputs.words),
                                  instance.parameters);
  return made;
}

constexpr std::size_t kWrong = 11, kError = 12, kBound = 13, kInRange = 14;  // columns

Table table_of(const Instance& instance, const std::string& trained, bool quiet) {
  const mpc::Parameters& parameters = instance.parameters;
  const std::string& task = instance.info->name;
  const auto k = static_cast<std::uint64_t>(
      task == "k_hop" ? parameters.integer_option("k", 2, 1, std::int64_t{1} << 62) : 1);
  const auto modulus = static_cast<std::uint64_t>(
      task == "match2" ? parameters.integer_option("M", 37, 1, std::int64_t{1} << 47) : 1);
  Table table;
  table.columns = {"task", "n",      "k",        "mechanism", "construction", "layers", "heads",   "width",
                   "work", "rounds", "machines", "wrong",     "error",        "bound",  "in_range"};
  table.keys = 5;
  const auto outputs = static_cast<double>(instance.shape().outputs);
  const auto add = [&](const std::string& mechanism, const Measured& row) {
    const Bound bound = bound_of(task, mechanism, parameters.n, k, modulus);
    const auto cell = [](const auto& value) { return value ? fmt::format("{}", *value) : std::string(); };
    table.rows.push_back(
        {task, std::to_string(parameters.n), task == "k_hop" ? std::to_string(k) : "", mechanism,
         row.construction, row.sizes ? std::to_string(row.sizes->depth) : "",
         row.sizes ? std::to_string(row.sizes->heads) : "", row.sizes ? std::to_string(row.sizes->width) : "",
         row.work ? fmt::format("{:.0f}", *row.work) : "", cell(row.rounds), cell(row.machines),
         cell(row.wrong), row.wrong ? fmt::format("{:.4f}", static_cast<double>(*row.wrong) / outputs) : "",
         bound.text, bound.in_range ? "yes" : "no"});
  };
  Progress progress(!quiet);
  for (const anna::MechanismInfo* mechanism : anna::mechanisms()) {
    progress.draw(mechanism->name);
    add(mechanism->name, native_row(instance, *mechanism).value_or(Measured{}));
  }
  for (const simulate::ConstructionInfo* construction : simulate::all_constructions()) {
    progress.draw(construction->name);
    add("ema", compiled_row(instance, *construction));
  }
  if (trained.empty()) return table;
  for (const TrainedRow& row : trained_rows("--trained", trained, task, k)) {
    Cells cells{task,
                std::to_string(row.tokens),
                task == "k_hop" ? std::to_string(k) : "",
                row.mechanism,
                row.size.empty() ? "trained" : "trained:" + row.size,
                row.layers,
                "1"};
    cells.resize(table.columns.size());
    cells[kError] = fmt::format("{:.4f}", row.error);
    cells[kBound] = row.need;
    cells[kInRange] = row.need.empty() ? "no" : "yes";
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::string text_of(const Instance& instance, const Table& table) {
  std::string text =
      fmt::format("{}\n  {:<12}{:<13}{:>7}{:>7}{:>12}{:>8}{:>9}{:>7}{:>8}  {}\n",
                  heading(instance).substr(0, heading(instance).find('\n')), "mechanism", "construction",
                  "layers", "width", "work", "rounds", "machines", "wrong", "error", "theory asks for");
  for (const Cells& row : table.rows) {
    const auto cell = [&](std::size_t column) { return row[column].empty() ? "-" : row[column]; };
    text += fmt::format("  {:<12}{:<13}{:>7}{:>7}{:>12}{:>8}{:>9}{:>7}{:>8}  {}\n", row[3], row[4], cell(5),
                        cell(7), cell(8), cell(9), cell(10), cell(kWrong), cell(kError), row[kBound]);
  }
  return text;
}

/// Layers of every mechanism's network over k, those that are alike as one line.
proofs_check::Plot depth_plot(Instance& instance) {
  std::map<std::string, std::vector<std::pair<double, double>>> points;
  const mpc::Parameters asked = instance.parameters;
  for (std::uint64_t k = 1; k <= 64; k *= 2) {
    instance.parameters.options["k"] = std::to_string(k);
    for (const std::string& name : native_attentions(instance.info->name)) {
      try {
        points[name].emplace_back(k, native_task(instance, *anna::find_mechanism(name)).bound.depth);
      } catch (const ContractError&) {  // beyond what this network is for
      }
    }
  }
  instance.parameters = asked;
  proofs_check::Plot plot{.title = "layers over k", .x_label = "k", .y_label = "layers", .series = {}};
  for (const auto& [name, line] : points) {
    const auto alike = std::ranges::find(plot.series, line, &proofs_check::Series::points);
    if (alike == plot.series.end()) {
      plot.series.push_back({name, line});
    } else {
      alike->label += ", " + name;
    }
  }
  return plot;
}

/// Error of the constructed network of match2 or of induction heads, against hash tables and functions.
proofs_check::Plot error_plot(const std::string& task) {
  simulate::ErrorGrid grid =
      task == "match2" ? simulate::paper_match2_grid(true) : simulate::paper_induction_grid(true);
  grid.draws = 3;
  grid.functions = {1, 2, 4};
  if (task == "k_hop") grid.last_tables = {32};
  proofs_check::Plot plot{.title = fmt::format("error of ANNA's network for {} (N = {})",
                                               task == "match2" ? "match2" : "k = 1", grid.n),
                          .x_label = "hash tables",
                          .y_label = "error",
                          .series = {}};
  std::map<std::uint32_t, std::map<double, double>> lines;
  for (const simulate::ErrorPoint& point : task == "match2" ? match2_errors(grid) : induction_errors(grid))
    lines[point.functions][point.tables] = point.error();
  for (const auto& [functions, line] : lines)
    plot.series.push_back({fmt::format("z = {}", functions), {line.begin(), line.end()}});
  return plot;
}

/// Minutes: from 256 tokens to 1024 the time grew to nearly five times as much.
constexpr std::uint64_t kMaxTokens = 4096;

int compare(const CompareArguments& arguments, const Communicator& communicator) {
  const ProtocolArguments& common = arguments.common;
  std::vector<NamedFile> inputs = input_files(common);
  if (!arguments.trained.empty()) inputs.push_back({"--trained", arguments.trained});
  communicator.on_root([&] {
    check_files({{"--csv", arguments.csv}, {"--html", arguments.html}, {"--json", common.out.json}}, inputs,
                common.out.quiet);
  });
  Instance instance = prepare(common, communicator);
  require(instance.shape().n <= kMaxTokens,
          "compare: N is {}, allowed is 1 to {}: some networks compare all pairs", instance.shape().n,
          kMaxTokens);
  return communicator.from_root([&] {
    const Table table = table_of(instance, arguments.trained, common.out.quiet);
    OutputFiles files;
    if (!arguments.csv.empty()) files.write(arguments.csv, csv_text(table));
    if (!arguments.html.empty()) {
      const std::string& task = instance.info->name;
      std::vector<proofs_check::Plot> plots;
      if (task == "k_hop") plots.push_back(depth_plot(instance));
      if (task != "sum") plots.push_back(error_plot(task));
      files.write(
          arguments.html,
          table_page(fmt::format("Mechanisms on {}, N = {}", task, instance.parameters.n), plots, table));
    }
    publish(common.out, arguments.csv == "-" || arguments.html == "-", text_of(instance, table),
            table_json("roundtrip/compare/1", table), std::move(files));
    // A construction that is exact for every input has no wrong output; ANNA's may, with probability eta.
    const bool refuted = std::ranges::any_of(table.rows, [](const Cells& row) {
      return row[3] != "anna" && !row[kWrong].empty() && row[kWrong] != "0";
    });
    return static_cast<int>(refuted ? kRefuted : kDone);
  });
}

}  // namespace

Command add_compare(CommandLine& line) {
  Flags& flags = line.add(
      "compare", "Every mechanism on one task: layers, width, work, rounds, machines, error, theory",
      R"(A row has the network that was made for the task with that mechanism, `none` if there is none here.
Rounds and machines are those of the protocol that it becomes. The last rows are the task's protocol, compiled.
Theory says what any network with the mechanism must take, whatever its weights.
Examples:
  roundtrip compare k_hop --n 64 --param k=4
  roundtrip compare match2 --html match2.html
  roundtrip compare match2 --trained examples/trained/mechanisms.csv
)");
  auto a = std::make_shared<CompareArguments>();
  flags.positional("TASK", true, false, "k_hop, match2 or sum", [a](const std::string& text) {
    require(text == "k_hop" || text == "match2" || text == "sum",
            "compare {}: there is no such comparison; known are k_hop, match2, sum", text);
    a->common.protocol = text;
  });
  add_instance_arguments(flags, a->common);
  flags.value("--csv", "FILE", "Write the table as CSV (- is standard output)",
              [a](const std::string& text) { a->csv = output_path("--csv", text); });
  flags.value("--html", "FILE", "Write a page with plots and the table (- is standard output)",
              [a](const std::string& text) { a->html = output_path("--html", text); });
  flags.value(
      "--trained", "FILE",
      "Add the trained networks of a CSV that `experiment mechanisms` wrote, each with its mean error",
      [a](const std::string& text) { a->trained = text; });
  add_output_arguments(flags, a->common.out);
  return {.name = "compare",
          .act = [a](const Communicator& communicator) { return compare(*a, communicator); }};
}

}  // namespace roundtrip::cli
