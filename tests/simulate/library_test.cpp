// The library's protocols, compiled: depth by formula, and words equal to the run's and to the oracle's;
// layer by layer in processes that share nothing but the array's file.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/stages/idling.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/routed.h"

namespace roundtrip::simulate {
namespace {

struct Case {
  std::string protocol;
  std::map<std::string, std::string> options;
  std::uint64_t record_words = 1;  ///< that divide N
};

mpc::Parameters parameters_of(const Case& one, std::uint64_t n) {
  mpc::Parameters parameters;
  parameters.n = n - n % one.record_words;
  parameters.options = one.options;
  return parameters;
}

mpc::Values instance(const mpc::ProtocolInfo& info, const mpc::Parameters& parameters) {
  if (info.generate) return info.generate(parameters);
  mpc::Values values;
  for (std::uint64_t i = 0; i < parameters.n; ++i) {
    values.push_back(
        static_cast<std::int64_t>(draw_below(parameters.n, parameters.seed, Domain::kInstance, i)));
  }
  return values;
}

std::vector<mpc::Word> encode(const mpc::Values& values, const mpc::Shape& shape) {
  std::vector<mpc::Word> words;
  for (const std::int64_t value : values) words.push_back(mpc::encode_input(value, shape, "value"));
  return words;
}

/// D as the theory states it: forced, or 1 without a delta where q <= s, or else the base-k digits of q for
/// k = max(2, ceil(N^delta)); no more than q has binary digits.
std::uint64_t digits_by_theory(const mpc::Shape& shape, const CompileOptions& options) {
  const auto digits_in_base = [&](std::uint64_t base) {
    std::uint64_t digits = 0;
    for (std::uint64_t reached = 1; reached < shape.machines; reached *= base) ++digits;
    return std::max<std::uint64_t>(1, digits);
  };
  std::uint64_t digits = 1;
  if (const auto forced = specific_options<RoutedOptions>(options).digits) {
    digits = *forced;
  } else if (options.delta || shape.machines > shape.memory_words) {
    digits = digits_in_base(
        std::max<std::uint64_t>(2, ceil_power(shape.n, options.delta.value_or(Rational(1, 5)))));
  }
  return std::min(digits, digits_in_base(2));
}

/// What theory says of the sizes by each construction.
using Theory = std::function<void(const Compiled&, const mpc::Parameters&, const TransformerSizes&)>;
const std::map<std::string, Theory> kTheories = {
    {"direct",
     [](const Compiled& compiled, const mpc::Parameters&, const TransformerSizes& sizes) {
       EXPECT_EQ(sizes.depth, compiled.protocol->shape().rounds + 1u);
     }},
    {"scattered",
     [](const Compiled& compiled, const mpc::Parameters&, const TransformerSizes& sizes) {
       EXPECT_EQ(sizes.depth, compiled.protocol->shape().rounds + 1u);
       EXPECT_LE(sizes.heads, compiled.protocol->shape().memory_words + 1);
     }},
    {"routed",
     [](const Compiled& compiled, const mpc::Parameters& parameters, const TransformerSizes& sizes) {
       const mpc::Shape& shape = compiled.protocol->shape();
       const std::uint64_t digits = digits_by_theory(shape, compiled.options);
       EXPECT_EQ(sizes.depth, 2 + 2 * digits * shape.rounds);
       if (digits == 1 || parameters.delta_given) {
         EXPECT_LE(static_cast<double>(sizes.width),
                   routed_power_law(shape, static_cast<std::uint32_t>(digits), sizes.heads,
                                    parameters.epsilon + parameters.delta));
       }
     }}};

TEST(Library, EveryConstructionHasATheory) {
  EXPECT_EQ(kTheories.size(), all_constructions().size());
  for (const ConstructionInfo* construction : all_constructions())
    EXPECT_TRUE(kTheories.contains(construction->name)) << construction->name;
}

/// Compiles, evaluates, and compares with the run, the oracle and the formulas.
void check(const Case& one, std::uint64_t n, std::string_view mechanism, const mpc::Parameters& parameters,
           const CompileOptions& options = {}) {
  SCOPED_TRACE(one.protocol + " N = " + std::to_string(n));
  const mpc::ProtocolInfo& info = mpc::find_protocol(one.protocol);
  const Compiled compiled = compile(one.protocol, parameters, options);  // before the input is drawn
  const mpc::Values values = instance(info, parameters);
  const mpc::Shape& shape = compiled.protocol->shape();
  const auto attention = make_attention(compiled, mechanism);
  const Comparison result = compare(compiled, encode(values, shape), *attention);
  EXPECT_EQ(result.run_violation, "");
  EXPECT_TRUE(result.equal);
  EXPECT_FALSE(result.fault);
  EXPECT_EQ(result.sizes, compiled.bound);
  kTheories.at(options.construction)(compiled, parameters, result.sizes);
  mpc::Outputs outputs;
  for (std::uint64_t t = 0; t < shape.outputs; ++t) {
    outputs.push_back(info.decode(*compiled.protocol, t, result.outputs.words[t]));
  }
  EXPECT_EQ(mpc::wrong_outputs(info, values, outputs, parameters), 0u);
  fmt::print("{:8} N {:5} {} {}: L {}, H {}, m {}, d {}, width {}; run {:.3f} s, evaluated {:.3f} s\n",
             one.protocol, n, options.construction, attention->name(), result.sizes.depth, result.sizes.heads,
             std::max(result.sizes.query_dimension, result.sizes.value_dimension),
             result.sizes.embedding_dimension, result.sizes.width, result.run_seconds,
             result.evaluate_seconds);
}

const std::vector<Case> kCases = {{"sum", {}}, {"sort", {}}, {"match2", {}}, {"k_hop", {{"k", "4"}}}};

/// The rest of the library, on its generated instances: every protocol, both constructions.
const std::vector<Case> kMoreCases = {
    {"broadcast", {}},
    {"reduce", {{"op", "max"}}},
    {"prefix_scan", {}},
    {"segmented_scan", {{"op", "min"}}},
    {"sort", {{"record", "4"}}},
    {"matrix_product", {}},
    {"low_rank_sums", {}},
    {"join", {}},
    {"list_ranking", {}},
    {"one_or_two_cycles", {}},
    {"components", {}},
    {"three_sum", {}},
    {"odd_even_sort", {}},
    {"k_hop_walk", {}},
    {"word_count", {}},
    {"maximal_independent_set", {}},
    {"minimum_spanning_forest", {}, 3},
    {"components_by_coins", {}},
    {"maximal_matching", {}},
    {"bfs", {}},
    {"components_by_labels", {}},
    {"triangle_count", {{"graph", "planted"}}},
    {"euler_tour", {}},
    {"fft", {}},
};

/// Programs of the step language, at sizes for their many machines; their weights are program_weights_test's.
const std::vector<Case> kPrograms = {{"sum_program", {}},
                                     {"reduce_program", {{"op", "min"}}},
                                     {"broadcast_program", {}},
                                     {"prefix_scan_program", {{"way", "doubling"}}},
                                     {"segmented_scan_program", {{"op", "max"}}},
                                     {"sort_program", {}},
                                     {"matrix_product_program", {}},
                                     {"low_rank_sums_program", {}},
                                     {"list_ranking_program", {}},
                                     {"list_ranking_routed_program", {}},
                                     {"k_hop_program", {{"k", "5"}}},
                                     {"word_count_program", {}},
                                     {"join_program", {}},
                                     {"match2_program", {}}};

void check_by_both_constructions(const Case& one, std::uint64_t n, std::string_view mechanism) {
  for (const ConstructionInfo* construction : all_constructions())
    check(one, n, mechanism, parameters_of(one, n), {.construction = construction->name});
}

TEST(Library, TheRestAt256ByBothConstructionsOnBothMechanisms) {
  for (const Case& one : kMoreCases) {
    for (const std::string_view mechanism : {"ema", "anna"}) check_by_both_constructions(one, 256, mechanism);
  }
}

TEST(Library, ProgramsAt64ByAllConstructions) {
  for (const Case& one : kPrograms) check_by_both_constructions(one, 64, "ema");
}

TEST(Library, ProgramsAt256) {
  for (const Case& one : kPrograms) check(one, 256, "ema", parameters_of(one, 256));
}

TEST(Library, TheRestAt1024ByBothConstructions) {
  for (const Case& one : kMoreCases) check_by_both_constructions(one, 1024, "ema");
}

const Case kThreeSum = {"three_sum", {}};
TEST(Library, ThreeSumAt1024OnAnna) {
  check_by_both_constructions(kThreeSum, 1024, "anna");
}
TEST(LibraryLong, ThreeSumAt4096OnBothMechanisms) {
  for (const std::string_view mechanism : {"ema", "anna"})
    check_by_both_constructions(kThreeSum, 4096, mechanism);
}
TEST(LibraryLong, SumSortMatch2AndKHopAt4096OnBothMechanisms) {
  for (const Case& one : kCases) {
    for (const std::string_view mechanism : {"ema", "anna"})
      check_by_both_constructions(one, 4096, mechanism);
  }
}
TEST(LibraryLong, TheRestAt1024OnAnnaAndAt4096) {
  for (const Case& one : kMoreCases) {
    check_by_both_constructions(one, 1024, "anna");
    check_by_both_constructions(one, 4096, "ema");
  }
}

// ---- 3-SUM in a number of layers that does not depend on N

void check_three_sum_layers(int least_bits, int most_bits) {
  const mpc::ProtocolInfo& info = mpc::find_protocol("three_sum");
  const auto parameters_at = [](int bits) {
    mpc::Parameters parameters;
    parameters.n = std::uint64_t{1} << bits;
    parameters.delta = Rational(1, 5);
    parameters.delta_given = true;
    return parameters;
  };
  // R: the maximum of the formula; D: its value at 2^20, for delta = 1/5.
  std::uint32_t rounds = 0;
  for (int bits = 8; bits <= 20; ++bits)
    rounds = std::max(rounds, info.make(parameters_at(bits))->shape().rounds);
  const auto digits = static_cast<std::uint32_t>(
      digits_by_theory(info.make(parameters_at(20))->shape(), {.delta = Rational(1, 5)}));
  EXPECT_EQ(digits, 5u);  // k = 16, q = 525,824 <= 16^5
  for (int bits = least_bits; bits <= most_bits; ++bits) {
    SCOPED_TRACE("N = 2^" + std::to_string(bits));
    const mpc::Parameters parameters = parameters_at(bits);
    const Compiled compiled =
        compile(mpc::idle_to(std::shared_ptr<const mpc::Protocol>(info.make(parameters)), rounds),
                {.construction = "routed", .specific = RoutedOptions{.digits = digits}});
    const mpc::Shape& shape = compiled.protocol->shape();
    const mpc::Values values = info.generate(parameters);
    const Comparison result = compare(compiled, encode(values, shape), *make_attention(compiled, "ema"));
    EXPECT_TRUE(result.equal);
    EXPECT_EQ(result.rounds, rounds);
    EXPECT_EQ(result.sizes, compiled.bound);
    EXPECT_EQ(result.sizes.depth, 2 + 2 * 5 * std::uint64_t{rounds});  // the same number for every N
    // Width O(N^(1/2 + delta)): s = kappa_s ceil(N^(1/2 + 1/5)), and the bundles of all heads hold at most 6
    // s.
    EXPECT_LE(result.sizes.width, 12 * shape.memory_words + 128 * result.sizes.heads);
    mpc::Outputs witness;
    for (std::uint64_t t = 0; t < shape.outputs; ++t)
      witness.push_back(info.decode(*compiled.protocol, t, result.outputs.words[t]));
    EXPECT_EQ(witness, info.oracle(values, parameters));
    ASSERT_TRUE(witness[0] && witness[1] && witness[2]) << "the instance has no triple";
    std::set<std::int64_t> positions;
    std::int64_t sum = 0;
    for (const auto& position : witness) {
      positions.insert(*position);
      sum += values.at(static_cast<std::size_t>(*position - 1));
    }
    EXPECT_EQ(positions.size(), 3u);
    EXPECT_EQ(sum, 0);
    fmt::print("three_sum N 2^{}: R {} D {} L {}, q {}, s {}, width {} of {}; evaluated {:.3f} s\n", bits,
               rounds, digits, result.sizes.depth, shape.machines, shape.memory_words, result.sizes.width,
               12 * shape.memory_words + 128 * result.sizes.heads, result.evaluate_seconds);
  }
}
TEST(Library, ThreeSumInAsManyLayersAtEveryN) {
  check_three_sum_layers(8, 10);
}
TEST(LibraryLong, ThreeSumInAsManyLayersAtEveryN) {
  check_three_sum_layers(8, 12);
}

TEST(Library, NoProtocolIsLeftOut) {
  std::set<std::string> compiled;
  for (const auto* cases : {&kCases, &kMoreCases, &kPrograms}) {
    for (const Case& one : *cases) compiled.insert(one.protocol);
  }
  for (const mpc::ProtocolInfo* info : mpc::all_protocols())
    EXPECT_TRUE(compiled.contains(info->name)) << info->name;
}

TEST(Library, DirectAt256And1024OnBothMechanisms) {
  for (const Case& one : kCases) {
    for (const std::uint64_t n : {256, 1024}) {
      for (const std::string_view mechanism : {"ema", "anna"}) {
        check(one, n, mechanism, parameters_of(one, n));
      }
    }
  }
}

TEST(Library, RoutedAt256And1024WithOneDigitAndWithTwo) {
  for (const Case& one : kCases) {
    for (const std::uint64_t n : {256, 1024}) {
      for (const std::optional<std::uint32_t> digits : {std::optional<std::uint32_t>(), std::optional(2u)}) {
        check(one, n, "ema", parameters_of(one, n),
              {.construction = "routed", .specific = RoutedOptions{.digits = digits}});
      }
    }
    check(one, 256, "anna", parameters_of(one, 256), {.construction = "routed"});
  }
}

TEST(Library, DirectAt4096OnExactMatch) {
  for (const Case& one : kCases) check(one, 4096, "ema", parameters_of(one, 4096));
}

TEST(Library, SumAtAQuarterSelectsTheCoverFreeCodeByItself) {
  mpc::Parameters parameters = parameters_of({"sum", {}}, 4096);
  parameters.epsilon = Rational(1, 4);
  parameters.kappa_s = 1;
  const Compiled compiled = compile("sum", parameters);
  EXPECT_EQ(compiled.protocol->shape().memory_words, 8u);
  EXPECT_NE(compiled.passes[1].effect.find("cover-free: k = 2, P = 23, X = 8: value dimension 4XP = 736"),
            std::string::npos)
      << compiled.passes[1].effect;
  check({"sum", {}}, 4096, "ema", parameters);
}

// ---- every layer in a fresh process

/// Runs layer_process with these arguments to its end; its exit status.
int spawn(const std::vector<std::string>& arguments) {
  const pid_t child = fork();
  if (child == 0) {
    std::vector<char*> argv;
    std::string program = LAYER_PROCESS;
    argv.push_back(program.data());
    std::vector<std::string> copy = arguments;
    for (std::string& argument : copy) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void check_in_fresh_processes(const Case& one, const std::string& construction,
                              const std::string& mechanism) {
  SCOPED_TRACE(one.protocol + " " + construction + " " + mechanism);
  const mpc::ProtocolInfo& info = mpc::find_protocol(one.protocol);
  const mpc::Parameters parameters = parameters_of(one, 256);
  CompileOptions options;
  options.construction = construction;
  const Compiled compiled = compile(one.protocol, parameters, options);
  const std::vector<mpc::Word> input = encode(instance(info, parameters), compiled.protocol->shape());
  const auto attention = make_attention(compiled, "ema");
  const Comparison here = compare(compiled, input, *attention);
  ASSERT_TRUE(here.equal);
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("roundtrip_layers_" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const auto file = [&](std::size_t l) { return (folder / ("array" + std::to_string(l))).string(); };
  input_activations(input, compiled.transformer.tokens).save(file(0));
  std::string list = "-";
  for (const auto& [key, value] : one.options) list = (list == "-" ? "" : list + ",") + key + "=" + value;
  for (std::size_t l = 0; l < compiled.transformer.depth(); ++l) {
    ASSERT_EQ(spawn({one.protocol, "256", "1/2", "0", "1", list, construction, mechanism, std::to_string(l),
                     file(l), file(l + 1)}),
              0);
    std::filesystem::remove(file(l));
  }
  const OutputWords there = read_outputs(anna::Activations::load(file(compiled.transformer.depth())),
                                         compiled.protocol->shape().outputs);
  std::filesystem::remove_all(folder);
  EXPECT_TRUE(there.faulty.empty());
  EXPECT_EQ(there.words, here.run_words);
}

TEST(Library, EveryLayerInAFreshProcessGivesTheSameWords) {
  const Case sum{"sum", {}}, k_hop{"k_hop", {{"k", "4"}}};
  check_in_fresh_processes(sum, "direct", "ema");
  check_in_fresh_processes(sum, "direct", "anna");
  check_in_fresh_processes(sum, "routed", "ema");
  check_in_fresh_processes(k_hop, "direct", "ema");
}

// ---- all exponents; `--gtest_filter=*Long.*` under ctest -C Long

void check_all_exponents(const Case& one, std::uint64_t n) {
  for (const Rational& epsilon : {Rational(1, 3), Rational(1, 2), Rational(2, 3)}) {
    mpc::Parameters parameters = parameters_of(one, n);
    parameters.epsilon = epsilon;
    check(one, n, "ema", parameters);
    for (const Rational& delta : {Rational(1, 10), Rational(1, 5), Rational(3, 10)}) {
      parameters.delta = delta;
      parameters.delta_given = true;
      for (const std::optional<std::uint32_t> digits : {std::optional<std::uint32_t>(), std::optional(2u)})
        check(one, n, "ema", parameters,
              {.construction = "routed", .specific = RoutedOptions{.digits = digits}});
    }
  }
}
void check_all_exponents(std::uint64_t n) {
  for (const Case& one : kCases) check_all_exponents(one, n);
  check_all_exponents(kThreeSum, n);
}

TEST(Library, AllExponentsAt256) {
  check_all_exponents(256);
}
TEST(LibraryLong, AllExponentsAt1024) {
  check_all_exponents(1024);
}
TEST(LibraryLong, AllExponentsAt4096) {
  check_all_exponents(4096);
}
TEST(LibraryLong, AllExponentsOfTheRestAt256) {
  for (const Case& one : kMoreCases) check_all_exponents(one, 256);
}

}  // namespace
}  // namespace roundtrip::simulate
