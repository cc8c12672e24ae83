#include <algorithm>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/composition.h"

// With N = r m and places j = j1 m + j2, outputs k = k1 + r k2, a transform of N is r-point transforms over j1 for each j2, a
// factor w^(j2 k1), and m-point transforms over j2 for each k1. A pass does the first, for as many groups of r a machine as it
// has memory for; the next pass does the same with m. After passes of radices r_1 .. r_i an element is (a, j), a = k mod P its
// part of the output's place, P = r_1 .. r_i, and j < N / P.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kDefaultKappa = 4;
// 15 2^27 + 1 is prime, and 31 generates its units: it has roots of unity of every order that divides 15 2^27.
constexpr Word kPrime = 2013265921, kGenerator = 31;
constexpr std::uint32_t kValueBits = 31, kSlotBits = 17;

Word power(Word base, std::uint64_t exponent) {
  Word result = 1;
  for (; exponent > 0; exponent /= 2, base = base * base % kPrime)
    if (exponent % 2 == 1) result = result * base % kPrime;
  return result;
}

struct Pass {
  std::uint64_t radix = 1;   ///< r
  std::uint64_t before = 1;  ///< P, the product of the radices of passes before
  std::uint64_t behind = 1;  ///< m, of those behind
  std::uint64_t groups = 1;  ///< a machine
};

/// Most words of a machine that take part: a slot has kSlotBits.
std::uint64_t slots(std::uint64_t memory_words) {
  return std::min(memory_words, std::uint64_t{1} << kSlotBits);
}

/// The largest radix that divides what is left, again and again; nothing if a prime factor of N is above s.
std::vector<Pass> passes(std::uint64_t n, std::uint64_t memory_words) {
  std::vector<Pass> list;
  std::uint64_t before = 1;
  do {
    std::uint64_t radix = std::min(slots(memory_words), n / before);
    while (n / before % radix != 0) --radix;
    if (radix == 1 && n > 1) return {};
    list.push_back({radix, before, n / before / radix, slots(memory_words) / radix});
    before *= radix;
  } while (before < n);
  return list;
}

struct Plan {
  Sizes sizes{};
  std::vector<Pass> passes{};
};

Plan make_plan(const Parameters& parameters) {
  const std::uint64_t n = parameters.n;
  require(n > 0 && (kPrime - 1) % n == 0, "N is {}, allowed for fft is a divisor of 15 2^27 (a power of two)",
          n);
  Plan plan;
  plan.sizes = choose_sizes(parameters, kDefaultKappa, [&](const Sizes& sizes) {
    plan.passes = passes(n, sizes.memory_words);
    return !plan.passes.empty();
  });
  return plan;
}

bool inverse(const Parameters& parameters) {
  return parameters.integer_option("inverse", 0, 0, 1) == 1;
}

class Fft final : public Composition {
 public:
  explicit Fft(const Parameters& parameters)
      : passes_(make_plan(parameters).passes), inverse_(inverse(parameters)) {
    std::uint64_t machines = 1;
    for (const Pass& pass : passes_)
      machines = std::max(machines, ceil_div(pass.before * pass.behind, pass.groups));
    shape_ = declare_shape(parameters, make_plan(parameters).sizes, parameters.n, machines);
    root_ = power(kGenerator, (kPrime - 1) / shape_.n);
    if (inverse_) root_ = power(root_, shape_.n - 1);
    then("to the first groups", 1, 0, [this](const Context& context, std::uint32_t) {
      std::uint64_t place = context.machine * shape_.block_words;
      constexpr auto kSigned = static_cast<std::int64_t>(kPrime);
      for (const Word word : context.inbox.words()) {
        const std::int64_t rest = decode_input(word, shape_) % kSigned;
        send(context, passes_[0], 0, place++, static_cast<Word>(rest < 0 ? rest + kSigned : rest));
      }
    });
    for (std::size_t i = 0; i < passes_.size(); ++i) {
      const Pass& pass = passes_[i];
      then(fmt::format("transforms of {}", pass.radix), 1, slots(shape_.memory_words) + pass.radix,
           [this, i](const Context& context, std::uint32_t) { transform(context, i); });
    }
    shape_.validate();
  }

 private:
  static void send(const Context& context, const Pass& pass, std::uint64_t a, std::uint64_t j, Word value) {
    const std::uint64_t group = a * pass.behind + j % pass.behind;
    const std::uint64_t slot = group % pass.groups * pass.radix + j / pass.behind;
    context.out.send(static_cast<MachineId>(group / pass.groups), slot << kValueBits | value);
  }

  void transform(const Context& context, std::size_t index) const {
    const Pass& pass = passes_[index];
    const std::uint64_t radix = pass.radix, first = context.machine * pass.groups;
    const std::uint64_t groups = pass.before * pass.behind;
    if (first >= groups) return;
    const std::uint64_t count = std::min(pass.groups, groups - first);
    const std::span<Word> values = context.take(count * radix), powers = context.take(radix);
    std::ranges::fill(values, 0);
    for (const Word word : context.inbox.words()) {
      const Word slot = word >> kValueBits, value = word & ((Word{1} << kValueBits) - 1);
      expect_received(slot < values.size() && value < kPrime);
      values[slot] = value;
    }
    const Word step = power(root_, pass.before * pass.behind);  // of order r
    for (std::uint64_t i = 0; i < radix; ++i) powers[i] = i == 0 ? 1 : powers[i - 1] * step % kPrime;
    const Word scale = inverse_ && pass.behind == 1 ? power(shape_.n, kPrime - 2) : 1;
    for (std::uint64_t group = 0; group < count; ++group) {
      const std::uint64_t a = (first + group) / pass.behind, j = (first + group) % pass.behind;
      const Word turn = power(root_, pass.before * j);
      Word factor = scale;
      for (std::uint64_t k = 0; k < radix; ++k, factor = factor * turn % kPrime) {
        Word sum = 0;
        for (std::uint64_t i = 0, at = 0; i < radix; ++i, at = at + k < radix ? at + k : at + k - radix)
          sum = (sum + values[group * radix + i] * powers[at]) % kPrime;
        const std::uint64_t output = a + pass.before * k;
        const Word value = sum * factor % kPrime;
        if (pass.behind == 1) {
          context.out.deliver(output, value);
        } else {
          send(context, passes_[index + 1], output, j, value);
        }
      }
    }
  }

  std::vector<Pass> passes_;
  bool inverse_;
  Word root_ = 1;
};

}  // namespace

std::uint32_t fft_rounds(const Parameters& parameters) {
  return 1 + static_cast<std::uint32_t>(make_plan(parameters).passes.size());
}

ProtocolInfo fft_protocol() {
  ProtocolInfo info;
  info.name = "fft";
  info.summary = "the discrete Fourier transform over a prime field, exactly";
  info.card =
      R"(Problem: N words x_j modulo the prime p = 15 2^27 + 1, N a divisor of p - 1 (a power of two up to 2^27, or 3, 5 or 15
times one). Output k is the sum of x_j w^(j k) modulo p, w = 31^((p - 1) / N); with inverse = 1 the inverse transform.
Guarantee: exact and deterministic.
Cost: R = F + 1 with F passes: each takes the largest radix up to min(s, 2^17) that divides what is left of N, so
F <= ceil(log_(s / 2) N) for powers of two; at most s words sent and received by a machine, s = kappa_s b, kappa_s = 4 (at
least the largest prime factor of N / b). A machine transforms a group of r in r^2 multiplications.
Source: Cooley, Tukey 1965, decimation in frequency with the radix as large as the memory (Aggarwal, Vitter 1988);
over a prime field, Pollard 1971.)";
  info.rounds_formula = "F + 1";
  info.kappa_s = kDefaultKappa;
  info.options = {{"inverse", "0", "1 is the inverse transform"}};
  info.make = [](const Parameters& parameters) { return std::make_unique<Fft>(parameters); };
  info.decode = [](const Protocol&, std::uint64_t, Word word) {
    return std::optional(static_cast<std::int64_t>(word));
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    return oracles::fourier(values, inverse(parameters));
  };
  return info;
}

}  // namespace roundtrip::mpc
