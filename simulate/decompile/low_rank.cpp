// The passes of a low-rank layer: the sums G and g of all keys up a tree over the homes, and down to all of
// them.
#include "roundtrip/simulate/decompile/decompiled.h"

#include <algorithm>

#include "roundtrip/base/fault.h"

namespace roundtrip::simulate {

using anna::Entry;
using mpc::Context;
using mpc::MachineId;
using mpc::Word;

namespace {

/// Calls visit(r, phi_r, words of its (1 + m_v) numbers) for the features of a query or key: an element
/// holds, head by head and feature by feature, g_r and the row of G.
template <typename Visit>
void for_each_feature(const LayerRun& run, std::uint32_t head, std::span<const std::int32_t> vector,
                      std::span<std::int64_t> phi, Visit&& visit) {
  run.features->of(vector, phi);
  const std::uint64_t width = (1 + std::uint64_t{run.plan.value_dimension}) * run.plan.sum_words;
  for (std::uint32_t r = 0; r < run.plan.rank; ++r)
    visit(phi[r], (std::uint64_t{head} * run.plan.rank + r) * width);
}

}  // namespace

void Decompiled::add_keys(const Context& context, const LayerRun& run, std::span<Word> element) const {
  std::ranges::fill(element, 0);
  const std::span<const Word> rows = new_rows(context, run);
  TokenHeads token(context, run.layer);
  const std::span<std::int32_t> vector = take<std::int32_t>(context, run.layer.shape().query_dimension);
  const std::span<std::int64_t> phi = take<std::int64_t>(context, run.plan.rank);
  const NumberCodec& number = run.sum.number();
  for_each_row(context, run, context.machine, rows, [&](std::uint64_t, const anna::RowView& row) {
    token.project(row);
    for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
      const auto key = vector_of(run, token, h, false, vector);
      for_each_feature(run, h, key, phi, [&](std::int64_t feature, std::uint64_t at) {
        add_number(number, feature, &element[at]);
        for (const Entry& entry : token.value(h)) {
          add_number(number, static_cast<WideInteger>(feature) * static_cast<std::int64_t>(entry.value),
                     &element[at + (1 + std::uint64_t{entry.column}) * number.words()]);
        }
      });
    }
  });
}

void Decompiled::update_low_rank(const Context& context, const LayerRun& run, const VisitNext& visit) const {
  const std::span<const Word> element = run.sums->result(context);
  TokenHeads token(context, run.layer);
  TokenOutputs outputs(context, run.layer.shape());
  const std::span<std::int32_t> vector = take<std::int32_t>(context, run.layer.shape().query_dimension);
  const std::span<std::int64_t> phi = take<std::int64_t>(context, run.plan.rank);
  const std::span<WideInteger> totals = take<WideInteger>(context, run.plan.value_dimension);
  const NumberCodec& number = run.sum.number();
  anna::RowWriter writer;
  for_each_row(context, run, context.machine, run.sums->kept(context),
               [&](std::uint64_t, const anna::RowView& row) {
                 token.project(row);
                 outputs.clear();
                 for (std::uint32_t h = 0; h < run.plan.heads; ++h) {
                   WideInteger norm = 0;
                   std::ranges::fill(totals, 0);
                   const auto query = vector_of(run, token, h, true, vector);
                   for_each_feature(run, h, query, phi, [&](std::int64_t feature, std::uint64_t at) {
                     norm += seeded("norm-of-queries") ? feature : feature * number.get(&element[at]);
                     for (std::size_t c = 0; c < totals.size(); ++c)
                       totals[c] += feature * number.get(&element[at + (1 + c) * number.words()]);
                   });
                   for (std::uint32_t c = 0; c < totals.size(); ++c) {
                     // Both rounded once, then divided once; features are positive, so norm is.
                     if (totals[c] != 0)
                       outputs.add(h, c, static_cast<double>(totals[c]) / static_cast<double>(norm));
                   }
                 }
                 writer.clear();
                 run.layer.update(row, outputs, writer);
                 visit(row.token, writer.entries());
               });
}

void Decompiled::sums_up_and_down(LayerRun& run) {
  const mpc::Tree tree{run.plan.scan_fan, run.plan.scan_depth, 0, static_cast<std::uint32_t>(plan_.blocks)};
  const mpc::TreeReduce& up = then<mpc::TreeReduce>(
      "sums up",
      {.tree = tree,
       .element_words = run.plan.element_words,
       .load = [this, &run](const Context& context,
                            std::span<Word> element) { add_keys(context, run, element); },
       .combine = [&run](std::span<Word> left,
                         std::span<const Word> right) { add_numbers(run.sum.number(), left, right); },
       .keep =
           [this, &run](const Context& context) {
             return home(context.machine) ? new_rows(context, run) : std::span<const Word>();
           },
       .load_scratch_words = 2 * block_scratch_});
  run.sums = &then<mpc::Broadcast>(
      "sums down",
      {.tree = tree,
       .element_words = run.plan.element_words,
       .load = [&up](const Context& context,
                     std::span<Word> element) { std::ranges::copy(up.result(context), element.begin()); },
       .keep = [&up](const Context& context) { return up.kept(context); },
       .load_scratch_words = run.plan.element_words});
}

}  // namespace roundtrip::simulate
