#include <algorithm>
#include <bit>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"
#include "roundtrip/mpc/stages/composition.h"

// MapReduce's word count with a combiner, on a butterfly: in round j + 1 machine i and the machine whose number
// differs in bit j exchange counts, so that the words with bit j of i stay. After d rounds machine i has all counts of
// the words that are i modulo 2^d, each added up on the way.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kMostWords = std::uint64_t{1} << 20;

/// d with 2^d >= ceil(N / b).
std::uint32_t dimension(std::uint64_t n, std::uint64_t b) {
  return ceil_log(2, ceil_div(n, b));
}

/// The most words that a machine may receive. After round j + 1 two machines have met whose words agree in j + 1 bits:
/// at most ceil(N / 2^(j+1)) different ones each, and no more than 2^(j+1) b words stand behind both.
std::uint64_t needed_words(std::uint64_t n, std::uint64_t b) {
  std::uint64_t most = b;
  for (std::uint32_t j = 1; j <= dimension(n, b); ++j)
    most = std::max(most, std::min(2 * ceil_div(n, std::uint64_t{1} << j), b << j));
  return most;
}

Sizes word_count_sizes(const Parameters& parameters) {
  require(parameters.n <= kMostWords, "N is {}, allowed is 1 to 2^20 for word_count", parameters.n);
  return choose_sizes(parameters, 1, [&](const Sizes& at) {
    return at.memory_words >= needed_words(parameters.n, at.block_words);
  });
}

class WordCount final : public Composition {
 public:
  explicit WordCount(const Parameters& parameters)
      : bits_(static_cast<std::uint32_t>(std::bit_width(parameters.n))) {
    const Sizes sizes = word_count_sizes(parameters);
    const std::uint32_t d = dimension(parameters.n, sizes.block_words);
    shape_ = declare_shape(parameters, sizes, parameters.n, std::uint64_t{1} << d);
    shape_.heap_words = 0;
    then("exchange counts", d, sizes.memory_words, [this](const Context& context, std::uint32_t round) {
      const Word bit = Word{1} << (round - 1);
      for (const Word word : counted(context, round == 1))
        context.out.send(static_cast<MachineId>(context.machine ^ ((word ^ context.machine) & bit)), word);
    });
    then("deliver", 1, sizes.memory_words, [this, d](const Context& context, std::uint32_t) {
      const std::span<const Word> counts = counted(context, d == 0);
      const std::uint64_t owners = std::uint64_t{1} << d;
      if (context.machine >= owners) return;
      std::size_t next = 0;
      for (std::uint64_t t = context.machine; t < shape_.n; t += owners) {
        const bool found = next < counts.size() && low(counts[next]) == t;
        context.out.deliver(t, found ? counts[next++] >> bits_ : 0);
      }
      expect_received(next == counts.size());
    });
    shape_.validate();
  }

 private:
  Word low(Word word) const { return word & ((Word{1} << bits_) - 1); }

  /// What arrived as (count, word), each word once, by word.
  std::span<const Word> counted(const Context& context, bool input) const {
    const std::span<const Word> arrived = context.inbox.words();
    const std::span<Word> counts = context.take(arrived.size());
    for (std::size_t i = 0; i < arrived.size(); ++i) {
      const Word symbol = arrived[i] - (Word{1} << (shape_.input_bits - 1));
      counts[i] = input ? Word{1} << bits_ | symbol : arrived[i];
      expect_received((input ? symbol : low(counts[i])) < shape_.n && counts[i] >> bits_ <= shape_.n);
    }
    std::ranges::sort(counts, {}, [this](Word word) { return low(word); });
    std::size_t kept = 0;
    for (const Word word : counts) {
      if (kept > 0 && low(counts[kept - 1]) == low(word))
        counts[kept - 1] += word >> bits_ << bits_;
      else
        counts[kept++] = word;
    }
    return counts.first(kept);
  }

  std::uint32_t bits_;  // of a word's number, and of a count
};

}  // namespace

std::uint32_t word_count_rounds(const Parameters& parameters) {
  return dimension(parameters.n, word_count_sizes(parameters).block_words) + 1;
}

ProtocolInfo word_count_protocol() {
  ProtocolInfo info;
  info.name = "word_count";
  info.program = "word_count_program";
  info.summary = "how often every word occurs: map, combine and reduce on a butterfly";
  info.card =
      R"(Problem: N <= 2^20 words, each a number from 0 to N - 1 (as words of a text are numbered); output t is how often
number t occurs.
Guarantee: exact and deterministic, whatever the words are: equal ones are added up on the way, so that a word that
is everywhere overloads nobody.
Precondition: every word is from 0 to N - 1.
Cost: R = ceil(log2 ceil(N / b)) + 1 rounds; at most s = kappa_s b words sent and received by a machine, kappa_s the least
with s >= max_j min(2 ceil(N / 2^j), 2^j b), about sqrt(2 N / b); q = 2^(R - 1).
Source: word count with a combiner, Dean and Ghemawat 2004; the butterfly is folklore.)";
  info.rounds_formula = "ceil(log2 ceil(N / b)) + 1";
  info.kappa_s = 1;
  info.example = {.text = "the cat saw the dog and the dog saw the cat so the cat sat down",
                  .epsilon = {1, 4}};
  info.make = [](const Parameters& parameters) { return std::make_unique<WordCount>(parameters); };
  info.decode = [](const Protocol&, std::uint64_t, Word word) {
    return std::optional<std::int64_t>(static_cast<std::int64_t>(word));
  };
  info.accept = [](std::span<const std::int64_t> values, const Parameters& parameters) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      require(values[i] >= 0 && static_cast<std::uint64_t>(values[i]) < parameters.n,
              "word {} is {}, allowed is 0 to N - 1 = {}", i, values[i], parameters.n - 1);
    }
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) {
    return oracles::word_count(values);
  };
  return info;
}

}  // namespace roundtrip::mpc
