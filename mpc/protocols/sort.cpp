#include "mpc/stages/sort.h"

#include <algorithm>
#include <bit>

#include "base/error.h"
#include "mpc/protocols/library.h"
#include "mpc/protocols/oracles.h"
#include "mpc/protocols/sort_input.h"

namespace roundtrip::mpc {
namespace {

constexpr std::uint64_t kRecordWords = 3;  // key, position, group

class SortProtocol final : public Composition {
 public:
  explicit SortProtocol(const Parameters& parameters) {
    const Sizes sizes = sort_sizes(parameters, 8);
    const SortPlan plan = *plan_sort(parameters.n, kRecordWords, sizes.memory_words);
    shape_ = declare_shape(parameters, sizes, parameters.n, plan.machines);
    shape_.word_bits = std::max(shape_.word_bits, sort_group_bits(parameters.n));
    // With everything on one sort machine there is no round in which to deliver but the first, and that will
    // do only if the input stands on one machine too.
    const bool at_once = plan.rounds == 0 && parameters.n <= shape_.block_words;
    if (!at_once)
      then("to the sort machines", 1, 0, [this, plan](const Context& context, std::uint32_t) {
        send_input_to_sort(context, shape_, plan);
      });
    const Sort& sort = then<Sort>(
        "sort", {.plan = plan,
                 .load = load_input_words,
                 .place = [](const Context& context, std::uint64_t position, std::span<const Word> record) {
                   context.out.deliver(position, record[0]);
                 }});
    if (sort.rounds() == 0) {
      then("deliver", 1, 0, [&sort](const Context& context, std::uint32_t) {
        const std::span<const Word> records = sort.result(context);
        for (std::uint64_t i = 0; i < records.size() / 2; ++i) context.out.deliver(i, records[2 * i]);
      });
    }
    shape_.validate();
  }
};

}  // namespace

Sizes sort_sizes(const Parameters& parameters, std::uint64_t default_kappa_s) {
  require(parameters.n <= std::uint64_t{1} << 31, "N is {}, allowed is 1 to 2^31 for protocols that sort",
          parameters.n);
  return choose_sizes(parameters, default_kappa_s, [&parameters](const Sizes& sizes) {
    return plan_sort(parameters.n, kRecordWords, sizes.memory_words).has_value();
  });
}

void send_input_to_sort(const Context& context, const Shape& shape, const SortPlan& plan) {
  std::uint64_t position = context.machine * shape.block_words;
  std::span<const Word> words = context.inbox.words();
  while (!words.empty()) {
    const std::uint64_t room = plan.machine_records - position % plan.machine_records;
    const std::uint64_t piece = std::min<std::uint64_t>(room, words.size());
    context.out.send(static_cast<MachineId>(position / plan.machine_records), words.first(piece));
    position += piece;
    words = words.subspan(piece);
  }
}

void load_input_words(const Context& context, std::uint64_t first_position, std::span<Word> records) {
  const std::span<const Word> words = context.inbox.words();
  expect_received(2 * words.size() == records.size());
  for (std::uint64_t i = 0; i < words.size(); ++i) {
    records[2 * i] = words[i];
    records[2 * i + 1] = first_position + i;
  }
}

std::uint32_t sort_stage_rounds(const Parameters& parameters, std::uint64_t default_kappa_s) {
  return plan_sort(parameters.n, kRecordWords, sort_sizes(parameters, default_kappa_s).memory_words)->rounds;
}

std::uint32_t sort_rounds(const Parameters& parameters) {
  const std::uint32_t rounds = sort_stage_rounds(parameters, 8);
  const bool spread = parameters.n > sort_sizes(parameters, 8).block_words;
  return rounds > 0 ? 1 + rounds : spread ? 2 : 1;
}

ProtocolInfo sort_protocol() {
  ProtocolInfo info;
  info.name = "sort";
  info.summary = "all words in ascending order";
  info.card =
      "Problem: N signed numbers of 48 bits; output t is the t-th smallest.\n"
      "Guarantee: exact and deterministic; equal words keep their order, so every word has one exact "
      "position.\n"
      "Cost: R = 1 + T_sort(N, 3) rounds (2 if everything fits one sort machine but stands on several); at "
      "most\n"
      "s = kappa_s b words sent and received by a machine; q = max(ceil(N / b), ceil(N / B)), B = floor(s / "
      "6).\n"
      "kappa_s is 8, raised to the least that has a plan at tiny N.\n"
      "Source: sample sort over trees, after Goodrich, Sitchinava, Zhang 2011; constants and exact positions "
      "ours.";
  info.rounds_formula = "1 + T_sort(N, 3)";
  info.kappa_s = 8;
  info.make = [](const Parameters& parameters) { return std::make_unique<SortProtocol>(parameters); };
  info.decode = [](const Protocol& protocol, std::uint64_t, Word word) -> std::optional<std::int64_t> {
    return decode_input(word, protocol.shape());
  };
  info.output_form = OutputForm::kSymbols;
  info.oracle = [](std::span<const std::int64_t> values, const Parameters&) { return oracles::sort(values); };
  return info;
}

}  // namespace roundtrip::mpc
