// Purpose: `roundtrip sweep PROTOCOL`: a table over lists of N, eps, delta, kappa_s and parameters, by plan (from the
// shape alone), by run, or by compile; as CSV that a later call goes on with, JSON, or a page with plots.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "roundtrip/base/error.h"
#include "roundtrip/cli/arguments.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/input.h"
#include "roundtrip/cli/memory.h"
#include "roundtrip/cli/output_files.h"
#include "roundtrip/cli/progress.h"
#include "roundtrip/cli/table.h"
#include "roundtrip/cli/verdict.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/mpc/violation.h"
#include "roundtrip/simulate/compile/compare.h"

namespace roundtrip::cli {
namespace {

struct SweepArguments {
  std::string protocol, by = "plan", construction = simulate::CompileOptions{}.construction;
  std::vector<std::string> n, eps = {"1/2"}, delta = {""}, kappa = {""};
  std::vector<std::pair<std::string, std::vector<std::string>>> parameters;
  std::uint64_t seed = 1;
  std::string csv, html;
  OutputArguments out;
};

constexpr const char* kMeasured[] = {
    "machines",    "block_words", "memory_words", "rounds", "max_words_sent", "max_words_received",
    "total_words", "layers",      "heads",        "width",  "verdict",        "error"};

std::string verdict_of(const mpc::ProtocolInfo& info, const mpc::Parameters& parameters,
                       const mpc::Protocol& protocol, const Input& input,
                       const std::vector<mpc::Word>& words) {
  if (!info.has_answers()) return "done";
  const mpc::Outputs outputs = mpc::decode_outputs(info, protocol, words);
  return judge({mpc::wrong_outputs(info, input.values(), outputs, parameters) == 0},
               info.failure_probability > 0);
}

/// The measured cells of one row. What is refused, and what breaks its model, is a row too.
Cells measure_row(const SweepArguments& arguments, const mpc::ProtocolInfo& info,
                  const mpc::Parameters& parameters) {
  std::map<std::string, std::string> found;
  try {
    parameters.validate();
    std::shared_ptr<const mpc::Protocol> protocol = info.make(parameters);
    const mpc::Shape& shape = protocol->shape();
    shape.validate();
    found["machines"] = std::to_string(shape.machines);
    found["block_words"] = std::to_string(shape.block_words);
    found["memory_words"] = std::to_string(shape.memory_words);
    found["rounds"] = std::to_string(shape.rounds);
    simulate::CompileOptions options;
    options.construction = arguments.construction;
    if (parameters.delta_given) options.delta = parameters.delta;
    const auto set_sizes = [&](const simulate::TransformerSizes& sizes) {
      found["layers"] = std::to_string(sizes.depth);
      found["heads"] = std::to_string(sizes.heads);
      found["width"] = std::to_string(sizes.width);
    };
    if (shape.word_bits <= 48) set_sizes(simulate::plan(shape, options).sizes);
    if (arguments.by != "plan") {
      const Input input = Input::generate(info, parameters);
      if (info.accept) info.accept(input.values(), parameters);
      const std::vector<mpc::Word> words = input.encode(shape);
      const auto transport = mpc::make_in_process_transport();
      const mpc::RunResult result = mpc::run(*protocol, words, *transport);
      const mpc::RoundFacts facts = result.ledger.overall();
      found["max_words_sent"] = std::to_string(facts.max_words_sent);
      found["max_words_received"] = std::to_string(facts.max_words_received);
      found["total_words"] = std::to_string(facts.total_words);
      found["verdict"] = verdict_of(info, parameters, *protocol, input, result.outputs);
      if (arguments.by == "compile") {
        require_memory(simulate::plan(shape, options).peak_bytes, "evaluating the transformer");
        const simulate::Compiled compiled = simulate::compile(protocol, options);
        const auto attention = simulate::make_attention(compiled, "ema");
        const simulate::Comparison both = simulate::compare(compiled, words, *attention);
        set_sizes(both.sizes);
        if (!both.equal) found["verdict"] = both.overflow ? "inconclusive" : "refuted";
      }
    }
  } catch (const mpc::ModelViolation& violation) {
    found["verdict"] = "violated", found["error"] = one_line(violation.what());
  } catch (const ContractError& error) {
    found["verdict"] = "not allowed", found["error"] = one_line(error.what());
  }
  Cells cells;
  for (const char* column : kMeasured) cells.push_back(found[column]);
  return cells;
}

/// `quantity` over N for each, a line for every other choice.
std::vector<proofs_check::Plot> plots_of(const Table& table) {
  const auto column = [&](std::string_view name) {
    return static_cast<std::size_t>(std::ranges::find(table.columns, name) - table.columns.begin());
  };
  std::vector<proofs_check::Plot> plots;
  for (const char* quantity : {"rounds", "memory_words", "machines", "layers", "width"}) {
    proofs_check::Plot plot{
        .title = fmt::format("{} over N", quantity), .x_label = "N", .y_label = quantity, .series = {}};
    std::map<std::string, std::map<double, double>> series;
    for (const Cells& row : table.rows) {
      if (!is_number(row[column(quantity)]) || row[column(quantity)] == "0") continue;
      std::string label;
      for (std::size_t i = 2; i < table.keys; ++i) {
        if (table.columns[i] != "seed" && !row[i].empty())
          label += fmt::format("{}{} {}", label.empty() ? "" : ", ", table.columns[i], row[i]);
      }
      series[label][std::stod(row[1])] = std::stod(row[column(quantity)]);
    }
    for (const auto& [label, points] : series) plot.series.push_back({label, {points.begin(), points.end()}});
    constexpr std::size_t kMostSeries = 6;
    if (plot.series.empty() || plot.series.size() > kMostSeries) continue;
    plot.log_y = std::string_view(quantity) != "rounds" && std::string_view(quantity) != "layers";
    plots.push_back(std::move(plot));
  }
  return plots;
}

/// All that is asked for, in order.
std::vector<std::pair<Cells, mpc::Parameters>> combinations(const SweepArguments& arguments) {
  std::vector<std::pair<Cells, mpc::Parameters>> all = {{{arguments.protocol}, {}}};
  all.front().second.seed = arguments.seed;
  const auto vary = [&](const std::vector<std::string>& values,
                        const std::function<void(mpc::Parameters&, const std::string&)>& set) {
    std::vector<std::pair<Cells, mpc::Parameters>> next;
    for (const auto& [cells, parameters] : all) {
      for (const std::string& value : values) {
        auto& [more, changed] = next.emplace_back(cells, parameters);
        more.push_back(value);
        if (!value.empty()) set(changed, value);
      }
    }
    all = std::move(next);
  };
  vary(arguments.n,
       [](auto& p, const std::string& value) { p.n = parse_count(value, "--n", 1, std::uint64_t{1} << 40); });
  vary({arguments.by}, [](auto&, const std::string&) {});
  vary({arguments.construction}, [](auto&, const std::string&) {});
  vary(arguments.eps, [](auto& p, const std::string& value) { p.epsilon = Rational::parse(value, "--eps"); });
  vary(arguments.delta, [](auto& p, const std::string& value) {
    p.delta = Rational::parse(value, "--delta");
    p.delta_given = true;
  });
  vary(arguments.kappa,
       [](auto& p, const std::string& value) { p.kappa_s = parse_count(value, "--kappa-s", 1, 1u << 30); });
  for (const auto& parameter : arguments.parameters)
    vary(parameter.second,
         [&parameter](auto& p, const std::string& value) { p.options[parameter.first] = value; });
  vary({std::to_string(arguments.seed)}, [](auto&, const std::string&) {});
  return all;
}

int sweep(const SweepArguments& arguments, const Communicator& communicator) {
  int status = kDone;
  communicator.on_root([&] {
    const mpc::ProtocolInfo& info = protocol_named(arguments.protocol);
    check_files({{"--csv", arguments.csv}, {"--html", arguments.html}, {"--json", arguments.out.json}}, {},
                arguments.out.quiet || !arguments.csv.empty());
    Table table;
    table.columns = {"protocol", "n", "by", "construction", "eps", "delta", "kappa_s"};
    for (const auto& parameter : arguments.parameters) {
      const std::string& name = parameter.first;
      require(std::ranges::any_of(info.options, [&](const auto& option) { return option.name == name; }),
              "--param {}: {} has no such parameter", name, info.name);
      table.columns.push_back(name);
    }
    table.columns.emplace_back("seed");
    table.keys = table.columns.size();
    table.columns.insert(table.columns.end(), std::begin(kMeasured), std::end(kMeasured));

    auto finished = finished_rows(arguments.csv, table);
    const auto all = combinations(arguments);
    const bool keeps = !arguments.csv.empty() && arguments.csv != "-";
    Progress progress(!arguments.out.quiet);
    for (const auto& [key, parameters] : all) {
      progress.draw_step("row", table.rows.size() + 1, all.size());
      Cells& row = table.rows.emplace_back(key);
      if (const auto found = finished.find(key); found != finished.end()) {
        row = found->second;
      } else {
        const Cells cells = measure_row(arguments, info, parameters);
        row.insert(row.end(), cells.begin(), cells.end());
        // Written after every row, so that a call that was stopped loses one row at most.
        if (keeps) write_rows(arguments.csv, table, finished);
      }
      if (row[row.size() - 2] == "refuted") status = kRefuted;
    }
    progress.wipe();
    OutputFiles files;
    if (!keeps && !arguments.csv.empty()) files.write(arguments.csv, csv_text(table));
    if (!arguments.html.empty()) {
      files.write(arguments.html,
                  table_page(fmt::format("{}: a sweep by {}", arguments.protocol, arguments.by),
                             plots_of(table), table));
    };
    if (!arguments.out.json.empty())
      files.write(arguments.out.json, json_text(table_json("roundtrip/sweep/1", table)));
    if (arguments.csv.empty() && arguments.out.json != "-" && arguments.html != "-" && !arguments.out.quiet)
      files.write("-", csv_text(table));
    files.finish();
  });
  return communicator.from_root([&] { return status; });
}

}  // namespace

Command add_sweep(CommandLine& line) {
  Flags& flags = line.add(
      "sweep", "A table of sizes over many N and parameters, by plan, by run or compiled",
      R"(A list has commas between its values; there is a row for every combination. A row that is not allowed says why.
With --csv the file is written after every row, and rows that it has already are not computed again.
Examples:
  roundtrip sweep k_hop --n 256,1024,4096,65536 --eps 1/4,1/2
  roundtrip sweep sort --n 64,256,1024 --by run --csv sort.csv
  roundtrip sweep k_hop --n 1024 --param k=1,4,16,64 --by compile --html depth.html
)");
  auto arguments = std::make_shared<SweepArguments>();
  flags.positional("PROTOCOL", true, false, "Which protocol (roundtrip list)",
                   [arguments](const std::string& text) { arguments->protocol = text; });
  const auto list = [&](const std::string& flag, const std::string& name, const std::string& help,
                        std::vector<std::string>& target) {
    flags.value(flag, name, help, [flag, &target](const std::string& text) { target = list_of(flag, text); });
  };
  list("--n", "N,..", "Numbers of input words", arguments->n);
  list("--eps", "P/Q,..", "b = ceil(N^eps) words a machine (default 1/2)", arguments->eps);
  list("--delta", "P/Q,..", "Slack exponents, of protocols and of the routed construction", arguments->delta);
  list("--kappa-s", "K,..", "Memory s = K * b words (default: the protocol's)", arguments->kappa);
  flags.value(
      "--param", "NAME=V,..", "Values of a parameter of the protocol",
      [arguments](const std::string& text) {
        const std::size_t equals = text.find('=');
        require(equals != std::string::npos && equals > 0, "--param {}: expected name=value,..", text);
        arguments->parameters.emplace_back(text.substr(0, equals),
                                           list_of("--param", text.substr(equals + 1)));
      },
      true);
  flags.choice(
      "--by", "HOW", {"plan", "run", "compile"},
      "plan (default): from the shape alone; run: on a generated input; compile: the transformer too",
      [arguments](const std::string& text) { arguments->by = text; });
  std::vector<std::string> constructions;
  for (const auto* info : simulate::all_constructions()) constructions.push_back(info->name);
  flags.choice("--construction", "NAME", constructions, "How layers are made (default direct)",
               [arguments](const std::string& text) { arguments->construction = text; });
  flags.value("--seed", "SEED", "Public seed (default 1)", [arguments](const std::string& text) {
    arguments->seed = parse_count(text, "--seed", 0, ~std::uint64_t{0});
  });
  flags.value("--csv", "FILE", "Write the table here, and go on with what it has",
              [arguments](const std::string& text) { arguments->csv = output_path("--csv", text); });
  flags.value("--html", "FILE", "Write a page with plots over N and the table",
              [arguments](const std::string& text) { arguments->html = output_path("--html", text); });
  add_output_arguments(flags, arguments->out);
  return {.name = "sweep", .act = [arguments](const Communicator& communicator) {
            if (arguments->n.empty()) {
              const auto& example = protocol_named(arguments->protocol).example;
              for (std::uint64_t n = example.n; n <= 16 * example.n; n *= 4)
                arguments->n.push_back(std::to_string(n));
            }
            return sweep(*arguments, communicator);
          }};
}

}  // namespace roundtrip::cli
