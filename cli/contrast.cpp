#include "roundtrip/cli/contrast.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "roundtrip/base/error.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/output_files.h"
#include "roundtrip/cli/progress.h"
#include "roundtrip/cli/table.h"

namespace roundtrip::cli {
namespace {

using train::Contrast;
using train::ContrastRow;

std::vector<ContrastRow> chosen_rows(const Contrast& contrast, const std::vector<std::string>& names) {
  if (names.empty()) return contrast.rows;
  std::vector<ContrastRow> chosen;
  for (const std::string& name : names) {
    const std::size_t before = chosen.size();
    std::ranges::copy_if(contrast.rows, std::back_inserter(chosen),
                         [&](const ContrastRow& row) { return name == row.name() || name == row.mechanism; });
    if (chosen.size() > before) continue;
    std::string known;
    for (const ContrastRow& row : contrast.rows) known += (known.empty() ? "" : ", ") + row.name();
    throw ContractError(fmt::format("--rows {}: there is no such row; known are {}", name, known));
  }
  return chosen;
}

/// What is trained: the keys of the table.
Cells key_of(const Contrast& contrast, const ContrastArguments& arguments, const ContrastRow& row,
             std::uint64_t seed) {
  const bool k_hop = contrast.task.name == "k_hop";
  return {contrast.task.name,
          k_hop ? std::to_string(arguments.options.k) : "",
          std::to_string(contrast.task.symbols),
          row.mechanism,
          std::to_string(row.mixer.size),
          std::to_string(arguments.steps == 0 ? row.steps : arguments.steps),
          std::to_string(seed)};
}

Table empty_table() {
  Table table;
  table.columns = {"task", "k", "symbols", "mechanism", "size", "steps", "seed"};
  table.keys = table.columns.size();
  for (const char* measured : {"unit", "need", "layers", "error", "guessing_error", "answers", "seconds"})
    table.columns.emplace_back(measured);
  return table;
}
// Columns.
constexpr std::size_t kSymbols = 2, kMechanism = 3, kSize = 4, kUnit = 7, kNeed = 8, kLayers = 9, kError = 10,
                      kGuessing = 11, kSeconds = 13;

/// One line for each mechanism and size, the errors of all seeds beside each other.
std::string text_of(const Contrast& contrast, const std::vector<ContrastRow>& rows, const Table& table,
                    std::uint32_t seeds) {
  std::string text =
      fmt::format("{}: {}\n  {:<12}{:>6} {:>6}  {:<20}{}{:>9}\n", contrast.task.name, contrast.task.summary,
                  "mechanism", "size", "need", "of what", "error of each seed", "seconds");
  auto cells = table.rows.begin();
  for (const ContrastRow& row : rows) {
    std::string errors;
    double seconds = 0;
    for (std::uint32_t i = 0; i < seeds; ++i, ++cells) {
      errors += fmt::format("{:<7.4f}", std::stod((*cells)[kError]));
      seconds += std::stod((*cells)[kSeconds]);
    }
    const auto number = [](std::uint32_t x) { return x == 0 ? std::string() : std::to_string(x); };
    text += fmt::format("  {:<12}{:>6} {:>6}  {:<20}{:<18}{:>9.1f}\n", row.mechanism, number(row.mixer.size),
                        number(row.need), row.unit, errors, seconds);
  }
  return text + fmt::format("  guessing errs at {:.4f}; seconds of one core, all seeds\n",
                            std::stod(table.rows.front()[kGuessing]));
}

/// The mean error over the size, of mechanisms whose average is over all tokens and of recurrent ones.
std::vector<proofs_check::Plot> plots_of(const std::vector<ContrastRow>& rows, const Table& table,
                                         std::uint32_t seeds) {
  std::vector<proofs_check::Plot> plots;
  for (const bool recurrent : {false, true}) {
    std::map<std::string, std::map<double, double>> series;
    std::set<double> sizes;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (rows[r].mixer.size == 0 || rows[r].mixer.recurrent() != recurrent) continue;
      double error = 0;
      for (std::size_t i = 0; i < seeds; ++i) error += std::stod(table.rows[r * seeds + i][kError]) / seeds;
      series[rows[r].mechanism][rows[r].mixer.size] = error;
      sizes.insert(rows[r].mixer.size);
    }
    if (series.empty()) continue;
    proofs_check::Plot plot{
        .title = recurrent ? "error over the state" : "error over features, window or chunk",
        .x_label = "size",
        .y_label = "error",
        .series = {}};
    for (const auto& [label, points] : series) plot.series.push_back({label, {points.begin(), points.end()}});
    const double guessing = std::stod(table.rows.front()[kGuessing]);
    plot.series.push_back({"guessing", {{*sizes.begin(), guessing}, {*sizes.rbegin(), guessing}}});
    plots.push_back(std::move(plot));
  }
  return plots;
}

/// A cell that is a whole number, of a file that someone may have written.
std::uint32_t number_in(const std::string& flag, const std::string& path, const Cells& cells,
                        std::size_t column) {
  require(is_number(cells[column]) && cells[column].size() < 10,
          "{} {}: {} is '{}'; a whole number is needed", flag, path, empty_table().columns[column],
          cells[column]);
  return static_cast<std::uint32_t>(std::stoul(cells[column]));
}

}  // namespace

std::vector<TrainedRow> trained_rows(const std::string& flag, const std::string& path,
                                     const std::string& task, std::uint64_t k) {
  require(std::filesystem::is_regular_file(path), "{} {}: there is no such file", flag, path);
  const std::map<std::string, std::string> names{{"poly_sketch", "polynomial"}, {"reformer", "chunked"}};
  std::vector<TrainedRow> rows;
  std::map<Cells, std::size_t> known;  // by all keys but the seed
  for (const auto& [key, cells] : finished_rows(path, empty_table(), flag)) {
    if (cells[0] != task || (task == "k_hop" && cells[1] != std::to_string(k))) continue;
    const auto [at, is_new] = known.try_emplace(Cells(key.begin(), key.end() - 1), rows.size());
    if (is_new) {
      train::ContrastOptions options;
      options.symbols = number_in(flag, path, cells, kSymbols);
      if (task == "k_hop") options.k = number_in(flag, path, cells, 1);
      const auto name = names.find(cells[kMechanism]);
      TrainedRow& row = rows.emplace_back();
      row.mechanism = name == names.end() ? cells[kMechanism] : name->second;
      if (number_in(flag, path, cells, kSize) != 0) row.size = cells[kSize];
      row.layers = std::to_string(number_in(flag, path, cells, kLayers));
      if (number_in(flag, path, cells, kNeed) != 0)
        row.need = fmt::format("{} {}", cells[kNeed], cells[kUnit]);
      row.tokens =
          train::make_contrast(task, task == "k_hop" ? options : train::ContrastOptions{}).task.tokens;
    }
    double error = -1;
    const auto [end, status] =
        std::from_chars(cells[kError].data(), cells[kError].data() + cells[kError].size(), error);
    require(status == std::errc() && end == cells[kError].data() + cells[kError].size() && error >= 0 &&
                error <= 1,
            "{} {}: error is '{}'; allowed are 0 .. 1", flag, path, cells[kError]);
    TrainedRow& row = rows[at->second];
    row.error += (error - row.error) / ++row.seeds;
  }
  require(!rows.empty(), "{} {}: has no network of {}", flag, path,
          task == "k_hop" ? fmt::format("k_hop with k={}", k) : task);
  return rows;
}

void add_contrast_arguments(Flags& flags, ContrastArguments& a) {
  flags.choice("--task", "NAME", {"match2", "k_hop"}, "mechanisms: on which task (default match2)",
               [&a](const std::string& text) { a.task = text; });
  flags.value("--rows", "ROW,..", "mechanisms: these alone, as lstm or lstm:64 (default all)",
              [&a](const std::string& text) { a.rows = list_of("--rows", text); });
  const auto count = [&](const std::string& flag, const std::string& name, const std::string& help,
                         std::uint64_t low, std::uint64_t high, std::uint32_t& target) {
    flags.value(flag, name, help, [=, &target](const std::string& text) {
      target = static_cast<std::uint32_t>(parse_count(text, flag, low, high));
    });
  };
  count("--seeds", "S", "mechanisms: seeds of each row, from --seed on (default 3)", 1, 100, a.seeds);
  count("--steps", "STEPS", "mechanisms: of the optimiser (default: the row's)", 1, 1'000'000, a.steps);
  count("--k", "K", "mechanisms: hops of k_hop (default 1)", 1, 4, a.options.k);
  count("--symbols", "SIGMA", "mechanisms: symbols of k_hop (default 16)", 2, 64, a.options.symbols);
}

int contrast_mechanisms(const ContrastArguments& arguments, std::uint64_t first_seed, const std::string& csv,
                        const std::string& html, const OutputArguments& out) {
  const Contrast contrast = train::make_contrast(arguments.task, arguments.options);
  const std::vector<ContrastRow> rows = chosen_rows(contrast, arguments.rows);
  Table table = empty_table();
  const std::map<Cells, Cells> finished = finished_rows(csv, table);
  const bool keeps = !csv.empty() && csv != "-";
  Progress progress(!out.quiet);
  for (const ContrastRow& row : rows) {
    for (std::uint64_t seed = first_seed; seed < first_seed + arguments.seeds; ++seed) {
      Cells cells = key_of(contrast, arguments, row, seed);
      if (const auto found = finished.find(cells); found != finished.end()) {
        table.rows.push_back(found->second);
        continue;
      }
      const std::string name = fmt::format("{} seed {} step", row.name(), seed);
      const std::clock_t begun = std::clock();
      const train::ContrastResult result = train::run_row(
          contrast, row, seed, arguments.steps, [&](std::uint32_t done, std::uint32_t steps, float) {
            if (done % 10 == 0) progress.draw_step(name.c_str(), done, steps);
          });
      const double seconds = static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
      for (const std::string& cell :
           {row.unit, std::to_string(row.need), std::to_string(row.layers),
            fmt::format("{:.6f}", result.error), fmt::format("{:.6f}", result.guessing),
            std::to_string(result.answers), fmt::format("{:.1f}", seconds)})
        cells.push_back(cell);
      table.rows.push_back(std::move(cells));
      if (keeps) write_rows(csv, table, finished);
    }
  }
  progress.wipe();
  OutputFiles files;
  if (!keeps) files.write(csv, csv_text(table));
  if (!html.empty()) {
    files.write(html, table_page(fmt::format("Mechanisms on {}", contrast.task.name),
                                 plots_of(rows, table, arguments.seeds), table));
  }
  publish(out, csv == "-" || html == "-", text_of(contrast, rows, table, arguments.seeds),
          table_json("roundtrip/mechanisms/1", table), std::move(files));
  return kDone;
}

}  // namespace roundtrip::cli
