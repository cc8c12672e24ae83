// The protocol as a list of passes, what every kind of layer needs, and the functions of decompile.h.
#include "roundtrip/simulate/decompile/decompile.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "roundtrip/base/ensure.h"
#include "roundtrip/base/error.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/decompile/layer_run.h"

namespace roundtrip::simulate {

using anna::Entry;
using mpc::Context;
using mpc::MachineId;
using mpc::Word;

Decompiled::Decompiled(anna::Model model, DecompilePlan plan)
    : model_(std::move(model)), plan_(std::move(plan)) {
  shape_.n = plan_.n;
  shape_.outputs = plan_.tokens * plan_.output_dimension * plan_.output_words;
  shape_.block_words = plan_.block_words;
  shape_.memory_words = plan_.memory_words;
  constexpr std::uint64_t kBookkeeping =
      16;  // the writer of a row and a callback, which s may be too small for
  shape_.heap_words = std::max(plan_.memory_words, kBookkeeping);
  shape_.machines = static_cast<std::uint32_t>(plan_.machines);
  shape_.word_bits = plan_.word_bits;
  shape_.input_bits = plan_.input_bits;
  shape_.kappa_s = plan_.kappa_s;
  shape_.kappa_raised = plan_.kappa_raised;
  std::uint64_t scratch_words = 0;
  for (std::size_t l = 0; l < plan_.layers.size(); ++l) {
    layers_.push_back(
        plan_.layers[l].decompiler->make({plan_, l, *model_.transformer.layers[l], model_.mechanisms[l],
                                          l == 0 ? nullptr : layers_.back().get()}));
    scratch_words = std::max(scratch_words, layers_.back()->block_scratch_words());
  }
  input_to_blocks();
  for (const auto& layer : layers_) layer->append_passes(*this, scratch_words);
  deliver(scratch_words);
  shape_.validate();
  ensure(shape_.rounds == plan_.rounds, "as many rounds are composed as planned");
}

LayerRun::LayerRun(const LayerParts& parts)
    : plan_(parts.plan),
      sizes_(parts.plan.layers[parts.number]),
      layer_(parts.layer),
      before_(parts.before),
      row_(numbers(sizes_.row_words), sizes_.row_dimension),
      value_(numbers(sizes_.value_words), sizes_.value_dimension),
      sum_(numbers(sizes_.sum_words), sizes_.sum_dimension) {}

std::uint64_t LayerRun::block_scratch_words() const {
  const anna::LayerShape shape = layer_.shape();
  const std::size_t next = static_cast<std::size_t>(&sizes_ - plan_.layers.data()) + 1;
  const std::uint64_t next_row =
      next < plan_.layers.size()
          ? 1 + std::uint64_t{plan_.layers[next].row_dimension} * plan_.layers[next].row_words
          : plan_.output_words;
  const std::uint64_t state = plan_.block_tokens * sizes_.heads * (2 + sum_.numbers());
  const std::uint64_t rows = plan_.block_tokens * std::max(next_row, row_.most_words());
  return 2 * state + rows + 2 * plan_.block_tokens * sizes_.heads + scratch_of<Entry>(sizes_.row_dimension) +
         TokenHeads::scratch_words(shape) + TokenOutputs::scratch_words(shape) + sizes_.code_words + 1 +
         value_.most_words() + 2 * scratch_of<std::int32_t>(shape.query_dimension) +
         2 * sizes_.value_dimension + 2;
}

namespace {

/// Reads the row that starts at `words` into `entries`; returns the words read.
std::uint64_t read_row(const VectorCodec& codec, std::span<const Word> words, std::span<Entry> entries,
                       std::size_t& count) {
  count = 0;
  return codec.read(words, [&](std::uint32_t column, const Word* number) {
    if (const auto value = static_cast<double>(codec.number().get(number)); value != 0)
      entries[count++] = {column, value};
  });
}

void put_row(const VectorCodec& codec, std::uint64_t token, std::span<const Entry> entries, Word* out,
             std::uint64_t& at) {
  for (const Entry& entry : entries) {
    require(std::fabs(entry.value) < 0x1p53 && entry.value == std::trunc(entry.value),
            "token {}: column {} of a row is {}; a protocol carries integers below 2^53 in magnitude", token,
            entry.column, entry.value);
  }
  at += codec.put(entries, out + at);
}

}  // namespace

std::uint64_t LayerRun::for_each_row(const Context& context, std::uint64_t block, std::span<const Word> rows,
                                     const VisitRow& visit) const {
  const std::span<Entry> entries = take<Entry>(context, row_.dimension());
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < block_size(block); ++i) {
    std::size_t count = 0;
    at += read_row(row_, rows.subspan(at), entries, count);
    visit(i, anna::RowView{first_token(block) + i, entries.first(count)});
  }
  return at;
}

std::uint64_t LayerRun::rows_length(std::uint64_t block, std::span<const Word> words) const {
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < block_size(block); ++i) at += row_.size_at(words.subspan(at));
  return at;
}

std::span<const Word> LayerRun::new_rows(const Context& context) const {
  const std::uint64_t block = context.machine;
  const std::span<Word> out = context.take(block_size(block) * row_.most_words());
  std::uint64_t at = 0;
  if (before_ != nullptr) {
    before_->update(context, [&](std::uint64_t token, std::span<const Entry> entries) {
      put_row(row_, token, entries, out.data(), at);
    });
    return out.first(at);
  }
  const std::span<const Word> words = context.inbox.words();
  for (std::uint64_t i = 0; i < block_size(block); ++i) {
    const bool present = first_token(block) + i < plan_.n;
    mpc::expect_received(!present || i < words.size());
    const Entry row[] = {{0, 1.0}, {1, present ? static_cast<double>(words[i]) : 0.0}};
    put_row(row_, first_token(block) + i,
            std::span(row, !present        ? 0
                           : words[i] == 0 ? 1
                                           : 2),
            out.data(), at);
  }
  return out.first(at);
}

LayerRun::Numbers LayerRun::vector_of(const TokenHeads& token, std::uint32_t head, bool query,
                                      std::span<std::int32_t> buffer) const {
  const anna::Symbol symbol = token.symbol(head, query);
  const Numbers computed = token.vector(symbol);
  if (!computed.empty()) return computed;
  layer_.codebook().vector(symbol, buffer);
  return buffer;
}

void LayerRun::copy_rows(Decompiled& protocol, const DecompilePhase& phase,
                         std::uint64_t scratch_words) const {
  protocol.then(
      id(phase), sizes_.copy_depth, scratch_words, [this](const Context& context, std::uint32_t round) {
        if (context.machine >= copies()) return;
        const auto [table, block] = copy_at(context.machine);
        std::uint64_t holders = 1;  // tables that have their copies
        for (std::uint32_t r = 1; r < round; ++r) holders *= plan_.copies_a_round + 1;
        if (table >= holders) return;
        const std::span<const Word> rows = round == 1 ? new_rows(context) : context.inbox.words();
        context.out.send(context.machine, rows);
        for (std::uint64_t j = 1; j <= plan_.copies_a_round && table + j * holders < copies_of(block); ++j)
          context.out.send(copy(table + j * holders, block), rows);
      });
}

void Decompiled::input_to_blocks() {
  then(std::string(kInputToBlocks.id), 1, 0, [this](const Context& context, std::uint32_t) {
    std::uint64_t token = context.machine * plan_.block_words;
    for (const Word word : context.inbox.words())
      context.out.send(static_cast<MachineId>(token++ / plan_.block_tokens), word);
  });
}

void Decompiled::deliver(std::uint64_t scratch_words) {
  then(std::string(kDeliver.id), 1, scratch_words, [this](const Context& context, std::uint32_t) {
    if (!layers_.back()->owner(context.machine)) return;
    const NumberCodec number(plan_.word_bits, plan_.output_words * plan_.word_bits);
    const std::span<Word> row = context.take(std::uint64_t{plan_.output_dimension} * number.words());
    layers_.back()->update(context, [&](std::uint64_t token, std::span<const Entry> entries) {
      std::ranges::fill(row, 0);
      for (const Entry& entry : entries) {
        require(std::fabs(entry.value) < 0x1p53 && entry.value == std::trunc(entry.value),
                "token {}: column {} of the last row is {}; a protocol delivers integers below 2^53", token,
                entry.column, entry.value);
        number.put(static_cast<WideInteger>(entry.value), &row[std::uint64_t{entry.column} * number.words()]);
      }
      for (std::uint64_t i = 0; i < row.size(); ++i) context.out.deliver(token * row.size() + i, row[i]);
    });
  });
}

std::unique_ptr<const mpc::Protocol> decompile(const anna::Model& model, const mpc::Parameters& parameters,
                                               const DecompileOptions& options) {
  return std::make_unique<Decompiled>(model, plan_decompile(model, parameters, options));
}

anna::Activations decompiled_rows(const DecompilePlan& plan, std::span<const mpc::Word> outputs) {
  const NumberCodec number(plan.word_bits, plan.output_words * plan.word_bits);
  require(outputs.size() == plan.tokens * plan.output_dimension * number.words(),
          "{} output words are not {} rows of {} numbers", outputs.size(), plan.tokens,
          plan.output_dimension);
  auto rows = anna::Activations::with_dimension(plan.output_dimension);
  std::vector<Entry> entries;
  const Word* next = outputs.data();
  for (std::uint64_t token = 0; token < plan.tokens; ++token) {
    entries.clear();
    for (std::uint32_t column = 0; column < plan.output_dimension; ++column, next += number.words())
      entries.push_back({column, static_cast<double>(number.get(next))});
    rows.append_row(entries);
  }
  return rows;
}

Compiled compile_model(const anna::Model& model, const mpc::Parameters& parameters,
                       const CompileOptions& options) {
  const DecompileOptions words{.word_bits = 48, .input_bits = {}, .name = options.name};
  Compiled compiled =
      compile(std::shared_ptr<const mpc::Protocol>(decompile(model, parameters, words)), options);
  std::vector<Pass> passes = decompile_passes(plan_decompile(model, parameters, words));
  std::ranges::move(compiled.passes, std::back_inserter(passes));
  compiled.passes = std::move(passes);
  return compiled;
}

DecompiledRun run_decompiled(const anna::Model& model, std::span<const mpc::Word> input,
                             const mpc::Parameters& parameters, const DecompileOptions& options) {
  DecompiledRun result{plan_decompile(model, parameters, options), {}, {}};
  const Decompiled protocol(model, result.plan);
  const auto transport = mpc::make_in_process_transport();
  result.run = mpc::run(protocol, input, *transport);
  result.rows = decompiled_rows(result.plan, result.run.outputs);
  return result;
}

}  // namespace roundtrip::simulate
