#include "roundtrip/proofs_check/report/html.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "roundtrip/base/escape_html.h"
#include "roundtrip/proofs_check/report/plot.h"
#include "roundtrip/proofs_check/report/report.h"
#include "roundtrip/proofs_check/report/rows.h"
#include "roundtrip/simulate/compile/compile.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light}
body{margin:0 auto;max-width:76rem;padding:1rem;font:1rem/1.5 system-ui,sans-serif;color:#1a1a1a;background:#fff}
h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-top:2px solid #1a1a1a;padding-top:.75rem}
h3{font-size:1rem;margin:1.25rem 0 .25rem}
a{color:#0b4f8a}a:focus-visible,.wide:focus-visible{outline:3px solid #0b4f8a;outline-offset:2px}
.skip{position:absolute;left:-999rem}.skip:focus{left:1rem;background:#fff;padding:.5rem}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.875rem;min-width:100%}
caption{text-align:left;padding:.5rem 0;font-weight:600}
th,td{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #767676}
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
thead th{border-bottom:2px solid #1a1a1a}
.verified::before{content:"\2713\00a0"}.refuted::before{content:"\2717\00a0"}.inconclusive::before{content:"?\00a0"}
.refuted{font-weight:700;text-decoration:underline}.verdict{white-space:nowrap}
code,pre{font:.85rem/1.45 ui-monospace,monospace}pre{white-space:pre-wrap;background:#f4f4f4;padding:.75rem;margin:.5rem 0}
code{overflow-wrap:anywhere}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(22rem,100%),1fr));gap:1rem}
figure{margin:0;break-inside:avoid}figcaption{font-size:.875rem}
svg{width:100%;height:auto;font:12px system-ui,sans-serif}svg text{fill:#1a1a1a}
svg .grid{stroke:#c8c8c8;fill:none}svg .axis{stroke:#1a1a1a;fill:none}svg .x{text-anchor:middle}svg .y{text-anchor:end}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.5rem 0}dt{font-weight:600}dd{margin:0}
@media (max-width:40rem){dl{grid-template-columns:1fr}dd{margin-bottom:.4rem}table{font-size:.75rem}th,td{padding-right:.35rem}}
@media print{body{max-width:none;font-size:9pt}.skip{display:none}.wide{overflow:visible}tr,figure{break-inside:avoid}
thead{display:table-header-group}}
)";

std::string verdict_cell(std::string_view verdict) {
  return fmt::format(R"(<td class="verdict {0}">{0}</td>)", verdict);
}

std::string cell(const std::string& text) {
  return "<td>" + escape_html(text) + "</td>";
}
std::string number_cell(const std::string& text) {
  return R"(<td class="n">)" + escape_html(text) + "</td>";
}

/// A table that scrolls by itself where the window is narrower; `head` and `rows` are cells in their rows.
std::string table(const std::string& caption, const std::string& head, const std::string& rows) {
  return fmt::format(
      R"(<div class="wide" role="region" tabindex="0" aria-label="{0}"><table><caption>{0}</caption><thead><tr>{1}</tr></thead><tbody>{2}</tbody></table></div>
)",
      escape_html(caption), head, rows);
}

std::string heads(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) {
    const bool is_number = word.ends_with('#');  // a column of numbers
    out += fmt::format(R"(<th scope="col"{}>{}</th>)", is_number ? R"( class="n")" : "",
                       escape_html(is_number ? word.substr(0, word.size() - 1) : word));
  }
  return out;
}

std::string exponent(const std::optional<Rational>& value) {
  return value ? value->to_string() : "-";
}

std::string command_of(const Report& report, const std::string& statement) {
  std::string command = "roundtrip verify " + statement;
  if (report.sizes != Sizes::kSmall) command += " --sizes " + std::string(to_string(report.sizes));
  return command + fmt::format(" --seed {}", report.seed);
}

std::set<std::uint64_t> sizes_in_range(const StatementReport& statement) {
  std::set<std::uint64_t> sizes;
  for (const Check& check : statement.checks) {
    if (!check.configuration.below_range && check.verdict == Verdict::kVerified)
      sizes.insert(check.configuration.n);
  }
  return sizes;
}

std::string joined_sizes(const std::set<std::uint64_t>& sizes) {
  std::string out;
  for (const std::uint64_t n : sizes) out += (out.empty() ? "" : ", ") + short_size(n);
  return out.empty() ? "none" : out;
}

std::string summary(const Report& report) {
  std::string rows;
  for (const StatementReport& s : report.statements) {
    const auto rejected = std::ranges::count_if(s.controls, [](const Control& c) { return c.holds(); });
    const auto verified =
        std::ranges::count_if(s.checks, [](const Check& c) { return c.verdict == Verdict::kVerified; });
    rows += fmt::format(R"(<tr><th scope="row"><a href="#{0}">{1}</a></th>)", s.name, escape_html(s.title)) +
            verdict_cell(to_string(s.outcome())) +
            number_cell(fmt::format("{} of {}", verified, s.checks.size())) +
            cell(joined_sizes(sizes_in_range(s))) +
            number_cell(fmt::format("{} of {}", rejected, s.controls.size())) +
            number_cell(fmt::format("{:.1f}", s.seconds)) + "<td><code>" +
            escape_html(command_of(report, s.name)) + "</code></td></tr>\n";
  }
  return table("Statements, and the command that repeats each",
               heads({"statement", "verdict", "checks verified#", "sizes N in range", "defects rejected#",
                      "seconds#", "command"}),
               rows);
}

/// Measured against bound over N, for quantities at three sizes and more whose numbers are not all 0.
std::string plots(const StatementReport& statement) {
  std::string out;
  for (const Row& row : rows_of(statement)) {
    Series measured{"measured", {}};
    Series bound{row.checks[0]->relation == Relation::kEqual ? "formula" : "bound", {}};
    double least = 1e300;
    double most = 0;
    std::vector<const Check*> checks = row.checks;
    std::ranges::stable_sort(checks, {}, [](const Check* check) { return check->configuration.n; });
    std::set<std::uint64_t> sizes;
    for (const Check* check : checks) {
      sizes.insert(check->configuration.n);
      measured.points.emplace_back(check->configuration.n, check->measured);
      bound.points.emplace_back(check->configuration.n, check->bound);
      for (const double value : {check->measured, check->bound}) {
        least = std::min(least, value);
        most = std::max(most, value);
      }
    }
    // Two lines that lie on each other say less than their rows in the table.
    if (sizes.size() < 3 || most <= 0 || measured.points == bound.points) continue;
    const std::string title = row.checks[0]->quantity;
    out += "<figure>" +
           svg({.title = title + ", measured and " + bound.label + " over N",
                .x_label = "N",
                .y_label = "",
                .series = {measured, bound},
                .log_y = least > 0 && most > 8 * least}) +
           "<figcaption>" + escape_html(title) +
           (row.checks[0]->configuration.epsilon ? ", eps = " + exponent(row.checks[0]->configuration.epsilon)
                                                 : "") +
           "</figcaption></figure>\n";
  }
  return out.empty() ? "" : "<h3>Measured against bound</h3>\n<div class=\"plots\">\n" + out + "</div>\n";
}

// ---- what is seen first: the paper's curves, as far as the statements that measure them were run

using Curve = std::map<double, double>;  // y by x

/// The checks of `statement` whose quantity ends with that, by what stands before it, eps and delta, and by N.
std::map<std::string, Curve> checked(const StatementReport& statement, std::string_view quantity) {
  std::map<std::string, Curve> curves;
  for (const Check& check : statement.checks) {
    if (!check.quantity.ends_with(quantity)) continue;
    const Configuration& at = check.configuration;
    std::string label = check.quantity.substr(0, check.quantity.size() - quantity.size());
    if (label.empty()) {
      label = "eps " + exponent(at.epsilon) + (at.delta ? ", delta " + exponent(at.delta) : "");
    } else if (label.ends_with(": ")) {
      label.resize(label.size() - 2);
    }
    curves[label][static_cast<double>(at.n)] = check.measured;
  }
  return curves;
}

/// The exponent of N, by least squares over the logarithms.
double slope(const Curve& curve) {
  double x = 0, y = 0, xx = 0, xy = 0;
  for (const auto& [n, value] : curve) {
    x += std::log(n);
    y += std::log(value);
    xx += std::log(n) * std::log(n);
    xy += std::log(n) * std::log(value);
  }
  const auto count = static_cast<double>(curve.size());
  return (count * xy - x * y) / (count * xx - x * x);
}

/// k-hop by every mechanism: the statement's own networks and bounds, and what our protocol for it is compiled to.
std::map<std::string, Curve> depths_over_k(const StatementReport& hops) {
  std::map<std::string, Curve> depths;
  constexpr std::string_view kOf = ": layers of ";
  for (const Metric& metric : hops.metrics) {  // "k = 7: layers of ANNA"
    const std::size_t colon = metric.quantity.find(kOf);
    if (colon == std::string::npos || !metric.quantity.starts_with("k = ")) continue;
    const std::string k = metric.quantity.substr(4, colon - 4);
    depths[metric.quantity.substr(colon + kOf.size())][std::stod(k)] = metric.value;
    for (const char* construction : {"direct", "routed"}) {
      depths["protocol, " + std::string(construction)][std::stod(k)] = static_cast<double>(
          simulate::compile("k_hop", {.n = metric.n, .options = {{"k", k}}}, {.construction = construction})
              .bound.depth);
    }
  }
  return depths;
}

/// Machines for a layer: ANNA's by plan, and all pairs of blocks of tokens.
std::map<std::string, Curve> machines_over_n(const StatementReport& machines) {
  std::map<std::string, Curve> curves;
  for (const auto& [label, curve] : checked(machines, ", declared: machines q")) {
    if (label.find("H = m") == std::string::npos) curves["ANNA, " + label] = curve;
  }
  for (const Metric& metric : machines.metrics) {
    if (metric.quantity.starts_with("machines of standard attention"))
      curves["all pairs"][static_cast<double>(metric.n)] = metric.value;
  }
  return curves;
}

std::string curves(const Report& report) {
  std::string out;
  const auto statement = [&](std::string_view name) -> const StatementReport* {
    const auto found = std::ranges::find(report.statements, name, &StatementReport::name);
    return found == report.statements.end() ? nullptr : &*found;
  };
  const auto draw = [&](const std::string& title, const std::string& x, bool log_y,
                        const std::map<std::string, Curve>& curves, bool slopes = false) {
    Plot plot{.title = title, .x_label = x, .y_label = "", .series = {}, .log_y = log_y};
    for (const auto& [label, curve] : curves) {
      const bool sloped = slopes && curve.size() > 2;
      plot.series.push_back(
          {sloped ? fmt::format("{}: N^{:.2f}", label, slope(curve)) : label, {curve.begin(), curve.end()}});
    }
    if (std::ranges::none_of(curves, [](const auto& curve) { return curve.second.size() > 1; })) return;
    out += "<figure>" + svg(plot) + "<figcaption>" + escape_html(title) + "</figcaption></figure>\n";
  };
  if (const StatementReport* const hops = statement("k_hop_depth"))
    draw("k-hop induction heads: layers over k", "k", true, depths_over_k(*hops));
  if (const StatementReport* const routed = statement("routed_simulation")) {
    auto widths = checked(*routed, "by plan: width H m");
    const std::string usual = "delta " + mpc::Parameters{}.delta.to_string();  // one of several: lines enough
    std::erase_if(widths, [&](const auto& width) { return !width.first.ends_with(usual); });
    draw("Width H m of a routed transformer over N, by plan", "N", true, widths, true);
  }
  if (const StatementReport* const machines = statement("mpc_simulates_anna"))
    draw("Machines for a layer over N, by plan", "N", true, machines_over_n(*machines), true);
  if (const StatementReport* const graphs = statement("connectivity_rounds"))
    draw("Connectivity: rounds over N", "N", false, checked(*graphs, ": rounds R"));
  if (out.empty()) return {};
  return "<section id=\"curves\" aria-labelledby=\"curves-h\"><h2 id=\"curves-h\">What was found</h2>\n<div "
         "class=\"plots\">\n" +
         out + "</div></section>\n";
}

/// Whether every check of the row measured exactly what the formula says.
bool is_equal_throughout(const Row& row) {
  return std::ranges::all_of(row.checks, [](const Check* check) {
    return check->relation == Relation::kEqual && check->verdict == Verdict::kVerified &&
           check->measured == check->bound;
  });
}

/// Measured and formula are one number at every size: a line for each quantity, of all statements.
std::string equal_pairs(const Report& report) {
  std::string rows;
  std::set<std::uint64_t> seeds;
  for (const StatementReport& s : report.statements) {
    for (const Row& row : rows_of(s)) {
      if (!is_equal_throughout(row)) continue;
      const auto [least, most] = std::ranges::minmax(row.checks, {}, &Check::measured);
      for (const Check* check : row.checks) seeds.insert(check->configuration.seed);
      const Check& first = *row.checks[0];
      rows += R"(<tr><th scope="row">)" + escape_html(first.quantity) + "</th>" +
              fmt::format(R"(<td><a href="#{0}">{0}</a></td>)", s.name) +
              cell(exponent(first.configuration.epsilon)) + cell(exponent(first.configuration.delta)) +
              number_cell(row.sizes()) + number_cell(std::to_string(row.checks.size())) +
              number_cell(least->measured == most->measured
                              ? short_number(least->measured)
                              : short_number(least->measured) + " .. " + short_number(most->measured)) +
              "</tr>\n";
    }
  }
  if (rows.empty()) return {};
  return "<section id=\"equal\" aria-labelledby=\"equal-h\"><h2 id=\"equal-h\">Equal pairs</h2>\n" +
         table(fmt::format("Equal to their formulas at every size, seed {}", fmt::join(seeds, ", ")),
               heads({"quantity", "statement", "eps", "delta", "N#", "checks#",
                      "measured, and the formula's#"}),
               rows) +
         "</section>\n";
}

std::string section(const Report& report, const StatementReport& s) {
  std::string out = fmt::format("<section id=\"{0}\" aria-labelledby=\"{0}-h\"><h2 id=\"{0}-h\">{1}</h2>\n",
                                s.name, escape_html(s.title));
  out += fmt::format(
      "<p>Verdict: <strong class=\"{0}\">{0}</strong> in {1:.1f} s. Repeat it: <code>{2}</code></p>\n",
      to_string(s.outcome()), s.seconds, escape_html(command_of(report, s.name)));
  if (!s.failure_message.empty()) out += "<p>" + escape_html(s.failure_message) + "</p>\n";
  if (!s.card.empty()) out += "<pre>" + escape_html(s.card) + "</pre>\n";
  std::string rows;
  for (const Constant& constant : s.constants) {
    rows += R"(<tr><th scope="row">)" + escape_html(constant.name) + "</th>" + cell(constant.value) +
            cell(constant.meaning) + "</tr>\n";
  }
  out +=
      table(s.name + ": constants, declared before the run", heads({"constant", "value", "meaning"}), rows);
  out += plots(s);
  rows.clear();
  std::size_t equal = 0;
  for (const Row& row : rows_of(s)) {
    if (is_equal_throughout(row)) {
      ++equal;
      continue;
    }
    for (const Check* check : row.checks) {
      const std::string interval = check->interval
                                       ? fmt::format(" in [{}, {}]", short_number(check->interval->low),
                                                     short_number(check->interval->high))
                                       : "";
      rows += R"(<tr><th scope="row">)" + escape_html(check->quantity) + "</th>" +
              cell(exponent(check->configuration.epsilon)) + cell(exponent(check->configuration.delta)) +
              number_cell(short_size(check->configuration.n)) +
              number_cell(short_number(check->measured) + interval) +
              cell(std::string(to_string(check->relation))) + number_cell(short_number(check->bound)) +
              verdict_cell(to_string(check->verdict)) + cell(check->reason) +
              number_cell(std::to_string(check->configuration.seed)) + "</tr>\n";
    }
  }
  if (equal > 0) {
    out += fmt::format(
        "<p>{} {} with {} formula at every size: <a href=\"#equal\">the table of equal pairs</a>.</p>\n",
        equal, equal == 1 ? "quantity agrees" : "quantities agree", equal == 1 ? "its" : "their");
  }
  if (!rows.empty()) {
    out += table(
        s.name + ": checks",
        heads({"quantity", "eps", "delta", "N#", "measured#", "is", "bound#", "verdict", "reason", "seed#"}),
        rows);
  }
  if (!s.metrics.empty()) {
    rows.clear();
    for (const Metric& metric : s.metrics) {
      rows += R"(<tr><th scope="row">)" + escape_html(metric.quantity) + "</th>" +
              number_cell(short_size(metric.n)) + number_cell(short_number(metric.value)) + "</tr>\n";
    }
    out += table(s.name + ": beside it, judging nothing", heads({"quantity", "N#", "value#"}), rows);
  }
  rows.clear();
  for (const Control& control : s.controls) {
    rows += R"(<tr><th scope="row">)" + escape_html(control.control) + "</th>" + cell(control.quantity) +
            cell(control.rejected ? "rejected" : "NOT REJECTED") +
            cell(control.accepted_off ? "accepted" : "NOT ACCEPTED") + "</tr>\n";
  }
  if (!rows.empty()) {
    out += table(s.name + ": defects made for these checks",
                 heads({"defect", "check that must reject it", "with the defect", "without it"}), rows);
  }
  return out + "</section>\n";
}

// ------------------------------------------------------------------------------------------- the experiments

const simulate::ErrorPoint& point(const std::vector<simulate::ErrorPoint>& points, std::uint32_t tables,
                                  std::uint32_t last, std::uint32_t functions) {
  return *std::ranges::find_if(points, [&](const simulate::ErrorPoint& p) {
    return p.tables == tables && p.last_tables == last && p.functions == functions;
  });
}

/// Error by tables (rows) and functions (columns); `last`: tables of the last layer, 0 if it is the first.
std::string error_table(const std::string& caption, const simulate::ErrorGrid& grid,
                        const std::vector<simulate::ErrorPoint>& points, std::uint32_t last) {
  std::vector<std::string> columns{"tables ell"};
  for (const std::uint32_t z : grid.functions) columns.push_back(fmt::format("z = {}#", z));
  std::string rows;
  for (const std::uint32_t ell : grid.tables) {
    rows += fmt::format(R"(<tr><th scope="row">{}</th>)", ell);
    for (const std::uint32_t z : grid.functions)
      rows += number_cell(fmt::format("{:.4f}", point(points, ell, last == 0 ? ell : last, z).error()));
    rows += "</tr>\n";
  }
  return table(caption, heads(columns), rows);
}

std::string error_plot(const std::string& title, const simulate::ErrorGrid& grid,
                       const std::vector<simulate::ErrorPoint>& points, std::uint32_t last) {
  Plot plot{.title = title, .x_label = "tables ell", .y_label = "error", .series = {}, .log_x = false};
  for (const std::uint32_t z : grid.functions) {
    Series series{fmt::format("z = {}", z), {}};
    for (const std::uint32_t ell : grid.tables)
      series.points.emplace_back(ell, point(points, ell, last == 0 ? ell : last, z).error());
    plot.series.push_back(std::move(series));
  }
  return "<figure>" + svg(plot) + "<figcaption>" + escape_html(title) + "</figcaption></figure>\n";
}

std::string experiments_section(const Experiments& e) {
  std::string out =
      "<section id=\"experiments\" aria-labelledby=\"experiments-h\"><h2 id=\"experiments-h\">The paper's "
      "two "
      "experiments, by construction</h2>\n";
  out += fmt::format(
      "<p>Share of wrong output words, averaged over {} draws of network, hash functions and input (seed "
      "{}), against the "
      "number of hash tables ell and of hash functions a table z. The networks are constructed, not trained: "
      "they tell "
      "values apart by their keys' vectors, so they tolerate false collisions.</p>\n",
      e.match2.draws, e.match2.seed);
  std::string figures =
      error_plot(fmt::format("Match2, N = {}, M = {}, one layer", e.match2.n, e.match2.symbols), e.match2,
                 e.match2_errors, 0);
  std::string tables =
      error_table(fmt::format("Match2 (N = {}, M = {}, one layer): error", e.match2.n, e.match2.symbols),
                  e.match2, e.match2_errors, 0);
  for (const std::uint32_t last : e.induction.last_tables) {
    const std::string title =
        fmt::format("Induction heads, N = {}, {} symbols, two layers; {} tables in the second", e.induction.n,
                    e.induction.symbols, last);
    figures += error_plot(title, e.induction, e.induction_errors, last);
    tables +=
        error_table(title + ": error, by the tables of the first", e.induction, e.induction_errors, last);
  }
  return out + "<div class=\"plots\">\n" + figures + "</div>\n" + tables + "</section>\n";
}

}  // namespace

Experiments paper_experiments(std::uint64_t seed) {
  Experiments e;
  e.match2 = simulate::paper_match2_grid(true);
  e.induction = simulate::paper_induction_grid(true);
  e.match2.seed = e.induction.seed = seed;
  e.match2_errors = simulate::match2_errors(e.match2);
  e.induction_errors = simulate::induction_errors(e.induction);
  return e;
}

std::string machine_description() {
  const auto value_of = [](const char* file, const std::string& key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      const std::size_t colon = line.find(':');
      if (!line.starts_with(key) || colon == std::string::npos) continue;
      const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
      return begin == std::string::npos ? std::string() : line.substr(begin);
    }
    return std::string();
  };
  utsname system{};
  uname(&system);
  const std::string processor = value_of("/proc/cpuinfo", "model name");
  const std::string memory = value_of("/proc/meminfo", "MemTotal");
  const double kilobytes = memory.empty() ? 0 : std::stod(memory);
  return fmt::format("{}, {} hardware threads, {:.1f} GiB of memory, {} {} ({}), compiled by {}",
                     processor.empty() ? "unknown processor" : processor, std::thread::hardware_concurrency(),
                     kilobytes / (1 << 20), system.sysname, system.release, system.machine,
#ifdef __clang__
                     "clang " __clang_version__
#else
                     "g++ " __VERSION__
#endif
  );
}

std::string html_page(const Report& report, const Experiments& experiments, const std::string& machine) {
  std::size_t checks = 0;
  std::size_t controls = 0;
  std::string names;  // none: all statements
  for (const StatementReport& s : report.statements) {
    if (report.statements.size() != all_statements().size()) names += s.name + " ";
    checks += s.checks.size();
    controls += s.controls.size();
  }
  std::string out =
      fmt::format(R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Roundtrip: verification of the theorems, {0}</title><style>{1}</style></head>
<body><a class="skip" href="#statements">Skip to the statements</a>
<header><h1>Do the theorems of "Fast attention mechanisms: a tale of parallelism" hold on this machine?</h1>
<p>Verdict: <strong class="{0}">{0}</strong>. {2} statements, {3} checks, {4} defects that the checks must reject.
A check compares what was measured with a bound that was declared before the run. A defect is a broken construction on which
that check must fail. MPC is Massively Parallel Computation.</p></header>
<main id="statements">
)",
                  to_string(report.outcome()), kStyle, report.statements.size(), checks, controls);
  out += curves(report);
  out += experiments_section(experiments);
  out += fmt::format(
      R"(<section aria-labelledby="run-h"><h2 id="run-h">This run</h2>
<dl><dt>Repeat it</dt><dd><code>{}</code></dd><dt>Sizes, seed</dt><dd>{}, {}</dd>
<dt>Ran</dt><dd>{}, {:.1f} s</dd><dt>Machine</dt><dd>{}</dd>
<dt>False alarms</dt><dd>all statistical checks together report a sound program wrongly with probability at most {}</dd>
<dt>Source</dt><dd>Liu, Yu, Sanford, Andoni, Hsu, NeurIPS 2025</dd></dl></section>
)",
      escape_html(command_of(report, names + "--html report.html")), to_string(report.sizes), report.seed,
      where_it_ran(report.transport, report.ranks), report.seconds, escape_html(machine),
      report.false_alarm_budget);
  out += summary(report);
  for (const StatementReport& statement : report.statements) out += section(report, statement);
  out += equal_pairs(report);
  return out + "</main></body></html>\n";
}

}  // namespace roundtrip::proofs_check
