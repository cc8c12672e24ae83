// Four more jobs for MapReduce: an inverted index, a join of two tables, PageRank, and words by how often they occur.
#include "roundtrip/mpc/stages/map_reduce.h"
#include "roundtrip/base/random.h"
#include "roundtrip/cli/cli.h"
#include "roundtrip/mpc/stages/fixed_point.h"
using namespace roundtrip;
using mpc::Emit, mpc::Record, mpc::Reduced;

using Left = std::span<std::int64_t>;

namespace {

constexpr auto kAdd = [](Left left, Record right) { left[0] += right[0]; };

/// N words uniform in 0 .. most(N) - 1.
auto uniform(std::uint64_t (*most)(std::uint64_t)) {
  return [most](const mpc::Parameters& parameters) {
    RandomStream stream(parameters.seed, Domain::kInstance);
    mpc::Values values(parameters.n);
    for (std::int64_t& value : values) value = static_cast<std::int64_t>(stream.below(most(parameters.n)));
    return values;
  };
}

/// Records (word, document) to records (word, document, how often), in order of words and documents.
mpc::MapReduce inverted_index() {
  mpc::MapReduce index{
      .name = "inverted_index", .summary = "for every word the documents it is in", .record_words = 2};
  index.jobs = {{.key_words = 2,
                 .map =
                     [](Record r, const Emit& emit) {
                       emit({r[0], r[1]}, {1});
                     },
                 .combine = kAdd}};
  index.generate = uniform([](std::uint64_t n) { return 1 + n / 8; });
  return index;
}

/// Records (table 0 or 1, key, word): for every row of table 1 the first word of that key in table 0, whose rows come
/// first in their key's group.
mpc::MapReduce table_join() {
  mpc::MapReduce join{
      .name = "table_join", .summary = "rows (key, a) and (key, b) to rows (key, a, b)", .record_words = 3};
  join.jobs = {{.key_words = 2,
                .value_words = 2,
                .group_words = 1,
                .map =
                    [](Record r, const Emit& emit) {
                      emit({r[1], r[0] % 2}, {r[0] % 2, r[2]});
                    },
                .each = true,
                .record_words = 3,
                .reduce =
                    [](const Reduced& pair, Left row) {
                      row[0] = pair.key[0], row[1] = pair.value[1], row[2] = pair.own[1];
                      return pair.value[0] == 0 && pair.own[0] == 1;
                    }}};
  join.generate = uniform([](std::uint64_t n) { return 1 + n / 6; });
  return join;
}

/// Ranks are in millionths.
using Rank = mpc::Fixed<1'000'000>;
Rank damped(std::int64_t sum) {
  return Rank::ratio(15, 100) + Rank::ratio(85, 100) * Rank::of_units(sum);
}

/// Edges (u, v) to (v, rank of v), in millionths, after so many iterations with damping 85 %; a vertex without edges
/// out of it keeps its rank to itself. Records on their way are (u, v, edges out of u, what has come to u).
mpc::MapReduce page_rank(int iterations) {
  mpc::MapReduce rank{
      .name = "page_rank", .summary = "PageRank of a graph, fixed iterations", .record_words = 2};
  const auto to_edges = [](const Reduced& pair, Left edge) {  // a vertex' sums come before its edges
    edge[0] = pair.key[0], edge[1] = pair.key[2], edge[2] = pair.value[1], edge[3] = pair.value[0];
    return pair.key[1] == 1;
  };
  const auto add_both = [](Left left, Record right) {
    left[0] += right[0], left[1] = std::max(left[1], right[1]);
  };
  const auto share = [](Record edge) { return (damped(edge[3]) / Rank::ratio(edge[2], 1)).units(); };
  mpc::MapReduceJob job{.pairs = 2,
                        .key_words = 3,
                        .value_words = 2,
                        .group_words = 1,
                        .combine = add_both,
                        .each = true,
                        .record_words = 4,
                        .reduce = to_edges};
  job.map = [](Record edge, const Emit& emit) {
    emit({edge[0], 0, 0}, {0, 1});
    emit({edge[0], 1, edge[1]}, {0, 0});
  };
  mpc::MapReduceJob degrees = job;
  degrees.combine = [](Left left, Record right) { left[1] += right[1]; };
  degrees.reduce = [to_edges](const Reduced& pair, Left edge) {
    const bool is_edge = to_edges(pair, edge);
    edge[3] = 1'000'000;
    return is_edge;
  };
  degrees.most = [](std::uint64_t records) { return records; };
  rank.jobs = {degrees};
  for (int i = 1; i < iterations; ++i) {
    job.most = degrees.most;
    job.map = [share](Record edge, const Emit& emit) {
      emit({edge[1], 0, 0}, {share(edge), 0});
      emit({edge[0], 1, edge[1]}, {0, edge[2]});
    };
    rank.jobs.push_back(job);
  }
  rank.jobs.push_back({.map = [share](Record edge, const Emit& emit) { emit({edge[1]}, {share(edge)}); },
                       .combine = kAdd,
                       .record_words = 2,
                       .reduce =
                           [](const Reduced& vertex, Left out) {
                             out[0] = vertex.key[0], out[1] = damped(vertex.value[0]).units();
                             return true;
                           }});
  rank.output = "sn";
  rank.generate = uniform([](std::uint64_t n) { return 1 + n / 6; });
  return rank;
}

}  // namespace

int main(int argc, char** argv) {
  for (const mpc::MapReduce& work : {inverted_index(), table_join(), page_rank(4)})
    mpc::register_protocol(mpc::map_reduce_protocol(work));
  return cli::main(argc, argv);
}
