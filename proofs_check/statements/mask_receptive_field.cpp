// Statement: L layers of window attention reach 2 L w + 1 positions and no further; one global token joins all in two
// layers; with a causal mask no mechanism sees a later token. Receptive fields are measured on the mechanisms.
#include <algorithm>

#include "roundtrip/anna/attention/chunked.h"
#include "roundtrip/anna/attention/mechanisms.h"
#include "roundtrip/anna/attention/performer.h"
#include "roundtrip/anna/attention/polynomial.h"
#include "roundtrip/anna/attention/window.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/receptive_field.h"
#include "roundtrip/proofs_check/spread.h"
#include "roundtrip/proofs_check/statements/statements.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "mask_receptive_field";
constexpr std::uint64_t kWidth = 4;    // w
constexpr std::uint32_t kDeepest = 3;  // L

/// A network of one mechanism, and what is asked of it.
struct Job {
  std::string quantity;
  std::uint64_t n;
  std::uint32_t layers;
  anna::Mechanism mechanism;
  enum class Asks : std::uint8_t { kMost, kLeast, kLater } asks;
  std::uint64_t expected;
  bool one_vector = true;  ///< all queries and keys, so that every key has a weight
};

Job window_job(std::uint64_t n, std::uint32_t layers, const anna::Mechanism& mechanism) {
  return {"window w = 4, L = " + std::to_string(layers) + ": positions that reach a token",
          n,
          layers,
          mechanism,
          Job::Asks::kMost,
          2 * layers * kWidth + 1};
}
Job global_job(std::uint64_t n, const anna::Mechanism& mechanism) {
  return {"one global token, L = 2: positions that reach a token", n, 2, mechanism, Job::Asks::kLeast, n};
}
Job causal_job(std::uint64_t n, const anna::Mechanism& named, const anna::Mechanism& mechanism) {
  return {"causal " + named.name() + ": later positions that reach a token",
          n,
          2,
          mechanism,
          Job::Asks::kLater,
          0,
          named.name() != "polynomial"};  // whose sketch of equal vectors may be 0
}

/// With a mask, or without.
std::vector<anna::Mechanism> averaging(bool masked) {
  anna::AnnaParameters tables{.tables = 2, .functions = 2};
  tables.causal = masked;
  return {anna::ExactMatch{masked},
          anna::Anna{tables, {}, {}},
          anna::Softmax{0.001, masked},
          anna::LowRank{3, 5, masked},
          anna::Performer{3, 5, 64, 8, masked},
          anna::Polynomial{3, 5, 1, masked},
          anna::Window{kWidth, 0.001, 2, masked},
          anna::Chunked{.chunk = 4, .hashings = 2, .functions = 1, .masked = masked}};
}

std::vector<std::vector<Check>> field_checks(const std::vector<Job>& jobs, Context& context) {
  const auto found = spread(context.transport, jobs.size(), [&](std::size_t i) {
    const Job& job = jobs[i];
    context.progress("receptive fields N = " + std::to_string(job.n));
    const ReceptiveField field = receptive_field(job.n, job.layers, job.one_vector, context.seed,
                                                 [&](std::uint32_t) { return job.mechanism.make(); });
    return job.asks == Job::Asks::kMost    ? field.most
           : job.asks == Job::Asks::kLeast ? field.least
                                           : field.later;
  });
  std::vector<std::vector<Check>> all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const Configuration configuration{.theorem = kName, .n = jobs[i].n, .seed = context.seed};
    all.push_back({compare(configuration, jobs[i].quantity, static_cast<double>(found[i]), Relation::kEqual,
                           static_cast<double>(jobs[i].expected))});
  }
  return all;
}

class MaskReceptiveField : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override {
    return "L windows reach 2 L w + 1 positions; a global token joins all in 2 layers; a mask hides what is later";
  }
  std::string card() const override {
    return R"(Problem:   which positions an output depends on, whatever the weights are.
Guarantee: a layer of window attention looks w tokens to each side, so L layers reach 2 L w + 1 positions, exactly, and
           depth N / 2 w is needed to reach all. With one global token two layers reach all N. With a causal mask no
           output of any averaging mechanism depends on a later position.
Check:     every token is perturbed, in a column of its own, and the columns that reach a token are counted, on the
           mechanisms that models have.
Source:    Beltagy, Peters, Cohan 2020 (windows and global tokens); the measurement is ours.)";
  }
  std::vector<Constant> constants() const override {
    return {{"w", "4", "tokens to each side of a window"},
            {"L", "1, 2, 3", "layers of windows; 2 with a global token or a mask"}};
  }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Job> jobs;
    for (const std::uint64_t n : sizes(context.sizes)) {
      for (std::uint32_t layers = 1; layers <= kDeepest; ++layers)
        jobs.push_back(window_job(n, layers, anna::Window{kWidth, 0.001}));
      jobs.push_back(global_job(n, anna::Window{kWidth, 0.001, 1}));
      for (const anna::Mechanism& mechanism : averaging(true))
        jobs.push_back(causal_job(n, mechanism, mechanism));
    }
    std::vector<Check> all;
    for (const auto& checks : field_checks(jobs, context))
      all.insert(all.end(), checks.begin(), checks.end());
    return all;
  }
  std::vector<Metric> metrics(const Context& context) const override {
    std::vector<Metric> all;
    for (const std::uint64_t n : sizes(context.sizes))
      all.push_back({"layers of windows of 4 to reach all: N / 8", n,
                     static_cast<double>((n + 2 * kWidth - 1) / (2 * kWidth))});
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    constexpr std::uint64_t kTokens = 64;
    std::vector<Job> jobs;
    std::vector<std::string> names;
    const auto add = [&](std::string name, Job sound, Job defective) {
      names.push_back(std::move(name));
      jobs.push_back(std::move(sound));
      jobs.push_back(std::move(defective));
    };
    for (std::uint32_t layers = 1; layers <= kDeepest; ++layers) {
      add("windows of 5, L = " + std::to_string(layers),
          window_job(kTokens, layers, anna::Window{kWidth, 0.001}),
          window_job(kTokens, layers, anna::Window{kWidth + 1, 0.001}));
      add("a window to one side, L = " + std::to_string(layers),
          window_job(kTokens, layers, anna::Window{kWidth, 0.001}),
          window_job(kTokens, layers, anna::Window{kWidth, 0.001, 0, true}));
    }
    add("no global token", global_job(kTokens, anna::Window{kWidth, 0.001, 1}),
        global_job(kTokens, anna::Window{kWidth, 0.001}));
    add("a global token that is not seen by all", global_job(kTokens, anna::Window{kWidth, 0.001, 1}),
        global_job(kTokens, anna::Window{kWidth, 0.001, 1, true}));
    const auto masked = averaging(true), open = averaging(false);
    for (std::size_t i = 0; i < masked.size(); ++i)
      add(masked[i].name() + " without a mask", causal_job(kTokens, masked[i], masked[i]),
          causal_job(kTokens, masked[i], open[i]));
    const auto checks = field_checks(jobs, context);
    std::vector<Control> all;
    for (std::size_t i = 0; i < names.size(); ++i)
      all.push_back(judge_control(kName, names[i], jobs[2 * i].quantity, checks[2 * i + 1], checks[2 * i]));
    return all;
  }

 private:
  static std::vector<std::uint64_t> sizes(Sizes sizes) {
    if (sizes == Sizes::kSmall) return {64, 100, 256};
    return {64, 100, 256, 1000};
  }
};

}  // namespace

std::unique_ptr<const Statement> make_mask_receptive_field() {
  return std::make_unique<MaskReceptiveField>();
}

}  // namespace roundtrip::proofs_check
