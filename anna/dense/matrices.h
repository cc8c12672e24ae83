// Purpose: attention over dense real matrices by one interface: ANNA by LSH, exact match, the quadratic
// oracle of ANNA, exact softmax, low-rank. Real inputs become integers once (input quantisation), with the largest
// rounding error stated; all that follows in ANNA and exact match is integer-exact, so results are equal bit
// for bit on any number of threads, any blocking and any instruction set. Glossary: N_q queries, N_k keys and
// values, d dimension of queries and keys, m of values, ell tables, z functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roundtrip/anna/attention/anna.h"

namespace roundtrip::anna {

/// [rows, columns] fixed-point numbers: real value = integer * unit.
struct FixedRows {
  std::uint64_t rows = 0;
  std::uint32_t columns = 0;
  double unit = 1;
  double max_error = 0;  ///< largest difference between a number and the real it represents
  std::vector<std::int16_t> data;
  std::span<const std::int16_t> row(std::uint64_t i) const {
    return std::span(data).subspan(i * columns, columns);
  }
};

/// A real matrix [rows, columns], row by row.
struct RealRows {
  std::uint64_t rows = 0;
  std::uint32_t columns = 0;
  std::vector<float> data;
};

/// Q, K, V of one head.
struct DenseHead {
  FixedRows queries, keys;  ///< [N_q, d], [N_k, d], of one unit
  FixedRows values;         ///< [N_k, m]
  void validate() const;    ///< ContractError unless the shapes agree
};

/// What an evaluation measured.
struct DenseFacts {
  std::uint64_t hash_evaluations = 0;  ///< functions computed
  std::uint64_t key_rows_added = 0;    ///< value rows read into bucket sums
  std::uint64_t query_rows_added = 0;  ///< bucket sums added to a query's total
  std::uint64_t collisions = 0;        ///< sum over queries of T
  std::uint64_t empty_queries = 0;     ///< queries with T = 0, whose output is the zero vector
  bool wide = false;                   ///< totals needed 64 bits
  double hash_seconds = 0, group_seconds = 0, add_seconds = 0, seconds = 0;
};

/// The number of threads for `rows` rows: a thread that has less than a few thousand would wait more than it
/// works. Never more than the system lets this process start. ContractError if more than 64 a core are
/// requested.
int threads_for(unsigned requested, std::uint64_t rows);

struct DenseResult {
  std::vector<double> rows;  ///< [N_q, m]
  DenseFacts facts;
};

class DenseAttention {
 public:
  virtual ~DenseAttention() = default;
  virtual std::string name() const = 0;
  virtual std::string guarantee() const = 0;  ///< one line
  virtual std::string cost() const = 0;       ///< one line, in N, d, m, z, ell
  /// `memory`: the rows of an earlier result, whose numbers are lost. ANNA and exact match write into it if it has as many
  /// as the new one, and so touch no fresh pages.
  DenseResult attend(const DenseHead& head, std::vector<double> memory = {}) const {
    return evaluate(head, std::move(memory));
  }

 private:
  virtual DenseResult evaluate(const DenseHead& head, std::vector<double> memory) const = 0;
};

struct Kernels;

/// How an evaluation is carried out; no result depends on any of it.
struct DenseOptions {
  unsigned threads = 0;                ///< 0: as many as OpenMP has and the work is worth
  const Kernels* kernels = nullptr;    ///< null: the best that this processor runs
  std::uint32_t partition_keys = 512;  ///< keys that are grouped at once
  std::function<void(std::uint32_t done, std::uint32_t tables)> progress = {};  ///< after each table
};

/// Quantises a head. Queries and keys get one unit, by which the longest has a norm just below
/// kHadamardMaxNorm; with `unit_sphere` each row is divided by its norm first (cross-polytope and hyperplane
/// families compare directions). The values' unit is the least power of two that fits 16 bits. ContractError
/// naming matrix, row and column for a number that is not finite, and naming the row for a zero vector that
/// has no direction. Equal bit for bit whatever the options.
DenseHead quantise(const RealRows& queries, const RealRows& keys, const RealRows& values, bool unit_sphere,
                   const DenseOptions& options = {});

/// Problem:   ANNA by locality-sensitive hashing (attention/anna.h) on dense matrices.
/// Guarantee: out_i = sum_j c_ij v_j / sum_j c_ij with c_ij the number of tables in which q_i and k_j share a code,
///            exact, each sum rounded to double once and divided once; zero where no key collides. That this is
///            approximate nearest neighbor attention with probability 1 - eta is what choose_tables()
///            (lsh/probability.h) provides.
/// Cost:      time ell (z + m / 16) (N_q + N_k) vector operations (a function's own cost included in z), memory
///            O(d + m) (N_q + N_k): tables are coded one by one, and their buckets summed for the queries that ask;
///            the buckets of at most 16 tables wait together, in at most N_k rows of sums.
std::unique_ptr<DenseAttention> make_dense_anna(const AnnaParameters& parameters, DenseOptions options = {});
/// Exact match on dense matrices: c_ij = 1 iff q_i = k_j as integers. Time and memory O(d + m) (N_q + N_k).
std::unique_ptr<DenseAttention> make_dense_exact_match(DenseOptions options = {});
/// The oracle: pairwise collisions by the definition of the hash functions. Time O(ell N_q N_k), single
/// thread.
std::unique_ptr<DenseAttention> make_dense_brute_force(const AnnaParameters& parameters);

/// Exact softmax attention: weights exp(beta <q_i, k_j>) / sum. In float by blocks of BLAS products and a
/// running maximum; relative error about 1e-6. Time O(N_q N_k (d + m)), memory O(d + m) (N_q + N_k) + one
/// block a thread.
std::unique_ptr<DenseAttention> make_softmax(double beta, DenseOptions options = {});
/// Low-rank (kernel) attention with positive random features phi_r(x) = exp(sqrt(beta) <w_r, x> - beta |x|^2
/// / 2), w_r Gaussian (Choromanski et al. 2021): an unbiased estimate of softmax's kernel. Time O((N_q + N_k)
/// rank (d + m)). ContractError naming the query whose denominator is 0 or not finite.
std::unique_ptr<DenseAttention> make_low_rank(double beta, std::uint32_t rank, std::uint64_t seed,
                                              DenseOptions options = {});

}  // namespace roundtrip::anna
