// Purpose: transformer to protocol. Any transformer becomes an R-round MPC protocol whose outputs are the rows of its
// last array, bit for bit.
//
// Glossary: N input words, N' tokens, H heads, m_v value dimension, d row dimension, ell tables (1 for exact match);
// b, s, q, p, R as in mpc/parameters.h. T_b tokens a block, C = ceil(N' / T_b) blocks; W words that a token may take of
// its machine; f' copies that a machine makes of its block in a round; M_s sort machines and M_v scan machines of one
// (table, head), B_v records a scan machine, f_v and dv fan-in and depth of its scan tree.
//
// pass                                rounds   what is sent
//   input to blocks                    1        word t to the owner of its block, a machine of table 0 (once)
// of a hashed layer, exact match or ANNA (hashed.cpp)
//   copy rows                          dc       rows, to f' further tables a round: (f' + 1)^dc >= ell
//   hash                               1        for every table and head: (code, key or query and token), 2 N' records
//   sort                               T_sort   H ell independent sorts at once, keys only (mpc/stages/sort.h)
//   fetch values                       2        each record asks its block's copy; record and value go to the scan
//   scan buckets                       2 dv     segmented sum over each bucket, whose keys precede its queries
//   return                             1        (token, sum, count) of each query to its block's copy
//   add over tables                    dc       sums and counts, back along the copies
//     [heads meet, output map: local]  0        averages S / T, then the next layer's rows; only at the owner
// of a low-rank layer (low_rank.cpp)
//   sums up, sums down                 2 dv     sums over all keys up a tree over the owners, and down
// of a softmax layer, the quadratic contrast (softmax.cpp)
//   copy queries, copy keys, largest up, largest down, sums up
//                                      5 dc     on C^2 machines, one for each pair of blocks
// or (softmax_ring.cpp)
//   largest around, sums around        2 C      on C machines, past which the rows go
//   deliver                            1        row of token t to outputs t d .. t d + d - 1 (once)
//
// Other layers' rounds stand above their files.
//
// R = 1 + sum over layers of (2 dc + T_sort(2 N', w) + 2 dv + 4) + 1, w = code words + 1, for hashed layers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "roundtrip/anna/transformer/activations.h"
#include "roundtrip/anna/transformer/model.h"
#include "roundtrip/mpc/parameters.h"
#include "roundtrip/mpc/protocol.h"
#include "roundtrip/mpc/runtime.h"
#include "roundtrip/mpc/stages/sort_plan.h"
#include "roundtrip/simulate/compile/compare.h"
#include "roundtrip/simulate/compile/translation.h"

namespace roundtrip::simulate {

struct DecompileOptions {
  /// p, 32 .. 62; at most 48 if section 4's translators shall compile the protocol.
  std::uint32_t word_bits = 62;
  std::optional<std::uint32_t> input_bits = {};  ///< of an input word, 1 .. 53; else what the model takes
  std::string name = "model";                    ///< in messages
  /// Softmax layers in 2 C rounds on C machines, not in O(1) rounds on C^2.
  bool softmax_ring = false;
};

struct LayerDecompiler;  // layer_decompiler.h

/// One layer of a DecompilePlan. What a kind of layer does not have keeps its default.
struct DecompiledLayer {
  const LayerDecompiler* decompiler = nullptr;
  std::uint32_t heads = 1;            ///< H
  std::uint32_t tables = 0;           ///< ell of a hashed layer; n_h of a chunked one
  std::uint32_t copies = 1;           ///< of a block, its owner included: ell; C of a softmax layer
  bool triangle = false;              ///< whether block c has c + 1 copies instead: of a causal softmax layer
  std::uint32_t code_words = 1;       ///< of a query or key in one table
  std::uint32_t value_dimension = 1;  ///< m_v
  std::uint32_t value_words = 1;      ///< of a value's number
  std::uint32_t sum_dimension = 1;    ///< numbers of a query's sum: m_v, or with the sum of weights 1 + m_v
  std::uint32_t sum_words = 1;        ///< of a sum's number
  std::uint32_t score_words = 0;      ///< softmax: of a score's number
  std::uint32_t row_dimension = 1;    ///< d of the rows that the layer reads
  std::uint32_t row_words = 1;        ///< of a number of theirs
  std::uint32_t rank = 0;             ///< low rank: r'
  std::uint64_t window = 0;           ///< window: tokens to each side
  std::uint64_t globals = 0;          ///< window: g, the first tokens, which see all and are seen by all
  std::uint64_t chunk = 0;            ///< chunked: B, tokens of a chunk
  std::uint64_t token_words = 0;      ///< most words of a token on one machine in one round, this layer
  std::uint64_t state_words = 0;      ///< words of a token at its owner between rounds: row, sums and counts
  std::uint32_t copy_depth = 0;       ///< dc
  mpc::SortPlan sort;
  std::uint64_t element_words = 0;  ///< of all heads: low rank: of the sums G and g; recurrence: of the state
  std::uint64_t scan_records = 0;   ///< B_v
  std::uint64_t scan_machines = 0;  ///< M_v
  std::uint32_t scan_fan = 2;       ///< f_v, or f of a low-rank layer
  std::uint32_t scan_depth = 0;     ///< dv, or the depth of a low-rank layer's tree
  std::uint32_t number_words = 1;   ///< recurrence: of a number of the state
  std::uint32_t wave_rounds = 0;    ///< recurrence: C for the first of consecutive layers, 1 for the others

  std::uint64_t most_row_words() const { return 1 + std::uint64_t{row_dimension} * row_words; }
  std::uint32_t rounds() const;
};

/// All sizes of the protocol: a function of the model's shape, N, eps, delta, kappa_s and p, known before it
/// runs.
struct DecompilePlan {
  std::uint64_t n = 0;
  std::uint64_t tokens = 0;
  std::uint64_t block_words = 0;
  std::uint64_t memory_words = 0;  ///< s = kappa_s ceil(N^(eps + delta))
  std::uint64_t kappa_s = 0;
  bool kappa_raised = false;  ///< the default kappa_s had no plan; this is the least that has one
  std::uint32_t word_bits = 0;
  std::uint32_t input_bits = 0;
  std::uint64_t token_words = 0;       ///< W, max over layers
  std::uint64_t state_words = 0;       ///< max over layers
  std::uint64_t block_tokens = 0;      ///< T_b = floor(s / W)
  std::uint64_t blocks = 0;            ///< C
  std::uint32_t copies_a_round = 0;    ///< f' = max(2, floor(N^(delta / 2)))
  std::uint32_t output_dimension = 0;  ///< d of the last rows
  std::uint32_t output_words = 0;      ///< words of one of their numbers
  std::vector<DecompiledLayer> layers;
  std::uint64_t machines = 0;  ///< q
  std::uint32_t rounds = 0;    ///< R

  /// Machines of a layer: ell (C + H (M_s + M_v)) if it is hashed, C if low-rank, C^2 if softmax, C as a ring.
  std::uint64_t layer_machines(std::size_t layer) const;
  /// s > N' state_words / 16: a few machines could hold the whole state; bounds prove nothing.
  bool below_range() const { return memory_words > tokens * state_words / 16; }
};

/// parameters.n is N <= the model's tokens. Without kappa_s and memory_words, kappa_s is 16 or, if that has
/// no plan, the least that has one; a given one without a plan is refused by a ContractError that names the
/// least s that works. So is a protocol of 2^31 machines or 2^32 outputs or more.
DecompilePlan plan_decompile(const anna::Model& model, const mpc::Parameters& parameters,
                             const DecompileOptions& options = {});
/// The sizes alone, also of protocols with more machines than can be numbered.
DecompilePlan size_decompile(const anna::Model& model, const mpc::Parameters& parameters,
                             const DecompileOptions& options = {});
/// The contrast: size_decompile() of the same maps with standard attention in every layer, every pair of blocks
/// on a machine of its own, (N / B)^2 machines of the same memory; nothing if that does not hold one token's
/// numbers.
std::optional<DecompilePlan> size_contrast(const anna::Model& model, const mpc::Parameters& parameters,
                                           const DecompileOptions& options = {});

/// Problem:       an MPC protocol for the function that a transformer is.
/// Guarantee:     outputs are the rows of the last array (read them with decompiled_rows()), equal bit for bit to
///                anna::evaluate() on input_activations(input, tokens), for every input.
/// Cost:          rounds, machines and words by the plan's formulas; every machine sends and receives at most s words.
/// Preconditions: input rows (present, word); numbers of rows are integers below 2^53 in magnitude.
/// Errors:        ContractError for a model that has no plan.
/// Source:        Liu, Yu, Sanford, Andoni, Hsu 2025, Theorem 4.2 (O(L) rounds, s = O(N^(eps + delta)),
///                q = O(N^(1 + delta + 3/c^2))); the passes and their constants are ours.
std::unique_ptr<const mpc::Protocol> decompile(const anna::Model& model, const mpc::Parameters& parameters,
                                               const DecompileOptions& options = {});

/// Any transformer that decompile() takes, low-rank ones among them, as an ANNA-transformer: through the protocol
/// (whose words have 48 bits) and back up by a construction of compile(). The outputs are the numbers of the model's
/// last rows, in two's complement.
/// Cost:   depth O(L): R + 1, or 2 + 2 D R, with the plan's R.
/// Source: Liu, Yu, Sanford, Andoni, Hsu 2025, for low-rank attention with rank * width O(N^eps).
Compiled compile_model(const anna::Model& model, const mpc::Parameters& parameters,
                       const CompileOptions& options = {});

/// The last array, from the protocol's output words.
anna::Activations decompiled_rows(const DecompilePlan& plan, std::span<const mpc::Word> outputs);

/// One run in process: rows of the last array and what the run measured. ModelViolation as run() throws it.
struct DecompiledRun {
  DecompilePlan plan;
  mpc::RunResult run;
  anna::Activations rows;
};
DecompiledRun run_decompiled(const anna::Model& model, std::span<const mpc::Word> input,
                             const mpc::Parameters& parameters, const DecompileOptions& options = {});

/// The passes of decompile() and what each did.
std::vector<Pass> decompile_passes(const DecompilePlan& plan);

}  // namespace roundtrip::simulate
