// Exact softmax attention and its low-rank approximation, in float on BLAS: what ANNA is compared with.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "roundtrip/anna/dense/blas.h"
#include "roundtrip/anna/dense/matrices.h"
#include "roundtrip/anna/lsh/gaussian.h"
#include "roundtrip/anna/lsh/kernels/kernels.h"
#include "roundtrip/base/error.h"
#include "roundtrip/base/random.h"
#include "roundtrip/base/rational.h"

namespace roundtrip::anna {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<float> reals(const FixedRows& rows, double scale) {
  std::vector<float> out(rows.data.size());
  std::transform(rows.data.begin(), rows.data.end(), out.begin(),
                 [&](std::int16_t x) { return static_cast<float>(x * rows.unit * scale); });
  return out;
}

const Kernels& kernels_of(const DenseOptions& options) {
  return options.kernels != nullptr ? *options.kernels : best_kernels();
}

class Softmax final : public DenseAttention {
 public:
  Softmax(double beta, DenseOptions options) : beta_(beta), options_(std::move(options)) {
    require(std::isfinite(beta), "beta is {}; it must be finite", beta);
    int least = 1;
    const Blas can_be_had(least);  // said here, before the work that it is to be compared with
  }
  std::string name() const override { return "softmax"; }
  std::string guarantee() const override {
    return "weights exp(beta <q, k>) / sum over all keys, float accuracy";
  }
  std::string cost() const override { return "time O(N_q N_k (d + m)); memory O((d + m) (N_q + N_k))"; }

  DenseResult evaluate(const DenseHead& head, std::vector<double>) const override {
    head.validate();
    const auto start = Clock::now();
    const std::size_t n_q = head.queries.rows, n_k = head.keys.rows, d = head.keys.columns,
                      m = head.values.columns;
    require(n_k >= 1, "there are no keys; softmax needs at least one");
    const std::vector<float> q = reals(head.queries, beta_), k = reals(head.keys, 1),
                             v = reals(head.values, 1);
    DenseResult result;
    result.rows.resize(n_q * m);
    // A block of logits [kQueries, kKeys] (256 KiB) stays in the cache between the two products.
    constexpr std::size_t kQueries = 128, kKeys = 512;
    const Kernels& kernels = kernels_of(options_);
    int threads = threads_for(options_.threads, n_q * n_k / 64);
    const Blas openblas(threads);
#pragma omp parallel num_threads(threads)
    {
      std::vector<float> logits(kQueries * kKeys), sums(kQueries * m), largest(kQueries), norms(kQueries);
#pragma omp for schedule(dynamic)
      for (std::int64_t b = 0; b < static_cast<std::int64_t>(ceil_div(n_q, kQueries)); ++b) {
        const std::size_t q0 = static_cast<std::size_t>(b) * kQueries, qs = std::min(kQueries, n_q - q0);
        std::fill(sums.begin(), sums.end(), 0.0f);
        std::fill(norms.begin(), norms.end(), 0.0f);
        std::fill(largest.begin(), largest.end(), -HUGE_VALF);
        for (std::size_t k0 = 0; k0 < n_k; k0 += kKeys) {
          const std::size_t ks = std::min(kKeys, n_k - k0);
          openblas.sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, blas(qs), blas(ks), blas(d), 1, &q[q0 * d],
                         blas(d), &k[k0 * d], blas(d), 0, logits.data(), blas(kKeys));
          for (std::size_t i = 0; i < qs; ++i) {
            float* row = &logits[i * kKeys];
            const float top = kernels.max_row(row, ks);
            if (top > largest[i]) {  // what was summed so far is scaled to the new maximum
              const float scale = std::exp(largest[i] - top);
              norms[i] *= scale;
              for (std::size_t c = 0; c < m; ++c) sums[i * m + c] *= scale;
              largest[i] = top;
            }
            norms[i] += kernels.exp_row(row, ks, largest[i]);
          }
          openblas.sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, blas(qs), blas(m), blas(ks), 1,
                         logits.data(), blas(kKeys), &v[k0 * m], blas(m), 1, sums.data(), blas(m));
        }
        for (std::size_t i = 0; i < qs; ++i) {
          for (std::size_t c = 0; c < m; ++c) result.rows[(q0 + i) * m + c] = sums[i * m + c] / norms[i];
        }
      }
    }
    result.facts.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return result;
  }

 private:
  static blasint blas(std::size_t size) {
    return static_cast<blasint>(size);
  }
  double beta_;
  DenseOptions options_;
};

class LowRank final : public DenseAttention {
 public:
  LowRank(double beta, std::uint32_t rank, std::uint64_t seed, DenseOptions options)
      : beta_(beta), rank_(rank), seed_(seed), options_(std::move(options)) {
    require(beta >= 0 && std::isfinite(beta), "beta is {}; it must be finite and at least 0", beta);
    require(rank >= 1 && rank <= 1u << 20, "rank is {}; allowed are 1 .. 2^20", rank);
  }
  std::string name() const override { return "low-rank"; }
  std::string guarantee() const override {
    return "an unbiased estimate of softmax's kernel by positive random features";
  }
  std::string cost() const override {
    return "time O((N_q + N_k) rank (d + m)); memory O((rank + d + m) (N_q + N_k))";
  }

  DenseResult evaluate(const DenseHead& head, std::vector<double>) const override {
    head.validate();
    const auto start = Clock::now();
    const std::size_t n_q = head.queries.rows, n_k = head.keys.rows, d = head.keys.columns,
                      m = head.values.columns;
    std::vector<double> directions(std::size_t{rank_} * d);
    for (std::size_t i = 0; i < directions.size(); ++i) {
      directions[i] =
          gaussian(draw(seed_, Domain::kHash, ~std::uint64_t{1}, i)) / static_cast<double>(kGaussianSigma);
    }
    // G = sum_j phi(k_j) v_j^T [rank, m], g = sum_j phi(k_j) [rank]; out_i = phi(q_i) G / phi(q_i) . g.
    std::vector<double> products(std::size_t{rank_} * m, 0), sums(rank_, 0), phi(rank_);
    for (std::size_t j = 0; j < n_k; ++j) {
      features(head.keys, j, directions, phi);
      for (std::size_t r = 0; r < rank_; ++r) {
        sums[r] += phi[r];
        for (std::size_t c = 0; c < m; ++c)
          products[r * m + c] += phi[r] * (head.values.row(j)[c] * head.values.unit);
      }
    }
    DenseResult result;
    result.rows.resize(n_q * m);
    for (std::size_t i = 0; i < n_q; ++i) {
      features(head.queries, i, directions, phi);
      double norm = 0;
      double* out = &result.rows[i * m];
      for (std::size_t r = 0; r < rank_; ++r) {
        norm += phi[r] * sums[r];
        for (std::size_t c = 0; c < m; ++c) out[c] += phi[r] * products[r * m + c];
      }
      require(norm > 0 && std::isfinite(norm), "low-rank attention: the denominator of query {} is {}", i,
              norm);
      for (std::size_t c = 0; c < m; ++c) out[c] /= norm;
    }
    result.facts.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return result;
  }

 private:
  void features(const FixedRows& rows, std::size_t row, const std::vector<double>& directions,
                std::vector<double>& phi) const {
    const std::size_t d = rows.columns;
    double square = 0;
    for (const std::int16_t x : rows.row(row)) square += x * rows.unit * x * rows.unit;
    for (std::size_t r = 0; r < rank_; ++r) {
      double dot = 0;
      for (std::size_t i = 0; i < d; ++i) dot += directions[r * d + i] * rows.row(row)[i];
      phi[r] = std::exp(std::sqrt(beta_) * dot * rows.unit - beta_ * square / 2);
    }
  }

  double beta_;
  std::uint32_t rank_;
  std::uint64_t seed_;
  DenseOptions options_;
};

}  // namespace

std::unique_ptr<DenseAttention> make_softmax(double beta, DenseOptions options) {
  return std::make_unique<Softmax>(beta, std::move(options));
}

std::unique_ptr<DenseAttention> make_low_rank(double beta, std::uint32_t rank, std::uint64_t seed,
                                              DenseOptions options) {
  return std::make_unique<LowRank>(beta, rank, seed, std::move(options));
}

}  // namespace roundtrip::anna
