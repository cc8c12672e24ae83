#include "roundtrip/mpc/stages/odd_even_sort.h"

#include <bit>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/protocols/library.h"
#include "roundtrip/mpc/protocols/oracles.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kKappa = 2;
constexpr std::uint64_t kMostWords = std::uint64_t{1} << 20;

class OddEvenSortProtocol final : public Composition {
 public:
  explicit OddEvenSortProtocol(const Parameters& parameters)
      : position_bits_(static_cast<std::uint32_t>(std::bit_width(parameters.n))) {
    require(parameters.n <= kMostWords, "N is {}, allowed is 1 to 2^20 for odd_even_sort", parameters.n);
    const Sizes sizes =
        choose_sizes(parameters, kKappa, [](const Sizes& at) { return at.kappa_s >= kKappa; });
    shape_ = declare_shape(parameters, sizes, parameters.n, 1);
    shape_.heap_words = 0;
    shape_.input_bits = shape_.word_bits - position_bits_;
    const OddEvenSort& sort = then<OddEvenSort>("sort with a neighbour",
                                                {.words = parameters.n,
                                                 .block = sizes.block_words,
                                                 .load = [this](const Context& context, auto block) {
                                                   const std::span<const Word> input = context.inbox.words();
                                                   expect_received(input.size() >= block.size());
                                                   for (std::size_t i = 0; i < block.size(); ++i) {
                                                     expect_received(input[i] >> shape_.input_bits == 0);
                                                     block[i] = input[i] << position_bits_ |
                                                                (context.machine * shape_.block_words + i);
                                                   }
                                                 }});
    then("deliver", 1, 0, [this, &sort](const Context& context, std::uint32_t) {
      std::uint64_t rank = context.machine * shape_.block_words;
      for (const Word word : sort.result(context)) context.out.deliver(rank++, word >> position_bits_);
    });
    shape_.validate();
  }

 private:
  std::uint32_t position_bits_;
};

}  // namespace

std::uint32_t odd_even_sort_rounds(const Parameters& parameters) {
  const std::uint64_t b = block_words(parameters, std::max(kKappa, parameters.kappa_s.value_or(kKappa)));
  return static_cast<std::uint32_t>(ceil_div(parameters.n, b)) + 1;
}

ProtocolInfo odd_even_sort_protocol() {
  ProtocolInfo info;
  info.name = "odd_even_sort";
  info.summary = "all words in ascending order, on a line of machines that talk to neighbours only";
  info.card = R"(Problem: N <= 2^20 signed numbers of 48 - bits(N) bits; output them in ascending order.
Guarantee: exact and deterministic; equal words keep their order.
Cost: R = ceil(N / b) + 1 rounds; at most s = 2 b words sent and received by a machine (kappa_s = 2), so that s is
far below N also at N = 16; q = ceil(N / b). Few words and many rounds: to be read and drawn; sort is for large N.
Source: odd-even merge-split, Baudet and Stevenson 1978.)";
  info.rounds_formula = "ceil(N / b) + 1";
  info.kappa_s = kKappa;
  info.example = {
      .text = "31 4 15 92 65 35 89 79 32 38 46 26 43 83 27 95", .words = false, .epsilon = {1, 3}};
  info.make = [](const Parameters& parameters) { return std::make_unique<OddEvenSortProtocol>(parameters); };
  info.output_form = OutputForm::kSymbols;
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return decode_input(word, protocol.shape());
  };
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) {
    return oracles::sort(values, 1);
  };
  return info;
}

}  // namespace roundtrip::mpc
