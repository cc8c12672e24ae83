#include "roundtrip/proofs_check/faults.h"

#include <algorithm>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "roundtrip/base/error.h"
#include "roundtrip/base/nearest_name.h"
#include "roundtrip/mpc/agree.h"
#include "roundtrip/mpc/runtime/archive.h"
#include "roundtrip/proofs_check/processes.h"
#include "roundtrip/proofs_check/report/finished.h"
#include "roundtrip/proofs_check/report/rows.h"
#include "roundtrip/proofs_check/statement.h"
#include "roundtrip/proofs_check/verify.h"

namespace roundtrip::proofs_check {
namespace {

constexpr const char* kRuntime = "runtime";
constexpr const char* kRanks = "several ranks";
constexpr const char* kAttention = "attention";
constexpr const char* kPacketCode = "packet code";
constexpr const char* kRouting = "routing";
constexpr const char* kSort = "sort";
constexpr const char* kTranslators = "translators";
constexpr const char* kParameters = "parameter choice";
constexpr const char* kReporting = "reporting";

constexpr const char* kModelLimits = "model_limits";
constexpr const char* kExactMatch = "exact_match_by_anna";
constexpr const char* kDirect = "direct_simulation";
constexpr const char* kRouted = "routed_simulation";
constexpr const char* kDealt = "deterministic_routing";
constexpr const char* kScattered = "scattered_simulation";
constexpr const char* kSoftmax = "softmax_simulation";
constexpr const char* kShortIds = "short_ids";
constexpr const char* kProgramWeights = "program_weights";
constexpr const char* kNearOptimal = "k_hop_is_near_optimal";
constexpr const char* kLowRankLayers = "low_rank_layers";
constexpr const char* kThreeSum = "three_sum_width";
constexpr const char* kHashFunctions = "hash_functions";
constexpr const char* kMatch2 = "match2_one_layer";
constexpr const char* kKHop = "k_hop_depth";
constexpr const char* kDefinition = "anna_definition";
constexpr const char* kLsh = "lsh_algorithm";
constexpr const char* kByProtocol = "mpc_simulates_anna";
constexpr const char* kLowRank = "low_rank_by_anna";
constexpr const char* kConnectivity = "connectivity_rounds";
constexpr const char* kBlocks = "building_blocks";
constexpr const char* kReach = "chunked_attention_reach";
constexpr const char* kAveraging = "averaging_mechanisms";
constexpr const char* kMask = "mask_receptive_field";
constexpr const char* kFeatureRank = "feature_rank";
constexpr const char* kReports = "reports";
constexpr const char* kRecurrent = "recurrent_state";
constexpr const char* kScanRounds = "state_space_rounds";

constexpr const char* kHeapMisjudged = "heap of a step: limits misjudged";

constexpr SeededFault kFaults[] = {
    {"send-limit", kRuntime, "a machine may send s + 1 words", kModelLimits,
     "specimen: broken rules not stopped as such", 1000},
    {"receive-limit", kRuntime, "a machine may receive s + 1 words", kModelLimits,
     "specimen: broken rules not stopped as such", 1000},
    {"duplicate-output", kRuntime, "an output delivered twice passes", kModelLimits,
     "specimen: broken rules not stopped as such", 1000},
    {"ledger-self", kRuntime, "total words leave out those a machine sends to itself", kModelLimits,
     "specimen: ledger rounds unlike the recount", 1000},
    {"ledger-last-round", kRuntime, "words received in round R are not noted", kModelLimits,
     "specimen: ledger rounds unlike the recount", 1000},
    {"last-message", kRuntime, "the last message of a machine is dropped", kModelLimits,
     "specimen: steps, inboxes, outputs amiss", 1000},
    {"sum-of-process", kRuntime, "machines add up in a static of the process", kModelLimits,
     "sum: message lists unlike with two runs in turns", 1024},
    {"heap-of-machine", kRuntime, "a machine holds 16384 words on the heap", kModelLimits,
     "sum: runs stopped by the runtime", 1024},
    {"heap-unmetered", kRuntime, "no step's heap is metered", kModelLimits, kHeapMisjudged, 64},
    {"heap-unlimited", kRuntime, "the heap is metered and not limited", kModelLimits, kHeapMisjudged, 64},
    {"heap-limit", kRuntime, "a step may hold one word more on the heap", kModelLimits, kHeapMisjudged, 64},
    {"heap-at-end", kRuntime, "what a step held at its end counts, not the most", kModelLimits,
     kHeapMisjudged, 64},
    {"heap-aligned", kRuntime, "aligned blocks of the heap are not counted", kModelLimits, kHeapMisjudged,
     64},
    {"heap-never-given-back", kRuntime, "blocks count on when they are given back", kModelLimits,
     kHeapMisjudged, 64},
    {"heap-of-runtime", kRuntime, "a step is charged what the runtime takes", kModelLimits, kHeapMisjudged,
     64},
    {"gamma-overlooked", kRuntime, "gamma is read and used nowhere", kModelLimits,
     "gamma: machines unlike ceil(kappa_q N^(1 + gamma) / b)", 1024},
    {"gamma-rounded-down", kRuntime, "gamma gives one machine too few", kModelLimits,
     "gamma: machines unlike ceil(kappa_q N^(1 + gamma) / b)", 1024},
    {"gamma-idle", kRuntime, "machines beyond gamma = 0 idle where they should not", kModelLimits,
     "gamma: spare machines that idle or work against the card", 1024},
    {"input-shifted", kRuntime, "input blocks begin one word late", kModelLimits,
     "specimen: steps, inboxes, outputs amiss", 1000},
    {"residues-of-thread", kRuntime, "machines share residues in memory of the thread", kModelLimits,
     "match2: message lists unlike with two runs in turns", 1024},
    {"words-by-machine", kRuntime, "words are kept in a table of the process, by machine", kModelLimits,
     "match2: message lists unlike with two runs in turns", 1024},
    {"last-child", kRuntime, "a node of a tree does not add its last child", kModelLimits,
     "sum: outputs unlike the oracle's", 1024},
    {"last-not-told", kRuntime, "a broadcast leaves out a node's last child", kModelLimits,
     "match2: runs stopped by the runtime", 1024},
    {"scan-skips-one", kRuntime, "a scan leaves out the last child but one", kModelLimits,
     "sort: outputs unlike the oracle's", 16384},
    {"border-unseen", kRuntime, "the record before a machine's first is not looked at", kModelLimits,
     "k_hop: outputs unlike the oracle's", 1024},
    {"sum-of-last-lost", kRuntime, "a block's last position does not hand its sum on", kModelLimits,
     "k_hop: outputs unlike the oracle's", 1024},
    {"one-parent", kRuntime, "a root is taken for found after one parent", kConnectivity,
     "components: named graphs in turns: outputs unlike", 256},
    {"partner-of-border", kRuntime, "a block's first dart does not hear its partner's label", kConnectivity,
     "components: named graphs in turns: outputs unlike", 256},
    {"manifest-unchecked", kRuntime, "a manifest is opened whatever its checksum is", kBlocks,
     "checkpoints: damaged or others' taken, whole ones refused", 1000},
    {"inboxes-unchecked", kRuntime, "a checkpoint's inboxes are read unchecked", kBlocks,
     "checkpoints: damaged or others' taken, whole ones refused", 1000},
    {"checksum-of-part", kRuntime, "an input's checksum covers a quarter of it", kBlocks,
     "checkpoints: damaged or others' taken, whole ones refused", 1000},
    {"draw-modulo", kRuntime, "a draw by number is a remainder", kBlocks,
     "draws by number: P[below 2^62, of 3 * 2^62]", 2000},
    {"stream-modulo", kRuntime, "a draw of a stream is a remainder", kBlocks,
     "draws of a stream: P[below 2^62, of 3 * 2^62]", 2000},
    {"bound-drawn", kRuntime, "the bound itself is drawn, too", kBlocks,
     "draws of a stream: values missed, or not below the bound", 10},
    {"last-undrawn", kRuntime, "the last value below a bound is never drawn", kBlocks,
     "draws by number: values missed, or not below the bound", 10},

    {"mpi-code", kRanks, "error codes of MPI's calls are dropped", kModelLimits,
     "transport: MPI codes mistaken", 1000},
    {"source-within-rank", kRanks, "sources are numbered from 0 on every rank", kModelLimits,
     "specimen: steps, inboxes, outputs amiss", 1000, 2},
    {"limit-of-ranks", kRanks, "s + 1 words may come where there are several ranks", kModelLimits,
     "specimen: broken rules not stopped as such", 1000, 2},
    {"last-of-ranks", kRanks, "the last output of several ranks is gathered wrong", kModelLimits,
     "specimen: outputs unlike the oracle's", 1000, 2},

    {"weight-denominator", kAttention, "keys without a value are left out of the count", kExactMatch,
     "rows unlike exact match", 256},
    {"one-bit-family", kAttention, "a cross-polytope function is its sign alone", kHashFunctions,
     "cross-polytope: P[a function agrees] at c r", 16},
    {"tables-in-pairs", kAttention, "each table is drawn twice", kHashFunctions,
     "hyperplane: P[a function in each of two tables agrees] between", 16},
    {"codes-of-32-bits", kAttention, "32 bits of a code are kept by the dense engine", kHashFunctions,
     "P[codes are equal], z = 48", 16},
    {"all-pairs", kAttention, "all pairs are compared besides, counted by nobody", kLsh,
     "dense engine: 4N take more than 9 times as long as N", 2048},
    {"counts-of-16-bits", kAttention, "a bucket's count keeps 16 bits", kLsh,
     "borders of blocks: numbers unlike the definition's", 65536},
    {"column-tail", kAttention, "the only column of a last block of 16 is dropped", kLsh,
     "borders of blocks: numbers unlike the definition's", 33},
    {"sums-twice", kAttention, "a bucket is added up twice, counted once", kLsh, "rows added by the kernels",
     300},
    {"code-cut", kAttention, "16 bits of a code are compared", kExactMatch, "rows unlike exact match", 1024},
    {"last-function", kAttention, "the last hash function of a table is not used", kExactMatch,
     "P[two ids share a code], z = 2", 2},
    {"last-value", kAttention, "the last value of a bucket is not summed", kExactMatch,
     "rows unlike exact match", 256},
    {"draw-unchecked", kAttention, "a draw is given out as verified unchecked", kExactMatch,
     "verified draws that are not exact", 96},
    {"table-unused", kAttention, "the last table is not looked into", kLsh,
     "P[a near pair meets], z = 12, ell = 2", 2},
    {"keys-by-vector", kAttention, "keys of one vector count once in a table", kDefinition,
     "rows that are no convex combination", 24},
    {"projection-short", kAttention, "projections leave out the last coordinate", kLsh,
     "P[a near pair meets], z = 12, ell = 2", 2},
    {"bucket-size", kAttention, "a bucket's count is one short of its keys", kLsh,
     "numbers unlike the definition's", 300},
    {"pairs-beside", kAttention, "the sparse engine looks at all pairs besides", kLsh,
     "sparse engine: 4N take more than 9 times as long as N", 2048},
    {"codes-twice", kAttention, "each vector is hashed twice, counted once", kLsh, "products by the kernels",
     300},
    {"batch-begins-anew", kAttention, "a batch of tables forgets the batches before", kLsh,
     "borders of blocks: numbers unlike the definition's", 33},
    {"whole-chunks-alone", kAttention, "queries after the last whole chunk of 8 get nothing", kLsh,
     "borders of blocks: numbers unlike the definition's", 33},
    {"single-uncounted", kAttention, "a bucket of one key is added, not counted", kLsh,
     "borders of blocks: numbers unlike the definition's", 33},
    {"cells-doubled", kAttention, "cells of p-stable functions are twice as wide", kHashFunctions,
     "p-stable: P[a function agrees] between", 16},
    {"signs-unflipped", kAttention, "a Hadamard rotation flips no sign", kHashFunctions,
     "hadamard: P[two functions of a table agree] between", 16},
    {"one-bit-for-all", kAttention, "all functions of a table sample one bit", kHashFunctions,
     "bit-sampling: P[two functions of a table agree] between", 16},
    {"one-projection", kAttention, "all features of low-rank attention are one", kBlocks,
     "low-rank features: numbers unlike the definition's", 8},
    {"last-coordinate", kAttention, "a feature leaves out the last coordinate", kBlocks,
     "low-rank features: numbers unlike the definition's", 8},
    {"feature-rounded-down", kAttention, "a feature is rounded towards zero", kBlocks,
     "low-rank features: numbers unlike the definition's", 8},
    {"feature-of-zero", kAttention, "a feature may be 0", kBlocks,
     "low-rank features: numbers unlike the definition's", 8},
    {"rnn-rounded-down", kAttention, "a state's number is rounded down, not half to even", kRecurrent,
     "rnn: numbers unlike the definition's", 64},
    {"rnn-without-relu", kAttention, "a state under relu may be negative", kRecurrent,
     "rnn: numbers unlike the definition's", 64},
    {"recurrence-without-bias", kAttention, "a recurrence leaves its bias out", kRecurrent,
     "rnn: numbers unlike the definition's", 64},
    {"lstm-never-forgets", kAttention, "the forget gate is always open", kRecurrent,
     "lstm: numbers unlike the definition's", 64},
    {"lstm-products-rounded-apart", kAttention, "what a cell keeps and adds is rounded apart", kRecurrent,
     "lstm: numbers unlike the definition's", 64},
    {"lstm-shows-the-cell-before", kAttention, "a cell is shown before it is written", kRecurrent,
     "lstm: numbers unlike the definition's", 64},

    {"one-feature-more", kAttention, "low-rank attention has a feature more than its rank", kFeatureRank,
     "low_rank, rank 4: rank of the weights", 32},
    {"averages-of-ten-bits", kAttention, "averages by features are rounded to 2^-10", kFeatureRank,
     "performer, rank 4: rank of the weights", 32},
    {"prefix-without-own", kAttention, "a causal prefix sum leaves out the token itself", kAveraging,
     "causal low_rank: rows unlike the definition's", 40},
    {"features-without-norm", kAttention, "Performer's exponent lacks x.x / 2", kAveraging,
     "performer features: numbers unlike the formulas'", 40},
    {"mixed-once", kAttention, "mixed products of a sketch count once", kAveraging,
     "polynomial: rows unlike the definition's", 40},
    {"window-too-wide", kAttention, "a window has a token more on one side", kMask,
     "window w = 4, L = 1: positions that reach a token", 64},
    {"mask-forgotten", kAttention, "a causal window sees what is after", kMask,
     "causal window: later positions that reach a token", 64},
    {"globals-unseen", kAttention, "global tokens are seen by none", kMask,
     "one global token, L = 2: positions that reach a token", 64},
    {"global-sees-window", kAttention, "a global token sees its window alone", kAveraging,
     "window, 3 global tokens: rows unlike the definition's", 40},
    {"chunk-too-large", kAttention, "a chunk has a token more", kReach,
     "Reformer, chunks of 2, L = 1: positions that reach a token", 256},
    {"next-chunk-seen", kAttention, "the chunk after one's own is seen, too", kReach,
     "Reformer, chunks of 2, L = 1: positions that reach a token", 256},
    {"codes-ignored", kAttention, "keys of a chunk with another code are weighed", kAveraging,
     "chunked: rows unlike the definition's", 40},
    {"one-hashing", kAttention, "all hashings of chunked attention are the first", kAveraging,
     "chunked: rows unlike the definition's", 40},

    {"variance-test", kPacketCode, "packets pass without the variance test", kDirect,
     "cover-free code: sender sets mistaken", 9},
    {"overload-by-one", kPacketCode, "one packet too many is taken", kDirect,
     "identity code: sender sets mistaken", 7},
    {"flat-polynomial", kPacketCode, "a source's polynomial is constant in x", kDirect,
     "cover-free code: sender sets mistaken", 9},
    {"point-too-few", kPacketCode, "X = (k-1)(s'-1): one point too few", kDirect,
     "cover-free code: sender sets mistaken", 9},
    {"packet-dimension", kPacketCode, "the dimension declared is one too small", kDirect,
     "identity code: sender sets mistaken", 7},
    {"packets-uncounted", kPacketCode, "fewer packets than came are taken", kBlocks,
     "packet codes: forged averages taken", 9},
    {"occupancy-of-two", kPacketCode, "a slot of two writers is read", kDirect,
     "cover-free code: sender sets mistaken", 9},
    {"word-unscaled", kPacketCode, "the average is taken for the word", kDirect,
     "identity code: sender sets mistaken", 7},
    {"words-disagree", kPacketCode, "one source may have said two words", kBlocks,
     "packet codes: forged averages taken", 9},
    {"id-beyond", kPacketCode, "a source that there is not is taken", kBlocks,
     "packet codes: forged averages taken", 9},
    {"column-beyond", kPacketCode, "numbers beyond the dimension are taken", kBlocks,
     "packet codes: forged averages taken", 9},

    {"no-intermediate", kRouting, "words go straight, without a random intermediate", kRouted,
     "overflow: probability, eta .2", 64},
    {"intermediates-in-turn", kRouting, "intermediates are taken in turn, not drawn", kRouted,
     "traffic stride 1: outputs flagged or wrong", 256},
    {"overflow-unflagged", kRouting, "a bundle that overflows sets no flag", kRouted,
     "overflow: wrong words, small bundles", 64},
    {"flag-lost", kRouting, "a node does not pass flags on that it receives", kRouted,
     "overflow: wrong words, small bundles", 64},
    {"flag-in-one-bundle", kRouting, "a flag goes into the first bundle alone", kRouted,
     "overflow: wrong words, small bundles", 64},
    {"load-of-one", kRouting, "scattered heads let one packet through", kScattered,
     "sum: outputs unlike the oracle's", 1024},
    {"load-of-one-head", kRouting, "what a head lets through is chosen for one head", kScattered,
     "by plan: width H m", 1 << 20},
    {"shift-of-none", kRouting, "words take the heads of their numbers, not shifted", kScattered,
     "everyone's first word to one machine: outputs flagged or wrong", 64},
    {"shift-of-all", kRouting, "all machines shift their words alike", kScattered,
     "everyone's first word to one machine: outputs flagged or wrong", 64},
    {"softmax-too-warm", kTranslators, "softmax weighs ids that differ, too", kSoftmax,
     "sum: outputs unlike the oracle's", 100},
    {"fallback-on-top", kTranslators, "the fallback scores more than equal ids", kSoftmax,
     "ids: least margin of scores", 64},
    {"token-of-fallback-missing", kTranslators, "no token is left without a key", kSoftmax, "sum: tokens N'",
     100},
    {"id-digit-missing", kTranslators, "short ids have a digit too few", kShortIds,
     "ids: pairs of equal vectors", 4096},
    {"ids-always-long", kTranslators, "plans count 128 coordinates for short ids", kShortIds,
     "by plan: sum, routed: width", 4096},
    {"weights-too-warm", kTranslators, "the scale of weights' softmax is 1", kProgramWeights,
     "sort_program: outputs unlike the oracle's, in integers", 64},
    {"weights-senders-uncounted", kTranslators, "values of several senders are not multiplied",
     kProgramWeights, "sum_program: outputs unlike the oracle's, in integers", 64},
    {"weights-senders-unseen", kTranslators, "two senders of a list are not noticed", kProgramWeights,
     "losses: inputs whose outputs are not all faults", 16},
    {"weights-merge-unseen", kTranslators, "a word more than slots is not noticed", kProgramWeights,
     "losses: inputs whose outputs are not all faults", 16},
    {"weights-bundle-small", kTranslators, "bundles of one word", kProgramWeights,
     "list_ranking_routed_program: outputs unlike the oracle's, in integers", 64},
    {"reduction-list-missing", kTranslators, "one list of pairs of darts too few", kNearOptimal,
     "cycles as k-hop: answers unlike", 32},
    {"reduction-list-order", kTranslators, "lists begin with the pair of dart 1", kNearOptimal,
     "cycles as k-hop: answers unlike", 32},
    {"reduction-uncrossed", kTranslators, "ends are joined without crossing them", kNearOptimal,
     "k-hop as cycles: answers unlike", 24},
    {"deal-unsorted", kRouting, "words are dealt as they come, not by destination", kDealt,
     "any traffic: words of the fullest bundle", 64},
    {"dealt-capacity", kRouting, "C = floor(s / q) + q - 2: one word too few", kDealt, "by plan: width H m",
     65536},
    {"radices", kRouting, "radices stay at ceil(q^(1/D))", kRouted,
     "sum by EMA: digits unlike their formulas", 1024},
    {"intermediate-of-slot", kRouting, "all sources draw the same intermediates", kRouted,
     "traffic stride 1: outputs flagged or wrong", 256},
    {"intermediates-of-half", kRouting, "intermediates are drawn of half the nodes", kRouted,
     "traffic stride 1: outputs flagged or wrong", 256},
    {"words-beside-bundles", kRouting, "words reach the next layer by a table, beside bundles", kRouted,
     "sum by EMA: outputs wrong, a process a layer", 1024},
    {"bundle-column", kRouting, "rows of bundles are one number wider than stated", kRouted,
     "sum by EMA: row dimension d", 1024},

    {"tie-rule", kSort, "a machine turns the order of equal keys round", kModelLimits,
     "k_hop: outputs unlike the oracle's", 1024},
    {"ties-unsplit", kSort, "samples have no positions: equal keys stay together", kModelLimits,
     "sort: runs stopped by the runtime", 1024},
    {"local-positions", kSort, "records are numbered from 0 on every machine", kModelLimits,
     "k_hop: outputs unlike the oracle's", 1024},
    {"splitters-unspaced", kSort, "splitters are the first samples, not evenly spaced ones", kModelLimits,
     "sort: runs stopped by the runtime", 1024},
    {"part-unsorted", kSort, "a block's right half is taken for sorted", kModelLimits,
     "sort: outputs unlike the oracle's", 1024},
    {"ways-overlap", kSort, "each way begins at the last position of the one before", kModelLimits,
     "sort: runs stopped by the runtime", 1024},

    {"last-block", kTranslators, "the last input block is taken for a full one", kDirect,
     "sum by EMA: outputs unlike the oracle's", 1500},
    {"words-beside-rows", kTranslators, "words reach the next layer by a static table", kDirect,
     "sum by EMA: outputs wrong, a process a layer", 1024},
    {"wide-rows", kTranslators, "rows between layers are four million numbers wide", kDirect,
     "sum by EMA: row dimension d", 1024},
    {"position-twice", kTranslators, "a position may count twice in a triple", kThreeSum,
     "traps: inputs whose triple is wrong", 33},
    {"state-not-handed-on", kTranslators, "a block begins with an empty state", kScanRounds,
     "rnn in runs: outputs unlike the oracle's", 1024},
    {"hop-not-taken", kTranslators, "a layer keeps what was found before its hop", kRecurrent,
     "lstm, k = 1, sigma = 7: outputs unlike the oracle's", 100},
    {"head-too-many", kTranslators, "the last layer declares one head too many", kDirect,
     "sum by EMA: heads H", 1024},
    {"inbox-order", kTranslators, "a machine's inbox goes by sequence, then source", kDirect,
     "sort by EMA: outputs unlike the oracle's", 1024},
    {"zero-without-match", kTranslators, "the key of residue 0 is M", kMatch2, "outputs unlike the oracle's",
     32},
    {"doubling-too-many", kTranslators, "one doubling layer too many", kKHop,
     "k = 7: layers L = a + ceil(log2 k) + 1", 100},
    {"tables-forgotten", kTranslators, "what the other tables found is not sent to its owner", kByProtocol,
     "L = 1: numbers unlike the definition's", 1024},
    {"norm-of-queries", kTranslators, "a low-rank norm without the keys' features", kLowRank,
     "direct, L = 1: numbers unlike the definition's", 1024},
    {"words-beside-heads", kTranslators, "words pass by a table, attention carries zeros", kDirect,
     "sort by EMA: outputs unlike the oracle's", 1024},
    {"gather-column", kTranslators, "the gathering layer writes one number more", kDirect,
     "sort by EMA: row dimension d", 1024},
    {"first-occurrence", kTranslators, "equal numbers are given one position", kThreeSum,
     "traps: inputs whose triple is wrong", 33},
    {"cell-above", kTranslators, "a diagonal's cell of largest sum 0 is passed by", kThreeSum,
     "traps: inputs whose triple is wrong", 33},
    {"unit-without-relu", kTranslators, "units pass negative numbers", kBlocks,
     "ReLU circuits: numbers unlike the formulas'", 16},
    {"step-unclamped", kTranslators, "a step may be larger than 1", kBlocks,
     "ReLU circuits: numbers unlike the formulas'", 16},
    {"shift-rounds", kTranslators, "a shift rounds to the nearest", kBlocks,
     "ReLU circuits: numbers unlike the formulas'", 16},
    {"prefix-of-blocks", kTranslators, "a causal prefix is that of the blocks before", kAveraging,
     "causal low_rank as a protocol: rows unlike the definition's", 40},
    {"diagonal-unmasked", kTranslators, "a block's queries see all of its own keys", kAveraging,
     "causal softmax as a protocol: rows unlike the definition's", 40},
    {"first-key-unweighed", kTranslators, "a global query leaves out the first key of each block", kAveraging,
     "window, 3 global tokens as a protocol: rows unlike the definition's", 40},
    {"previous-chunk-unseen", kTranslators, "a sorted record sees its own chunk alone", kAveraging,
     "chunked as a protocol: rows unlike the definition's", 40},

    {"features-of-queries", kTranslators, "values are weighted by features of queries, not of keys",
     kLowRankLayers, "L = 2, EMA: numbers unlike the definition's", 300},
    {"keys-twice", kTranslators, "the norm counts every key twice", kLowRankLayers,
     "L = 2, EMA: numbers unlike the definition's", 300},

    {"ids-for-pairs", kParameters, "z from a union over ids, not over pairs", kExactMatch,
     "functions z, eta 1e-6", 256},
    {"capacity-of-one-node", kParameters, "C_t from a union over the bundles of one node", kRouted,
     "sum by EMA: digits unlike their formulas", 1024},
    {"digit-too-many", kParameters, "one digit more than delta asks for", kRouted,
     "sum by EMA: layers L = 2 + 2DR", 1024},
    {"longest-sort-plan", kParameters, "the sampling fan-out of the most rounds", kModelLimits,
     "sort: rounds", 1024},
    {"one-pair", kParameters, "z of Match2 as for one pair of residues", kMatch2,
     "P[some output wrong], eta .1", 32},
    {"root-rounded-down", kParameters, "b = ceil(N^eps) - 1", kModelLimits, "sum: machines", 1024},
    {"pairs-linear", kParameters, "ell from N pairs, not N^2", kLsh, "c = 8: tables ell", 4096},
    {"one-sign", kParameters, "collision probability of one sign alone", kLsh,
     "P[a function agrees], c = 8, at r", 64},
    {"block-of-a-token", kParameters, "blocks of one token, whatever memory there is", kByProtocol,
     "c = 8, declared: machines q, O(ell N^(1 - delta))", 4096},
    {"machines-by-tables", kParameters, "as many machines again for every table", kByProtocol,
     "c = 8, declared: machines q, O(ell N^(1 - delta))", 4096},
    {"scan-records", kParameters, "the smallest scan blocks in place of the largest", kByProtocol,
     "c = 8, declared: machines q", 1024},

    {"below-range", kReporting, "a bound that holds below range counts as verified", kReports,
     "verdicts unlike the numbers'", 300},
    {"relation-flipped", kReporting, "a lower bound is read as an upper one", kReports,
     "verdicts unlike the numbers'", 300},
    {"interval-ignored", kReporting, "a probability is judged without its interval", kReports,
     "verdicts unlike the numbers'", 300},
    {"bound-rounded", kReporting, "bounds are written as whole numbers", kReports,
     "numbers unlike in the JSON", 30},
    {"check-lost", kReporting, "the last check of a statement is not written", kReports,
     "checks not in the JSON", 30},
    {"refuted-hidden", kReporting, "a quantity refuted at one size of several is not named", kReports,
     "refutations not in the table", 300},
    {"last-check-decides", kReporting, "a statement's outcome is that of its last check", kReports,
     "outcomes unlike the checks'", 30},
    {"interval-one-sided", kReporting, "each end of an interval errs with all of the alarm", kReports,
     "interval ends off their tails", 30},
    {"budget-unsplit", kReporting, "every check is given the whole false-alarm budget", kReports,
     "false alarms beyond the budget", 30},
    {"interval-end-lost", kReporting, "an interval is written without its upper end", kReports,
     "numbers unlike in the JSON", 30},
};

bool named(const SeededFault& fault, std::string_view name) {
  return fault.name == name || fault.area == name || fault.theorem == name;
}

std::vector<const SeededFault*> chosen(const std::vector<std::string>& names, int ranks) {
  std::vector<std::string> known;
  for (const SeededFault& fault : kFaults) {
    for (const std::string_view name : {fault.name, fault.area, fault.theorem}) known.emplace_back(name);
  }
  for (const std::string& name : names) {
    require_field(std::ranges::find(known, name) != known.end(), "faults",
                  "'{}' is no fault, area or theorem that has one; the nearest is '{}'", name,
                  nearest_name(name, known));
  }
  std::vector<const SeededFault*> faults;
  for (const SeededFault& fault : kFaults) {
    const auto names_it = [&](const std::string& name) { return named(fault, name); };
    const bool asked = names.empty() || std::ranges::any_of(names, names_it);
    if (asked && fault.ranks <= ranks) faults.push_back(&fault);
  }
  if (faults.empty()) {  // names that are known, then
    require_field(false, "faults", "'{}' shows with several ranks alone; there is {}", names[0], ranks);
  }
  return faults;
}

/// Rank 0's names on every rank: a launcher may have started others with other arguments.
std::vector<std::string> agreed(const std::vector<std::string>& names, mpc::Transport& transport) {
  return mpc::from_bytes<std::vector<std::string>>(
      mpc::from_root(transport, [&] { return mpc::to_bytes(names); }));
}

const Check* find(std::span<const Check> checks, const SeededFault& fault, Verdict verdict) {
  const auto found = std::ranges::find_if(checks, [&](const Check& check) {
    return check.configuration.theorem == fault.theorem && check.quantity == fault.quantity &&
           check.configuration.n == fault.n && check.verdict == verdict;
  });
  return found == checks.end() ? nullptr : &*found;
}

}  // namespace

std::span<const Blinding> all_blindings() {
  static constexpr Blinding kBlindings[] = {{"blind-steps", "steps that machines make", kModelLimits},
                                            {"blind-order", "order of the runs in an inbox", kModelLimits},
                                            {"blind-input", "first inboxes", kModelLimits},
                                            {"blind-conservation", "words received", kModelLimits},
                                            {"blind-sent", "words sent", kModelLimits},
                                            {"blind-bits", "bits of words", kModelLimits},
                                            {"blind-turns", "message lists of runs in turns", kModelLimits},
                                            {"blind-rounds", "message lists of rounds apart", kModelLimits},
                                            {"blind-heap", "heap words of steps", kModelLimits},
                                            {"blind-gamma", "machines of gamma", kModelLimits},
                                            {"blind-rows", "columns of rows", kDirect},
                                            {"blind-outputs", "words of the last array", kDirect},
                                            {"blind-processes", "outputs of layers' processes", kDirect},
                                            {"blind-divergence", "rows beside the run's messages", kRouted},
                                            {"blind-functions", "values that agree", kHashFunctions},
                                            {"blind-codes", "codes that are equal", kHashFunctions},
                                            {"blind-kernels", "rows that kernels add", kLsh},
                                            {"blind-clock", "processor time", kLsh},
                                            {"blind-sizes", "layers, tokens, heads, dimensions", kDirect},
                                            {"blind-numbers", "numbers that are compared", kBlocks},
                                            {"blind-intervals", "intervals that are compared", kBlocks}};
  return kBlindings;
}

std::span<const SeededFault> all_faults() {
  return kFaults;
}

bool rejects(std::span<const Check> checks, const SeededFault& fault) {
  return find(checks, fault, Verdict::kRefuted) != nullptr;
}
bool accepts(std::span<const Check> checks, const SeededFault& fault) {
  return find(checks, fault, Verdict::kVerified) != nullptr && !rejects(checks, fault);
}

bool FaultReport::holds() const {
  return !findings.empty() && std::ranges::all_of(findings, [](const FaultFinding& f) { return f.holds(); });
}

FaultReport verify_faults(const FaultOptions& options, mpc::Transport& transport) {
  require_faults();
  const auto start = std::chrono::steady_clock::now();
  FaultReport report;
  report.seed = options.seed;
  report.transport = transport.name();
  report.ranks = transport.ranks();
  const std::vector<const SeededFault*> faults = chosen(agreed(options.names, transport), transport.ranks());
  // Each fault's check with the defect on; and, once for all of equal check and size, with all defects off.
  struct Run {
    const SeededFault* fault;
    bool on;
    StatementReport found;  ///< its checks, or the failure message
  };
  const auto same_check = [](const SeededFault& a, const SeededFault& b) {
    return a.theorem == b.theorem && a.quantity == b.quantity && a.n == b.n;
  };
  std::vector<Run> runs;
  for (const SeededFault* fault : faults) {
    if (std::ranges::none_of(runs, [&](const Run& run) { return !run.on && same_check(*run.fault, *fault); }))
      runs.push_back({fault, false, {}});
    runs.push_back({fault, true, {}});
  }
  const auto checked = [&](const Run& run, const std::function<void(std::string_view)>& say) {
    StatementReport found;
    Context context{Sizes::kSmall, transport, options.seed, alarm_per_check(Sizes::kSmall)};
    context.progress = say;
    context.quantity = run.fault->quantity;
    context.n = run.fault->n;
    std::optional<FaultSwitch> on;
    if (run.on) on.emplace(run.fault->name);
    try {
      found.checks = find_statement(run.fault->theorem).checks(context);
    } catch (const std::exception& error) {  // on all ranks
      found.failure_message = error.what();
    }
    return found;
  };
  const auto heard = [&](std::size_t run, std::string_view said) {
    if (options.progress)
      options.progress(fmt::format("{} {}: {}", runs[run].fault->name, runs[run].on ? "on" : "off", said));
  };
  if (options.processes != 1 && transport.name() == "inprocess") {
    in_processes(
        runs.size(), options.processes == 0 ? processors() : options.processes,
        [&](std::size_t run, const auto& say) { return report_bytes(checked(runs[run], say)); }, heard,
        [&](std::size_t run, const Piece& result) {
          StatementReport& found = runs[run].found;
          result.failure.empty() ? void(found = report_of_bytes(result.bytes))
                                 : void(found.failure_message = result.failure);
        });
  } else {
    for (std::size_t i = 0; i < runs.size(); ++i)
      runs[i].found = checked(runs[i], [&](std::string_view said) { heard(i, said); });
  }
  for (const SeededFault* fault : faults) {
    const auto run_of = [&](bool on) -> const StatementReport& {
      return std::ranges::find_if(runs,
                                  [&](const Run& run) {
                                    return run.on == on &&
                                           (on ? run.fault == fault : same_check(*run.fault, *fault));
                                  })
          ->found;
    };
    const StatementReport& off = run_of(false);
    const StatementReport& on = run_of(true);
    FaultFinding finding{fault, rejects(on.checks, *fault), accepts(off.checks, *fault), {}};
    if (finding.rejected) {
      finding.reason = find(on.checks, *fault, Verdict::kRefuted)->reason;
    } else if (const std::string& failure =
                   off.failure_message.empty() ? on.failure_message : off.failure_message;
               !failure.empty()) {
      finding.reason = "the statement could not be run: " + failure;
    } else {
      finding.reason = "its check does not refute it";
    }
    report.findings.push_back(std::move(finding));
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

std::string terminal_table(const FaultReport& report) {
  std::string out;
  std::string_view area;
  std::size_t held = 0;
  for (const FaultFinding& finding : report.findings) {
    const SeededFault& fault = *finding.fault;
    if (fault.area != area) {
      out += fmt::format("{}{}\n", area.empty() ? "" : "\n", fault.area);
      area = fault.area;
    }
    held += finding.holds();
    const std::string_view state = finding.holds()        ? "rejected"
                                   : finding.accepted_off ? "NOT REJECTED"
                                   : !finding.rejected    ? "NOT JUDGED"
                                                          : "REJECTED WHEN OFF";
    out += fmt::format("  {:<20} {:<57} {:>17}\n", fault.name, fault.defect.substr(0, 57), state);
    if (!finding.holds()) {
      out += fmt::format("      {:.90}\n", fmt::format("{}: {} at N = {}: {}", fault.theorem, fault.quantity,
                                                       fault.n, finding.reason));
    }
  }
  out += fmt::format("\n{} of {} faults rejected by the check they belong to; seed {}, {}, {:.1f} s\n", held,
                     report.findings.size(), report.seed, where_it_ran(report.transport, report.ranks),
                     report.seconds);
  return out;
}

nlohmann::ordered_json to_json(const FaultReport& report) {
  nlohmann::ordered_json json{
      {"schema", "roundtrip/faults/1"}, {"seed", report.seed},
      {"transport", report.transport},  {"ranks", report.ranks},
      {"seconds", report.seconds},      {"verdict", report.holds() ? "verified" : "refuted"}};
  auto& faults = json["faults"] = nlohmann::ordered_json::array();
  for (const FaultFinding& finding : report.findings) {
    const SeededFault& fault = *finding.fault;
    faults.push_back({{"fault", fault.name},
                      {"area", fault.area},
                      {"defect", fault.defect},
                      {"theorem", fault.theorem},
                      {"quantity", fault.quantity},
                      {"n", fault.n},
                      {"rejected", finding.rejected},
                      {"accepted_off", finding.accepted_off},
                      {"reason", finding.reason}});
  }
  return json;
}

}  // namespace roundtrip::proofs_check
