// A protocol of one's own: which words lie above the mean? This program is `roundtrip` with one protocol
// more: list, run, compile and verify work on it. Without arguments it compiles and checks it at N = 64.
#include "roundtrip/cli/cli.h"
#include "roundtrip/mpc/registry.h"
#include "roundtrip/mpc/stages/tree_stages.h"
using namespace roundtrip;

/// R = 2 ceil(log_f ceil(N / b)) + 1: sums go up a tree of fan-in f = s - b, their total comes down, and
/// every machine, which has sent its own words to itself all the while, compares.
class AboveMean final : public mpc::Composition {
 public:
  explicit AboveMean(const mpc::Parameters& parameters) {
    const mpc::Sizes sizes = mpc::choose_sizes(parameters, 2, [](const mpc::Sizes& at) {
      return at.memory_words >= at.block_words + 2;  // its own words and two sums; else kappa_s is raised
    });
    shape_ = mpc::declare_shape(parameters, sizes, parameters.n, /*machines=*/1);
    shape_.heap_words = 0;   // a step takes no memory
    shape_.input_bits = 24;  // a sum of up to 2^24 words fits a word of 48 bits
    const auto words = [](const mpc::Context& context) { return context.inbox.words(); };
    const auto leaves = static_cast<std::uint32_t>(shape_.input_machines());
    const auto fan = static_cast<std::uint32_t>(sizes.memory_words - sizes.block_words);
    const mpc::Tree tree = mpc::Tree::over(0, leaves, fan);
    const auto& sum =
        then<mpc::TreeReduce>("add", {.tree = tree,
                                      .load =
                                          [words](const auto& context, auto element) {
                                            element[0] = 0;
                                            for (const mpc::Word word : words(context)) element[0] += word;
                                          },
                                      .combine = [](auto left, auto right) { left[0] += right[0]; },
                                      .keep = words});
    const auto& total = then<mpc::Broadcast>(
        "tell", {.tree = tree,
                 .load = [&sum](const auto& context, auto element) { element[0] = sum.result(context)[0]; },
                 .keep = [&sum](const auto& context) { return sum.kept(context); },
                 .load_scratch_words = 1});
    then("compare", 1, 0, [this, &total](const mpc::Context& context, std::uint32_t) {
      std::uint64_t index = context.machine * shape_.block_words;
      for (const mpc::Word word : total.kept(context))
        context.out.deliver(index++, word * shape_.n > total.result(context)[0] ? 1 : 0);
    });
  }
};

mpc::Outputs by_definition(std::span<const std::int64_t> values, const mpc::Parameters&) {
  std::int64_t sum = 0;
  for (const std::int64_t value : values) sum += value;
  mpc::Outputs outputs;
  for (const std::int64_t value : values) outputs.emplace_back(value * std::ssize(values) > sum ? 1 : 0);
  return outputs;
}

int main(int argc, char** argv) {
  mpc::ProtocolInfo info;
  info.name = "above_mean";
  info.summary = "for every word whether it lies above the mean";
  info.rounds_formula = "2 ceil(log_(s - b) ceil(N / b)) + 1";
  info.kappa_s = 2;
  info.make = [](const mpc::Parameters& parameters) { return std::make_unique<AboveMean>(parameters); };
  info.decode = [](const mpc::Protocol&, std::uint64_t, mpc::Word word) {
    return std::optional<std::int64_t>(word);
  };
  info.oracle = by_definition;
  mpc::register_protocol(info);
  const char* check[] = {argv[0], "compile", "above_mean", "--n", "64", "--check"};
  return argc > 1 ? cli::main(argc, argv) : cli::main(6, const_cast<char**>(check));
}
