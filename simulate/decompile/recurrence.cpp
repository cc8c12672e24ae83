// Recurrent layers: a block's tokens can only be gone through with the state that the block before left. Consecutive
// recurrent layers are a wave over blocks and layers: in round r of it, the owner of block c goes through layer r - c,
// which takes C + L - 1 rounds for L layers on C owners. The first of the layers counts C of them, the others 1 each.
//
// Of a layer that it has gone through, an owner keeps its rows and the state before them, until the next layer's turn:
// from both it has every token's output again.
#include <algorithm>
#include <bit>

#include "roundtrip/anna/attention/lstm.h"
#include "roundtrip/anna/attention/rnn.h"
#include "roundtrip/base/fault.h"
#include "roundtrip/simulate/decompile/layer_run.h"

namespace roundtrip::simulate {
namespace {

using mpc::Word;

constexpr DecompilePhase kHandStateOn{
    "hand state on",
    "One block after another goes through its tokens and hands the state on; a block that is through begins with the "
    "next layer."};

std::unique_ptr<const anna::Recurrence> recurrence_of(const anna::Mechanism& mechanism) {
  const auto* const rnn = mechanism.get_if<anna::Rnn>();
  return rnn != nullptr ? rnn->recurrence() : mechanism.get_if<anna::Lstm>()->recurrence();
}

class RecurrenceRun final : public LayerRun {
 public:
  explicit RecurrenceRun(const LayerParts& parts)
      : LayerRun(parts),
        recurrence_(recurrence_of(parts.mechanism)),
        number_(plan_.word_bits, sizes_.number_words * plan_.word_bits) {
    const auto* const before = dynamic_cast<const RecurrenceRun*>(parts.before);
    wave_ = before != nullptr ? before->wave_ : std::make_shared<Wave>();
    wave_->push_back(this);
  }
  std::uint64_t block_scratch_words() const override {
    return LayerRun::block_scratch_words() + 2 * sizes_.element_words +
           scratch_of<Entry>(sizes_.row_dimension) + TokenHeads::scratch_words(layer_.shape()) +
           scratch_of<std::int64_t>(2 * (recurrence_->inputs() +
                                         (1 + std::uint64_t{sizes_.heads}) * recurrence_->state_numbers()));
  }
  void append_passes(Decompiled& protocol, std::uint64_t block_scratch_words) override {
    const auto layers_before = static_cast<std::uint64_t>(std::ranges::find(*wave_, this) - wave_->begin());
    const std::uint64_t rounds_before = layers_before == 0 ? 0 : plan_.blocks + layers_before - 1;
    protocol.then(id(kHandStateOn), sizes_.wave_rounds, 2 * block_scratch_words,
                  [this, rounds_before](const Context& context, std::uint32_t round) {
                    if (owner(context.machine)) step(context, rounds_before + round);
                  });
  }
  void update(const Context& context, const VisitNext& visit) const override;

 private:
  using Wave = std::vector<const RecurrenceRun*>;
  using State = std::span<std::int64_t>;  // [heads, state_numbers]

  void step(const Context& context, std::uint64_t round) const;
  /// Round of the layer's own at an owner that has the state before its block.
  void go_through(const Context& context, std::span<const Word> rows) const;
  std::uint64_t numbers_of_state() const {
    return std::uint64_t{sizes_.heads} * recurrence_->state_numbers();
  }
  State read_state(const Context& context, std::span<const Word> words) const;
  /// Goes on from `state` through rows; visits each row with the state after it.
  template <typename Visit>
  void advance(const Context& context, std::span<const Word> rows, State state, Visit&& visit) const;

  const std::unique_ptr<const anna::Recurrence> recurrence_;
  const NumberCodec number_;
  std::shared_ptr<Wave> wave_;  // the consecutive recurrent layers that it is one of, in order
};

RecurrenceRun::State RecurrenceRun::read_state(const Context& context, std::span<const Word> words) const {
  mpc::expect_received(words.size() == sizes_.element_words);
  const State state = take<std::int64_t>(context, numbers_of_state());
  for (std::size_t i = 0; i < state.size(); ++i) {
    const WideInteger number = number_.get(&words[i * number_.words()]);
    mpc::expect_received(number >= -recurrence_->state_limit() && number <= recurrence_->state_limit());
    state[i] = static_cast<std::int64_t>(number);
  }
  return state;
}

template <typename Visit>
void RecurrenceRun::advance(const Context& context, std::span<const Word> rows, State state,
                            Visit&& visit) const {
  const std::span<std::int64_t> x = take<std::int64_t>(context, recurrence_->inputs()),
                                after = take<std::int64_t>(context, recurrence_->state_numbers());
  TokenHeads token(context, layer_);
  for_each_row(context, context.machine, rows, [&](std::uint64_t, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      std::ranges::fill(x, 0);
      for (const Entry& entry : token.value(h)) {
        if (entry.column < x.size()) x[entry.column] = static_cast<std::int64_t>(entry.value);
      }
      const State own = state.subspan(h * after.size(), after.size());
      recurrence_->step(x, own, after);
      std::ranges::copy(after, own.begin());
    }
    visit(row);
  });
}

void RecurrenceRun::go_through(const Context& context, std::span<const Word> rows) const {
  const std::span<Word> before = context.take(sizes_.element_words);
  if (context.machine == 0 || seeded("state-not-handed-on")) {
    std::ranges::fill(before, 0);
  } else {
    const std::span<const Word> received = context.from(context.machine - 1);
    mpc::expect_received(received.size() == before.size());
    std::ranges::copy(received, before.begin());
  }
  context.out.send(context.machine, rows);
  context.out.send(context.machine, before);
  if (context.machine + 1 == plan_.blocks) return;
  const State state = read_state(context, before);
  advance(context, rows, state, [](const anna::RowView&) {});
  for (std::size_t i = 0; i < state.size(); ++i) number_.put(state[i], &before[i * number_.words()]);
  context.out.send(context.machine + 1, before);
}

void RecurrenceRun::step(const Context& context, std::uint64_t round) const {
  const std::uint64_t block = context.machine;
  const std::span<const Word> kept = context.from(context.machine);
  if (round <= block || round > block + wave_->size()) {  // not its turn yet, or no more
    context.out.send(context.machine, round == 1 ? wave_->front()->new_rows(context) : kept);
    return;
  }
  const RecurrenceRun& layer = *(*wave_)[round - 1 - block];
  layer.go_through(context, &layer == wave_->front() && round > 1 ? kept : layer.new_rows(context));
}

void RecurrenceRun::update(const Context& context, const VisitNext& visit) const {
  const std::span<const Word> kept = context.from(context.machine);
  const std::uint64_t length = rows_length(context.machine, kept);
  const State state = read_state(context, kept.subspan(length));
  TokenOutputs outputs(context, layer_.shape());
  anna::RowWriter writer;
  advance(context, kept.first(length), state, [&](const anna::RowView& row) {
    outputs.clear();
    for (std::uint32_t h = 0; h < sizes_.heads; ++h) {
      const State own = state.subspan(std::size_t{h} * recurrence_->state_numbers());
      for (std::uint32_t i = 0; i < recurrence_->outputs(); ++i) {
        if (own[i] != 0) outputs.add(h, i, static_cast<double>(own[i]));
      }
    }
    update_row(layer_, row, outputs, writer);
    visit(row.token, writer.entries());
  });
}

std::uint32_t measure(const anna::Layer&, const anna::Mechanism& mechanism, std::uint32_t word_bits,
                      DecompiledLayer& sizes) {
  const auto recurrence = recurrence_of(mechanism);
  sizes.rank = recurrence->state_numbers();
  const auto limit = static_cast<std::uint64_t>(recurrence->state_limit());
  sizes.number_words = NumberCodec(word_bits, 1 + static_cast<std::uint32_t>(std::bit_width(limit))).words();
  sizes.element_words = std::uint64_t{sizes.heads} * sizes.rank * sizes.number_words;
  return 0;
}

// Half the memory is for rows; the state before them and the one that comes have a quarter each.
void count_words(DecompiledLayer& sizes, std::uint64_t next_row, std::uint64_t) {
  sizes.state_words = sizes.most_row_words();
  sizes.token_words = std::max(2 * sizes.most_row_words(), next_row);
}

bool fit(const DecompilePlan& plan, DecompiledLayer& sizes) {
  const bool first = &sizes == plan.layers.data() || (&sizes - 1)->decompiler != sizes.decompiler;
  sizes.wave_rounds = first ? static_cast<std::uint32_t>(plan.blocks) : 1;
  return sizes.element_words <= plan.memory_words / 4;
}

std::vector<Pass> passes(const DecompilePlan& plan, std::size_t l) {
  const DecompiledLayer& layer = plan.layers[l];
  return {{std::string(kHandStateOn.id),
           fmt::format("{}: {} numbers of {} heads, {} words; {} owners",
                       layer.wave_rounds == 1 ? "1 round" : fmt::format("C = {} rounds", layer.wave_rounds),
                       layer.rank, layer.heads, layer.element_words, plan.blocks)}};
}

}  // namespace

const LayerDecompiler& recurrence_decompiler() {
  static const LayerDecompiler decompiler{
      .rounds_formula = "C (1 after a recurrent layer)",
      .phases = {kHandStateOn},
      .average = "state of the recurrence, to which all tokens up to its own have contributed",
      .introduction =
          "In a recurrent layer every token updates a state. Blocks go through their tokens one after another, and "
          "hand the state on; the next recurrent layer follows one round behind.",
      .measure = measure,
      .count_words = count_words,
      .fit = fit,
      .rounds = [](const DecompiledLayer& sizes) { return sizes.wave_rounds; },
      .machines =
          [](const DecompilePlan& plan, const DecompiledLayer&) {
            return std::vector<MachineGroup>{{"owners", plan.blocks}};
          },
      .passes = passes,
      .make = [](const LayerParts& parts) -> std::unique_ptr<LayerRun> {
        return std::make_unique<RecurrenceRun>(parts);
      }};
  return decompiler;
}

}  // namespace roundtrip::simulate
