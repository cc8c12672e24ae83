// How much longer a compiled transformer takes to evaluate than its protocol to run in process: the routed
// k-hop on exact match and on ANNA, against the words that it moves. The sides run in turn; the least time of
// several counts.
//   compiled_bench [N = 4096] [k = 8] [repetitions = 5]
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "roundtrip/base/random.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/compile/compare.h"

namespace {

using namespace roundtrip;

constexpr double kNever = 1e300;

/// Processor time of this thread: what other programs take does not count.
template <typename Work>
double seconds_of(const Work& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

}  // namespace

int main(int argc, char** argv) {
  mpc::Parameters parameters;
  parameters.n = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 4096;
  parameters.options["k"] = argc > 2 ? argv[2] : "8";
  const int repetitions = argc > 3 ? std::atoi(argv[3]) : 5;
  const simulate::Compiled compiled = simulate::compile("k_hop", parameters, {.construction = "routed"});
  const mpc::Shape& shape = compiled.protocol->shape();
  std::vector<mpc::Word> words;
  for (std::uint64_t i = 0; i < parameters.n; ++i)
    words.push_back(
        mpc::encode_input(static_cast<std::int64_t>(draw_below(64, 1, Domain::kInstance, i)), shape, "x"));
  const std::string_view mechanisms[] = {"ema", "anna"};
  std::unique_ptr<anna::Attention> attentions[2];
  for (int m = 0; m < 2; ++m) attentions[m] = simulate::make_attention(compiled, mechanisms[m]);
  const auto transport = mpc::make_in_process_transport();
  mpc::RunResult result;
  double run = kNever, evaluate[2] = {kNever, kNever};
  for (int i = 0; i < repetitions; ++i) {
    run = std::min(run, seconds_of([&] { result = mpc::run(*compiled.protocol, words, *transport); }));
    for (int m = 0; m < 2; ++m) {
      simulate::OutputWords outputs;
      evaluate[m] =
          std::min(evaluate[m], seconds_of([&] {
                     outputs = simulate::read_outputs(
                         anna::evaluate(compiled.transformer, *attentions[m],
                                        simulate::input_activations(words, compiled.transformer.tokens)),
                         shape.outputs);
                   }));
      if (!outputs.faulty.empty() || outputs.words != result.outputs)
        return fmt::print("outputs differ\n"), 1;
    }
  }
  // Words sent by the run; each travels through 2 D layers.
  const std::uint64_t moved = result.ledger.overall().total_words;
  const std::uint64_t layers = compiled.transformer.depth();
  const std::uint64_t hops = (layers - 2) / shape.rounds;
  fmt::print("k_hop k = {}, N = {}: R = {} rounds, {} words; L = {} layers, q = {}\n",
             parameters.options["k"], parameters.n, shape.rounds, moved, layers, shape.machines);
  fmt::print("run             {:9.3f} ms  {:6.1f} ns a word\n", 1e3 * run,
             1e9 * run / static_cast<double>(moved));
  const char* names[] = {"exact match", "anna"};
  for (int m = 0; m < 2; ++m) {
    fmt::print("{:<14}  {:9.3f} ms  {:6.1f} ns a word and layer  ratio {:.1f}\n", names[m], 1e3 * evaluate[m],
               1e9 * evaluate[m] / static_cast<double>(moved * hops), evaluate[m] / run);
  }
  return 0;
}
