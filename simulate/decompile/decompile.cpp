// The protocol as a list of passes, what every kind of layer needs, and the doors of decompile.h.
#include "roundtrip/simulate/decompile/decompile.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "roundtrip/base/error.h"
#include "roundtrip/mpc/transport.h"
#include "roundtrip/simulate/decompile/decompiled.h"

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
  shape_.machines = static_cast<std::uint32_t>(plan_.machines);
  shape_.word_bits = plan_.word_bits;
  shape_.input_bits = plan_.input_bits;
  shape_.kappa_s = plan_.kappa_s;
  shape_.kappa_raised = plan_.kappa_raised;
  token_bits_ = ceil_log(2, plan_.tokens);
  for (std::size_t l = 0; l < plan_.layers.size(); ++l) place_layer(l);
  input_to_blocks();
  for (const auto& layer : layers_) {
    if (layer->plan.low_rank) {
      sums_up_and_down(*layer);
      continue;
    }
    if (layer->plan.softmax) {
      copy_rows(*layer);
      copy_keys(*layer);
      largest_up(*layer);
      largest_down(*layer);
      weighted_sums_up(*layer);
      continue;
    }
    copy_rows(*layer);
    hash(*layer);
    const SortBesideBlocks& sorted = sort(*layer);
    fetch_values(*layer, sorted);
    scan_buckets(*layer);
    return_sums(*layer);
    add_over_tables(*layer);
  }
  deliver();
  shape_.validate();
  if (shape_.rounds != plan_.rounds) {
    throw InternalError(fmt::format("{} rounds composed, {} planned", shape_.rounds, plan_.rounds));
  }
}

void Decompiled::place_layer(std::size_t l) {
  const DecompiledLayer& plan = plan_.layers[l];
  const anna::Layer& layer = *model_.transformer.layers[l];
  const auto numbers = [&](std::uint32_t words) {
    return NumberCodec(plan_.word_bits, words * plan_.word_bits);
  };
  const std::uint64_t first_sort = plan.tables * plan_.blocks;
  const std::uint64_t first_scan = first_sort + std::uint64_t{plan.tables} * plan.heads * plan.sort.machines;
  layers_.push_back(std::make_unique<LayerRun>(LayerRun{
      plan, layer,
      plan.low_rank || plan.softmax ? nullptr : make_key_code(layer, model_.mechanisms[l], plan_.word_bits),
      VectorCodec(numbers(plan.row_words), plan.row_dimension),
      VectorCodec(numbers(plan.value_words), plan.value_dimension),
      VectorCodec(numbers(plan.sum_words), plan.value_dimension + (plan.softmax ? 1 : 0)),
      numbers(plan.score_words), plan_.blocks, static_cast<MachineId>(first_sort),
      static_cast<MachineId>(first_scan)}));
  const anna::LayerShape shape = layer.shape();
  if (const auto* low_rank = std::get_if<anna::LowRank>(&model_.mechanisms[l]))
    layers_.back()->features.emplace(low_rank->rank, low_rank->seed, shape.query_dimension);
  if (const auto* softmax = std::get_if<anna::Softmax>(&model_.mechanisms[l]))
    layers_.back()->softmax_scale = softmax->scale;
  const std::uint64_t state = plan_.block_tokens * plan.heads * (2 + layers_.back()->sum.numbers());
  const std::uint64_t next_row =
      l + 1 < plan_.layers.size()
          ? 1 + std::uint64_t{plan_.layers[l + 1].row_dimension} * plan_.layers[l + 1].row_words
          : plan_.output_words;
  const std::uint64_t softmax =
      plan.softmax ? 2 * plan_.block_tokens * plan.heads * plan.score_words +
                         scratch_of<std::int32_t>(plan_.block_tokens * plan.heads * shape.query_dimension) +
                         scratch_of<Entry>(plan.row_dimension)
                   : 0;
  const std::uint64_t rows = plan_.block_tokens * std::max(next_row, layers_.back()->row.most_words());
  block_scratch_ = std::max(
      block_scratch_, 2 * state + softmax + rows + 2 * plan_.block_tokens * plan.heads +
                          scratch_of<Entry>(plan.row_dimension) + TokenHeads::scratch_words(shape) +
                          TokenOutputs::scratch_words(shape) + plan.code_words + 1 +
                          layers_.back()->value.most_words() + 2 * plan.rank +
                          2 * scratch_of<std::int32_t>(shape.query_dimension) + 2 * plan.value_dimension + 2);
  scan_scratch_ = std::max(scan_scratch_, 6 * plan.scan_records + kept_words(*layers_.back()) +
                                              8 * layers_.back()->element_words() + 8);
}

namespace {

/// Reads the row that starts at `words` into `entries`; returns the words read.
std::uint64_t read_row(const VectorCodec& wire, std::span<const Word> words, std::span<Entry> entries,
                       std::size_t& count) {
  count = 0;
  return wire.read(words, [&](std::uint32_t column, const Word* number) {
    if (const auto value = static_cast<double>(wire.number().get(number)); value != 0)
      entries[count++] = {column, value};
  });
}

void put_row(const VectorCodec& wire, std::uint64_t token, std::span<const Entry> entries, Word* out,
             std::uint64_t& at) {
  for (const Entry& entry : entries) {
    require(std::fabs(entry.value) < 0x1p53 && entry.value == std::trunc(entry.value),
            "token {}: column {} of a row is {}; a protocol carries integers below 2^53 in magnitude", token,
            entry.column, entry.value);
  }
  at += wire.put(entries, out + at);
}

}  // namespace

std::uint64_t Decompiled::for_each_row(const Context& context, const LayerRun& run, std::uint64_t block,
                                       std::span<const Word> rows, const VisitRow& visit) const {
  const std::span<Entry> entries = take<Entry>(context, run.row.dimension());
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < block_size(block); ++i) {
    std::size_t count = 0;
    at += read_row(run.row, rows.subspan(at), entries, count);
    visit(i, anna::RowView{first_token(block) + i, entries.first(count)});
  }
  return at;
}

std::uint64_t Decompiled::rows_length(const LayerRun& run, std::uint64_t block,
                                      std::span<const Word> words) const {
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < block_size(block); ++i) at += run.row.size_at(words.subspan(at));
  return at;
}

std::span<const Word> Decompiled::new_rows(const Context& context, const LayerRun& run) const {
  const std::size_t l = static_cast<std::size_t>(&run.plan - plan_.layers.data());
  const std::uint64_t block = context.machine;
  const std::span<Word> out = context.take(block_size(block) * run.row.most_words());
  std::uint64_t at = 0;
  if (l > 0) {
    update_rows(context, *layers_[l - 1], [&](std::uint64_t token, std::span<const Entry> entries) {
      put_row(run.row, token, entries, out.data(), at);
    });
    return out.first(at);
  }
  const std::span<const Word> words = context.inbox.words();
  for (std::uint64_t i = 0; i < block_size(block); ++i) {
    const bool present = first_token(block) + i < plan_.n;
    mpc::expect_received(!present || i < words.size());
    const Entry row[] = {{0, 1.0}, {1, present ? static_cast<double>(words[i]) : 0.0}};
    put_row(run.row, first_token(block) + i,
            std::span(row, !present        ? 0
                           : words[i] == 0 ? 1
                                           : 2),
            out.data(), at);
  }
  return out.first(at);
}

/// Sums and counts of the tokens of a block: [block tokens, heads], and as numbers [.., m_v].

void Decompiled::update_rows(const Context& context, const LayerRun& run, const VisitNext& visit) const {
  if (run.plan.low_rank) return update_low_rank(context, run, visit);
  if (run.plan.softmax) return update_softmax(context, run, visit);
  update_hashed(context, run, visit);
}

std::span<const std::int32_t> Decompiled::vector_of(const LayerRun& run, const TokenHeads& token,
                                                    std::uint32_t head, bool query,
                                                    std::span<std::int32_t> room) {
  const anna::Symbol symbol = token.symbol(head, query);
  const Numbers computed = token.vector(symbol);
  if (!computed.empty()) return computed;
  run.layer.codebook().vector(symbol, room);
  return room;
}

void Decompiled::input_to_blocks() {
  then("input to blocks", 1, 0, [this](const Context& context, std::uint32_t) {
    std::uint64_t token = context.machine * plan_.block_words;
    for (const Word word : context.inbox.words())
      context.out.send(static_cast<MachineId>(token++ / plan_.block_tokens), word);
  });
}

void Decompiled::copy_rows(const LayerRun& run) {
  then("copy rows", run.plan.copy_depth, block_scratch_,
       [this, &run](const Context& context, std::uint32_t round) {
         const std::uint64_t table = context.machine / plan_.blocks;
         std::uint64_t holders = 1;  // tables that have their copies
         for (std::uint32_t r = 1; r < round; ++r) holders *= plan_.copies_a_round + 1;
         if (table >= std::min<std::uint64_t>(holders, run.plan.tables)) return;
         const std::span<const Word> rows = round == 1 ? new_rows(context, run) : context.inbox.words();
         context.out.send(context.machine, rows);
         for (std::uint64_t j = 1; j <= plan_.copies_a_round && table + j * holders < run.plan.tables; ++j)
           context.out.send(run.copy(table + j * holders, context.machine % plan_.blocks), rows);
       });
}

/// (code, query or key and token) as it is sorted, and as it goes to the scan.

void Decompiled::deliver() {
  then("deliver", 1, block_scratch_, [this](const Context& context, std::uint32_t) {
    if (!home(context.machine)) return;
    const NumberCodec number(plan_.word_bits, plan_.output_words * plan_.word_bits);
    const std::span<Word> row = context.take(std::uint64_t{plan_.output_dimension} * number.words());
    update_rows(context, *layers_.back(), [&](std::uint64_t token, std::span<const Entry> entries) {
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
