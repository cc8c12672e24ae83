// Statement: what the constructions rest on is what it is said to be: draws below a bound, checkpoints, packet codes,
// circuits of ReLU units, low-rank features. Each is compared with its definition, written again by the verifier.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>

#include "roundtrip/anna/attention/low_rank.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/proofs_check/cases.h"
#include "roundtrip/proofs_check/statements/statements.h"
#include "roundtrip/proofs_check/statistics.h"
#include "roundtrip/proofs_check/toy_protocol.h"
#include "roundtrip/simulate/compile/packet_code.h"
#include "roundtrip/simulate/native/relu_circuit.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kName = "building_blocks";
constexpr std::uint64_t kCircuitNumbers = 16;  // x and y of circuits are 0 .. 15
constexpr std::uint64_t kCheckpointSize = 1000;

Check equal_to_zero(std::uint64_t n, std::string quantity, std::uint64_t wrong, const Context& context) {
  return compare({.theorem = kName, .n = n, .seed = context.seed}, std::move(quantity),
                 static_cast<double>(wrong), Relation::kEqual, 0);
}

// ------------------------------------------------------------------------------------------------------ draws

/// Number i of a sequence of draws below a bound.
using Draws = std::function<std::uint64_t(std::uint64_t bound, std::uint64_t i)>;

struct Generator {
  std::string name;
  Draws draws;
};
std::vector<Generator> generators(std::uint64_t seed) {
  return {{"draws of a stream: ",
           [stream = RandomStream(seed, Domain::kTest, 71)](std::uint64_t bound, std::uint64_t) mutable {
             return stream.below(bound);
           }},
          {"draws by number: ", [seed](std::uint64_t bound, std::uint64_t i) {
             return draw_below(bound, seed, Domain::kTest, 72, i);
           }}};
}

/// Of 64 draws for each value below the bound (one is missed with probability below 2^-80).
Check bound_check(const Generator& generator, std::uint64_t bound, const Context& context) {
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 64 * bound; ++i) seen.insert(generator.draws(bound, i));
  const auto beyond = static_cast<std::uint64_t>(std::distance(seen.lower_bound(bound), seen.end()));
  return equal_to_zero(bound, generator.name + "values missed, or not below the bound",
                       bound - (seen.size() - beyond) + beyond, context);
}

/// A remainder of 64 bits by 3 * 2^62 is in the lowest third half of the time.
Check third_check(const Generator& generator, Context& context) {
  constexpr std::uint64_t kThird = std::uint64_t{1} << 62;
  const std::uint64_t trials = context.sizes == Sizes::kSmall ? 2000 : 20000;
  std::uint64_t lowest = 0;
  for (std::uint64_t i = 0; i < trials; ++i) lowest += generator.draws(3 * kThird, i) < kThird;
  return compare_interval({.theorem = kName, .n = trials, .seed = context.seed},
                          generator.name + "P[below 2^62, of 3 * 2^62]",
                          static_cast<double>(lowest) / static_cast<double>(trials),
                          clopper_pearson(lowest, trials, context.alarm), Relation::kEqual, 1.0 / 3, 0.12);
}

// ------------------------------------------------------------------------------------------------ checkpoints

/// What a control does to the comparison.
enum class Mutant : std::uint8_t { kNothing, kUndamaged, kAltered };

/// Checkpoints of the toy protocol that are taken though one byte of one file was changed, or they are of a run on
/// another input; and 1 if the whole one is refused, or goes on to other outputs.
std::uint64_t checkpoints_mistaken(Mutant mutant, std::uint64_t seed) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / ("roundtrip-verify-" + std::to_string(getpid()));
  fs::remove_all(folder);
  struct Removed {
    const fs::path& folder;
    ~Removed() {
      std::error_code ignored;
      fs::remove_all(folder, ignored);
    }
  } const removed{folder};
  const ToyProtocol protocol(toy_expectation(kCheckpointSize), {}, 0);
  std::vector<mpc::Word> input(kCheckpointSize), other(kCheckpointSize);
  for (std::uint64_t i = 0; i < input.size(); ++i) {
    input[i] = draw(seed, Domain::kTest, 73, i) >> 16;
    other[i] = input[i] ^ (i == kCheckpointSize / 2);
  }
  const auto transport = mpc::make_in_process_transport();
  const std::atomic<bool> stop = true;
  mpc::RunOptions first;
  first.checkpoint.directory = folder;
  first.checkpoint.stop = &stop;
  mpc::run(protocol, input, *transport, first);
  /// Whether the run goes on from there, to the right outputs.
  const auto taken = [&](const std::vector<mpc::Word>& words) {
    mpc::RunOptions resumed;
    resumed.checkpoint.resume = folder;
    try {
      return mpc::run(protocol, words, *transport, resumed).outputs.size() == words.size() ? 1 : 0;
    } catch (const Error&) {
      return 0;
    }
  };
  mpc::RunOptions resumed;
  resumed.checkpoint.resume = folder;
  std::uint64_t mistaken = 1;
  try {
    mistaken = mpc::run(protocol, input, *transport, resumed).outputs !=
               (mutant == Mutant::kAltered ? other : input);
  } catch (const Error&) {
  }
  mistaken += taken(other);
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(folder)) files.push_back(file.path());
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string whole{std::istreambuf_iterator<char>(in), {}};
    for (std::size_t part = 0; part <= 8 && !whole.empty(); ++part) {
      std::string damaged = whole;
      const std::uint64_t at = part == 0   ? 0
                               : part == 8 ? whole.size() - 1
                                           : draw_below(whole.size(), seed, Domain::kTest, 76, part);
      damaged[at] = static_cast<char>(damaged[at] ^ (mutant == Mutant::kUndamaged ? 0 : 1));
      std::ofstream(file, std::ios::binary) << damaged;
      mistaken += taken(input);
    }
    std::ofstream(file, std::ios::binary) << whole;
  }
  return mistaken;
}

Check checkpoint_check(Mutant mutant, Context& context) {
  context.progress("checkpoints");
  const std::uint64_t mistaken =
      mpc::from_root(context.transport, [&] { return checkpoints_mistaken(mutant, context.seed); });
  return equal_to_zero(kCheckpointSize, "checkpoints: damaged or others' taken, whole ones refused", mistaken,
                       context);
}

// --------------------------------------------------------------------------------------------------- circuits

/// y = clamp(relu(round((W x + b) / 2^drop))) stage by stage, half to even; all fraction bits of rows are 0.
std::vector<std::int64_t> evaluated(const anna::WeightMap& map, std::vector<std::int64_t> x) {
  std::uint32_t fraction = 0;
  for (const anna::Stage& stage : map) {
    const std::uint32_t drop = fraction + stage.weight_fraction_bits - stage.output_fraction_bits;
    std::vector<std::int64_t> y;
    for (std::uint32_t row = 0; row < stage.outputs; ++row) {
      std::int64_t sum = stage.bias[row];
      for (std::uint32_t i = 0; i < stage.inputs; ++i) sum += stage.weight(row, i) * x[i];
      const auto rounded =
          static_cast<std::int64_t>(std::nearbyint(std::ldexp(sum, -static_cast<int>(drop))));
      y.push_back(stage.relu ? std::max<std::int64_t>(0, rounded) : rounded);
      if (stage.clamp) y.back() = std::clamp(y.back(), -stage.clamp[row], stage.clamp[row]);
    }
    x = std::move(y);
    fraction = stage.output_fraction_bits;
  }
  return x;
}

Check circuit_check(bool altered, const Context& context) {
  constexpr std::uint32_t kBits = 5;
  constexpr std::uint32_t kShifts = 4;
  using Circuit = simulate::ReluCircuit;
  using simulate::Affine;
  const auto floor_shifted = [](std::int64_t x, std::uint32_t bits) { return x < 0 ? 0 : x >> bits; };
  std::uint64_t wrong = altered;
  for (std::uint32_t kind = 0; kind < 3 + kShifts; ++kind) {
    Circuit circuit(2);
    const Affine x = circuit.input(0);
    const Affine y = circuit.input(1);
    std::vector<Affine> outputs;
    if (kind == 0) outputs = {circuit.relu(x - 3 * y + 2), circuit.relu(y - x)};
    if (kind == 1) outputs = {circuit.step(x - y), circuit.both(circuit.step(x - 4), circuit.step(y - 7))};
    if (kind == 2) outputs = circuit.bits_of(x + y, kBits);
    if (kind >= 3) outputs = {circuit.floor_shift(3 * x - 2 * y + 1, kind - 2)};
    const anna::WeightMap map = circuit.compile(outputs);
    for (std::int64_t a = 0; a < static_cast<std::int64_t>(kCircuitNumbers); ++a) {
      for (std::int64_t b = 0; b < static_cast<std::int64_t>(kCircuitNumbers); ++b) {
        std::vector<std::int64_t> expected;
        if (kind == 0)
          expected = {std::max<std::int64_t>(0, a - 3 * b + 2), std::max<std::int64_t>(0, b - a)};
        if (kind == 1) expected = {a > b, a > 4 && b > 7};
        if (kind == 2) {
          for (std::uint32_t k = 0; k < kBits; ++k) expected.push_back((a + b) >> k & 1);
        }
        if (kind >= 3) expected = {floor_shifted(3 * a - 2 * b + 1, kind - 2)};
        wrong += evaluated(map, {a, b}) != expected;
      }
    }
  }
  return equal_to_zero(kCircuitNumbers, "ReLU circuits: numbers unlike the formulas'", wrong, context);
}

// --------------------------------------------------------------------------------------------------- features

/// phi_r(x) = max(1, <g_r, x> / sigma rounded half to even).
Check feature_check(std::uint32_t dimension, bool altered, const Context& context) {
  constexpr std::uint32_t kRank = 7;
  constexpr int kVectors = 200;
  const anna::PositiveFeatures features(kRank, context.seed, dimension);
  RandomStream random(context.seed, Domain::kTest, 74, dimension);
  std::uint64_t wrong = altered;
  for (int vector = 0; vector < kVectors; ++vector) {
    std::vector<std::int32_t> x(dimension);
    // Small ones, whose quotients are near 0 and 1, and large ones.
    const std::uint64_t magnitude = vector % 2 == 0 ? 4 : 30000;
    for (std::int32_t& coordinate : x)
      coordinate =
          static_cast<std::int32_t>(random.below(2 * magnitude + 1)) - static_cast<std::int32_t>(magnitude);
    std::vector<std::int64_t> seen(kRank);
    features.of(x, seen);
    for (std::uint32_t r = 0; r < kRank; ++r) {
      std::int64_t dot = 0;
      for (std::uint32_t i = 0; i < dimension; ++i)
        dot +=
            std::int64_t{x[i]} * anna::gaussian(draw(context.seed, Domain::kHash, ~std::uint64_t{2}, r, i));
      // Exact in double: a sum below 2^53 by a power of two.
      const double quotient = std::nearbyint(static_cast<double>(dot) / anna::kGaussianSigma);
      wrong += static_cast<double>(seen[r]) != std::max(1.0, quotient);
    }
  }
  return equal_to_zero(dimension, "low-rank features: numbers unlike the definition's", wrong, context);
}

// ---------------------------------------------------------------------------------------------------- packets

/// Averages that no senders can have made, as a cover-free code of 9 sources, of which 2 may meet, decodes them: one
/// packet that counts as two; a source with two words; a source that there is not; a number beyond the dimension; a
/// negative one. `genuine`: those of one packet, expected to be refused.
Check forged_check(bool genuine, const Context& context) {
  constexpr std::uint32_t kSources = 9;
  const simulate::PacketCoder coder(simulate::PacketCode::kCoverFree, kSources, 2);
  const auto packet = [&](std::uint32_t source, mpc::Word word) {
    std::vector<anna::Entry> entries;
    coder.encode(source, word, [&](std::uint32_t column, double value) {
      if (value != 0) entries.push_back({column, value});
    });
    std::ranges::sort(entries, {}, &anna::Entry::column);
    return entries;
  };
  std::vector<std::vector<anna::Entry>> averages;
  for (std::uint32_t source = 1; source < kSources; ++source) {
    if (genuine) {
      averages.push_back(packet(source, 6));
      continue;
    }
    std::vector<anna::Entry> half = packet(source, 6);  // as if another packet had come that left no trace
    for (anna::Entry& entry : half) entry.value /= 2;
    averages.push_back(half);
    half.back().value = 4;  // its last slot says 8
    averages.push_back(half);
    averages.push_back(packet(source, 6));
    for (anna::Entry& entry : averages.back()) {  // source 9, whose square is 81
      if (entry.column % 4 == 1) entry.value = kSources;
      if (entry.column % 4 == 2) entry.value = kSources * kSources;
    }
    averages.push_back(packet(source, 6));
    averages.back().push_back({coder.value_dimension(), 0});
    averages.push_back(packet(source, 6));
    averages.back()[0].value = -1;
  }
  std::uint64_t taken = 0;
  for (const std::vector<anna::Entry>& average : averages) {
    std::vector<simulate::Packet> packets;
    taken += coder.decode(average, packets) == simulate::DecodeError::kNone;
  }
  return equal_to_zero(kSources, "packet codes: forged averages taken", taken, context);
}

class BuildingBlocks final : public Statement {
 public:
  std::string name() const override { return kName; }
  std::string title() const override { return "draws, checkpoints, circuits and features are as defined"; }
  std::string card() const override {
    return R"(Problem:   whether what the constructions rest on is what they take it for.
Guarantee: draws below a bound are uniform; a checkpoint is taken if it is whole and of the same run, and only then;
           circuits of ReLU units compute their formulas; features of low-rank attention are those of its definition.
Check:     values and rates of both kinds of draws; the checkpoint of a run with one byte changed at nine places of each
           of its files, with another input, and whole; averages that no packets have; circuits of each kind of unit on all
           pairs below 16, evaluated
           by the verifier; features in dimensions 1, 8 and 64 by integer sums of its own.
Source:    ours. Draws: Salmon, Moraes, Dror, Shaw 2011; Lemire 2019.)";
  }
  std::vector<Constant> constants() const override {
    return {{"bounds", "7, 10, 16; 3 * 2^62", "of draws"}, {"rank", "7", "of features"}};
  }
  std::uint32_t statistical_checks(Sizes) const override { return 5; }
  std::vector<Check> checks(Context& context) const override {
    std::vector<Check> all;
    for (const Generator& generator : generators(context.seed)) {
      for (const std::uint64_t bound : {7, 10, 16}) {
        if (context.wants(generator.name, bound)) all.push_back(bound_check(generator, bound, context));
      }
      if (context.wants(generator.name, 2000) || context.wants(generator.name, 20000))
        all.push_back(third_check(generator, context));
    }
    if (context.wants("checkpoints: ", kCheckpointSize))
      all.push_back(checkpoint_check(Mutant::kNothing, context));
    if (context.wants("packet codes", 9)) all.push_back(forged_check(false, context));
    if (context.wants("ReLU", kCircuitNumbers)) all.push_back(circuit_check(false, context));
    for (const std::uint32_t dimension : {1, 8, 64}) {
      if (context.wants("low-rank", dimension)) all.push_back(feature_check(dimension, false, context));
    }
    return all;
  }
  std::vector<Control> controls(Context& context) const override {
    std::vector<Control> all;
    const auto judge = [&](const char* control, const Check& defective, const Check& sound) {
      all.push_back(judge_control(kName, control, sound.quantity, {defective}, {sound}));
    };
    const Generator sound = generators(context.seed)[0];
    const auto with = [&](const Draws& draws) { return Generator{sound.name, draws}; };
    judge("the bound itself is drawn",
          bound_check(with([&](std::uint64_t bound, std::uint64_t i) { return sound.draws(bound + 1, i); }),
                      10, context),
          bound_check(sound, 10, context));
    judge("a remainder in place of a draw",
          third_check(with([&](std::uint64_t bound, std::uint64_t i) {
                        return draw(context.seed, Domain::kTest, 75, i) % bound;
                      }),
                      context),
          third_check(sound, context));
    const Check whole = checkpoint_check(Mutant::kNothing, context);
    judge("checkpoints without damage, expected to be refused", checkpoint_check(Mutant::kUndamaged, context),
          whole);
    judge("one output altered", checkpoint_check(Mutant::kAltered, context), whole);
    judge("averages of real packets, expected to be refused", forged_check(true, context),
          forged_check(false, context));
    judge("one number altered", circuit_check(true, context), circuit_check(false, context));
    judge("one number altered", feature_check(8, true, context), feature_check(8, false, context));
    return all;
  }
};

}  // namespace

std::unique_ptr<const Statement> make_building_blocks() {
  return std::make_unique<BuildingBlocks>();
}

}  // namespace roundtrip::proofs_check
