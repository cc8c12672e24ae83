// ANNA against exact attention, FAISS and hnswlib on the same planted instances, all in turn in one run.
// Times are the least of several runs in turn, wall-clock and (in brackets) processor time: on a machine that
// others use, the first is the one that counts and the second the one that can be trusted. Near pairs lie at
// exactly r = sqrt 2 / c; recall is the share of near keys with positive weight, purity the share of weight
// on planted keys (near and middle), every other key counting as impure.
//   attention_bench [table|clusters|rivals|large|kernels|growth ..] [--max-log2 16] [--threads 1,2] [--c 8]
//                  [--large-log2 16,20] [--growth-log2 20]        no part named: all of them
// Input quantisation is counted beside ANNA in `large`, and in `kernels` beside a loop number by number.
#include <fmt/format.h>
#include <omp.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "roundtrip/anna/dense/instances.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/anna/lsh/probability.h"

#ifdef ROUNDTRIP_BENCH_FAISS
#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>
#endif
#ifdef ROUNDTRIP_BENCH_HNSWLIB
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wreorder"
#pragma GCC diagnostic ignored "-Wunused-variable"
#include <hnswlib/hnswlib.h>
#pragma GCC diagnostic pop
#endif

namespace {

using namespace roundtrip::anna;

double now(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The least of the runs so far, of each kind of time on its own.
struct Least {
  double wall = HUGE_VAL, processor = HUGE_VAL;
  void run(const std::function<void()>& work) {
    const double wall_start = now(CLOCK_MONOTONIC), processor_start = now(CLOCK_PROCESS_CPUTIME_ID);
    work();
    wall = std::min(wall, now(CLOCK_MONOTONIC) - wall_start);
    processor = std::min(processor, now(CLOCK_PROCESS_CPUTIME_ID) - processor_start);
  }
};

// "wall [processor]" a token, in microseconds.
std::string per_token(const Least& least, std::uint64_t n) {
  const double us = 1e6 / static_cast<double>(n);
  return fmt::format("{:8.2f} [{:8.2f}] us a token", least.wall * us, least.processor * us);
}

std::string faster(const Least& slow, const Least& fast) {
  return fmt::format("{:.2f} [{:.2f}] times", slow.wall / fast.wall, slow.processor / fast.processor);
}

constexpr std::uint32_t kDimension = 64;

// The least ell for which near pairs are found with probability .99, and the least z with N p2^z <= 0.01
// expected far keys a query and table: a random direction is often somewhat nearer than sqrt 2, so that more
// collide, and the purity is to be .9.
AnnaParameters choose(std::uint64_t n, double c) {
  const FamilyParameters family{.kind = FamilyKind::kCrossPolytopeHadamard, .dimension = kDimension};
  const double p1 = collision_probability(family, std::sqrt(2.0) / c).estimate;
  const double p2 = collision_probability(family, std::sqrt(2.0)).high;
  const auto z = static_cast<std::uint32_t>(
      std::max(1.0, std::ceil(std::log(0.01 / static_cast<double>(n)) / std::log(p2))));
  const double ell = std::ceil(std::log(0.01) / std::log1p(-std::pow(p1, z)));
  return {static_cast<std::uint32_t>(ell), z, 1, FamilyKind::kCrossPolytopeHadamard, 0, 2};
}

// An engine, its least times and the facts of its fastest run.
struct Engine {
  std::unique_ptr<DenseAttention> attention;
  Least least;
  DenseFacts facts;
  bool fresh = false;  ///< whether every result has memory of its own, not that of the one before
  std::vector<double> rows = {};

  void run(const DenseHead& head) {
    // Threads of a BLAS or of OpenMP that ran before still spin for a while and would take the cores.
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    DenseFacts now_facts;
    const double before = least.wall;
    if (fresh) rows = {};
    least.run([&] {
      DenseResult result = attention->attend(head, std::move(rows));
      now_facts = result.facts, rows = std::move(result.rows);
    });
    if (least.wall < before) facts = now_facts;
  }
  void print_split(const char* what, std::uint64_t n, std::uint32_t ell) const {
    const double unit = 1e9 / (static_cast<double>(n) * ell);
    fmt::print(
        "    {}: {:.1f} [{:.1f}] ns per token and table = hash {:.1f} + group {:.1f} + add {:.1f} + ends "
        "{:.1f}\n",
        what, least.wall * unit, least.processor * unit, facts.hash_seconds * unit,
        facts.group_seconds * unit, facts.add_seconds * unit,
        (facts.seconds - facts.hash_seconds - facts.group_seconds - facts.add_seconds) * unit);
  }
};

constexpr std::size_t kNeighbours = 9;  // a query's near key and its 8 middle ones

[[maybe_unused]] void print_rival(const char* name, std::uint64_t n, const Least& built,
                                  const Least& searched, const std::vector<std::uint64_t>& groups,
                                  const std::vector<std::int64_t>& labels) {
  std::uint64_t found = 0, own = 0, all = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < kNeighbours; ++j) {
      const std::int64_t label = labels[i * kNeighbours + j];
      if (label < 0) continue;
      const auto key = static_cast<std::uint64_t>(label);
      ++all, found += key == i, own += groups[key] == groups[i];
    }
  }
  fmt::print("    {:<12} {} (build {:.2f}), recall {:.3f}, purity {:.3f}\n", name,
             per_token({built.wall + searched.wall, built.processor + searched.processor}, n),
             1e6 * built.wall / static_cast<double>(n), static_cast<double>(found) / static_cast<double>(n),
             static_cast<double>(own) / static_cast<double>(std::max<std::uint64_t>(1, all)));
}

#ifdef ROUNDTRIP_BENCH_FAISS
void faiss_line(const char* name, faiss::Index& index, const Instance& instance) {
  const auto n = static_cast<faiss::Index::idx_t>(instance.keys.rows);
  constexpr auto kK = static_cast<faiss::Index::idx_t>(kNeighbours);
  std::vector<float> distances(static_cast<std::size_t>(n * kK));
  std::vector<faiss::Index::idx_t> labels(static_cast<std::size_t>(n * kK));
  Least built, searched;
  built.run([&] { index.train(n, instance.keys.data.data()), index.add(n, instance.keys.data.data()); });
  searched.run([&] { index.search(n, instance.queries.data.data(), kK, distances.data(), labels.data()); });
  print_rival(name, instance.keys.rows, built, searched, instance.groups, {labels.begin(), labels.end()});
}
#endif

void rivals([[maybe_unused]] const Instance& instance, [[maybe_unused]] int threads) {
#ifdef ROUNDTRIP_BENCH_FAISS
  omp_set_num_threads(threads);
  faiss::IndexFlatL2 flat(kDimension);
  faiss_line("FAISS flat", flat, instance);
  faiss::IndexFlatL2 quantizer(kDimension);
  const auto lists = static_cast<std::size_t>(std::sqrt(static_cast<double>(instance.keys.rows)));
  faiss::IndexIVFFlat ivf(&quantizer, kDimension, lists);
  ivf.nprobe = std::max<std::size_t>(1, lists / 8);
  faiss_line("FAISS IVF", ivf, instance);
#else
  fmt::print("    FAISS: not built in (Debian: libfaiss-dev)\n");
#endif
#ifdef ROUNDTRIP_BENCH_HNSWLIB
  hnswlib::L2Space space(kDimension);
  hnswlib::HierarchicalNSW<float> graph(&space, instance.keys.rows, 16, 100);
  graph.setEf(32);
  std::vector<std::int64_t> labels(instance.keys.rows * kNeighbours, -1);
  const auto rows = static_cast<std::int64_t>(instance.keys.rows);
  Least built, searched;
  built.run([&] {
    graph.addPoint(instance.keys.data.data(), 0);
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
    for (std::int64_t i = 1; i < rows; ++i) {
      graph.addPoint(&instance.keys.data[static_cast<std::size_t>(i) * kDimension],
                     static_cast<std::size_t>(i));
    }
  });
  searched.run([&] {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
    for (std::int64_t i = 0; i < rows; ++i) {
      auto results =
          graph.searchKnn(&instance.queries.data[static_cast<std::size_t>(i) * kDimension], kNeighbours);
      for (std::size_t j = 0; !results.empty(); results.pop(), ++j)
        labels[static_cast<std::size_t>(i) * kNeighbours + j] =
            static_cast<std::int64_t>(results.top().second);
    }
  });
  print_rival("hnswlib", instance.keys.rows, built, searched, instance.groups, labels);
#else
  fmt::print("    hnswlib: not built in (Debian: libhnswlib-dev)\n");
#endif
}

DenseHead head_of(const Instance& instance) {
  return quantise(instance.queries, instance.keys, instance.values, true);
}

// Every N from 2^9 on: exact attention and ANNA in turn.
void table(int max_log2, int threads, double c) {
  fmt::print("\n{} thread{}, planted instances\n", threads, threads == 1 ? "" : "s");
  const DenseOptions options{.threads = static_cast<unsigned>(threads)};
  int crossing = 0;
  for (int log2_n = 9; log2_n <= max_log2; ++log2_n) {
    const std::uint64_t n = std::uint64_t{1} << log2_n;
    const Instance instance = generate_instance({.kind = InstanceKind::kPlanted, .tokens = n, .c = c});
    const DenseHead head = head_of(instance);
    const AnnaParameters anna = choose(n, c);
    Engine exact{make_softmax(c * c, options), {}, {}}, ours{make_dense_anna(anna, options), {}, {}};
    const int runs = log2_n <= 12 ? 15 : log2_n <= 14 ? 4 : 2;
    for (int i = 0; i < runs; ++i) exact.run(head), ours.run(head);
    const WeightFacts weights = measure_weights(head, anna, question_of(instance), 512);
    fmt::print("  N = 2^{:<2} exact {}, ANNA (z {}, ell {:2}) {}: {} faster; recall {:.3f}, purity {:.3f}\n",
               log2_n, per_token(exact.least, n), anna.functions, anna.tables, per_token(ours.least, n),
               faster(exact.least, ours.least), weights.recall, *weights.purity);
    const bool good = exact.least.wall > ours.least.wall && weights.recall >= 0.98 && *weights.purity >= 0.9;
    crossing = !good ? 0 : crossing == 0 ? log2_n : crossing;
    if (log2_n >= 12 && log2_n % 2 == 0) ours.print_split("ANNA", n, anna.tables);
  }
  if (crossing != 0) {
    fmt::print("  crossing: faster than exact attention at recall >= .98 and purity >= .9 from N = 2^{} on\n",
               crossing);
  } else {
    fmt::print("  crossing: none up to 2^{}\n", max_log2);
  }
}

void clusters(int max_log2, int threads, double c) {
  fmt::print("\n{} thread{}, clusters of 64\n", threads, threads == 1 ? "" : "s");
  const DenseOptions options{.threads = static_cast<unsigned>(threads)};
  for (int log2_n = 12; log2_n <= max_log2; log2_n += 2) {
    const std::uint64_t n = std::uint64_t{1} << log2_n;
    const Instance instance = generate_instance({.kind = InstanceKind::kClustered, .tokens = n, .c = c});
    const DenseHead head = head_of(instance);
    const AnnaParameters anna = choose(n, c);
    Engine exact{make_softmax(c * c, options), {}, {}}, ours{make_dense_anna(anna, options), {}, {}};
    for (int i = 0; i < 5; ++i) {
      if (i == 0 || log2_n < 15) exact.run(head);
      ours.run(head);
    }
    const WeightFacts facts = measure_weights(head, anna, question_of(instance), 64);
    fmt::print("  N = 2^{:<2} exact {}, ANNA (z {}, ell {:2}) {}: {} faster; recall {:.3f}, purity {:.3f}\n",
               log2_n, per_token(exact.least, n), anna.functions, anna.tables, per_token(ours.least, n),
               faster(exact.least, ours.least), facts.recall, *facts.purity);
  }
}

void all_rivals(int max_log2, int threads, double c) {
  fmt::print("\n{} thread{}, planted instances, {} neighbours a query\n", threads, threads == 1 ? "" : "s",
             kNeighbours);
  for (int log2_n = 12; log2_n <= max_log2; log2_n += 2) {
    const std::uint64_t n = std::uint64_t{1} << log2_n;
    const Instance instance = generate_instance({.kind = InstanceKind::kPlanted, .tokens = n, .c = c});
    const DenseHead head = head_of(instance);
    const AnnaParameters anna = choose(n, c);
    Engine ours{make_dense_anna(anna, {.threads = static_cast<unsigned>(threads)}), {}, {}};
    for (int i = 0; i < 3; ++i) ours.run(head);
    const WeightFacts weights = measure_weights(head, anna, question_of(instance), 512);
    fmt::print("  N = 2^{}\n    {:<12} {}, recall {:.3f}, purity {:.3f}\n", log2_n, "ANNA",
               per_token(ours.least, n), weights.recall, *weights.purity);
    rivals(instance, threads);
  }
}

// z = 3, ell = 16, m = 64 at 2^16 and 2^20: the goals in ns per token and table.
void large(const std::vector<int>& sizes, const std::vector<int>& threads, double c) {
  for (const int log2_n : sizes) {
    const std::uint64_t n = std::uint64_t{1} << log2_n;
    const Instance instance = generate_instance({.kind = InstanceKind::kPlanted, .tokens = n, .c = c});
    const DenseHead head = head_of(instance);
    const AnnaParameters anna{16, 3, 1, FamilyKind::kCrossPolytopeHadamard, 0, 2};
    std::vector<Engine> engines;
    std::vector<Least> quantised(threads.size());
    for (const int t : threads)
      engines.push_back({make_dense_anna(anna, {.threads = static_cast<unsigned>(t)}), {}, {}});
    for (int i = 0; i < (log2_n <= 16 ? 12 : 3); ++i) {
      for (std::size_t e = 0; e < engines.size(); ++e) {
        engines[e].run(head);
        quantised[e].run([&] {
          (void)quantise(instance.queries, instance.keys, instance.values, true,
                         {.threads = static_cast<unsigned>(threads[e])});
        });
      }
    }
    const WeightFacts weights = measure_weights(head, anna, question_of(instance), 64);
    fmt::print("\nN = 2^{}, z 3, ell 16, m 64: recall {:.3f}, purity {:.3f}\n", log2_n, weights.recall,
               *weights.purity);
    for (std::size_t i = 0; i < engines.size(); ++i) {
      engines[i].print_split(fmt::format("{} threads", threads[i]).c_str(), n, 16);
      const double unit = 1e9 / (static_cast<double>(n) * 16);
      fmt::print("      with quantise(): {:.1f} [{:.1f}] ns per token and table\n",
                 (engines[i].least.wall + quantised[i].wall) * unit,
                 (engines[i].least.processor + quantised[i].processor) * unit);
    }
  }
}

/// Input quantisation number by number, as the definition has it: what the vectorised one is compared with.
std::vector<std::int16_t> quantised_by_definition(const RealRows& rows, double unit, bool unit_sphere,
                                                  double& max_error) {
  std::vector<std::int16_t> integers(rows.data.size());
  for (std::uint64_t row = 0; row < rows.rows; ++row) {
    double square = 0;
    const float* const from = rows.data.data() + row * rows.columns;
    for (std::uint32_t i = 0; i < rows.columns; ++i) square += static_cast<double>(from[i]) * from[i];
    const double length = unit_sphere ? std::sqrt(square) : 1;
    for (std::uint32_t i = 0; i < rows.columns; ++i) {
      const double x = from[i] / length, integer = std::nearbyint(x / unit);
      integers[row * rows.columns + i] = static_cast<std::int16_t>(integer);
      max_error = std::max(max_error, std::fabs(integer * unit - x));
    }
  }
  return integers;
}

// Every instruction set in turn: attention as in `large`, and quantisation.
void instruction_sets(int log2_n, const std::vector<int>& threads, double c) {
  const std::uint64_t n = std::uint64_t{1} << log2_n;
  const Instance instance = generate_instance({.kind = InstanceKind::kPlanted, .tokens = n, .c = c});
  const DenseHead head = head_of(instance);
  const AnnaParameters anna{16, 3, 1, FamilyKind::kCrossPolytopeHadamard, 0, 2};
  const double numbers = 3.0 * static_cast<double>(n) * kDimension;
  for (const int t : threads) {
    fmt::print("\nN = 2^{}, z 3, ell 16, m 64, {} thread{}, instruction sets in turn\n", log2_n, t,
               t == 1 ? "" : "s");
    std::vector<Engine> engines;
    std::vector<Least> quantised(kernels().size() + 1);
    for (const Kernels* kernel : kernels())
      engines.push_back(
          {make_dense_anna(anna, {.threads = static_cast<unsigned>(t), .kernels = kernel}), {}, {}});
    engines.push_back({make_dense_anna(anna, {.threads = static_cast<unsigned>(t)}), {}, {}, true});
    for (int i = 0; i < 12; ++i) {
      for (Engine& engine : engines) engine.run(head);
      for (std::size_t k = 0; k < kernels().size(); ++k) {
        quantised[k].run([&] {
          (void)quantise(instance.queries, instance.keys, instance.values, true,
                         {.threads = static_cast<unsigned>(t), .kernels = kernels()[k]});
        });
      }
      quantised.back().run([&] {
        double error = 0;
        for (const RealRows* rows : {&instance.queries, &instance.keys, &instance.values})
          (void)quantised_by_definition(*rows, head.keys.unit, rows != &instance.values, error);
      });
    }
    engines.back().print_split(fmt::format("{}, results in fresh memory", best_kernels().name).c_str(), n,
                               16);
    for (std::size_t k = 0; k < kernels().size(); ++k) {
      engines[k].print_split(kernels()[k]->name, n, 16);
      fmt::print(
          "      quantise: {:.2f} [{:.2f}] ns a number, {:.0f}% of attention; {} than number by number\n",
          quantised[k].wall / numbers * 1e9, quantised[k].processor / numbers * 1e9,
          100 * quantised[k].wall / engines[k].least.wall, faster(quantised.back(), quantised[k]));
    }
    fmt::print("    number by number, 1 thread: {:.2f} ns a number\n", quantised.back().wall / numbers * 1e9);
  }
}

// Counted hash evaluations and added rows at the (z, ell) of the guarantee, against 2 N ell z and 2 N ell.
void growth(int max_log2, int threads) {
  for (const double c : {8.0, 12.0}) {
    fmt::print("\ncounted operations at c = {}, eta = 1/100 (cross-polytope, d = 64; m = 16)\n", c);
    const FamilyParameters family{.kind = FamilyKind::kCrossPolytope, .dimension = kDimension};
    const double p1 = collision_probability(family, std::sqrt(2.0) / c).low;
    const double p2 = collision_probability(family, std::sqrt(2.0)).high;
    double before = 0;
    for (int log2_n = 10; log2_n <= max_log2; log2_n += 2) {
      const std::uint64_t n = std::uint64_t{1} << log2_n;
      const TableChoice choice = choose_tables(n, 0.01, p1, p2);
      const Instance instance =
          generate_instance({.kind = InstanceKind::kPlanted, .tokens = n, .value_dimension = 16, .c = c});
      const AnnaParameters anna{static_cast<std::uint32_t>(choice.tables),
                                choice.functions,
                                1,
                                FamilyKind::kCrossPolytopeHadamard,
                                0,
                                2};
      const DenseFacts facts =
          make_dense_anna(anna, {.threads = static_cast<unsigned>(threads)})->attend(head_of(instance)).facts;
      const double rows = static_cast<double>(facts.key_rows_added + facts.query_rows_added);
      const double counted = static_cast<double>(facts.hash_evaluations) + rows;
      fmt::print(
          "  N = 2^{:<2} z {} ell {:4}: hash evaluations {:.4e}, over 2 N ell z: {:.6f}; rows {:.4e}, over 2 "
          "N ell: "
          "{:.4f}; growth N^{}; {:.1f} s\n",
          log2_n, choice.functions, choice.tables, static_cast<double>(facts.hash_evaluations),
          static_cast<double>(facts.hash_evaluations) / choice.hash_evaluations, rows,
          rows / choice.row_additions,
          before == 0 ? "-" : fmt::format("{:.3f}", std::log2(counted / before) / 2), facts.seconds);
      before = counted;
    }
    const double rho = std::log(p1) / std::log(p2);
    fmt::print("  1 + 3 rho = {:.3f} (3/c^2: {:.3f}), beside ceilings and the logarithm in ell\n",
               1 + 3 * rho, 1 + 3 / (c * c));
  }
}

}  // namespace

int main(int argc, char** argv) {
  int max_log2 = 16, growth_log2 = 20;
  std::vector<int> threads = {1, 2}, large_log2 = {16, 20};
  double c = 8;
  std::vector<std::string> parts;
  CLI::App app("ANNA against exact attention, FAISS and hnswlib");
  app.add_option("--max-log2", max_log2, "largest log2 N of the table")
      ->check(CLI::Range(9, 20))
      ->capture_default_str();
  app.add_option("--large-log2", large_log2)->delimiter(',')->check(CLI::Range(9, 24))->capture_default_str();
  app.add_option("--growth-log2", growth_log2)->check(CLI::Range(10, 24))->capture_default_str();
  app.add_option("--threads", threads)->delimiter(',')->check(CLI::Range(1, 256))->capture_default_str();
  app.add_option("--c", c, "near pairs at sqrt 2 / c")->check(CLI::Range(2.0, 100.0))->capture_default_str();
  app.add_option("parts", parts, "what to run; all by default")
      ->check(CLI::IsMember({"table", "clusters", "rivals", "large", "kernels", "growth"}));
  CLI11_PARSE(app, argc, argv);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  double load = 0;
  getloadavg(&load, 1);
  fmt::print(
      "d = m = 64, c = {}, kernels {}, load average at the start {:.1f}; wall-clock [processor] times\n", c,
      best_kernels().name, load);
  const auto wanted = [&](const char* part) {
    return parts.empty() || std::find(parts.begin(), parts.end(), part) != parts.end();
  };
  if (wanted("large")) large(large_log2, threads, c);
  if (wanted("kernels")) instruction_sets(max_log2, threads, c);
  for (const int t : threads) {
    if (wanted("table")) table(max_log2, t, c);
    if (wanted("clusters")) clusters(max_log2, t, c);
    if (wanted("rivals")) all_rivals(max_log2, t, c);
  }
  if (wanted("growth")) growth(growth_log2, threads.back());
  return 0;
}
