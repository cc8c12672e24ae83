#include <algorithm>
#include <bit>
#include <functional>
#include <vector>

#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/pattern_sort.h"
#include "roundtrip/mpc/protocols/program_input.h"

// Programs in which every position asks for what has a key. A position puts two records down, what it has and what it asks
// for; sorted by key, what it asks for lies before the question, and is the largest of all that is there before it.
namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kElementWords = 4;
constexpr std::uint64_t kBlocks =
    8;  // two blocks of two records a word, kept and sent, and the scan's elements

Sizes ask_sizes(const Parameters& parameters) {
  return pattern_sort_sizes(parameters, "a program that asks", kElementWords, kBlocks);
}

Shape ask_shape(const Parameters& parameters, std::int64_t bits) {
  const Parameters with =
      with_element_machines(parameters, ask_sizes(parameters), "a program that asks", std::uint64_t{1} << 16);
  Shape shape = declare_shape(with, ask_sizes(parameters), parameters.n, 1);
  shape.input_bits = static_cast<std::uint32_t>(bits);
  shape.word_bits = shape.input_bits;
  return shape;
}

/// A record is one number: its key, whether it asks, and what goes with it: a word, or the position that asks.
class AskProgram : public PatternSortProgram {
 protected:
  struct Asked {
    Affine key_of_question,
        data;  ///< `data`: the last record before it that has something, plus 1; 0 for none
  };
  AskProgram(const Parameters& parameters, std::int64_t bits)
      : PatternSortProgram(ask_shape(parameters, bits)),
        sorters_(pattern_sort_machines(parameters.n, ask_sizes(parameters))) {}
  std::uint32_t machines() const override { return sorters_; }

  /// `keys`: below it; `payloads`: below it, N at least. has(i) and asks(i) are of place i of the block: key and payload,
  /// and a key. Ends with deliver(): answer(question) of limit `most`.
  struct Has {
    Affine key, payload;
  };
  void run(std::int64_t keys, std::int64_t payloads, const std::function<Has(std::uint32_t)>& has,
           const std::function<Affine(std::uint32_t)>& asks,
           const std::function<Affine(const Asked&)>& answer, std::int64_t most) {
    const std::uint64_t n = shape().n;
    const std::uint32_t b = static_cast<std::uint32_t>(shape().block_words);
    const std::int64_t elements = static_cast<std::int64_t>(n),
                       none = 2 * keys * payloads;  // after all records
    active(sorters_);
    const Affine first = tape().table([b](MachineId m) { return std::int64_t{m} * b; });
    std::vector<Affine> records;
    for (std::uint32_t i = 0; i < b; ++i) {
      const Affine gone = 2 * none * missing(i);
      const Has there = has(i);
      records.push_back(tape().clamp(2 * payloads * there.key + there.payload + gone, none));
      records.push_back(tape().clamp(2 * payloads * asks(i) + payloads + first + i + gone, none));
    }
    records = sorted_blocks(records, none, sorters_);

    // The largest record that has something: of the machine, and of all before it.
    const auto upper = [&](const Affine& record) {
      return tape().floor_shift(record, log2(payloads));
    };  // 2 key + asks
    const auto asking = [&](const Affine& record) {
      return upper(record) - 2 * tape().floor_shift(record, log2(payloads) + 1);
    };
    const auto held = [&](const Affine& record) {  // the record plus 1, 0 if it asks or is none
      return tape().gate(record + 1, 1 - asking(record) - tape().step(record - (none - 1)), none);
    };
    Element last{0};
    for (const Affine& record : records) last[0] = tape().max(last[0], held(record));
    const std::uint32_t fan =
        std::max(2u, widest_fan(shape().memory_words, 2 * std::uint64_t{b}, 1, sorters_));
    auto [before, own] = scan(
        last, {none}, records, none, fan,
        [this](const Element& left, const Element& right) { return Element{tape().max(left[0], right[0])}; });
    std::vector<Addressed> lists;
    Affine data = before[0];
    for (const Affine& record : own) {
      const Affine question = asking(record), told = tape().step(question - tape().step(record - (none - 1)));
      const Affine position = record - payloads * upper(record);
      lists.push_back(
          {{tape().gate(position + 1, told, payloads), elements},
           {{tape().gate(answer({tape().floor_shift(record, log2(payloads) + 1), data}), told, most),
             most}}});
      data = tape().max(data, held(record));
    }
    send_addressed("to elements", lists);
    active(shape().machines);
    Affine result;
    for (std::uint32_t i = 0; i < own.size(); ++i) result += received(i);
    deliver(
        {{result, most}}, [n](MachineId m) { return m < n ? 1u : 0u; },
        [](MachineId m, std::uint32_t) { return m; });
  }

 public:
  static std::uint32_t rounds_of(const Parameters& parameters) {
    const Sizes sizes = ask_sizes(parameters);
    const std::uint32_t sorters = pattern_sort_machines(parameters.n, sizes);
    const auto levels = static_cast<std::uint32_t>(std::countr_zero(sorters));
    const std::uint32_t fan = std::max(2u, widest_fan(sizes.memory_words, 2 * sizes.block_words, 1, sorters));
    return levels * (levels + 1) / 2 + 2 * ceil_log(fan, sorters) + 2;
  }

 protected:
  static std::uint32_t log2(std::int64_t power) {
    return static_cast<std::uint32_t>(std::countr_zero(static_cast<std::uint64_t>(power)));
  }
  std::uint32_t sorters_;
};

class JoinProgram final : public AskProgram {
 public:
  explicit JoinProgram(const Parameters& parameters) : AskProgram(parameters, bits_of(parameters)) {
    const std::uint32_t b = static_cast<std::uint32_t>(shape().block_words);
    const std::int64_t n = static_cast<std::int64_t>(shape().n),
                       payloads = std::int64_t{1} << shape().input_bits, half = payloads / 2;
    const Affine first = tape().table([b](MachineId m) { return std::int64_t{m} * b; });
    run(
        n + 1, payloads,
        [&](std::uint32_t i) {
          return Has{first + i, received(i)};
        },
        [&](std::uint32_t i) {  // n for what is no position
          const Affine position = received(i) - half;
          return tape().clamp(position, n) + n * tape().step(-1 * position);
        },
        [&](const Asked& asked) {
          // A position 0 .. n - 1 is there always; data is 2 payloads position + word + 1.
          const Affine word =
              asked.data - 2 * payloads * tape().floor_shift(asked.data - 1, log2(payloads) + 1);
          return tape().gate(word, 1 - tape().step(asked.key_of_question - (n - 1)), payloads);
        },
        payloads);
  }
  static std::int64_t bits_of(const Parameters& parameters) {
    // A word holds a position, too.
    const auto least = static_cast<std::int64_t>(std::bit_width(parameters.n)) + 1;
    return std::max(least, parameters.integer_option("bits", 12, 2, 20));
  }
};

std::int64_t modulus_of(const Parameters& parameters) {
  return parameters.integer_option("M", 37, 1, std::int64_t{1} << 12);
}

class Match2Program final : public AskProgram {
 public:
  explicit Match2Program(const Parameters& parameters)
      : AskProgram(parameters, parameters.integer_option("bits", 8, 2, 12)) {
    const std::int64_t m = modulus_of(parameters), largest = largest_input(shape());
    const auto payloads = static_cast<std::int64_t>(std::bit_ceil(std::max<std::uint64_t>(shape().n, 2)));
    // x mod M: x + a multiple of M is not negative, and a multiple is taken off for each that fits.
    const std::int64_t shift = (m - (largest + 1) / 2 % m) % m;
    std::vector<Affine> residues;
    for (std::uint32_t i = 0; i < shape().block_words; ++i) {
      const Affine x = received(i) + shift;
      Affine residue = x;
      for (std::int64_t multiple = m; multiple <= largest + shift; multiple += m)
        residue += -m * tape().step(x - (multiple - 1));
      residues.push_back(residue);
    }
    run(
        m, payloads,
        [&](std::uint32_t i) {
          return Has{residues[i], 0};
        },
        [&](std::uint32_t i) { return m * tape().step(residues[i]) - residues[i]; },
        [&](const Asked& asked) {
          // What is there before has no larger key: equal unless the question's is larger. data is 2 payloads key + 1.
          const Affine key = tape().floor_shift(asked.data, log2(payloads) + 1);
          return tape().step(tape().step(asked.data) - tape().step(asked.key_of_question - key));
        },
        1);
  }
};

std::string ask_card(const std::string& problem) {
  return problem + R"(
Guarantee: exact and deterministic.
Cost: R = l (l + 1) / 2 + 2 ceil(log_f 2^l) + 2 rounds, l = ceil(log2 ceil(N / b)), b a power of two, f the widest fan-in with
2 b + (d + 1) f <= s; q = max(N, 2^l) machines, one a position; s = kappa_s b, kappa_s = 8. Its steps are a tape.
Source: concurrent reads by sorting, as in Goodrich, Sitchinava, Zhang 2011; Batcher 1968 (bitonic sort).)";
}

}  // namespace

std::uint32_t join_program_rounds(const Parameters& parameters) {
  return AskProgram::rounds_of(parameters);
}
std::uint32_t match2_program_rounds(const Parameters& parameters) {
  return AskProgram::rounds_of(parameters);
}

ProtocolInfo join_program_protocol() {
  ProtocolInfo info = join_protocol();
  info.program = info.name = "join_program";
  info.summary =
      "every position reads the word at a position of its choice, as a program of the step language";
  info.card = ask_card("Problem: as join's, for numbers of p_in bits, at least bits(N) + 1.");
  info.rounds_formula = "l (l + 1) / 2 + 2 ceil(log_f 2^l) + 2, l = ceil(log2 ceil(N / b))";
  info.kappa_s = kBlocks;
  info.options = {{"bits", "12", "bits of an input word, signed: 2 .. 20, or as many as a position has"}};
  info.make = [](const Parameters& parameters) { return std::make_unique<JoinProgram>(parameters); };
  info.generate = [](const Parameters& parameters) {
    RandomStream stream(parameters.seed, Domain::kInstance);
    Values values(parameters.n);
    for (std::int64_t& value : values) value = static_cast<std::int64_t>(stream.below(parameters.n + 2)) - 1;
    return values;
  };
  return info;
}

ProtocolInfo match2_program_protocol() {
  ProtocolInfo info = match2_protocol();
  info.program = info.name = "match2_program";
  info.summary =
      "for every word whether some word is its counterpart modulo M, as a program of the step language";
  info.card = ask_card("Problem: as match2's, for numbers of p_in bits and M up to 2^12.");
  info.rounds_formula = "l (l + 1) / 2 + 2 ceil(log_f 2^l) + 2, l = ceil(log2 ceil(N / b))";
  info.kappa_s = kBlocks;
  info.options = {{"M", "37", "the modulus, an integer from 1 to 2^12"},
                  {"bits", "8", "bits of an input word, signed: 2 .. 12"}};
  info.make = [](const Parameters& parameters) { return std::make_unique<Match2Program>(parameters); };
  return info;
}

}  // namespace roundtrip::mpc
