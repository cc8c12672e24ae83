// Purpose: `roundtrip attend`: ANNA over matrices from files or over a generated instance, with what it will
// cost and guarantee, and compared with what it approximates.
#include "roundtrip/anna/dense/attend.h"

#include <fmt/args.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/base/npy.h"
#include "roundtrip/base/quote.h"
#include "roundtrip/base/rational.h"
#include "roundtrip/cli/arguments.h"
#include "roundtrip/cli/command.h"
#include "roundtrip/cli/execution.h"
#include "roundtrip/cli/memory.h"
#include "roundtrip/cli/progress.h"
#include "roundtrip/cli/read_array.h"
#include "roundtrip/cli/verdict.h"

namespace roundtrip::cli {
namespace {

struct AttendArguments {
  std::vector<std::string> files;       ///< Q, K, V; none: generated
  std::optional<std::uint64_t> head{};  ///< of arrays with several
  anna::InstanceParameters instance;
  bool instance_given = false;  ///< any flag of a generated instance
  anna::AttendOptions options;
  Rational eta{1, 100};
  std::string compare;
  bool plan = false;
  std::string output;
  OutputArguments out;
};

anna::RealRows read_matrix(const std::string& path, const std::optional<std::uint64_t>& head) {
  const NpyFile file = read_array(path);
  require(file.heads() == 1 || head, "{} has {} heads; --head takes one of them, 0 to {}", quote(path),
          file.heads(), file.heads() - 1);
  require(file.heads() == 1 || *head < file.heads(), "--head {}: {} has heads 0 to {}", head.value_or(0),
          quote(path), file.heads() - 1);
  const TensorView array = file.head(file.heads() == 1 ? 0 : *head);
  require(file.columns() >= 1 && file.columns() <= 65536 &&
              file.rows() < std::numeric_limits<std::uint32_t>::max(),
          "{}: an array of {} x {}; allowed are below 2^32 - 1 rows of 1 .. 65536", quote(path), file.rows(),
          file.columns());
  anna::RealRows rows{file.rows(), static_cast<std::uint32_t>(file.columns()), {}};
  rows.data.reserve(rows.rows * rows.columns);
  const auto add = [&](const auto& numbers) {
    for (const auto x : numbers) {
      const auto real = static_cast<double>(x);
      require(!std::isfinite(real) || std::fabs(real) <= std::numeric_limits<float>::max(),
              "{}: row {} column {} is {}; magnitudes up to 3.4e38 are taken", quote(path),
              rows.data.size() / rows.columns, rows.data.size() % rows.columns, real);
      rows.data.push_back(static_cast<float>(real));
    }
  };
  if (is_integer(array.dtype)) {
    add(integers_of(array, path));
  } else {
    add(reals_of(array, path));
  }
  return rows;
}

bool directions(const AttendArguments& arguments) {
  return anna::compares_directions(arguments.options.family);
}

/// The head in integers, and how long that took.
struct Quantised {
  anna::DenseHead head;
  double seconds = 0;
};
Quantised quantise(const anna::RealRows& queries, const anna::RealRows& keys, const anna::RealRows& values,
                   const AttendArguments& arguments) {
  const auto begun = std::chrono::steady_clock::now();
  Quantised made{
      anna::quantise(queries, keys, values, directions(arguments), {.threads = arguments.options.threads}),
      0};
  made.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return made;
}

Quantised read_head(const AttendArguments& arguments) {
  const anna::RealRows queries = read_matrix(arguments.files[0], arguments.head),
                       keys = read_matrix(arguments.files[1], arguments.head),
                       values = read_matrix(arguments.files[2], arguments.head);
  require(queries.columns == keys.columns, "{} has rows of {} numbers and {} of {}; they must be equal",
          quote(arguments.files[0]), queries.columns, quote(arguments.files[1]), keys.columns);
  require(keys.rows == values.rows, "{} has {} rows and {} has {}; each key needs one value",
          quote(arguments.files[1]), keys.rows, quote(arguments.files[2]), values.rows);
  return quantise(queries, keys, values, arguments);
}

std::string source_of(const AttendArguments& arguments) {
  if (!arguments.files.empty()) return fmt::format("{}", fmt::join(arguments.files, " "));
  return fmt::format("{} instance, seed {}", anna::to_string(arguments.instance.kind),
                     arguments.instance.seed);
}

/// All that was planned or measured, by its names in docs/schema: the JSON as it is, and what the rows of the text
/// refer to.
using Facts = nlohmann::ordered_json;

nlohmann::ordered_json probability_json(const anna::Probability& p) {
  return {{"low", p.low}, {"estimate", p.estimate}, {"high", p.high}};
}

Facts planned_facts(const AttendArguments& arguments, const anna::AttendPlan& plan) {
  Facts facts = {{"schema", "roundtrip/attend/1"},
                 {"source", source_of(arguments)},
                 {"queries", plan.queries},
                 {"keys", plan.keys},
                 {"dimension", plan.dimension},
                 {"value_dimension", plan.value_dimension},
                 {"family", to_string(plan.family)},
                 {"c", plan.c},
                 {"r", plan.radius},
                 {"eta", arguments.eta.to_string()},
                 {"p1", probability_json(plan.p1)},
                 {"p2", probability_json(plan.p2)},
                 {"rho", plan.rho},
                 {"functions", plan.functions},
                 {"tables", plan.tables},
                 {"false_collisions", plan.false_collisions},
                 {"missed_pairs", plan.missed_pairs},
                 {"guaranteed", plan.guaranteed || seeded("guarantee-claimed")},
                 {"pointless", plan.pointless},
                 {"advice", plan.advice},
                 {"hash_evaluations", plan.hash_evaluations},
                 {"row_additions", plan.row_additions},
                 {"peak_bytes", seeded("quarter-of-the-memory") ? plan.peak_bytes / 4 : plan.peak_bytes},
                 {"seed", plan.seed}};
  if (plan.family == anna::FamilyKind::kPStable) facts["width"] = plan.width;
  if (plan.family == anna::FamilyKind::kCrossPolytopeHadamard) facts["rotations"] = plan.rotations;
  return facts;
}

void add_measured(const AttendArguments& arguments, const anna::DenseHead& head,
                  const anna::AttendReport& report, Facts& facts) {
  const anna::DenseFacts& seen = report.result.facts;
  facts["seconds"] = seen.seconds;
  facts["hash_seconds"] = seen.hash_seconds;
  facts["group_seconds"] = seen.group_seconds;
  facts["add_seconds"] = seen.add_seconds;
  facts["key_rows_added"] = seen.key_rows_added;
  facts["query_rows_added"] = seen.query_rows_added;
  facts["collisions"] = seen.collisions;
  facts["empty_queries"] = seen.empty_queries;
  facts["point_error"] = std::max(head.queries.max_error, head.keys.max_error);
  facts["value_error"] = head.values.max_error;
  if (const auto& weights = report.weights) {
    facts["sampled_queries"] = weights->sampled_queries;
    facts["near_pairs"] = weights->near_pairs;
    facts["recall"] = seeded("recall-of-all") ? 1 : weights->recall;
    facts["within_cr"] = seeded("weight-of-near-alone") ? weights->recall : weights->within_cr;
    if (weights->purity) facts["purity"] = *weights->purity;
  }
  if (!report.compared_with.empty()) {
    facts["compared_with"] = report.compared_with;
    facts["compared_seconds"] = report.compared_seconds;
    facts["max_error"] = report.max_error;
    facts["relative_error"] = report.relative_error;
    facts["equal"] = report.equal;
  }
  facts["verdict"] = attend_verdict(arguments.compare, report.equal);
}

/// Lines of text with the facts in them.
class FactsText {
 public:
  explicit FactsText(const Facts& facts) {
    for (const auto& [name, value] : facts.items()) {
      if (value.is_object()) {
        for (const auto& [part, number] : value.items()) add(fmt::format("{}_{}", name, part), number);
      } else {
        add(name, value);
      }
    }
  }
  /// A number that follows from facts.
  void derive(const char* name, double value) { values_.push_back(fmt::arg(name, value)); }
  /// `pattern` names facts in braces, as {fmt} does.
  void line(std::string_view pattern) { text_ += fmt::vformat(pattern, values_) + "\n"; }
  void row(std::string_view what, const std::string& pattern) {
    line(fmt::format("  {:<17} {}", what, pattern));
  }
  const std::string& text() const { return text_; }

 private:
  void add(const std::string& name, const Facts& value) {
    if (value.is_number_float()) values_.push_back(fmt::arg(name.c_str(), value.get<double>()));
    if (value.is_number_integer()) values_.push_back(fmt::arg(name.c_str(), value.get<std::uint64_t>()));
    if (value.is_string()) values_.push_back(fmt::arg(name.c_str(), printable(value.get<std::string>())));
  }

  fmt::dynamic_format_arg_store<fmt::format_context> values_;
  std::string text_;
};

/// Of a plan, and of what was measured if it was.
std::string facts_text(const Facts& facts) {
  const auto has = [&](const char* name) { return facts.contains(name); };
  const auto number = [&](const char* name) { return facts[name].get<double>(); };
  FactsText out(facts);
  out.derive("three_rho", 3 * number("rho"));
  out.derive("three_by_c2", 3 / (number("c") * number("c")));
  out.derive("false_probability", std::min(1.0, number("false_collisions")));
  out.derive("missed_probability", std::min(1.0, number("missed_pairs")));
  out.derive("mebibytes", std::ceil(number("peak_bytes") / 1048576));
  out.line("attend {source}: {queries} queries, {keys} keys, d = {dimension}, m = {value_dimension}");
  out.row("family", fmt::format("{{family}}: c = {{c}}, r = {{r:.6g}}{}, p1 = {{p1_low:.4f}} at r, p2 = "
                                "{{p2_high:.3g}} at c r",
                                has("width") ? ", width {width:.6g}" : ""));
  out.row("exponent", "rho = {rho:.4f}, 3 rho = {three_rho:.4f} (3/c^2 = {three_by_c2:.4f})");
  out.row("tables", "ell = {tables} tables of z = {functions} functions");
  out.row("guarantee", std::string(facts["guaranteed"].get<bool>() ? "holds" : "none") +
                           " for eta = {eta}: far keys weighted with probability <= {false_probability:.3g}, "
                           "near keys missed <= {missed_probability:.3g}");
  out.row("work",
          "{hash_evaluations:.3e} hash evaluations, at most {row_additions:.3e} rows added, "
          "{mebibytes:.0f} MiB");
  if (!facts["advice"].get<std::string>().empty()) out.row("note", "{advice}");
  if (!has("seconds")) return out.text();

  const double tokens = (number("queries") + number("keys")) / 2;
  out.derive("nanoseconds",
             (number("seconds") + number("quantise_seconds")) * 1e9 / (tokens * number("tables")));
  out.row(
      "seconds",
      "{seconds:.3f}: hashing {hash_seconds:.3f}, grouping {group_seconds:.3f}, adding {add_seconds:.3f}; before "
      "it quantising {quantise_seconds:.3f}; {nanoseconds:.1f} ns per token and table in all");
  out.row("quantisation",
          "coordinates rounded by at most {point_error:.3g}, values by at most {value_error:.3g}");
  out.row("without a key", "{empty_queries} of {queries} queries collided with none: their output is zero");
  if (has("recall")) {
    out.row("recall", facts["near_pairs"] == 0
                          ? "no key within r of the {sampled_queries} sampled queries"
                          : "{recall:.4f} of {near_pairs} keys within r ({sampled_queries} sampled queries)");
    out.row("purity", std::string("{within_cr:.4f} of the weight on keys within c r") +
                          (has("purity") ? ", {purity:.4f} on keys of the query's own group" : ""));
  }
  if (has("compared_with")) {
    out.row("compared with",
            std::string("{compared_with}, {compared_seconds:.3f} s: ") +
                (facts["equal"].get<bool>() ? "equal, bit for bit"
                 : !std::isfinite(number("max_error"))
                     ? "its outputs are not all finite numbers (NaN or infinity)"
                     : "largest difference {max_error:.4g}, relative error {relative_error:.4g}"));
  }
  out.line("verdict: {verdict}");
  return out.text();
}

int attend(const AttendArguments& arguments) {
  require(arguments.files.empty() || arguments.files.size() == 3,
          "attend takes three files, Q K V; {} are given", arguments.files.size());
  require(!arguments.files.empty() || !arguments.head, "--head: only with files");
  require(arguments.files.empty() || !arguments.instance_given,
          "--instance, --n, --dimension and --value-dimension: only without files");
  require(!arguments.files.empty() || arguments.instance.tokens > 0,
          "no input: give Q.npy K.npy V.npy or --n N");
  std::vector<NamedFile> inputs;
  for (const std::string& file : arguments.files) inputs.push_back({"attend", file_of_array(file)});
  check_files({{"--output", arguments.output}, {"--json", arguments.out.json}}, inputs, arguments.out.quiet);
  if (arguments.files.empty()) arguments.instance.validate();
  const anna::AttendCompare compare =
      arguments.compare.empty() ? anna::AttendCompare::kNone : anna::parse_compare(arguments.compare);
  anna::AttendOptions options = arguments.options;
  const bool generated = arguments.files.empty();
  const anna::InstanceParameters& p = arguments.instance;
  Quantised quantised;
  const anna::DenseHead& head = quantised.head;
  if (!generated) quantised = read_head(arguments);
  const anna::AttendPlan plan =
      generated ? anna::plan_attend(p.tokens, p.tokens, p.dimension, p.value_dimension, options)
                : anna::plan_attend(head.queries.rows, head.keys.rows, head.keys.columns, head.values.columns,
                                    options);
  Facts facts = planned_facts(arguments, plan);
  if (arguments.plan) {
    publish(arguments.out, false, facts_text(facts), facts);
    return kDone;
  }
  require_memory(static_cast<std::uint64_t>(plan.peak_bytes), "the evaluation");
  std::vector<std::uint64_t> groups;
  if (generated) {
    anna::Instance instance = anna::generate_instance(p);
    quantised = quantise(instance.queries, instance.keys, instance.values, arguments);
    groups = std::move(instance.groups);
  }
  Progress progress(!arguments.out.quiet);
  options.progress = [&](std::uint32_t done, std::uint32_t tables) {
    progress.draw(done == tables && !arguments.compare.empty()
                      ? fmt::format("comparing with {}", arguments.compare)
                      : fmt::format("table {} of {}", done, tables));
  };
  const anna::AttendReport report = anna::attend(head, plan, options, compare, groups);
  progress.wipe();
  OutputFiles files;
  if (!arguments.output.empty()) {
    const std::vector<double>& rows = report.result.rows;
    files.write(arguments.output,
                write_npy({Dtype::kF64,
                           {head.queries.rows, head.values.columns},
                           {reinterpret_cast<const char*>(rows.data()), rows.size() * sizeof(double)}}));
  }
  add_measured(arguments, head, report, facts);
  facts["quantise_seconds"] = quantised.seconds;
  publish(arguments.out, arguments.output == "-", facts_text(facts), facts, std::move(files));
  return status_of(facts["verdict"].get<std::string>());
}

double parse_positive(const std::string& text, const std::string& flag) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size() && value > 0 && std::isfinite(value),
          "{} {}: expected a positive number", flag, text);
  return value;
}

}  // namespace

Command add_attend(CommandLine& line) {
  Flags& flags = line.add(
      "attend", "Approximate nearest neighbor attention over Q, K, V: plan, evaluate, compare",
      R"(Without files, an instance is generated on the unit sphere: near keys at r = sqrt 2 / c, c r = sqrt 2.
The hyperplane, cross-polytope and hadamard families compare directions: rows of Q and K are divided by
their norms. Exit status 1: --compare brute found a difference.
Examples:
  roundtrip attend Q.npy K.npy V.npy --c 8 --output out.npy
  roundtrip attend --n 65536 --c 8 --plan
  roundtrip attend --n 4096 --c 12 --compare exact
)");
  auto a = std::make_shared<AttendArguments>();
  const auto count = [&](const std::string& flag, const std::string& name, const std::string& help,
                         std::uint64_t low, std::uint64_t high,
                         const std::function<void(std::uint64_t)>& set) {
    flags.value(flag, name, help, [=](const std::string& text) { set(parse_count(text, flag, low, high)); });
  };
  const auto positive = [&](const std::string& flag, const std::string& name, const std::string& help,
                            const std::function<void(double)>& set) {
    flags.value(flag, name, help, [=](const std::string& text) { set(parse_positive(text, flag)); });
  };
  flags.positional(
      "QKV", false, true,
      "Three .npy files (also .npy.gz, FILE.npz:MEMBER): queries [N_q, d], keys [N_k, d] and values [N_k, m]",
      [a](const std::string& text) { a->files.push_back(text); });
  count("--head", "I", "Of arrays [heads, N, d]: the head, from 0; one with a single head serves all", 0, ~0u,
        [a](std::uint64_t head) { a->head = head; });
  flags.choice("--instance", "NAME", {"planted", "clustered", "uniform"},
               "Generated: planted (default), clustered or uniform", [a](const std::string& text) {
                 a->instance.kind = anna::parse_instance(text), a->instance_given = true;
               });
  count("--n", "N", "Generated: queries and keys", 1, std::uint64_t{1} << 28,
        [a](std::uint64_t n) { a->instance.tokens = n, a->instance_given = true; });
  count("--dimension", "D", "Generated: of queries and keys (default 64)", 2, 1 << 14, [a](std::uint64_t d) {
    a->instance.dimension = static_cast<std::uint32_t>(d), a->instance_given = true;
  });
  count("--value-dimension", "M", "Generated: of values (default 64)", 1, 1 << 14, [a](std::uint64_t m) {
    a->instance.value_dimension = static_cast<std::uint32_t>(m), a->instance_given = true;
  });
  flags.choice("--family", "NAME", {"hadamard", "cross-polytope", "hyperplane", "p-stable", "bit-sampling"},
               "hadamard (default), cross-polytope, hyperplane, p-stable or bit-sampling",
               [a](const std::string& text) { a->options.family = anna::parse_family(text); });
  positive("--c", "C", "Approximation factor, above 1 (default 8)",
           [a](double c) { a->options.c = c, a->instance.c = c; });
  positive("--r", "R", "Near radius (default sqrt 2 / c; bit-sampling: a Hamming distance, no default)",
           [a](double r) { a->options.radius = r; });
  flags.value("--eta", "P/Q", "Failure probability of the guarantee (default 1/100)",
              [a](const std::string& text) {
                a->eta = Rational::parse(text, "--eta"), a->options.eta = a->eta.to_double();
              });
  count("--tables", "ELL", "Hash tables (default: what the guarantee needs)", 1, 1u << 20,
        [a](std::uint64_t ell) { a->options.tables = static_cast<std::uint32_t>(ell); });
  count("--functions", "Z", "Functions per table (default: what the guarantee needs)", 1, 1024,
        [a](std::uint64_t z) { a->options.functions = static_cast<std::uint32_t>(z); });
  count("--rotations", "ROUNDS", "hadamard: rounds of a rotation (default 2)", 1, 3,
        [a](std::uint64_t rounds) { a->options.rotations = static_cast<std::uint32_t>(rounds); });
  positive("--width", "W", "p-stable: width of a cell (default 4 r)",
           [a](double w) { a->options.width = w; });
  count("--seed", "SEED", "Of the functions, and of a generated instance (default 1)", 0, ~std::uint64_t{0},
        [a](std::uint64_t seed) { a->options.seed = seed, a->instance.seed = seed; });
  count("--threads", "T", "0 (default): as many as the work is worth; no result depends on it", 0, 4096,
        [a](std::uint64_t threads) { a->options.threads = static_cast<unsigned>(threads); });
  flags.choice("--compare", "WITH", {"exact", "ema", "brute"},
               "exact (softmax), ema (equal keys) or brute (the definition, pair by pair)",
               [a](const std::string& text) { a->compare = text, anna::parse_compare(text); });
  positive("--beta", "BETA", "Of the softmax compared with, weights exp(BETA <q, k>) (default 2 / r^2)",
           [a](double beta) { a->options.beta = beta; });
  flags.toggle("--plan", a->plan, "Only say what it would cost and guarantee");
  flags.value("--output", "FILE", "Write the outputs [N_q, m] as .npy (- is standard output)",
              [a](const std::string& text) { a->output = output_path("--output", text); });
  add_output_arguments(flags, a->out);
  return {.name = "attend", .act = [a](const Communicator& communicator) {
            return communicator.from_root([&] { return attend(*a); });
          }};
}

}  // namespace roundtrip::cli
